// What Jaeger's pages show, read by Jaeger and run in the browser. JavaScript and not JSON because of the links: templates
// in JSON escape what they put in, and a whole URL does not survive that. No dollar sign anywhere: Jaeger would expand it.
function UIConfig() {
  // A span is data: only addresses of pages become links.
  const page = (address) => (/^https?:\/\//.test(address) ? address : 'about:blank')
  const link = (key, text) => ({
    type: 'tags',
    key,
    url: { parameters: [key], template: (values) => page(values[key]) },
    text,
  })
  return {
    // Filled from what the collector's span_metrics counts.
    monitor: { menuEnabled: true },
    // Edges between services: here there is one service, and Jaeger would compute the graph with a job it does not have.
    dependencies: { menuEnabled: false },
    // As long as traces are kept.
    search: { maxLookback: { label: '30 Days', value: '30d' }, maxLimit: 1500 },
    // What went wrong and where comes first in the list of attributes.
    topTagPrefixes: ['error.', 'spanwright.failure.', 'cicd.pipeline.', 'spanwright.'],
    linkPatterns: [link('cicd.pipeline.task.run.url.full', 'Open this step in Spanwright')],
  }
}
