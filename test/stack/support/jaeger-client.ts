// Owns: asking a real Jaeger over its query API: services, traces by id and by tag, the Monitor tab's numbers; and waiting.
import { until, type Deadline } from './until.ts'

export interface JaegerSpan {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
  readonly service: string
  /** Span id of the parent; undefined for a root. */
  readonly parentId: string | undefined
  /** Links that are not the parent. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  /** Microseconds since 1970, and microseconds. */
  readonly startUs: number
  readonly durationUs: number
  /** Attributes, with `span.kind`, `error` and `otel.status_code` as Jaeger adds them. */
  readonly tags: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly timeUs: number; readonly fields: Readonly<Record<string, unknown>> }[]
  /** What Jaeger complains about: clock skew, a missing parent, a doubled span. */
  readonly warnings: readonly string[]
}
export interface JaegerTrace {
  readonly traceId: string
  readonly spans: readonly JaegerSpan[]
  readonly warnings: readonly string[]
}
export interface TraceSearch {
  readonly service: string
  readonly operation?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Default 24 h. */
  readonly lookbackHours?: number
  /** Default 100. */
  readonly limit?: number
}
export interface JaegerClient {
  readonly services: () => Promise<string[]>
  readonly operations: (service: string) => Promise<string[]>
  /** Undefined when Jaeger does not have it. */
  readonly trace: (traceId: string) => Promise<JaegerTrace | undefined>
  readonly search: (search: TraceSearch) => Promise<JaegerTrace[]>
  /** Calls, errors or latencies as the Monitor tab asks for them; values per operation, the empty name for the service. */
  readonly monitor: (metric: 'calls' | 'errors' | 'latencies', query: MonitorQuery) => Promise<MonitorRow[]>
  /** Waits until a trace holds `wanted` (a number of spans, or a test of the trace). */
  readonly untilTrace: (
    traceId: string,
    wanted: number | ((trace: JaegerTrace) => boolean),
    deadline?: Deadline,
  ) => Promise<JaegerTrace>
  readonly untilFound: (search: TraceSearch, traces: number, deadline?: Deadline) => Promise<JaegerTrace[]>
}
export interface MonitorQuery {
  readonly service: string
  /** Default: all kinds. */
  readonly kinds?: readonly ('server' | 'client' | 'internal')[]
  readonly lookbackMs?: number
  /** Only for latencies. Default 0.95. */
  readonly quantile?: number
}
export interface MonitorRow {
  readonly labels: Readonly<Record<string, string>>
  readonly values: readonly number[]
}

const REQUEST_MS = 30_000

