// Owns: the times and the instance that batches of metrics are stamped with. Each time is later than the one before:
// a receiver takes two points of a series with the same time for one.
import type { Measurement } from './measurement.ts'
import type { MetricBatch } from './metric-points.ts'
import type { Coordinate, Flight } from './position.ts'

/** One millisecond for the point, one for the zero that a receiver may put before it. */
const STEP_MS = 2
/** Receivers take points that are late for about two hours. */
const TOO_OLD_MS = 3_600_000

export interface MetricClockOptions {
  readonly now: () => number
  readonly instance: { own(): { readonly id: string } }
}

export class MetricClock {
  private readonly options: MetricClockOptions
  private lastMs: number

  constructor(options: MetricClockOptions) {
    this.options = options
    this.lastMs = Math.floor(options.now())
  }

  /** The record of a batch; a batch that is repeated keeps its own, unless nobody would take it any more. */
  stamp(end: Coordinate, again: Flight | undefined): Flight {
    if (again?.time_us !== undefined && this.options.now() - again.time_us / 1_000 < TOO_OLD_MS) return again
    const { startUs, timeUs } = this.tick()
    return { ...end, time_us: timeUs, start_us: startUs, instance: this.options.instance.own().id }
  }

  batchOf(measurements: readonly Measurement[], flight: Flight): MetricBatch {
    const { time_us: timeUs, start_us: startUs, instance } = flight
    if (timeUs === undefined || startUs === undefined || instance === undefined)
      throw new Error('a batch without a time')
    return { measurements, startUs, timeUs, instance }
  }

  /** From the last time to now, in epoch microseconds. */
  tick(): { startUs: number; timeUs: number } {
    const startUs = this.lastMs * 1_000
    this.lastMs = Math.max(Math.floor(this.options.now()), this.lastMs + STEP_MS)
    return { startUs, timeUs: this.lastMs * 1_000 }
  }
}
