// A process that runs, resumes or retries a run of a test pipeline, and can kill itself between any two entries.
// Argument: JSON of `Order`. Prints the run id, and the result when it ends.
import path from 'node:path'
import { createNdjsonStore } from '../../../src/journal/ndjson-store.ts'
import type { RunLog } from '../../../src/runner/local-host.ts'
import { resumeRun } from '../../../src/runner/resume.ts'
import { startRun } from '../../../src/runner/start.ts'
import { pipelines } from '../pipelines.ts'
import { optionsFor, portsFor } from '../compose.ts'

export interface Order {
  readonly store: string
  readonly cwd: string
  readonly pipeline: keyof typeof pipelines
  readonly resume?: string
  readonly key?: string
  /** SIGKILL itself once this many entries of this process are on record. */
  readonly killAfter?: number
  readonly sync?: 'always' | 'os'
}

const order = JSON.parse(process.argv[2]!) as Order
let left = order.killAfter ?? Infinity

/** Records one entry after the other, so that the kill can come between two of one group. */
function deadly(log: RunLog): RunLog {
  return {
    append(events, now) {
      const entries = log.append(events.slice(0, left), now)
      left -= entries.length
      if (left > 0) return entries
      void log.commit()
      process.kill(process.pid, 'SIGKILL')
      throw new Error('killed')
    },
    commit: () => log.commit(),
  }
}

const store = createNdjsonStore(path.resolve(order.store))
const { options, functions } = await optionsFor(pipelines[order.pipeline](), {
  cwd: order.cwd,
  ...(order.key && { key: order.key }),
})
const ports = portsFor(store, { functions, interpose: deadly, sync: order.sync ?? 'os', env: process.env })
const started = order.resume ? await resumeRun({ runId: order.resume }, ports) : await startRun(options, ports)
console.log(`run ${started.runId} ${started.execution ? 'own' : 'attached'}`)
const { final } = await started.end
console.log(`result ${final.result}`)
process.exit(0)
