// Owns: the figures of a stack that its Prometheus knows: how full the collector's queues are, what it refused or could
// not deliver, which alerts fire, how much disk the samples take. What Prometheus does not answer is unknown, not zero.
import { parseJson, request } from './probe.ts'

export interface QueueFill {
  /** As the collector names it, such as `otlp_grpc/jaeger`. */
  readonly exporter: string
  /** `traces`, `metrics` or `logs`; empty where the collector does not say. */
  readonly signal: string
  readonly size: number
  readonly capacity: number
}
export interface FiringAlert {
  readonly name: string
  readonly severity: string
  readonly count: number
}
export interface Figures {
  readonly queues: readonly QueueFill[] | undefined
  /** Spans, points and records in the last hour that the collector sent back: the sender tries again. */
  readonly refused: number | undefined
  /** The same that it took and could not deliver: they are lost. */
  readonly undelivered: number | undefined
  readonly alerts: readonly FiringAlert[] | undefined
  /** Blocks and write-ahead log. */
  readonly prometheusBytes: number | undefined
}
export const NO_FIGURES: Figures = {
  queues: undefined,
  refused: undefined,
  undelivered: undefined,
  alerts: undefined,
  prometheusBytes: undefined,
}

const TIMEOUT_MS = 3_000
const WINDOW = '1h'
const ITEMS = ['spans', 'metric_points', 'log_records'] as const

/**
 * Series of one kind of loss, summed. The collector's counters end in `_total` or not, as its version and settings have it;
 * each name stands alone because a function over a pattern of names would lose the difference between them.
 */
const lost = (names: readonly string[]): string =>
  `sum(${names
    .flatMap((name) => [name, `${name}_total`])
    .map((name) => `label_replace(increase(${name}[${WINDOW}]), "lost", "${name}", "", "")`)
    .join(' or ')})`
const QUERIES = {
  size: 'sum by (exporter, data_type) (otelcol_exporter_queue_size)',
  capacity: 'max by (exporter, data_type) (otelcol_exporter_queue_capacity)',
  refused: lost(ITEMS.map((item) => `otelcol_receiver_refused_${item}`)),
  undelivered: lost(
    ITEMS.flatMap((item) => [`otelcol_exporter_send_failed_${item}`, `otelcol_exporter_enqueue_failed_${item}`]),
  ),
  bytes: 'sum(prometheus_tsdb_storage_blocks_bytes) + sum(prometheus_tsdb_wal_storage_size_bytes)',
  alerts: 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
} as const

/** Asks the Prometheus at `url`. Never rejects. */
export async function readFigures(url: string): Promise<Figures> {
  const ask = async (name: keyof typeof QUERIES) => await query(url, QUERIES[name])
  const [size, capacity, refused, undelivered, size2, alerts] = await Promise.all([
    ask('size'),
    ask('capacity'),
    ask('refused'),
    ask('undelivered'),
    ask('bytes'),
    ask('alerts'),
  ])
  const queues = size && capacity ? queuesOf(size, capacity) : undefined
  // No queue at all: the collector is not scraped (yet), and then its counters say nothing either.
  const scraped = queues !== undefined && queues.length > 0
  return {
    queues: scraped ? queues : undefined,
    refused: scraped ? total(refused) : undefined,
    undelivered: scraped ? total(undelivered) : undefined,
    alerts: alerts && alertsOf(alerts),
    prometheusBytes: size2 && size2.length > 0 ? size2[0]!.value : undefined,
  }
}

/** At least one, where there was any. */
const total = (samples: readonly Sample[] | undefined): number | undefined =>
  samples && Math.ceil(samples.reduce((sum, { value }) => sum + value, 0))

function queuesOf(size: readonly Sample[], capacity: readonly Sample[]): QueueFill[] {
  const key = ({ labels }: Sample): string => `${labels['exporter'] ?? ''} ${labels['data_type'] ?? ''}`
  const room = new Map(capacity.map((sample) => [key(sample), sample.value]))
  return size
    .map((sample) => ({
      exporter: sample.labels['exporter'] ?? '',
      signal: sample.labels['data_type'] ?? '',
      size: sample.value,
      capacity: room.get(key(sample)) ?? 0,
    }))
    .toSorted((a, b) => a.exporter.localeCompare(b.exporter) || a.signal.localeCompare(b.signal))
}

const alertsOf = (samples: readonly Sample[]): FiringAlert[] =>
  samples
    .map(({ labels, value }) => ({
      name: labels['alertname'] ?? '',
      severity: labels['severity'] ?? '',
      count: value,
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name))

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** An instant query; undefined where it was not answered. */
async function query(url: string, text: string): Promise<readonly Sample[] | undefined> {
  try {
    const { status, text: answer } = await request(`${url}/api/v1/query?query=${encodeURIComponent(text)}`, TIMEOUT_MS)
    return status === 200 ? samplesOf(parseJson(answer)) : undefined
  } catch {
    return undefined
  }
}

function samplesOf(answer: unknown): readonly Sample[] | undefined {
  const { data } = (answer ?? {}) as { data?: { result?: unknown } }
  if (!Array.isArray(data?.result)) return undefined
  return (data.result as { metric?: Record<string, string>; value?: [number, string] }[]).map(({ metric, value }) => ({
    labels: metric ?? {},
    value: Number(value?.[1] ?? Number.NaN),
  }))
}
