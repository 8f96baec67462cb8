// Owns: starting a run. Its directory appears only once its sentinel runs and its lease is in it; no effect starts
// before its first entries are on record.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { ulid } from 'ulid'
import { decide } from '../core/decide.ts'
import { SpanwrightError } from '../core/error.ts'
import type { InboundContext } from '../core/event-values.ts'
import { isRefusal, type Refusal } from '../core/inputs.ts'
import type { JsonObject } from '../core/json.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { newRun } from '../core/state.ts'
import { toTimestamp } from '../core/time.ts'
import type { RunIdentity } from '../journal/run-identity.ts'
import type { JournalWriter, Store } from '../journal/store.ts'
import type { Told } from './advance.ts'
import { beginExecution, isExecution, type Execution, type RunEnd } from './execution.ts'
import { executionParts } from './execution-parts.ts'
import { followRun } from './follow.ts'
import { acquireLease, type Lease } from './lease.ts'
import { takeRunKey } from './run-key.ts'
import type { RunnerPorts } from './run-ports.ts'
import { secretsOf, type RunSecrets } from './run-secrets.ts'
import { startSentinel, type Sentinel } from './sentinel.ts'

export interface StartOptions {
  readonly pipeline: Pipeline
  readonly pipelineHash: string
  /** Absolute; absent when a program passed the pipeline. */
  readonly pipelineFile?: string | undefined
  /** Complete: defaults are filled in. */
  readonly params: JsonObject
  /** At most one run per key and store: a second start attaches to the first. */
  readonly key?: string | undefined
  readonly labels?: { readonly [name: string]: string } | undefined
  /** Default: the pipeline's. */
  readonly maxParallel?: number | undefined
  readonly only?: string | undefined
  readonly from?: string | undefined
  readonly inbound?: InboundContext | undefined
  /** Where steps run. */
  readonly cwd: string
  readonly git?: RunIdentity['git']
  readonly version: string
  readonly parent?: RunIdentity['parent']
}

export interface StartedRun {
  readonly runId: string
  /** Undefined when another process (or an earlier start) has the run of this key. */
  readonly execution: Execution | undefined
  readonly end: Promise<RunEnd>
}

/**
 * Starts a run, or attaches to the one that has the key. Throws SpanwrightError: `store.unwritable`, `run.conflict`
 * (key), `node.not_found` (only, from), `internal` (no sentinel). Then nothing was started.
 */
export async function startRun(options: StartOptions, ports: RunnerPorts): Promise<StartedRun> {
  const runId = ulid()
  if (options.key === undefined) return await startNew(runId, options, ports)
  const { store } = ports
  // Nobody else can see a store in memory; its runs are told apart by the process itself.
  if (store.kind === 'memory') return await startOnceInMemory(options.key, store, () => startNew(runId, options, ports))
  const key = await takeRunKey({
    storeDirectory: store.directory,
    key: options.key,
    runId,
    exists: (id) => existsSync(store.paths(id).directory),
  })
  if (!key.owned) {
    const end = followRun(key.runId, ports)
    // A caller that follows in its own way need not wait for this one.
    end.catch(() => {})
    return { runId: key.runId, execution: undefined, end }
  }
  try {
    return await startNew(runId, options, ports)
  } catch (error) {
    key.giveBack()
    throw error
  }
}

const memoryKeys = new WeakMap<Store, Map<string, Promise<StartedRun>>>()

async function startOnceInMemory(key: string, store: Store, startIt: () => Promise<StartedRun>): Promise<StartedRun> {
  const keys = memoryKeys.get(store) ?? new Map<string, Promise<StartedRun>>()
  memoryKeys.set(store, keys)
  const first = keys.get(key)
  if (first) return { ...(await first), execution: undefined }
  const starting = startIt()
  keys.set(key, starting)
  starting.catch(() => keys.delete(key))
  return await starting
}

