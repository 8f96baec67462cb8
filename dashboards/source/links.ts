// Owns: where a click leads: to the search of exactly the spans that a number was made of, in Jaeger itself and in
// Grafana's Explore, and to the other dashboards. Names of spans and attributes come from src/telemetry.
import { type DashboardLink, DashboardLinkBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { spanName } from '../../src/telemetry/names.ts'
import { labelOf } from './series.ts'

export const JAEGER_VARIABLE = 'jaeger_url'
export const PROMETHEUS_VARIABLE = 'prometheus_url'
export const SERVICE_VARIABLE = 'service'
const JAEGER_DATA_SOURCE = 'jaeger'
const MOST_TRACES = 100

/** A link of a value: Grafana fills in the labels of the value that was clicked. */
export interface DataLink {
  readonly title: string
  readonly url: string
}

/** How a label of the clicked value is written: in a chart it belongs to the series, in a table to the row. */
export type Place = 'chart' | 'table'
const valueOf = (place: Place, attribute: string): string =>
  `\${${place === 'chart' ? '__field.labels' : '__data.fields'}.${labelOf(attribute)}:percentencode}`

/**
 * URL-encodes everything but Grafana's `${…}`, which stand for text that they encode themselves.
 */
const encoded = (text: string): string =>
  text
    .split(/(\$\{[^}]*\})/)
    .map((part, index) => (index % 2 === 1 ? part : encodeURIComponent(part)))
    .join('')

export interface SpanSearch {
  readonly place: Place
  /**
   * Which spans: of runs, or of the attempts or branches of the node in the label `node`. Of what is open there is no span
   * yet, but its marker (attempts that have been open for a second).
   */
  readonly spans: 'run' | 'open run' | 'attempt' | 'open attempt' | 'branch'
  /** Attribute that names the pipeline; must be a label of the value. */
  readonly pipeline: string
  /** Attribute that names the node; needed for attempts and branches. */
  readonly node?: string
  /** Span attributes that must equal the label of the same name. */
  readonly same?: readonly string[]
  /** Span attributes that must have this value. */
  readonly fixed?: Readonly<Record<string, string>>
}

function operationOf({ spans, place, pipeline, node }: SpanSearch): string {
  const nodeName = node === undefined ? '' : valueOf(place, node)
  switch (spans) {
    case 'run':
      return spanName.run(valueOf(place, pipeline))
    case 'open run':
      return spanName.marker(spanName.run(valueOf(place, pipeline)))
    case 'attempt':
      return spanName.attempt(nodeName)
    case 'open attempt':
      return spanName.marker(spanName.attempt(nodeName))
    case 'branch':
      return spanName.branch(nodeName)
  }
}

/** The two links from a number to its spans. */
export function spanLinks(what: string, search: SpanSearch): DataLink[] {
  const tags: Record<string, string> = {
    [search.pipeline]: valueOf(search.place, search.pipeline),
    ...Object.fromEntries((search.same ?? []).map((name) => [name, valueOf(search.place, name)])),
    ...search.fixed,
  }
  const operation = operationOf(search)
  const parameters = [
    `service=\${${SERVICE_VARIABLE}:percentencode}`,
    `operation=${encoded(operation)}`,
    `tags=${encoded(JSON.stringify(tags))}`,
    // Jaeger counts microseconds, Grafana milliseconds.
    'start=${__from}000',
    'end=${__to}000',
    'lookback=custom',
    `limit=${MOST_TRACES}`,
  ]
  const pane = {
    datasource: JAEGER_DATA_SOURCE,
    queries: [
      {
        refId: 'A',
        datasource: { type: 'jaeger', uid: JAEGER_DATA_SOURCE },
        queryType: 'search',
        service: `\${${SERVICE_VARIABLE}:percentencode}`,
        operation,
        tags: Object.entries(tags)
          .map(([name, value]) => `${name}="${value}"`)
          .join(' '),
        limit: MOST_TRACES,
      },
    ],
    range: { from: '${__from}', to: '${__to}' },
  }
  return [
    { title: `${what} in Jaeger`, url: `\${${JAEGER_VARIABLE}:raw}/search?${parameters.join('&')}` },
    { title: `${what} in Explore`, url: `/explore?schemaVersion=1&panes=${encoded(JSON.stringify({ a: pane }))}` },
  ]
}

/** Another dashboard with the same time range and the pipeline of the clicked value. */
export const boardLink = (title: string, uid: string, place: Place, pipeline: string): DataLink => ({
  title,
  url: `/d/${uid}?var-pipeline=${valueOf(place, pipeline)}&\${__url_time_range}`,
})

/** The page of Prometheus about an alert: its expression, since when it fires, and the link to its runbook page. */
export const alertLink = (title: string): DataLink => ({
  title,
  url: `\${${PROMETHEUS_VARIABLE}:raw}/alerts?search=${valueOf('table', 'alertname')}`,
})

/** As the SDK wants them. It would hide every link in a menu: the placement it sets is taken away again. */
export const linksOf = (links: readonly DataLink[] = []): DashboardLinkBuilder[] =>
  links.map(({ title, url }) => shownLink(new DashboardLinkBuilder(title).url(url).targetBlank(true)))

/** A link whose placement is Grafana's default, beside the others. */
export function shownLink(link: DashboardLinkBuilder): DashboardLinkBuilder {
  const built: DashboardLink = link.build()
  delete built.placement
  return link
}
