// Owns: the nightly release of examples/nightly run against a real stack, and what a person who looks for its cause sees:
// in the terminal, in Jaeger, on the dashboards, as an alert. Every capture is a block of docs/failing-run.md.
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import type { StackUrls } from '../../../scripts/native-stack/stack.ts'
import { PROJECT_ROOT, runCli, temporaryDirectory } from '../../support/cli.ts'
import {
  interpolated,
  opened,
  queriesOf,
  readDashboards,
  type PanelQuery,
  type TimeRange,
} from '../../support/grafana.ts'
import { finalOf } from '../../support/run-record.ts'
import { table, type Captures } from './captures.ts'
import { jaegerClient, type JaegerSpan, type JaegerTrace } from './jaeger-client.ts'
import { prometheusClient, type Alert, type PrometheusClient, type Sample } from './prometheus-client.ts'
import { runCliOn } from './run-cli.ts'
import { until } from './until.ts'

/** What stands on the page for the directory that the pipeline was run in. */
const SHOWN_DIRECTORY = '~/shop'
/** Addresses of the stack as `spanwright stack up` has them. */
const SHOWN_URLS = { jaeger: 'http://127.0.0.1:16686', prometheus: 'http://127.0.0.1:9090' } as const
const FAILING = 'test:cart/suite@1.5'

export interface Nightly {
  readonly cwd: string
  /** Unix seconds: from before the start until after everything was delivered. */
  readonly range: TimeRange
  readonly summary: string
  readonly trace: JaegerTrace
}

/** Runs the pipeline in a directory of its own and waits until Jaeger and Prometheus have all of it. */
export async function runNightly(urls: StackUrls): Promise<Nightly> {
  // Short, so that no path is cut in a narrow table.
  const cwd = temporaryDirectory('n-')
  cpSync(path.join(PROJECT_ROOT, 'examples/nightly'), cwd, { recursive: true })
  const from = Math.floor(Date.now() / 1_000) - 1
  const summary = await startAgain(urls, cwd)
  const traceId = finalOf(cwd)!.trace_id
  const trace = await jaegerClient(urls.jaeger).untilTrace(traceId, ({ spans }) => spans.length >= SPANS)
  const prometheus = prometheusClient(urls.prometheus)
  await prometheus.untilValue('sum(sum_over_time(cicd_pipeline_run_duration_seconds_count[1h]))', 1)
  return { cwd, range: { from, to: Math.ceil(Date.now() / 1_000) }, summary, trace }
}
/** The page shows the terminal's signs, whatever the locale of whoever compares. */
const UTF8 = { LC_ALL: 'C.UTF-8' }
/** 1 run, 5 nodes, 4 branches with a node each, 13 attempts, the marker of the run. */
const SPANS = 28

/** Another night; resolves with the summary. */
async function startAgain(urls: StackUrls, cwd: string): Promise<string> {
  const ended = await runCliOn(urls, ['run', 'release.yaml', '--ui', 'quiet'], { cwd, env: UTF8 })
  expect(ended).toMatchObject({ exitCode: 1 })
  return ended.stderr
}

/** What commands of the terminal print. */
export async function seenInTerminal({ cwd, summary }: Nightly): Promise<Captures> {
  const said = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout } = await runCli(args, { cwd, env: UTF8 })
    expect({ args, exitCode }).toEqual({ args, exitCode: 0 })
    return asShown(stdout, cwd)
  }
  return {
    summary: asShown(summary, cwd),
    runs: await said('runs'),
    show: await said('show', 'latest'),
    attempt: await said('attempt', 'show', 'latest', FAILING),
    output: await said('attempt', 'show', 'latest', FAILING, '--output'),
    waterfall: await said('trace', 'latest'),
    retries: await said('events', 'latest', '--type', 'retry.*'),
    skipped: await said('events', 'latest', '--type', 'node.skipped'),
  }
}

const asShown = (text: string, cwd: string): string =>
  text
    .replaceAll(cwd, SHOWN_DIRECTORY)
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/^\n+|\n+$/g, '')

