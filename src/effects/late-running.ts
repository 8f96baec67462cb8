// Owns: a step that cannot start in the turn in which it is asked for, because its files are looked at or its code is loaded
// first: it can be stopped before it began.
import type { Stop } from '../core/commands.ts'
import { brokenOutcome } from './broken-outcome.ts'
import type { Report, Running } from './context.ts'
import { stopReason } from './reason.ts'

export class LateRunning implements Running {
  #running: Running | undefined
  #stop: Stop | undefined

  /**
   * @param ready gives what starts the step; what it rejects with is the step's outcome
   * @param givenUp called instead when the step was stopped meanwhile
   */
  constructor(ready: Promise<() => Running>, report: Report, givenUp: () => void = () => {}) {
    ready
      .then((start) => {
        if (!this.#stop) return void (this.#running = start())
        givenUp()
        report.outcome({ failure: stopReason(this.#stop), duration_ms: 0 })
      })
      .catch((error: unknown) => report.outcome(brokenOutcome(error)))
  }

  stop(stop: Stop): void {
    if (this.#running) this.#running.stop(stop)
    else this.#stop ??= stop
  }
}
