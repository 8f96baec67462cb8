// Owns: journal entries → measurements and gauge points, pure: the same entries give the same numbers, byte for byte,
// in every process. No clock (gauges get the time as an argument), no I/O, no SDK.
import type { Entry, Event } from '../core/events.ts'
import { fromTimestamp } from '../core/time.ts'
import { closingOf, gaugesOf } from './gauges.ts'
import { MEASUREMENT_ROWS } from './measurement-rows.ts'
import type { GaugePoint, Measurement } from './measurement.ts'
import { OpenWork } from './open-work.ts'

export interface Measurements {
  /**
   * What this entry adds to counters and histograms. O(1) but for what it ends. Summed over the entries of a run it is
   * what final.json says.
   */
  apply(entry: Entry): readonly Measurement[]
  /** What the gauges show at `nowUs` (epoch µs), the heartbeat included. Linear in what is open. */
  gauges(nowUs: number): readonly GaugePoint[]
  /** The last values: every count of open work that was ever shown, at 0. */
  closing(): readonly GaugePoint[]
}

type AnyRow = (work: OpenWork, event: Event, atUs: number) => void
const ROWS = MEASUREMENT_ROWS as unknown as { readonly [type: string]: AnyRow | null | undefined }

/** For the journal of one run, from its first entry on. */
export function createMeasurements(): Measurements {
  const work = new OpenWork()
  return {
    apply(entry) {
      work.measured = []
      const atUs = Math.round(fromTimestamp(entry.at) * 1_000)
      // A journal of a later version may hold events that this one does not know.
      ROWS[entry.event.type]?.(work, entry.event, atUs)
      if (entry.event.type !== 'attempt.lost') work.lastAliveUs = atUs
      return work.measured
    },
    gauges: (nowUs) => gaugesOf(work, nowUs),
    closing: () => closingOf(work),
  }
}
