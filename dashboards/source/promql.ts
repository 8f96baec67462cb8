// Owns: the only ways in which dashboards ask Prometheus for the project's numbers (docs/dashboards.md says why). Totals
// are sums over time: each delivery is a sample that holds just its own increment, so rate() and increase() would be
// wrong. Foreign metrics (collector, Prometheus) are ordinary counters and have their own functions at the end.
import { ATTR } from '../../src/telemetry/names.ts'
import {
  type AttributeOf,
  type CounterKey,
  type GaugeKey,
  type HistogramKey,
  hasAttribute,
  labelOf,
  seriesOf,
} from './series.ts'

/** Everything the dashboard's time range shows; for figures and tables. */
export const RANGE = '[$__range]'
/** One bar of a chart. Grafana's step is its interval, so that bars share no moment and leave none out. */
export const BAR = '[$__interval] offset -$__interval'
type Window = typeof RANGE | typeof BAR

type Key = CounterKey | HistogramKey | GaugeKey
type Group<K extends Key> = AttributeOf<K> | 'instance'
type Where<K extends Key> = { readonly [A in Group<K>]?: string }

interface Selection<K extends Key> {
  /** Attributes that stay apart; without it one number for all. */
  readonly by?: readonly Group<K>[]
  /** Matchers: attribute → operator and value, as made by `is`, `oneOf`, `not`. */
  readonly where?: Where<K>
  readonly window?: Window
}

export const is = (value: string): string => `="${value}"`
export const not = (value: string): string => `!="${value}"`
/** Whatever the variables of the dashboard say. */
export const ANY = ''
export const oneOf = (values: readonly string[]): string => `=~"${values.join('|')}"`

/** Variables of the dashboard that narrow every series that has the attribute. */
const VARIABLES: Readonly<Record<string, string>> = { [ATTR.pipelineName]: 'pipeline', [ATTR.taskName]: 'node' }

/** Matchers of the variables, unless `where` says otherwise for the attribute. */
function matchers(key: Key, where: object): string {
  const ofVariables = Object.entries(VARIABLES)
    .filter(([attribute]) => hasAttribute(key, attribute))
    .map(([attribute, variable]) => [attribute, `=~"$${variable}"`] as const)
  return Object.entries<string>({ ...Object.fromEntries(ofVariables), ...where })
    .filter(([, matcher]) => matcher !== ANY)
    .map(([attribute, matcher]) => `${labelOf(attribute)}${matcher}`)
    .join(', ')
}

function selector(key: Key, part: '' | '_sum' | '_count' | '_bucket', where: object = {}): string {
  const all = matchers(key, where)
  return `${seriesOf(key)}${part}${all === '' ? '' : `{${all}}`}`
}

function aggregate(operator: 'sum' | 'max' | 'min', by: readonly string[] | undefined, inner: string): string {
  return by === undefined || by.length === 0
    ? `${operator}(${inner})`
    : `${operator} by (${by.map(labelOf).join(', ')}) (${inner})`
}

function totalOf(
  key: CounterKey | HistogramKey,
  part: '' | '_sum' | '_count' | '_bucket',
  selection: { readonly by?: readonly string[]; readonly where?: object; readonly window?: Window },
): string {
  const series = selector(key, part, selection.where)
  return aggregate('sum', selection.by, `sum_over_time(${series}${selection.window ?? RANGE})`)
}

/** What a counter counted in the window: exact, to the last delivery. */
export const total = <K extends CounterKey>(key: K, selection: Selection<K> = {}): string => totalOf(key, '', selection)

/** How often a histogram was recorded in the window. */
export const countOf = <K extends HistogramKey>(key: K, selection: Selection<K> = {}): string =>
  totalOf(key, '_count', selection)

/** Sum of what a histogram recorded in the window. */
export const sumOf = <K extends HistogramKey>(key: K, selection: Selection<K> = {}): string =>
  totalOf(key, '_sum', selection)

/** A quantile, as exact as the buckets are fine. No value, instead of NaN, where nothing was recorded. */
export function quantile<K extends HistogramKey>(q: number, key: K, selection: Selection<K> = {}): string {
  const by = ['le', ...(selection.by ?? [])]
  return `(histogram_quantile(${q}, ${totalOf(key, '_bucket', { ...selection, by })}) >= 0)`
}

/**
 * `part / whole` where there is a whole: a missing part counts as 0, no whole gives no value, so that the panel can say
 * why it is empty. Both must be grouped in the same way.
 */
export const ratio = (part: string, whole: string): string => `(${part} or 0 * ${whole}) / (${whole} > 0)`

/** 0 where there is no series at all: right for counts, never for ratios. */
export const orZero = (expression: string): string => `${expression} or vector(0)`

/**
 * How long a value of a gauge holds when its process says nothing more. A process that ends well closes its gauges with
 * 0 at once; what is older is a process that died and nobody cleaned up after.
 */
const HOLDS = '[2h]'

/** Gauges that count something: the sum over processes, now. */
export const openNow = <K extends GaugeKey>(key: K, selection: Selection<K> = {}): string =>
  aggregate('sum', selection.by, nowOf(key, selection))

/** The most that a gauge showed in each interval, so that a short peak is not between two points of the chart. */
export const openAtMost = <K extends GaugeKey>(key: K, selection: Selection<K> = {}): string =>
  aggregate('sum', selection.by, `max_over_time(${selector(key, '', selection.where)}${BAR})`)

/** The last known value of a gauge of each process. */
export const nowOf = <K extends GaugeKey>(key: K, selection: Selection<K> = {}): string =>
  `last_over_time(${selector(key, '', selection.where)}${HOLDS})`

/** The value that a gauge shows at each point of a chart. */
export const shown = <K extends GaugeKey>(key: K, selection: Selection<K> = {}): string =>
  selector(key, '', selection.where)

export const maxBy = (by: readonly string[], expression: string): string => aggregate('max', by, expression)
export const minBy = (by: readonly string[], expression: string): string => aggregate('min', by, expression)
export const sumBy = (by: readonly string[], expression: string): string => aggregate('sum', by, expression)

/**
 * What an ordinary counter of the collector or of Prometheus counted in the range. Many are born with their first failure
 * and would show no increase: what such a counter began with is added.
 */
export function foreignIncrease(series: string, by: readonly string[] = []): string {
  const lowest = `min_over_time(${series}${RANGE})`
  const born = `(${lowest} unless ${series} offset $__range)`
  return aggregate('sum', by, `(increase(${series}${RANGE}) or 0 * ${lowest}) + (${born} or 0 * ${lowest})`)
}

/** Rate per second of an ordinary counter of the collector or of Prometheus. */
export const foreignRate = (series: string, by: readonly string[] = []): string =>
  aggregate('sum', by, `rate(${series}[$__rate_interval])`)

/** Series that the rules in collector/rules record: the same numbers that the alerts look at. */
export const RECORDED = {
  /** Seconds without progress of the open attempt of a node that is idle for longest. */
  idle: 'spanwright:attempt_idle:seconds',
  /** Seconds since a process was last heard of. */
  heartbeatAge: 'spanwright:heartbeat_age:seconds',
} as const

/** A recorded series for the chosen pipelines and nodes; heartbeats belong to none. */
export const recorded = (name: keyof typeof RECORDED): string =>
  name === 'heartbeatAge'
    ? RECORDED.heartbeatAge
    : `${RECORDED[name]}{${Object.entries(VARIABLES)
        .map(([attribute, variable]) => `${labelOf(attribute)}=~"$${variable}"`)
        .join(', ')}}`
