// Owns: what end-to-end tests look at after the program ran: the run directory as files, the processes that carry the
// run's marker, and waiting for a condition. Reads what is on disk; must not import anything from src/.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryDirectory } from './cli.ts'

export interface Reason {
  readonly code: string
  readonly class: string
  readonly message: string
  readonly source: string
  readonly signature: string
  readonly attempt_id?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly causes?: readonly Reason[]
}
/** An event with the fields that tests look at; the rest by name. */
export interface RecordedEvent {
  readonly type: string
  readonly node?: string
  readonly attempt_id?: string
  readonly span_id?: string
  readonly result?: string
  readonly failure?: Reason
  readonly [field: string]: unknown
}
export interface RecordedEntry {
  readonly v: number
  readonly seq: number
  readonly at: string
  readonly event: RecordedEvent
}
export interface FinalFile {
  readonly result: string
  readonly failure?: Reason
  readonly resumable: boolean
  readonly trace_id: string
  readonly hook_failures: readonly { readonly hook: string; readonly failure: Reason }[]
  readonly nodes: readonly {
    readonly path: string
    readonly result: string
    readonly retries: number
    readonly attempts: number
    readonly failure?: Reason
  }[]
  readonly [field: string]: unknown
}

/** A new directory with `p.yaml` made of these lines; also the default place of its store. */
export function pipelineDirectory(pipeline: string): string {
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'p.yaml'), pipeline)
  return cwd
}

export const runsDirectory = (cwd: string): string => path.join(cwd, '.spanwright/runs')
/** Full ids of the runs in a directory's store, oldest first. */
export function runIds(cwd: string): string[] {
  const isRun = (name: string): boolean => /^[0-9A-Z]{26}$/.test(name)
  return existsSync(runsDirectory(cwd)) ? readdirSync(runsDirectory(cwd)).filter(isRun).toSorted() : []
}
export const latestRun = (cwd: string): string => path.join(runsDirectory(cwd), runIds(cwd).at(-1) ?? 'none')

/** The last run's journal; a line that is still being written is left out. */
export function journalOf(cwd: string): RecordedEntry[] {
  const file = path.join(latestRun(cwd), 'journal.ndjson')
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as RecordedEntry)
}
export const eventsOf = (cwd: string, type: string): RecordedEvent[] =>
  journalOf(cwd).flatMap(({ event }) => (event.type === type ? [event] : []))

/** The last run's final.json; undefined while it is not there. */
export function finalOf(cwd: string): FinalFile | undefined {
  try {
    return JSON.parse(readFileSync(path.join(latestRun(cwd), 'final.json'), 'utf8')) as FinalFile
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Pids of living processes that carry the run's marker in their environment, or name its directory on their command
 * line (sentinel, takeover). A zombie has neither.
 */
export function processesOf(runId: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const own = (pid: string): boolean => Number(pid) !== process.pid && /^[^Z]*$/.test(stateOf(pid))
  const named = (pid: string): boolean =>
    proc(pid, 'environ').includes(`${runId}/`) || proc(pid, 'cmdline').includes(runId)
  return pids.filter((pid) => own(pid) && named(pid)).map(Number)
}
const stateOf = (pid: string): string =>
  proc(pid, 'stat')
    .replace(/^.*\) /s, '')
    .slice(0, 1)
function proc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return '' // It ended between the listing and the look.
  }
}
export const isAlive = (pid: number): boolean => !['', 'Z', 'X'].includes(stateOf(String(pid)))

/** The lines of a file that steps append to; none while it is not there. */
export function linesOf(...parts: string[]): string[] {
  const file = path.join(...parts)
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
}

/** Resolves with the first value of `probe` that is not undefined or false, and the milliseconds it took. */
export async function eventually<T>(probe: () => T | undefined | false, deadlineMs = 30_000): Promise<T> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const value = probe()
    if (value !== undefined && value !== false) return value
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${probe.toString()}`)
    await sleep(10)
  }
}

/** The innermost first cause. */
export const originOf = (failure: Reason): Reason =>
  failure.causes?.[0] === undefined ? failure : originOf(failure.causes[0])
/** Whether the reason is in the failure, word for word, at any depth. */
export const holds = (failure: Reason | undefined, message: string): boolean =>
  failure !== undefined &&
  (failure.message === message || (failure.causes ?? []).some((cause) => holds(cause, message)))

/** Whether a process is a run's sentinel: it waits in a session of its own and says so in its environment. */
export const isSentinel = (pid: number): boolean => proc(String(pid), 'environ').includes('SPANWRIGHT_SENTINEL=1')
