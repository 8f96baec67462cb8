// Owns: the handle of the process that runs a run on the worker that delivers its telemetry. The main thread stores one
// number per commit; no SDK is loaded here, and without an endpoint no worker is started.
import { randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Entry } from '../core/events.ts'
import { beginPosition } from './position.ts'
import { releasePosition } from './position-lock.ts'
import { endpointProblem, exporterEnv, slotDirectory, telemetrySettings, type Env } from './settings.ts'
import { ITEMS, type Signal } from './signal.ts'
import type { ExportedRun, FromWorker, ToWorker, WorkerTask } from './worker-messages.ts'

/** Entries handed over at once where the worker cannot read the journal itself. */
const CHUNK_ENTRIES = 1_000
const DEFAULT_TIMEOUT_MS = 2_000
/** Of the time to finish, what is kept for the worker's answer. */
const ANSWER_MS = 100

export interface TelemetryOptions {
  /** Directory of the run; the worker reads `journal.ndjson` there and keeps `telemetry.json`. */
  readonly runDir?: string | undefined
  /** For runs without a directory: entries after a seq, at least one chunk if there are any. */
  readonly read?: ((afterSeq: number) => AsyncIterable<Entry> | Iterable<Entry>) | undefined
  readonly env: Env
  /** Warnings, one sentence each (receiver away, spans refused). */
  readonly warn: (message: string) => void
}

export interface Finished {
  /** Spans the receiver acknowledged. */
  readonly delivered: number
  readonly rejected: number
  /** Spans that were not delivered in time; undefined when the worker could not say. */
  readonly pending: number | undefined
  /** The other signals that were not delivered to the end; absent = none. */
  readonly unfinished?: readonly Signal[]
}

export interface Telemetry {
  /** Everything up to `seq` is on record. */
  committed(seq: number): void
  /** Delivers what is left, for at most `timeoutMs` (default 2 s), and ends the worker. Never rejects. */
  finish(timeoutMs?: number): Promise<Finished>
}

const NOTHING: Finished = { delivered: 0, rejected: 0, pending: 0 }
const OFF: Telemetry = { committed: () => {}, finish: () => Promise.resolve(NOTHING) }

/** Starts delivery for a live run; does nothing at all where no endpoint is configured. */
export function startTelemetry(options: TelemetryOptions): Telemetry {
  const settings = telemetrySettings(options.env)
  if (!settings) {
    const problem = endpointProblem(options.env)
    if (problem !== undefined) options.warn(problem)
    return OFF
  }
  if (options.runDir !== undefined) beginPosition(options.runDir, settings.endpointHash)
  const committed = new Int32Array(new SharedArrayBuffer(4))
  const task: WorkerTask = {
    kind: 'live',
    token: randomUUID(),
    slotDirectory: slotDirectory(options.env),
    runDir: options.runDir,
    committed: committed.buffer,
  }
  const worker = startWorker(task, options)
  let finishing: Promise<Finished> | undefined
  return {
    committed(seq) {
      Atomics.store(committed, 0, seq)
    },
    finish(timeoutMs = DEFAULT_TIMEOUT_MS) {
      finishing ??= finish(worker, { seq: Atomics.load(committed, 0), timeoutMs }).then((finished) => {
        if (options.runDir !== undefined) releasePosition(options.runDir, task.token)
        const left = undelivered(finished, options.runDir)
        if (left !== undefined) options.warn(left)
        return finished
      })
      return finishing
    },
  }
}

/** `a, b and c`. */
const inWords = new Intl.ListFormat('en-GB')

/** What becomes of what the receiver did not take before the process ends. */
function undelivered({ pending, unfinished = [] }: Finished, runDir: string | undefined): string | undefined {
  const spans =
    pending === 0
      ? []
      : [pending === undefined ? 'a part of the trace' : `${pending} ${pending === 1 ? 'span' : 'spans'}`]
  const what = inWords.format([...spans, ...unfinished.map((signal) => ITEMS[signal])])
  if (what === '') return undefined
  return runDir === undefined
    ? `${what} could not be delivered and are lost: a run with a store on disk keeps what it sends`
    : `${what} could not be delivered yet: the next run, resume or recover sends what is left, or \`spanwright trace export ${basename(runDir)}\``
}

async function finish(worker: TelemetryWorker, end: { seq: number; timeoutMs: number }): Promise<Finished> {
  worker.tell({ type: 'finish', seq: end.seq, deadline: Date.now() + end.timeoutMs - ANSWER_MS })
  const runs = await worker.done(end.timeoutMs)
  const run = runs?.[0]
  if (!run || run.busy) return { delivered: 0, rejected: 0, pending: undefined }
  return finishedOf(run)
}

export const finishedOf = ({ delivered, rejected, pending, unfinished }: ExportedRun): Finished => ({
  delivered,
  rejected,
  pending,
  ...(unfinished ? { unfinished } : {}),
})

export interface TelemetryWorker {
  tell(message: ToWorker): void
  /** What it did, once it is through, and its end; undefined after `timeoutMs` or when it died. Never rejects. */
  done(timeoutMs: number): Promise<readonly ExportedRun[] | undefined>
}

/** A worker never keeps the process alive, except while `done` waits for it. */
export function startWorker(
  task: WorkerTask,
  options: Pick<TelemetryOptions, 'env' | 'warn' | 'read'>,
): TelemetryWorker {
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: task,
    env: exporterEnv(options.env),
    execArgv: [],
    // Whatever a library prints must not reach the terminal of a run. Reading these streams would hold the process.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 },
  })
  const ended = Promise.withResolvers<readonly ExportedRun[] | undefined>()
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'warning') options.warn(message.message)
    else if (message.type === 'done') ended.resolve(message.runs)
    else
      void chunk(options.read, message.afterSeq).then((entries) =>
        worker.postMessage({ type: 'entries', entries } satisfies ToWorker),
      )
  })
  worker.on('error', (error: Error) => {
    options.warn(`delivery of telemetry stopped: ${error.message}`)
    ended.resolve(undefined)
  })
  worker.on('exit', () => ended.resolve(undefined))
  // Last: every listener put on a worker makes it hold the process again.
  worker.unref()
  return {
    tell: (message) => worker.postMessage(message),
    async done(timeoutMs) {
      worker.ref()
      const deadline = Promise.withResolvers<undefined>()
      const timer = setTimeout(() => deadline.resolve(undefined), timeoutMs)
      const runs = await Promise.race([ended.promise, deadline.promise])
      clearTimeout(timer)
      await worker.terminate()
      return runs
    },
  }
}

async function chunk(read: TelemetryOptions['read'], afterSeq: number): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of read?.(afterSeq) ?? []) {
    entries.push(entry)
    if (entries.length === CHUNK_ENTRIES) break
  }
  return entries
}
