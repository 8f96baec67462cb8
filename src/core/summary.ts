// Owns: what a state says about the run as a whole: final.json, `show` and `status` are made of it.
import type { HookFailure, Totals } from './event-values.ts'
import type { Failure, Result } from './failure.ts'
import { collectNodes, type NodeSummary } from './node-summary.ts'
import { copyRollup } from './spend.ts'
import type { RunState } from './state.ts'
import { toTimestamp } from './time.ts'

export interface RunSummary {
  readonly run_id: string
  readonly pipeline: string
  readonly result: Result | undefined
  readonly failure?: Failure | undefined
  readonly hook_failures: readonly HookFailure[]
  readonly started_at: string
  readonly finished_at: string
  readonly duration_ms: number
  readonly totals: Totals
  /** The first 1,000; `nodes_total` says how many there are. */
  readonly nodes: readonly NodeSummary[]
  readonly nodes_total: number
  readonly trace_id: string
  readonly execution: number
  readonly resumable: boolean
}

export const totalsOf = (state: RunState): Totals => ({
  ...copyRollup(state.root.rollup),
  branches: state.branches,
  nodes: state.nodesFinished,
})

/** Of an ended run: final.json. Of a running one: the same as far as it is known. */
export function summaryOf(state: RunState): RunSummary {
  const nodes: NodeSummary[] = []
  const total = collectNodes(state.root, nodes)
  return {
    run_id: state.runId,
    pipeline: state.pipeline.name,
    result: state.result,
    ...(state.failure && { failure: state.failure }),
    hook_failures: state.hookFailures,
    started_at: toTimestamp(state.startedAt),
    finished_at: toTimestamp(state.lastAt),
    duration_ms:
      (state.phase === 'interrupted' ? state.interruptedAfterMs : undefined) ??
      Math.max(0, Math.round(state.lastAt - state.startedAt)),
    totals: totalsOf(state),
    nodes,
    nodes_total: total,
    trace_id: state.traceId,
    execution: state.execution,
    resumable: state.resumable,
  }
}
