// Owns: running a pipeline from a program: start, wait, cancel by a signal. Several runs of one process do not know of
// each other. What the library may not import here (parser, evaluator, telemetry) is handed in once, by index.ts.
import type { CallFunction } from '../core/call.ts'
import type { Entry } from '../core/events.ts'
import type { Expressions } from '../core/expressions.ts'
import type { JsonObject } from '../core/json.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { RunState } from '../core/state.ts'
import type { Final } from '../journal/final.ts'
import { createMemoryStore } from '../journal/memory-store.ts'
import { createNdjsonStore } from '../journal/ndjson-store.ts'
import type { Store, SyncMode } from '../journal/store.ts'
import { followRun } from './follow.ts'
import type { RunnerPorts } from './run-ports.ts'
import { startRun } from './start.ts'

export interface RunPipelineOptions {
  readonly params?: JsonObject | undefined
  /** A store, or the directory of one. Default: nothing is kept (in memory, without a sentinel). */
  readonly store?: Store | string | undefined
  /** Its abort cancels the run; the promise still resolves, with result `cancellation`. */
  readonly signal?: AbortSignal | undefined
  /** At most one run per key and store; a second call gets the result of the first. */
  readonly key?: string | undefined
  readonly labels?: { readonly [name: string]: string } | undefined
  readonly maxParallel?: number | undefined
  /** Where steps run; default: the working directory. */
  readonly cwd?: string | undefined
  /** What steps inherit; default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly sync?: SyncMode | undefined
  /** Every entry, once it is on record. Must be quick. */
  readonly onEntries?: ((entries: readonly Entry[]) => void) | undefined
  readonly onWarning?: ((message: string) => void) | undefined
}

/** final.json, and the outputs of the pipeline's own nodes by id. */
export type RunResult = Final & { readonly outputs: { readonly [node: string]: JsonObject } }

export interface LibraryParts<Definition> {
  readonly parse: (
    definition: Definition,
    options: { readonly cwd?: string | undefined },
  ) => Promise<{
    readonly pipeline: Pipeline
    readonly hash: string
    readonly functions: ReadonlyMap<string, CallFunction>
  }>
  /** Fills in defaults; throws `params.invalid`. */
  readonly readParams: (declared: Pipeline['params'], given: { readonly file?: JsonObject | undefined }) => JsonObject
  readonly expressions: Expressions
  readonly takeover: readonly string[]
  readonly telemetry?: RunnerPorts['telemetry']
  readonly version: string
}

/** Makes the library's `runPipeline`. */
export function createRunPipeline<Definition>(parts: LibraryParts<Definition>) {
  /**
   * Runs a pipeline to its end. The promise rejects with SpanwrightError only when nothing was started (invalid pipeline
   * or params, store not writable, key taken); whatever happens in the run is in the result.
   */
  return async function runPipeline(definition: Definition, options: RunPipelineOptions = {}): Promise<RunResult> {
    options.signal?.throwIfAborted()
    const cwd = options.cwd ?? process.cwd()
    const { pipeline, hash, functions } = await parts.parse(definition, { cwd })
    const params = parts.readParams(pipeline.params, { file: options.params })
    const store =
      typeof options.store === 'string' ? createNdjsonStore(options.store) : (options.store ?? createMemoryStore())
    let state: RunState | undefined
    const ports: RunnerPorts = {
      store,
      functions,
      expressions: parts.expressions,
      env: options.env ?? process.env,
      sync: options.sync,
      takeover: parts.takeover,
      telemetry: parts.telemetry,
      warn: options.onWarning ?? (() => {}),
      observe: (entries, at) => {
        state = at
        options.onEntries?.(entries)
      },
    }
    const { key, labels, maxParallel, signal } = options
    const start = { pipeline, pipelineHash: hash, params, key, labels, maxParallel, cwd, version: parts.version }
    const { runId, execution, end } = await startRun(start, ports)
    if (!execution) return { ...(await (signal ? followRun(runId, ports, signal) : end)).final, outputs: {} }
    const cancel = (): void =>
      void execution.send({ type: 'cancel', by: { kind: 'program' }, force: false, message: reasonOf(signal) })
    signal?.addEventListener('abort', cancel)
    if (signal?.aborted) cancel()
    try {
      const { final } = await end
      return { ...final, outputs: outputsOf(state) }
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }
}

function reasonOf(signal: AbortSignal | undefined): string {
  const reason: unknown = signal?.reason
  const message = reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : undefined
  return message === undefined ? 'canceled by the program' : `canceled by the program: ${message}`
}

function outputsOf(state: RunState | undefined): RunResult['outputs'] {
  const nodes = [...(state?.root.nodes.values() ?? [])]
  return Object.fromEntries(nodes.flatMap((node) => (node.outputs ? [[node.def.id, node.outputs]] : [])))
}