async function startNew(runId: string, options: StartOptions, ports: RunnerPorts): Promise<StartedRun> {
  const { pipeline, params } = options
  const secrets = secretsOf(pipeline, params, ports.env)
  const identity = identityOf(runId, options, secrets)
  const told = creation(identity, options)
  const state = newRun(pipeline, ports.expressions)
  // A refusal has to come before anything of the run exists; deciding changes nothing.
  const decided = decide(state, { ...told, now: Date.now() })
  if (isRefusal(decided)) throw refusalError(decided)
  const staged = await ports.store.create({ identity, pipeline, mask: secrets.mask, sync: ports.sync })
  let sentinel: Sentinel | undefined
  let lease: Lease | undefined
  let writer: JournalWriter | undefined
  const { directory } = ports.store.paths(runId)
  try {
    if (staged.pipelineMasked) {
      ports.warn(
        'the pipeline holds the value of a secret: it is kept as *** and a resume would run that; use `secrets:` and ${{ env }} instead',
      )
    }
    if (ports.store.kind === 'ndjson') {
      sentinel = await sentinelFor(directory, ports, () => lease)
      lease = acquireLease(staged.directory, { role: 'runner', execution: 1, sentinel: sentinel?.identity() })
    }
    writer = staged.publish()
    lease?.moveTo(directory)
    const parts = executionParts(ports, { state, writer, identity, secrets, hold: lease && { lease, sentinel } })
    const begun = await beginExecution(parts, told)
    if (isExecution(begun)) return { runId, execution: begun, end: begun.end }
    throw new Error(`decided twice, and differently: ${begun.message}`)
  } catch (error) {
    staged.discard()
    // Published, but without an entry: there is no run.
    if (writer?.committedSeq === 0) ports.store.remove(runId)
    else lease?.release()
    sentinel?.dismiss()
    throw error
  }
}

function creation({ run_id, trace_id, labels }: RunIdentity, options: StartOptions): Told {
  const { key, pipeline, pipelineHash, params, maxParallel, only, from, inbound } = options
  const max_parallel = maxParallel ?? pipeline.max_parallel
  return {
    type: 'create',
    run_id,
    key,
    labels,
    pipeline_hash: pipelineHash,
    params,
    max_parallel,
    only,
    from,
    trace_id,
    inbound,
  }
}

/** The sentinel of a run, if the composition has a takeover for it. A new one is put into the lease. */
export async function sentinelFor(
  directory: string,
  ports: RunnerPorts,
  lease: () => Lease | undefined,
): Promise<Sentinel | undefined> {
  if (!ports.takeover) return undefined
  return await startSentinel({
    takeover: [...ports.takeover, directory],
    replaced: (identity) => lease()?.update({ sentinel: identity }),
    failed: (error) =>
      ports.warn(
        `the run goes on without a sentinel (${error.message}): if this process is killed, run \`spanwright recover\``,
      ),
  })
}

/** A refusal as an error for the caller of a library function or a command. */
export function refusalError({ refused, message }: Refusal): SpanwrightError {
  switch (refused) {
    case 'not_found':
      return new SpanwrightError('node.not_found', message)
    case 'invalid':
      return new SpanwrightError('usage.invalid', message)
    case 'conflict':
    case 'stale':
      return new SpanwrightError('run.conflict', message)
  }
}

function identityOf(runId: string, options: StartOptions, secrets: RunSecrets): RunIdentity {
  const { pipeline, inbound } = options
  const open = Object.entries(options.params).filter(([name]) => !secrets.secretParams.includes(name))
  return {
    run_id: runId,
    ...(options.key !== undefined && { key: options.key }),
    labels: { ...options.labels },
    pipeline: {
      name: pipeline.name,
      hash: options.pipelineHash,
      ...(options.pipelineFile !== undefined && { file: options.pipelineFile }),
    },
    params: Object.fromEntries(open) as RunIdentity['params'],
    ...(secrets.secretParams.length > 0 && { secret_params: [...secrets.secretParams] }),
    created: toTimestamp(Date.now()),
    cwd: options.cwd,
    ...(options.git && { git: options.git }),
    versions: { spanwright: options.version, node: process.version },
    trace_id: inbound?.relation === 'parent' ? inbound.trace_id : randomBytes(16).toString('hex'),
    ...(options.parent && { parent: options.parent }),
  }
}
