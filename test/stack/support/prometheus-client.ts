// Owns: asking a real Prometheus: values now, over a range, series, alerts; and waiting for a value.
import { until, type Deadline } from './until.ts'

/** One series of an answer. `value` is a number, also NaN and Infinity. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  /** Unix seconds and value. */
  readonly values: readonly (readonly [number, number])[]
}
export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

export interface PrometheusClient {
  /** An instant query; scalars come as one sample without labels. `at` in Unix seconds, default now. */
  readonly instant: (query: string, at?: number) => Promise<Sample[]>
  /** Value of the only series of an instant query; undefined when there is none. Throws when there are several. */
  readonly value: (query: string, at?: number) => Promise<number | undefined>
  readonly range: (query: string, options: RangeOptions) => Promise<Series[]>
  /** Every sample that is stored for a selector within `window` before now (`15m`), untouched by any function. */
  readonly raw: (selector: string, window: string) => Promise<Series[]>
  /** Label sets of a selector, stored at any time. */
  readonly series: (selector: string) => Promise<Readonly<Record<string, string>>[]>
  /** Exemplars of the last hour of the series a query selects. */
  readonly exemplars: (query: string) => Promise<Sample[]>
  readonly alerts: () => Promise<Alert[]>
  /** Waits until the query's only value is `wanted` (a number, or a test of it). */
  readonly untilValue: (
    query: string,
    wanted: number | ((value: number) => boolean),
    deadline?: Deadline,
  ) => Promise<number>
  readonly untilAny: (query: string, deadline?: Deadline) => Promise<Sample[]>
}
export interface RangeOptions {
  /** Unix seconds. */
  readonly start: number
  readonly end: number
  /** Seconds. */
  readonly step: number
}

const REQUEST_MS = 10_000

/** `base` as in the stack's URLs, without a slash at the end. */
export function prometheusClient(base: string): PrometheusClient {
  async function ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const response = await fetch(`${base}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, {
      signal: AbortSignal.timeout(REQUEST_MS),
    })
    const body = (await response.json()) as { status: string; data: T; error?: string }
    if (body.status !== 'success') throw new Error(`Prometheus refuses ${JSON.stringify(parameters)}: ${body.error}`)
    return body.data
  }
  const instant: PrometheusClient['instant'] = async (query, at) => {
    const data = await ask<Answer>('query', { query, ...(at === undefined ? {} : { time: `${at}` }) })
    return samplesOf(data)
  }
  const value: PrometheusClient['value'] = async (query, at) => {
    const samples = await instant(query, at)
    if (samples.length > 1) throw new Error(`${query} has ${samples.length} series: ${JSON.stringify(samples)}`)
    return samples[0]?.value
  }
  return {
    instant,
    value,
    async range(query, { start, end, step }) {
      const data = await ask<Answer>('query_range', { query, start: `${start}`, end: `${end}`, step: `${step}` })
      return seriesOf(data)
    },
    async raw(selector, window) {
      return seriesOf(await ask<Answer>('query', { query: `${selector}[${window}]` }))
    },
    series: (selector) => ask('series', { 'match[]': selector }),
    async exemplars(query) {
      const end = Date.now() / 1_000 + 60
      const data = await ask<readonly { readonly exemplars: readonly RawExemplar[] }[]>('query_exemplars', {
        query,
        start: `${end - 3_600}`,
        end: `${end}`,
      })
      return data.flatMap(({ exemplars }) => exemplars.map(({ labels, value }) => ({ labels, value: numberOf(value) })))
    },
    async alerts() {
      return (await ask<{ alerts: Alert[] }>('alerts', {})).alerts
    },
    async untilValue(query, wanted, deadline) {
      const holds = typeof wanted === 'number' ? (seen: number): boolean => seen === wanted : wanted
      const seen = await until(
        query,
        () => value(query),
        (now) => now !== undefined && holds(now),
        deadline,
      )
      return seen ?? Number.NaN
    },
    untilAny: (query, deadline) =>
      until(
        query,
        () => instant(query),
        (samples) => samples.length > 0,
        deadline,
      ),
  }
}

interface RawExemplar {
  readonly labels: Sample['labels']
  readonly value: string
}
type Point = readonly [number, string]
type Answer =
  | {
      readonly resultType: 'vector'
      readonly result: readonly { readonly metric: Sample['labels']; readonly value: Point }[]
    }
  | {
      readonly resultType: 'matrix'
      readonly result: readonly { readonly metric: Sample['labels']; readonly values: readonly Point[] }[]
    }
  | { readonly resultType: 'scalar' | 'string'; readonly result: Point }

/** Prometheus writes +Inf and -Inf where JavaScript reads Infinity. */
function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

function samplesOf(answer: Answer): Sample[] {
  switch (answer.resultType) {
    case 'vector':
      return answer.result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }))
    case 'matrix':
      throw new Error('A range selector has no value: ask with raw()')
    case 'scalar':
    case 'string':
      return [{ labels: {}, value: numberOf(answer.result[1]) }]
  }
}

function seriesOf(answer: Answer): Series[] {
  if (answer.resultType !== 'matrix') throw new Error(`Not a range: ${answer.resultType}`)
  return answer.result.map(({ metric, values }) => ({
    labels: metric,
    values: values.map(([time, value]): [number, number] => [time, numberOf(value)]),
  }))
}
