// Owns: putting the parts of a run together for the runner: store, expressions, sentinel, delivery of traces. The one
// place where the command line decides which implementation stands behind a port.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CallFunction } from '../core/call.ts'
import type { Entry } from '../core/events.ts'
import { agentTelemetryProblem, CAPTURE } from '../effects/agent-telemetry.ts'
import type { Store, SyncMode } from '../journal/store.ts'
import type { Recovered } from '../runner/recover.ts'
import type { RunnerPorts } from '../runner/run-ports.ts'

export interface Composition {
  readonly store: Store
  readonly sync?: SyncMode | undefined
  readonly functions?: ReadonlyMap<string, CallFunction> | undefined
  readonly observe: (entries: readonly Entry[]) => void
  readonly warn: (message: string) => void
  /** Of `--capture`. */
  readonly capture?: 'content' | undefined
}

/** The ports of a run in this process. */
export async function composeRun(composition: Composition): Promise<RunnerPorts> {
  const { celExpressions } = await import('../pipeline/expressions.ts')
  const { store, warn, capture } = composition
  const env = capture === undefined ? process.env : { ...process.env, [CAPTURE]: capture }
  const problem = agentTelemetryProblem(env)
  if (problem !== undefined) warn(problem)
  return {
    store,
    warn,
    env,
    expressions: celExpressions,
    sync: composition.sync,
    functions: composition.functions,
    takeover: takeoverProgram(),
    observe: composition.observe,
    telemetry: await composeTelemetry(env),
  }
}

/** What recovery needs. */
export async function composeRecovery(store: Store): Promise<Pick<RunnerPorts, 'store' | 'expressions' | 'env'>> {
  const { celExpressions } = await import('../pipeline/expressions.ts')
  return { store, expressions: celExpressions, env: process.env }
}

/** The program that takes a run over when this process dies: beside this file, compiled or as source. */
function takeoverProgram(): readonly string[] {
  const [compiled, source] = ['./takeover.js', './takeover.ts'].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  )
  return [process.execPath, existsSync(compiled!) ? compiled! : source!]
}

/** Loaded only where something is configured: otherwise nothing of telemetry costs anything. */
async function composeTelemetry(env: NodeJS.ProcessEnv): Promise<RunnerPorts['telemetry']> {
  if (!(await mayDeliver(env))) return undefined
  const { startTelemetry } = await import('../telemetry/telemetry.ts')
  return ({ directory, read, warn }) => startTelemetry({ runDir: directory, read, env, warn })
}

/** Whether something is to be delivered, or to be said about why it is not. */
async function mayDeliver(env: NodeJS.ProcessEnv): Promise<boolean> {
  if (!Object.keys(env).some((name) => name.startsWith('OTEL_'))) return false
  const { endpointProblem, isConfigured } = await import('../telemetry/settings.ts')
  return isConfigured(env) || endpointProblem(env) !== undefined
}

export interface TidyOptions {
  readonly store: Store
  readonly warn: (message: string) => void
}

/**
 * What `run`, `resume` and `recover` do besides: runs whose process died are put to rest, traces that were not delivered
 * are. Delivery goes on beside the command; the function that is returned waits for it, at most 2 s.
 */
export async function tidyStore({ store, warn }: TidyOptions): Promise<() => Promise<void>> {
  if (store.list().length === 0) return async () => {}
  const { recoverStore } = await import('../runner/recover.ts')
  const recovered = await recoverStore(await composeRecovery(store), (runId, error) =>
    warn(`run ${runId} could not be put to rest: ${error instanceof Error ? error.message : String(error)}`),
  )
  for (const run of recovered) warn(`run ${run.runId} had lost its process and was put to rest: ${whatNow(run)}`)
  if (!(await mayDeliver(process.env))) return async () => {}
  const { catchUp } = await import('../telemetry/export-run.ts')
  const delivery = catchUp(store.directory, process.env, { warn }).catch((error: unknown) =>
    warn(`traces of earlier runs were not delivered: ${String(error)}`),
  )
  const { setTimeout: sleep } = await import('node:timers/promises')
  return async () => void (await Promise.race([delivery, sleep(DELIVERY_MS, undefined, { ref: false })]))
}

/** What can be done with a run that was put to rest: a damaged one cannot be gone on with. */
export const whatNow = ({ runId, final }: Recovered): string =>
  final.resumable
    ? `spanwright resume ${runId} goes on with it`
    : final.failure?.code === 'journal_corrupt'
      ? `it cannot be resumed: ${final.failure.message}`
      : `spanwright show ${runId} tells how it ended`

const DELIVERY_MS = 2_000
