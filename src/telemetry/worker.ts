// Owns: the worker thread that delivers spans, log records and metrics: wires source, projection, senders and position,
// and does nothing else. Its environment holds only OTEL_* variables. It never throws for what a receiver or a journal
// does.
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { Entry } from '../core/events.ts'
import { pathsIn } from '../journal/run-directory.ts'
import { deliver, type DeliveryOptions } from './delivery.ts'
import { askedSource, fileSource, type Bound } from './entry-source.ts'
import type { InstanceSource } from './gauge-push.ts'
import { keepInstance, releaseInstance, takeInstance, type Instance } from './instance-slot.ts'
import { TOUCH_MS } from './lock-file.ts'
import { createMeasurements } from './measurements.ts'
import { filePosition, memoryPosition } from './position.ts'
import { releasePosition, takePosition, touchPosition } from './position-lock.ts'
import { createProjection } from './projection.ts'
import { createSenders, type Senders } from './senders.ts'
import { telemetrySettings, type TelemetrySettings } from './settings.ts'
import type { Signal } from './signal.ts'
import type { ExportedRun, FromWorker, ToWorker, WorkerTask } from './worker-messages.ts'

/** How often a live journal is looked at; what ended meanwhile goes in one batch. */
const POLL_MS = 200
/** While a process waits for its end, how long an absent receiver is left alone. */
const LAST_BACKOFF_MS = 250

const port = parentPort!
const say = (message: FromWorker): void => port.postMessage(message)
const warn = (message: string): void => say({ type: 'warning', message })

interface Receiver {
  readonly settings: TelemetrySettings
  readonly senders: Senders
  readonly instance: InstanceSource & { end(): void }
}

async function main(task: WorkerTask): Promise<void> {
  const settings = telemetrySettings(process.env)
  if (!settings) return say({ type: 'done', runs: [] })
  settings.warnings.forEach(warn)
  const receiver = { settings, senders: createSenders(settings, warn), instance: instances(task, settings) }
  const runs = task.kind === 'live' ? [await deliverLive(task, receiver)] : await exportRuns(task, receiver)
  say({ type: 'done', runs })
}

async function deliverLive(task: WorkerTask & { kind: 'live' }, receiver: Receiver): Promise<ExportedRun> {
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

  if (runDir !== undefined && !(await holdPosition(runDir, task.token, abort.signal))) {
    return { runDir, delivered: 0, rejected: 0, pending: 0, busy: true }
  }
  const { endpointHash } = receiver.settings
  const delivered = await deliver({
    ...common(receiver, abort.signal),
    source: runDir === undefined ? askedSource(ask, bound) : fileSource(pathsIn(runDir).journal, bound),
    projection: createProjection({ pageUrl: process.env['SPANWRIGHT_URL'], markers: true }),
    position:
      runDir === undefined
        ? memoryPosition(endpointHash)
        : filePosition(runDir, endpointHash, { explicit: false, restart: false }),
    committed: () => bound().seq,
    idle: () => (final === undefined ? pause(POLL_MS, finish.signal) : Promise.resolve()),
    sleep: (ms) =>
      finish.signal.aborted
        ? pause(Math.min(ms, LAST_BACKOFF_MS), abort.signal)
        : pause(ms, AbortSignal.any([abort.signal, finish.signal])),
  })
  if (runDir !== undefined) releasePosition(runDir, task.token)
  return { runDir, ...delivered }
}

/** A catch-up that still sends what an earlier execution left is waited for. */
async function holdPosition(runDir: string, token: string, signal: AbortSignal): Promise<boolean> {
  while (!takePosition(runDir, token)) {
    if (signal.aborted) return false
    await pause(POLL_MS, signal)
  }
  setInterval(() => touchPosition(runDir, token), TOUCH_MS).unref()
  return true
}

/** One after another; when the receiver is away the rest is not tried. */
async function exportRuns(task: WorkerTask & { kind: 'export' }, receiver: Receiver): Promise<ExportedRun[]> {
  const runs: ExportedRun[] = []
  const abort = new AbortController()
  port.on('message', () => abort.abort())
  let { senders } = receiver
  for (const runDir of task.runDirs) {
    if (!takePosition(runDir, task.token)) {
      runs.push({ runDir, delivered: 0, rejected: 0, pending: 0, busy: true })
      continue
    }
    const touching = setInterval(() => touchPosition(runDir, task.token), TOUCH_MS)
    const run = await exportRun(runDir, task, { ...receiver, senders, signal: abort.signal })
    runs.push(run)
    clearInterval(touching)
    releasePosition(runDir, task.token)
    if (run.pending > 0) break
    senders = without(senders, run.unfinished ?? [])
  }
  receiver.instance.end()
  port.removeAllListeners('message')
  return runs
}

/** A signal that one run could not deliver is not tried with the next. */
const without = (senders: Senders, signals: readonly Signal[]): Senders =>
  Object.fromEntries(Object.entries(senders).filter(([signal]) => !signals.includes(signal as Signal)))

/** A journal that cannot be read is the problem of its run, not of the next one. */
async function exportRun(
  runDir: string,
  task: WorkerTask & { kind: 'export' },
  receiver: Receiver & { readonly signal: AbortSignal },
): Promise<ExportedRun> {
  try {
    const delivered = await deliver({
      ...common(receiver, receiver.signal),
      source: fileSource(pathsIn(runDir).journal),
      projection: createProjection({ pageUrl: process.env['SPANWRIGHT_URL'] }),
      position: filePosition(runDir, receiver.settings.endpointHash, task),
      idle: () => Promise.resolve(),
    })
    return { runDir, ...delivered }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { runDir, delivered: 0, rejected: 0, pending: 0, problem }
  }
}

const common = (
  { senders, settings, instance }: Receiver,
  signal: AbortSignal,
): Omit<DeliveryOptions, 'source' | 'projection' | 'position' | 'idle'> => ({
  measurements: createMeasurements(),
  senders,
  instance,
  metricIntervalMs: settings.metricIntervalMs,
  signal,
  warn,
  sleep: (ms) => pause(ms, signal),
  now: Date.now,
})

/** One slot for the worker, taken when it is needed. An id that the user gave needs none. */
function instances({ token, slotDirectory }: WorkerTask, { instanceId }: TelemetrySettings): Receiver['instance'] {
  let own: Instance | undefined
  let leave = (): void => {}
  return {
    own() {
      if (own) return own
      own = instanceId === undefined ? takeInstance(slotDirectory, token) : { id: instanceId }
      leave = keepInstance(slotDirectory, own)
      return own
    },
    release(instance) {
      if (instance === own) leave()
      releaseInstance(slotDirectory, instance)
    },
    end() {
      leave()
      if (own) releaseInstance(slotDirectory, own)
    },
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<undefined> =>
  delay(ms, undefined, { signal }).catch(() => undefined)

await main(workerData as WorkerTask)
