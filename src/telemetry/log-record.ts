// Owns: what a log record is before any SDK sees it: plain data, a pure function of the journal.
import type { Attributes } from './span-record.ts'

export interface LogRecord {
  /** The name of the span event that it repeats. */
  readonly name: string
  /** Epoch microseconds. */
  readonly atUs: number
  readonly traceId: string
  /** The span that the event happened on. */
  readonly spanId: string
  readonly severity: 'INFO' | 'WARN' | 'ERROR'
  /** One sentence for people. */
  readonly body: string
  readonly attributes: Attributes
}
