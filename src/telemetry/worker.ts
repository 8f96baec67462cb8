// Owns: the worker thread that delivers spans: wires source, projection, sender and position, and does nothing else.
// Its environment holds only OTEL_* variables. It never throws for what a receiver or a journal does.
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { Entry } from '../core/events.ts'
import { pathsIn } from '../journal/run-directory.ts'
import { deliver, type Delivered, type DeliveryOptions } from './delivery.ts'
import { askedSource, fileSource, type Bound } from './entry-source.ts'
import { filePosition, memoryPosition } from './position.ts'
import { releasePosition, takePosition, touchPosition, TOUCH_MS } from './position-lock.ts'
import { createProjection } from './projection.ts'
import { createConsoleSender, createOtlpSender, type SpanSender } from './sdk.ts'
import { telemetrySettings, type TelemetrySettings } from './settings.ts'
import type { ExportedRun, FromWorker, ToWorker, WorkerTask } from './worker-messages.ts'

/** How often a live journal is looked at; what ended meanwhile goes in one batch. */
const POLL_MS = 200

const port = parentPort!
const say = (message: FromWorker): void => port.postMessage(message)
const warn = (message: string): void => say({ type: 'warning', message })

async function main(task: WorkerTask): Promise<void> {
  const settings = telemetrySettings(process.env)
  if (!settings) return say({ type: 'done', runs: [] })
  settings.warnings.forEach(warn)
  const sender = settings.exporter === 'console' ? createConsoleSender() : createOtlpSender(warn)
  const runs =
    task.kind === 'live' ? [await deliverLive(task, settings, sender)] : await exportRuns(task, settings, sender)
  say({ type: 'done', runs })
}

async function deliverLive(
  task: WorkerTask & { kind: 'live' },
  settings: TelemetrySettings,
  sender: SpanSender,
): Promise<ExportedRun> {
  const { runDir } = task
  const committed = new Int32Array(task.committed)
  const abort = new AbortController()
  const finish = new AbortController()
  let final: number | undefined
  const answers: ((entries: readonly Entry[]) => void)[] = []
  port.on('message', (message: ToWorker) => {
    if (message.type === 'entries') return answers.shift()?.(message.entries)
    final = message.seq
    finish.abort()
    setTimeout(() => abort.abort(), Math.max(0, message.deadline - Date.now()))
  })
  const bound = (): Bound => ({ seq: final ?? Atomics.load(committed, 0), final: final !== undefined })
  const ask = (afterSeq: number): Promise<readonly Entry[]> =>
    new Promise((resolve) => {
      answers.push(resolve)
      say({ type: 'ask', afterSeq })
    })
  const idle = (): Promise<void> => (final === undefined ? pause(POLL_MS, finish.signal) : Promise.resolve())

  if (runDir !== undefined && !(await holdPosition(runDir, task.token, abort.signal))) {
    return { runDir, delivered: 0, rejected: 0, pending: 0, busy: true }
  }
  const delivered = await deliver({
    ...common(sender, abort.signal),
    source: runDir === undefined ? askedSource(ask, bound) : fileSource(pathsIn(runDir).journal, bound),
    projection: createProjection({ pageUrl: process.env['SPANWRIGHT_URL'], markers: true }),
    position:
      runDir === undefined
        ? memoryPosition(settings.endpointHash)
        : filePosition(runDir, settings.endpointHash, { explicit: false, restart: false }),
    live: true,
    idle,
  })
  if (runDir !== undefined) releasePosition(runDir, task.token)
  return { runDir, ...delivered }
}

/** A catch-up that still sends spans of an earlier execution is waited for. */
async function holdPosition(runDir: string, token: string, signal: AbortSignal): Promise<boolean> {
  while (!takePosition(runDir, token)) {
    if (signal.aborted) return false
    await pause(POLL_MS, signal)
  }
  setInterval(() => touchPosition(runDir, token), TOUCH_MS).unref()
  return true
}

/** One after another; when the receiver is away the rest is not tried. */
async function exportRuns(
  task: WorkerTask & { kind: 'export' },
  settings: TelemetrySettings,
  sender: SpanSender,
): Promise<ExportedRun[]> {
  const runs: ExportedRun[] = []
  const abort = new AbortController()
  port.on('message', () => abort.abort())
  for (const runDir of task.runDirs) {
    if (!takePosition(runDir, task.token)) {
      runs.push({ runDir, delivered: 0, rejected: 0, pending: 0, busy: true })
      continue
    }
    const touching = setInterval(() => touchPosition(runDir, task.token), TOUCH_MS)
    runs.push(await exportRun(runDir, task, { settings, sender, signal: abort.signal }))
    clearInterval(touching)
    releasePosition(runDir, task.token)
    if (runs.at(-1)!.pending > 0) break
  }
  port.removeAllListeners('message')
  return runs
}

interface Receiver {
  readonly settings: TelemetrySettings
  readonly sender: SpanSender
  readonly signal: AbortSignal
}

/** A journal that cannot be read is the problem of its run, not of the next one. */
async function exportRun(
  runDir: string,
  task: WorkerTask & { kind: 'export' },
  receiver: Receiver,
): Promise<ExportedRun> {
  try {
    return { runDir, ...(await deliverEnded(runDir, task, receiver)) }
  } catch (error) {
    return {
      runDir,
      delivered: 0,
      rejected: 0,
      pending: 0,
      problem: error instanceof Error ? error.message : String(error),
    }
  }
}

const deliverEnded = (runDir: string, task: WorkerTask & { kind: 'export' }, receiver: Receiver): Promise<Delivered> =>
  deliver({
    ...common(receiver.sender, receiver.signal),
    source: fileSource(pathsIn(runDir).journal),
    projection: createProjection({ pageUrl: process.env['SPANWRIGHT_URL'] }),
    position: filePosition(runDir, receiver.settings.endpointHash, task),
    live: false,
    idle: () => Promise.resolve(),
  })

const common = (
  sender: SpanSender,
  signal: AbortSignal,
): Pick<DeliveryOptions, 'sender' | 'signal' | 'sleep' | 'now' | 'warn'> => ({
  sender,
  signal,
  warn,
  sleep: (ms) => pause(ms, signal),
  now: Date.now,
})

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal }).catch(() => undefined)

await main(workerData as WorkerTask)