/** What Jaeger's search and one trace answer. */
export async function seenInJaeger(urls: StackUrls, { trace }: Nightly): Promise<Captures> {
  const jaeger = jaegerClient(urls.jaeger)
  const search = async (tags: Readonly<Record<string, string>>): Promise<string> => {
    const found = await jaeger.untilFound({ service: 'spanwright', operation: 'RUN nightly', tags }, 1)
    return [`Service spanwright   Operation RUN nightly   Tags ${tagsOf(tags)}`, '', listed(found)].join('\n')
  }
  const one = (name: string, of: Readonly<Record<string, unknown>> = {}): JaegerSpan => {
    const matches = ({ name: shown, tags }: JaegerSpan): boolean =>
      shown === name && Object.entries(of).every(([key, value]) => tags[key] === value)
    return trace.spans.find(matches)!
  }
  const last = one('suite attempt', { 'spanwright.attempt.id': FAILING })
  await search({ 'spanwright.failure.signature': text(last.tags['spanwright.failure.signature']) })
  expect(one('publish').tags).toMatchObject({ 'cicd.pipeline.task.run.result': 'skip' })
  expect(one('publish').tags).not.toHaveProperty('error')
  return {
    search: await search({ 'cicd.pipeline.name': 'nightly', 'cicd.pipeline.result': 'failure' }),
    'search-cause': await search({ 'spanwright.failure.cause.code': 'exit_nonzero' }),
    spans: drawn(trace),
    'run-span': details(one('RUN nightly')),
    'attempt-span': details(last),
    events: [
      eventOf(one('suite', { 'spanwright.node.path': 'test:cart/suite' })),
      eventOf(one('build attempt', { 'spanwright.attempt.number': 1 })),
    ].join('\n'),
    'retry-links': linksOf(trace, [last]),
    'join-links': linksOf(trace, [one('summary')]),
    marker: details(one('RUN nightly started')),
  }
}

const tagsOf = (tags: Readonly<Record<string, string>>): string =>
  Object.entries(tags)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
const seconds = (us: number): string => `${(us / 1_000_000).toFixed(2)}s`
const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
const isError = ({ tags }: JaegerSpan): boolean => tags['error'] === true

function listed(traces: readonly JaegerTrace[]): string {
  const rows = traces.map(({ traceId, spans }) => {
    const root = spans.find(({ parentId }) => parentId === undefined)!
    const errors = spans.filter(isError).length
    return [`spanwright: ${root.name}`, traceId, `${spans.length} spans`, `${errors} errors`, seconds(root.durationUs)]
  })
  return table(['TRACE', 'ID', 'SPANS', 'ERRORS', 'DURATION'], rows)
}

/** There where an attempt took longer than a second: on a slow machine. */
const isMarkerOfAttempt = ({ name }: JaegerSpan): boolean => name.endsWith(' attempt started')

/** The tree as Jaeger draws it: by parent, then by start. `!` is its red mark. */
function drawn({ spans }: JaegerTrace): string {
  const below = (parent: string | undefined, depth: number): string[][] =>
    spans
      .filter((span) => span.parentId === parent && !isMarkerOfAttempt(span))
      .toSorted((a, b) => a.startUs - b.startUs)
      .flatMap((span) => [
        [
          `${isError(span) ? '!' : ' '} ${'  '.repeat(depth)}${span.name}`,
          seconds(span.durationUs),
          whichOf(span),
          text(span.tags['error.type']),
        ],
        ...below(span.spanId, depth + 1),
      ])
  return table(['  SPAN', 'DURATION', 'BRANCH, ATTEMPT', 'ERROR.TYPE'], below(undefined, 0))
}

const LEFT_OUT = /^(otel\.scope|internal|span\.kind|process\.pid|cicd\.pipeline\.task\.run\.(url|id))/
function details({ name, tags }: JaegerSpan): string {
  const rows = Object.entries(tags).filter(([key]) => !LEFT_OUT.test(key))
  return [
    name,
    table(
      ['', ''],
      rows.map(([key, value]) => [`  ${key}`, text(value)]),
    ).trim(),
  ].join('\n  ')
}

/** The first event of a span. */
function eventOf({ name, events }: JaegerSpan): string {
  const { event, ...fields } = events[0]!.fields
  const rows = Object.entries(fields).map(([key, value]) => [`    ${key}`, text(value)])
  return [name, `  ${text(event)}`, table(['    ', ''], rows).replace(/^\s*\n/, '')].join('\n')
}

/** Where the references of spans lead: each to a span of the same trace. */
function linksOf({ spans }: JaegerTrace, from: readonly JaegerSpan[]): string {
  const rows = from.flatMap((span) =>
    span.links.map(({ spanId }) => {
      const to = spans.find((one) => one.spanId === spanId)
      if (to === undefined) throw new Error(`${span.name} links to ${spanId}, which is not in the trace`)
      return [span.name, '→', to.name, spanId, whichOf(to), text(to.tags['error.type'] ?? 'success')]
    }),
  )
  return table(['SPAN', '', 'REFERENCE', 'SPAN ID', '', 'RESULT'], rows)
}
const whichOf = ({ tags }: JaegerSpan): string => text(tags['spanwright.branch.key'] ?? tags['spanwright.attempt.id'])

