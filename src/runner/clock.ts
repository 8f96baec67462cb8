// Owns: the time source of a host. Inputs carry its `now`; nothing below the runner asks a clock for what is recorded.

/** How far the monotonic clock may be from the wall clock before it is set anew (suspend, NTP step). */
const DRIFT_MS = 2

export interface Clock {
  /** Epoch milliseconds, fractions = microseconds. Follows the wall clock, also after a suspend. */
  now(): number
}

/** Wall clock with microseconds: the monotonic clock moved to epoch, and moved again when the wall clock jumps. */
export function createClock(): Clock {
  let offset = Date.now() - performance.now()
  return {
    now() {
      const time = offset + performance.now()
      const behind = Date.now() - time
      if (Math.abs(behind) <= DRIFT_MS) return time
      offset += behind
      return time + behind
    },
  }
}
