// Owns: the names inside a store and a run directory (DESIGN 5), and that no id can lead out of it.
import { join } from 'node:path'
import { parseAttemptId } from '../core/ids.ts'

/** A ULID as it is written: upper case, at most 128 bits. */
const RUN_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const ATTEMPT_ID = /^[A-Za-z0-9_@:./-]+$/

export const isRunId = (text: string): boolean => RUN_ID.test(text)
export const runsDirectory = (store: string): string => join(store, 'runs')

export interface RunPaths {
  readonly directory: string
  readonly identity: string
  readonly pipeline: string
  readonly journal: string
  readonly final: string
  readonly lease: string
  readonly control: string
  readonly telemetry: string
  readonly log: string
  readonly attempts: string
  readonly worktrees: string
}

/** Everything in the run directory `directory`. */
export function pathsIn(directory: string): RunPaths {
  return {
    directory,
    identity: join(directory, 'run.json'),
    pipeline: join(directory, 'pipeline.json'),
    journal: join(directory, 'journal.ndjson'),
    final: join(directory, 'final.json'),
    lease: join(directory, 'lease.json'),
    control: join(directory, 'control'),
    telemetry: join(directory, 'telemetry.json'),
    log: join(directory, 'log.ndjson'),
    attempts: join(directory, 'attempts'),
    worktrees: join(directory, 'worktrees'),
  }
}

/** Paths of a run of a store. A run id that is no ULID is a bug of the caller: user input goes through `resolve`. */
export function runPaths(store: string, runId: string): RunPaths {
  if (!isRunId(runId)) throw new Error(`not a run id: ${JSON.stringify(runId)}`)
  return pathsIn(join(runsDirectory(store), runId))
}

/** `attempts/<path>/<visit>.<attempt>` of a run directory; it is not created. Throws on an id that is none. */
export function attemptDirectory(runDirectory: string, attemptId: string): string {
  const parts = ATTEMPT_ID.test(attemptId) ? parseAttemptId(attemptId) : undefined
  const segments = parts?.path.split('/') ?? []
  if (!parts || segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new Error(`not an attempt id: ${JSON.stringify(attemptId)}`)
  }
  return join(runDirectory, 'attempts', ...segments, `${parts.visit}.${parts.attempt}`)
}
