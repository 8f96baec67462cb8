// Owns: going on with a run that is at rest: `resume` (what was open or canceled) and `retry` (failed nodes again), in a
// new execution. Finished work is never done again: the state is the fold of the journal.
import { decide } from '../core/decide.ts'
import { SpanwrightError } from '../core/error.ts'
import type { InboundContext } from '../core/event-values.ts'
import { isRefusal } from '../core/inputs.ts'
import type { JsonObject } from '../core/json.ts'
import type { RunState } from '../core/state.ts'
import { endedObservation, endOrphans } from '../effects/processes.ts'
import type { RunIdentity } from '../journal/run-identity.ts'
import type { JournalWriter } from '../journal/store.ts'
import type { Told } from './advance.ts'
import { beginExecution, isExecution } from './execution.ts'
import { executionParts } from './execution-parts.ts'
import { finalOf } from './final.ts'
import { foldRun } from './fold.ts'
import { acquireLease, lockedError, readLease, type Lease } from './lease.ts'
import { recoverRun, standingOf } from './recover.ts'
import type { RunnerPorts } from './run-ports.ts'
import { secretsOf, type RunSecrets } from './run-secrets.ts'
import type { Sentinel } from './sentinel.ts'
import { refuseInside } from './requests.ts'
import { refusalError, sentinelFor, type StartedRun } from './start.ts'
import { recordInterrupted } from './take-over.ts'

export interface ResumeOptions {
  readonly runId: string
  /** Values of secret params, which were not kept. */
  readonly params?: JsonObject | undefined
  readonly maxParallel?: number | undefined
  readonly inbound?: InboundContext | undefined
  /** Of a TypeScript pipeline that was loaded again. */
  readonly pipelineHash?: string | undefined
}

export interface RetryOptions extends ResumeOptions {
  /** Path of the node; absent = all failed ones. */
  readonly node?: string | undefined
  readonly resetCount: boolean
  /** `continue` keeps what the last attempt left behind. */
  readonly mode: 'clean' | 'continue'
}

/**
 * Goes on with an interrupted or canceled run. Throws SpanwrightError: `run.not_found`, `run.locked` (it is running),
 * `run.not_resumable`, `params.invalid` (a secret param is missing), `journal.corrupt`, `store.unwritable`.
 */
export function resumeRun(options: ResumeOptions, ports: RunnerPorts): Promise<StartedRun> {
  const { maxParallel, inbound, pipelineHash } = options
  return goOn(options, ports, { type: 'resume', max_parallel: maxParallel, inbound, pipeline_hash: pipelineHash })
}

/** Starts the next visit of failed nodes in a new execution. Throws like `resumeRun`, and `node.not_found`. */
export async function retryRun(options: RetryOptions, ports: RunnerPorts): Promise<StartedRun> {
  refuseInside(options.runId, 'retry', ports)
  const { node, resetCount, mode, maxParallel, inbound } = options
  return await goOn(options, ports, {
    type: 'retry',
    node,
    reset_count: resetCount,
    mode,
    max_parallel: maxParallel,
    inbound,
  })
}

async function goOn(options: ResumeOptions, ports: RunnerPorts, told: Told): Promise<StartedRun> {
  const { store } = ports
  const { runId } = options
  const identity = store.readIdentity(runId)
  await recoverRun(runId, ports)
  const { directory } = store.paths(runId)
  if (standingOf(store, runId) === 'live') throw lockedError(directory, readLease(directory))
  const pipeline = store.readPipeline(runId)
  const params = secretParams(identity, pipeline.params, options.params ?? {})
  const secrets = secretsOf(pipeline, params, ports.env)
  const held: Held = {}
  try {
    if (store.kind === 'ndjson') {
      held.lease = acquireLease(directory, { role: 'runner', execution: 0 })
      held.sentinel = await sentinelFor(directory, ports, () => held.lease)
    }
    held.writer = await store.open(runId, { mask: secrets.mask, sync: ports.sync })
    const state = foldRun(store.read(runId), { pipeline, expressions: ports.expressions })
    giveParams(state, params)
    return await begin({ state, identity, secrets, held, writer: held.writer }, ports, told)
  } catch (error) {
    held.writer?.close()
    held.lease?.release()
    held.sentinel?.dismiss()
    throw error
  }
}

interface Held {
  lease?: Lease
  sentinel?: Sentinel | undefined
  writer?: JournalWriter
}

interface GoingOn {
  readonly state: RunState
  readonly identity: RunIdentity
  readonly secrets: RunSecrets
  readonly held: Held
  readonly writer: JournalWriter
}

async function begin(
  { state, identity, secrets, held, writer }: GoingOn,
  ports: RunnerPorts,
  told: Told,
): Promise<StartedRun> {
  const runId = identity.run_id
  // Ended without a journal that could say so (the store was full), or died a moment ago: what was open is lost.
  if (state.phase === 'running') {
    recordInterrupted({
      state,
      writer,
      ended: endedObservation(await endOrphans(runId), 'left behind by a run whose process is gone'),
    })
  }
  const decided = decide(state, { ...told, now: Date.now() })
  if (isRefusal(decided)) {
    const error = refusalError(decided)
    throw error.code === 'run.conflict' ? new SpanwrightError('run.not_resumable', decided.message) : error
  }
  const { lease, sentinel } = held
  lease?.update({ execution: state.execution + 1, sentinel: sentinel?.identity() })
  const before = finalOf(state)
  // From here on a death is the sentinel's business: it finds a run without final.json.
  ports.store.deleteFinal(runId)
  const parts = executionParts(ports, { state, writer, identity, secrets, hold: lease && { lease, sentinel } })
  try {
    const begun = await beginExecution(parts, told)
    if (isExecution(begun)) return { runId, execution: begun, end: begun.end }
    throw new Error(`decided twice, and differently: ${begun.message}`)
  } catch (error) {
    ports.store.writeFinal(runId, before)
    throw error
  }
}

/** Secret params of the run that have to be given again. */
function secretParams(
  identity: RunIdentity,
  declared: { readonly [name: string]: { readonly default?: unknown } },
  given: JsonObject,
): JsonObject {
  const needed = identity.secret_params ?? []
  const missing = needed.filter((name) => given[name] === undefined && declared[name]?.default === undefined)
  if (missing.length > 0) {
    throw new SpanwrightError(
      'params.invalid',
      `secret params are not kept: give ${missing.map((name) => `--param ${name}=…`).join(' ')} again`,
    )
  }
  const defaults = needed.flatMap((name) =>
    declared[name]?.default === undefined ? [] : [[name, declared[name].default as JsonObject[string]] as const],
  )
  const again = Object.entries(given).filter(([name]) => needed.includes(name))
  return Object.fromEntries([...defaults, ...again])
}

function giveParams(state: RunState, params: JsonObject): void {
  state.params = { ...state.params, ...params }
  state.root.params = state.params
}
