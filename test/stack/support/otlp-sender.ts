// Owns: sending hand-made OTLP/JSON to a collector, the way an SDK does: spans, delta counters and histograms, gauges, log
// records. Returns when the collector has acknowledged.
import { randomBytes } from 'node:crypto'

type Value = string | number | boolean
type Attributes = Readonly<Record<string, Value>>

export interface TestSpan {
  readonly name: string
  readonly traceId?: string
  readonly spanId?: string
  readonly parentId?: string
  readonly attributes?: Attributes
  /** Unix milliseconds. Default: a second ago. */
  readonly startMs?: number
  readonly durationMs?: number
}
export interface TestPoint {
  readonly name: string
  readonly unit?: string
  readonly value: number
  /** Unix milliseconds; the time of the delivery. Default now. */
  readonly atMs?: number
  readonly attributes?: Attributes
}
export interface OtlpSender {
  /** Resolves with the ids of the spans, in order. */
  readonly spans: (...spans: readonly TestSpan[]) => Promise<{ traceId: string; spanId: string }[]>
  readonly counters: (...points: readonly TestPoint[]) => Promise<void>
  /** A delta histogram of one observation per point, bounds 1 and 10. */
  readonly histograms: (...points: readonly TestPoint[]) => Promise<void>
  readonly gauges: (...points: readonly TestPoint[]) => Promise<void>
  readonly logs: (...bodies: readonly string[]) => Promise<void>
}

const DELTA = 1
const nanos = (ms: number): string => `${BigInt(Math.round(ms * 1_000)) * 1_000n}`
const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** `base` as `otlp_http` of the stack. Each call is one request; a refusal is an error. */
export function otlpSender(base: string, resource: Attributes): OtlpSender {
  async function post(signal: 'traces' | 'metrics' | 'logs', body: unknown): Promise<void> {
    const response = await fetch(`${base}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    })
    const answer = await response.text()
    if (!response.ok) throw new Error(`The collector answers ${response.status}: ${answer}`)
  }
  const from = { attributes: attributesOf(resource) }
  const metrics = (list: readonly unknown[]): Promise<void> =>
    post('metrics', {
      resourceMetrics: [{ resource: from, scopeMetrics: [{ scope: { name: 'test' }, metrics: list }] }],
    })
  return {
    async spans(...spans) {
      const made = spans.map((span) => ({ traceId: hex(16), spanId: hex(8), ...span }))
      await post('traces', { resourceSpans: [{ resource: from, scopeSpans: [{ spans: made.map(spanOf) }] }] })
      return made.map(({ traceId, spanId }) => ({ traceId, spanId }))
    },
    counters: (...points) =>
      metrics(
        points.map(({ name, unit, ...point }) => ({
          name,
          unit,
          sum: { isMonotonic: true, aggregationTemporality: DELTA, dataPoints: [pointOf(point)] },
        })),
      ),
    histograms: (...points) =>
      metrics(
        points.map(({ name, unit, value, ...point }) => ({
          name,
          unit,
          histogram: {
            aggregationTemporality: DELTA,
            dataPoints: [{ ...timesOf(point), ...histogramOf(value) }],
          },
        })),
      ),
    gauges: (...points) =>
      metrics(points.map(({ name, unit, ...point }) => ({ name, unit, gauge: { dataPoints: [pointOf(point)] } }))),
    logs: (...bodies) =>
      post('logs', {
        resourceLogs: [
          {
            resource: from,
            scopeLogs: [
              { logRecords: bodies.map((text) => ({ timeUnixNano: nanos(Date.now()), body: { stringValue: text } })) },
            ],
          },
        ],
      }),
  }
}

function attributesOf(attributes: Attributes = {}): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }))
}

function valueOf(value: Value): unknown {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: value } : { doubleValue: value }
}

function spanOf(span: TestSpan): unknown {
  const startMs = span.startMs ?? Date.now() - 1_000
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentId,
    name: span.name,
    kind: 1,
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(startMs + (span.durationMs ?? 100)),
    attributes: attributesOf(span.attributes),
  }
}

/** As the SDK sends it: the start is where the interval before ended, long ago for an idle process. */
function timesOf({ atMs = Date.now(), attributes = {} }: Omit<TestPoint, 'name' | 'value'>): object {
  return { startTimeUnixNano: nanos(atMs - 60_000), timeUnixNano: nanos(atMs), attributes: attributesOf(attributes) }
}

function pointOf({ value, ...point }: Omit<TestPoint, 'name'>): object {
  return { ...timesOf(point), asDouble: value }
}

function histogramOf(value: number): object {
  const bounds = [1, 10]
  const bucket = bounds.filter((bound) => value > bound).length
  return {
    count: '1',
    sum: value,
    explicitBounds: bounds,
    bucketCounts: [0, 1, 2].map((index) => (index === bucket ? '1' : '0')),
  }
}
