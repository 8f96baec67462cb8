// Owns: what is known of a run right now, from its files alone: ended, running, or lost because its process is gone.
// The one source of `runs`, `status` and `show`, for people and as JSON (docs/cli.md documents the fields).
import { SpanwrightError } from '../core/error.ts'
import { fromTimestamp } from '../core/time.ts'
import type { Result } from '../core/failure.ts'
import type { Final } from '../journal/final.ts'
import type { RunIdentity } from '../journal/run-identity.ts'
import type { Store } from '../journal/store.ts'
import { standingOf } from '../runner/recover.ts'
import { foldEntry } from './live/fold.ts'
import { newRunView, type RunView } from './live/run-view.ts'
import { runIsDoomed } from './live/verdict.ts'
import type { Output } from './output.ts'
import { cleanLine } from './terminal/text.ts'

/** `lost`: not ended, and no process holds it; `spanwright recover` puts it to rest. */
export type RunCondition = 'running' | 'lost' | 'ended'

export interface RunFacts {
  readonly runId: string
  readonly identity: RunIdentity
  readonly final: Final | undefined
  readonly condition: RunCondition
}

/** Facts of one run; cheap: no journal is read. */
export function runFacts(store: Store, runId: string): RunFacts {
  const identity = store.readIdentity(runId)
  const final = store.readFinal(runId)
  const condition = final ? 'ended' : standingOf(store, runId) === 'lost' ? 'lost' : 'running'
  return { runId, identity, final, condition }
}

/**
 * What a list says of one run. A damaged run is left out with a word about it, so that it hides no other; one that was
 * deleted meanwhile is left out.
 */
export function unlessDamaged<T>(runId: string, output: Output, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof SpanwrightError) || !LEFT_OUT.has(error.code)) throw error
    if (error.code !== 'run.not_found') output.say(`warning: run ${runId} is left out: ${cleanLine(error.message)}`)
    return undefined
  }
}
const LEFT_OUT = new Set<string>(['journal.corrupt', 'run.not_found', 'store.unwritable'])

/** The view of a run as it stands in its journal. */
export function viewOf(store: Store, runId: string, options: { readonly keepAll?: boolean } = {}): RunView {
  const view = newRunView(store.readPipeline(runId), options)
  for (const entry of store.read(runId)) foldEntry(view, entry)
  return view
}

/** One run in lists, as JSON. */
export function runJson(facts: RunFacts, now: number): { readonly [key: string]: unknown } {
  const { identity, final } = facts
  const started = fromTimestamp(identity.created)
  return {
    run_id: facts.runId,
    pipeline: identity.pipeline.name,
    state: facts.condition,
    result: final?.result ?? null,
    failure: final?.failure ?? null,
    key: identity.key ?? null,
    labels: identity.labels,
    started_at: final?.started_at ?? identity.created,
    finished_at: final?.finished_at ?? null,
    duration_ms: final?.duration_ms ?? Math.max(0, Math.round(now - started)),
    resumable: final?.resumable ?? null,
    totals: final?.totals ?? null,
    trace_id: identity.trace_id,
  }
}

/** What certainly comes: `running`, `running, will fail`, `lost: recover it`. */
export function conditionText(facts: RunFacts, view?: RunView): string {
  if (facts.condition === 'lost')
    return `lost: its process is gone, \`spanwright recover ${facts.runId.slice(0, 10)}\` puts it to rest`
  if (facts.condition === 'running') return view && runIsDoomed(view) ? 'running, will fail' : 'running'
  return resultWord(facts.final!.result)
}

const WORDS = {
  success: 'success',
  failure: 'failure',
  error: 'error',
  timeout: 'timeout',
  cancellation: 'canceled',
  skip: 'skipped',
} as const satisfies Record<Result, string>
export const resultWord = (result: Result): string => WORDS[result]