/** What panels of the dashboards show, the queries behind them, and where a click on them leads. */
export async function seenOnDashboards(urls: StackUrls, { range }: Nightly): Promise<Captures> {
  const prometheus = prometheusClient(urls.prometheus)
  const ask = async (
    uid: string,
    title: string,
    clicked: Sample['labels'],
  ): Promise<{ shown: string; link: string; found: JaegerTrace[] }> => {
    const query = queryOf(uid, title)
    const expr = interpolated(query.expr, range, 15, {})
    const answer = await prometheus.instant(expr, range.to)
    const row = answer.find(({ labels }) => Object.entries(clicked).every(([name, value]) => labels[name] === value))!
    const link = linkOf(query, range, row.labels)
    return { shown: answered(query.expr, answer), link, found: await foundBy(urls, link) }
  }
  const runs = await ask('spanwright-overview', 'Why runs failed', {})
  const nodes = await ask('spanwright-retries', 'Failures by node and code', { cicd_pipeline_task_name: 'suite' })
  expect([runs.found.length, nodes.found.length]).toEqual([1, 1])
  return {
    'panel-runs': runs.shown,
    'panel-nodes': nodes.shown,
    'panel-link': decodeURIComponent(nodes.link).replaceAll('&', '\n  &'),
    'panel-cost': await costOf(prometheus, range),
  }
}

function queryOf(uid: string, title: string): PanelQuery {
  const board = readDashboards().find(({ dashboard }) => dashboard.uid === uid)!.dashboard
  return queriesOf(board).find(({ panel }) => panel.title === title)!
}

const answered = (expr: string, answer: readonly Sample[]): string => {
  const names = [...new Set(answer.flatMap(({ labels }) => Object.keys(labels)))].toSorted()
  const rows = answer.map(({ labels, value }) => [...names.map((name) => labels[name] ?? ''), String(value)])
  return [expr, '', table([...names, 'value'], rows)].join('\n')
}

function linkOf({ panel }: PanelQuery, range: TimeRange, labels: Sample['labels']): string {
  const links = panel.fieldConfig?.defaults.links as readonly { title: string; url: string }[]
  const { url } = links.find(({ title }) => title.endsWith('in Jaeger'))!
  return opened(url, range, labels, { jaeger_url: SHOWN_URLS.jaeger, service: 'spanwright' })
}

/** Jaeger's own page asks its API with the same parameters. */
async function foundBy(urls: StackUrls, link: string): Promise<JaegerTrace[]> {
  const asked = new URL(link).searchParams
  return await jaegerClient(urls.jaeger).search({
    service: asked.get('service')!,
    operation: asked.get('operation')!,
    tags: JSON.parse(asked.get('tags')!) as Record<string, string>,
  })
}

async function costOf(prometheus: PrometheusClient, range: TimeRange): Promise<string> {
  const { expr } = queryOf('spanwright-overview', 'Cost')
  return answered(expr, await prometheus.instant(interpolated(expr, range, 15, {}), range.to))
}

/** The alert that two such nights within a quarter of an hour lead to, and the page it links to. */
export async function seenAsAlert(urls: StackUrls, { cwd }: Nightly): Promise<Captures> {
  await startAgain(urls, cwd)
  const prometheus = prometheusClient(urls.prometheus)
  const storm = ({ labels, state }: Alert): boolean =>
    labels['alertname'] === 'SpanwrightRetryStorm' && state === 'firing'
  const alerts = await until(
    'the alert',
    () => prometheus.alerts(),
    (all) => all.some(storm),
    { withinMs: 120_000, everyMs: 1_000 },
  )
  const { labels, annotations } = alerts.find(storm)!
  const runbook = annotations['runbook_url']!
  const page = await fetch(runbook)
  expect(page.status).toBe(200)
  expect(await page.text()).toContain(`<h1>${labels['alertname']}</h1>`)
  const rows = Object.entries({ ...labels, ...annotations, runbook_url: shownUrl(urls, runbook) })
  return { alert: table(['', ''], rows).trim() }
}

/** The suite is repaired, and the failed node tried again: its run goes on. */
export async function seenAfterRepair(urls: StackUrls, { cwd, trace }: Nightly): Promise<Captures> {
  const suite = path.join(cwd, 'suite.sh')
  writeFileSync(suite, readFileSync(suite, 'utf8').replace(/ {2}cart-\*\)[\s\S]*?;;\n/, ''))
  const run = text(trace.spans[0]!.tags['cicd.pipeline.run.id'])
  const retried = await runCliOn(urls, ['retry', run, 'test:cart/suite', '--ui', 'plain'], { cwd, env: UTF8 })
  expect(retried).toMatchObject({ exitCode: 0 })
  const whole = await jaegerClient(urls.jaeger).untilTrace(
    trace.traceId,
    ({ spans }) => spans.filter(({ name }) => name === 'RUN nightly').length === 2,
  )
  const [first, second] = whole.spans
    .filter(({ name }) => name === 'RUN nightly')
    .toSorted((a, b) => a.startUs - b.startUs)
  // The link to the first is also its parent: Jaeger keeps one reference for both.
  expect([second!.parentId, ...second!.links.map(({ spanId }) => spanId)]).toContain(first!.spanId)
  expect(whole.warnings).toEqual([])
  return { repaired: asShown(retried.stderr, cwd) }
}

const shownUrl = (urls: StackUrls, url: string): string => url.replace(urls.prometheus, SHOWN_URLS.prometheus)