/** `base` as in the stack's URLs, without a slash at the end. */
export function jaegerClient(base: string): JaegerClient {
  async function ask(path: string): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${base}/api/${path}`, { signal: AbortSignal.timeout(REQUEST_MS) })
    const body: unknown = await response.json()
    if (!response.ok && response.status !== 404)
      throw new Error(`Jaeger answers ${response.status} to ${path}: ${JSON.stringify(body)}`)
    return { status: response.status, body }
  }
  async function data<T>(path: string): Promise<T> {
    return ((await ask(path)).body as { data: T | null }).data ?? ([] as T)
  }
  const trace: JaegerClient['trace'] = async (traceId) => {
    const { status, body } = await ask(`traces/${traceId}`)
    const [found] = status === 404 ? [] : ((body as { data: RawTrace[] | null }).data ?? [])
    return found === undefined ? undefined : traceOf(found)
  }
  const search: JaegerClient['search'] = async ({ service, operation, tags, lookbackHours = 24, limit = 100 }) => {
    const nowUs = Date.now() * 1_000
    const parameters = new URLSearchParams({
      service,
      limit: `${limit}`,
      start: `${nowUs - lookbackHours * 3_600_000_000}`,
      end: `${nowUs + 60_000_000}`,
      ...(operation === undefined ? {} : { operation }),
      ...(tags === undefined ? {} : { tags: JSON.stringify(tags) }),
    })
    return (await data<RawTrace[]>(`traces?${parameters.toString()}`)).map(traceOf)
  }
  return {
    trace,
    search,
    services: () => data('services'),
    operations: (service) => data(`services/${encodeURIComponent(service)}/operations`),
    async monitor(
      metric,
      { service, kinds = ['server', 'client', 'internal'], lookbackMs = 600_000, quantile = 0.95 },
    ) {
      const parameters = new URLSearchParams({ service, groupByOperation: 'true', lookback: `${lookbackMs}` })
      for (const [name, value] of [
        ['endTs', Date.now()],
        ['step', 5_000],
        ['ratePer', 60_000],
      ] as const)
        parameters.set(name, `${value}`)
      for (const kind of kinds) parameters.append('spanKind', kind)
      if (metric === 'latencies') parameters.set('quantile', `${quantile}`)
      const { body } = await ask(`metrics/${metric}?${parameters.toString()}`)
      return ((body as { metrics?: RawMetric[] }).metrics ?? []).map(rowOf)
    },
    async untilTrace(traceId, wanted, deadline) {
      const holds = typeof wanted === 'number' ? ({ spans }: JaegerTrace): boolean => spans.length === wanted : wanted
      const found = await until(
        `trace ${traceId}`,
        () => trace(traceId),
        (seen) => seen !== undefined && holds(seen),
        deadline,
      )
      return found ?? { traceId, spans: [], warnings: [] }
    },
    untilFound: (wanted, traces, deadline) =>
      until(
        JSON.stringify(wanted),
        () => search(wanted),
        (found) => found.length >= traces,
        deadline,
      ),
  }
}

type RawTags = readonly { readonly key: string; readonly value: unknown }[]
interface RawSpan {
  readonly traceID: string
  readonly spanID: string
  readonly operationName: string
  readonly processID: string
  readonly references: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[]
  readonly startTime: number
  readonly duration: number
  readonly tags: RawTags
  readonly logs: readonly { readonly timestamp: number; readonly fields: RawTags }[]
  readonly warnings: readonly string[] | null
}
interface RawTrace {
  readonly traceID: string
  readonly spans: readonly RawSpan[]
  readonly processes: Readonly<Record<string, { readonly serviceName: string; readonly tags: RawTags }>>
  readonly warnings: readonly string[] | null
}
interface RawMetric {
  readonly labels: readonly { readonly name: string; readonly value: string }[]
  readonly metricPoints: readonly { readonly gaugeValue?: { readonly doubleValue: number | string } }[]
}

const objectOf = (tags: RawTags | null | undefined): Record<string, unknown> =>
  Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value]))

function traceOf(raw: RawTrace): JaegerTrace {
  return {
    traceId: raw.traceID,
    warnings: raw.warnings ?? [],
    spans: raw.spans.map((span) => {
      const process = raw.processes[span.processID]
      const parent = span.references.find(({ refType }) => refType === 'CHILD_OF')
      return {
        traceId: span.traceID,
        spanId: span.spanID,
        name: span.operationName,
        service: process?.serviceName ?? '',
        parentId: parent?.spanID,
        links: span.references
          .filter((reference) => reference !== parent)
          .map(({ traceID, spanID }) => ({ traceId: traceID, spanId: spanID })),
        startUs: span.startTime,
        durationUs: span.duration,
        tags: objectOf(span.tags),
        resource: objectOf(process?.tags),
        events: span.logs.map(({ timestamp, fields }) => ({ timeUs: timestamp, fields: objectOf(fields) })),
        warnings: span.warnings ?? [],
      }
    }),
  }
}

function rowOf(raw: RawMetric): MonitorRow {
  return {
    labels: Object.fromEntries(raw.labels.map(({ name, value }) => [name, value])),
    values: raw.metricPoints.map(({ gaugeValue }) => Number(gaugeValue?.doubleValue ?? Number.NaN)),
  }
}
