// Owns: what the metric senders are given, before any SDK sees it.
import type { GaugePoint, Measurement } from './measurement.ts'

/** Times are epoch microseconds; `instance` is the `service.instance.id`. */
export interface MetricBatch {
  readonly measurements: readonly Measurement[]
  readonly startUs: number
  readonly timeUs: number
  readonly instance: string
}

/** What is so at this moment. */
export interface GaugeBatch {
  readonly gauges: readonly GaugePoint[]
  /** Increments of counters that are not in the journal. */
  readonly increments: readonly Measurement[]
  readonly startUs: number
  readonly timeUs: number
  readonly instance: string
}
