// Owns: delivery after the fact: `trace export RUN`, and catching up what earlier runs of a store could not deliver.
// Only for runs that no process is running; of two that try the same run one waits its turn or leaves it.
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { SpanwrightError } from '../core/error.ts'
import { pathsIn, runsDirectory } from '../journal/run-directory.ts'
import { progressOf, readPosition } from './position.ts'
import { releasePosition } from './position-lock.ts'
import { slotDirectory, telemetrySettings, withEndpoint, type Env } from './settings.ts'
import { SIGNALS, type Signal } from './signal.ts'
import { finishedOf, startWorker, type Finished } from './telemetry.ts'
import type { ExportedRun } from './worker-messages.ts'

const DAY_MS = 86_400_000
const EXPORT_TIMEOUT_MS = 10 * 60_000
const CATCH_UP_TIMEOUT_MS = 30_000
/** Runs caught up at a time; the rest waits for the next command. */
const CATCH_UP_RUNS = 50
const TAIL_BYTES = 256 * 1024 + 1

export interface ExportOptions {
  readonly runDir: string
  readonly env: Env
  /** Receiver named by the user (`--endpoint`): a base URL or one that ends in `/v1/traces`. */
  readonly endpoint?: string | undefined
  /** Send spans again that were acknowledged before. */
  readonly all?: boolean | undefined
  readonly warn: (message: string) => void
  readonly timeoutMs?: number | undefined
}

/**
 * Sends what was not delivered yet of a run, and closes the gauges of its process if that died. Throws `usage.invalid` without an endpoint, `run.conflict`
 * while another process delivers the same run, `journal.corrupt`. A receiver that is away shows in `pending`.
 */
export async function exportRun(options: ExportOptions): Promise<Finished> {
  const env = options.endpoint === undefined ? options.env : withEndpoint(options.env, options.endpoint)
  if (!telemetrySettings(env)) {
    const what = options.endpoint === undefined ? 'no endpoint' : `the endpoint ${options.endpoint} is not a URL`
    throw new SpanwrightError('usage.invalid', `${what}: give --endpoint URL or set OTEL_EXPORTER_OTLP_ENDPOINT`)
  }
  const runs = await exportAll([options.runDir], {
    env,
    warn: options.warn,
    timeoutMs: options.timeoutMs ?? EXPORT_TIMEOUT_MS,
    explicit: options.endpoint !== undefined,
    restart: options.all ?? false,
  })
  const run = runs?.[0]
  if (!run) return { delivered: 0, rejected: 0, pending: undefined }
  if (run.busy)
    throw new SpanwrightError(
      'run.conflict',
      'another process is delivering the traces of this run: try again when it is through',
    )
  if (run.problem !== undefined) throw new SpanwrightError('journal.corrupt', run.problem)
  return finishedOf(run)
}

export interface CatchUpOptions {
  /** How far back, by the run's last change. */
  readonly days?: number | undefined
  readonly warn: (message: string) => void
  readonly timeoutMs?: number | undefined
  /** Runs that are alive (directory names): a live run delivers its own spans. Default: those with a lease. */
  readonly isLive?: ((runDir: string) => boolean) | undefined
}

/**
 * Delivers what runs of this store could not: only those that had an endpoint, ended or died in the last `days`
 * (default 7). Starts nothing when there is nothing to send. Stops at the first run that cannot be delivered.
 */
export async function catchUp(store: string, env: Env, options: CatchUpOptions): Promise<Finished> {
  const settings = telemetrySettings(env)
  if (!settings) return { delivered: 0, rejected: 0, pending: 0 }
  const signals = SIGNALS.filter((signal) => settings.signals[signal])
  const pending: string[] = []
  for (const runDir of runsSince(store, Date.now() - (options.days ?? 7) * DAY_MS)) {
    if (pending.length === CATCH_UP_RUNS) break
    if ((options.isLive ?? hasLease)(runDir)) continue
    if (await hasPending(runDir, signals)) pending.push(runDir)
  }
  if (pending.length === 0) return { delivered: 0, rejected: 0, pending: 0 }
  const runs = await exportAll(pending, {
    env,
    warn: options.warn,
    timeoutMs: options.timeoutMs ?? CATCH_UP_TIMEOUT_MS,
    explicit: false,
    restart: false,
  })
  if (!runs) return { delivered: 0, rejected: 0, pending: undefined }
  for (const { problem } of runs) if (problem !== undefined) options.warn(problem)
  const sum = (field: 'delivered' | 'rejected' | 'pending'): number =>
    runs.reduce((total, run) => total + run[field], 0)
  const unfinished = SIGNALS.filter((signal) => runs.some((run) => run.unfinished?.includes(signal)))
  return {
    delivered: sum('delivered'),
    rejected: sum('rejected'),
    pending: sum('pending'),
    ...(unfinished.length > 0 ? { unfinished } : {}),
  }
}

interface ExportAll {
  readonly env: Env
  readonly warn: (message: string) => void
  readonly timeoutMs: number
  readonly explicit: boolean
  readonly restart: boolean
}

async function exportAll(runDirs: readonly string[], options: ExportAll): Promise<readonly ExportedRun[] | undefined> {
  const token = randomUUID()
  const { explicit, restart } = options
  try {
    const task = {
      kind: 'export',
      token,
      slotDirectory: slotDirectory(options.env),
      runDirs,
      explicit,
      restart,
    } as const
    return await startWorker(task, options).done(options.timeoutMs)
  } finally {
    for (const runDir of runDirs) releasePosition(runDir, token)
  }
}

function runsSince(store: string, sinceMs: number): string[] {
  const runs = runsDirectory(store)
  if (!existsSync(runs)) return []
  return readdirSync(runs)
    .sort()
    .map((name) => join(runs, name))
    .filter(
      (runDir) =>
        changedAt(pathsIn(runDir).telemetry) !== undefined && (changedAt(pathsIn(runDir).journal) ?? 0) >= sinceMs,
    )
}

function changedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}

const hasLease = (runDir: string): boolean => existsSync(pathsIn(runDir).lease)

/** Whether the journal goes on beyond the position of a signal, or gauges of a process that died stand open. */
async function hasPending(runDir: string, signals: readonly Signal[]): Promise<boolean> {
  const file = readPosition(runDir)
  if (!file || (file.instance && signals.includes('metrics'))) return true
  const last = await lastSeq(pathsIn(runDir).journal)
  return signals.some((signal) => last >= progressOf(file, signal).position.seq)
}

/** Seq of the last whole line: an entry fits the tail that is read. */
async function lastSeq(path: string): Promise<number> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES * 2))
    await file.read(tail, 0, tail.length, size - tail.length)
    for (const line of tail.toString('utf8').split('\n').reverse()) {
      try {
        const { seq } = JSON.parse(line) as { seq?: unknown }
        if (typeof seq === 'number') return seq
      } catch {
        // A torn or cut line: the one before it counts.
      }
    }
    return 0
  } finally {
    await file.close()
  }
}
