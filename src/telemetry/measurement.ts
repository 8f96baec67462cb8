// Owns: what a number is before any SDK sees it: plain data, a pure function of the journal.
import type { MetricKey } from './metric-names.ts'
import type { Attributes } from './span-record.ts'

/** An increment of a counter, or one recording of a histogram. */
export interface Measurement {
  readonly metric: MetricKey
  readonly value: number
  readonly attributes: Attributes
}

/** What a gauge shows now. */
export type GaugePoint = Measurement
