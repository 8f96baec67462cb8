// Owns: what a state says about the run as a whole: final.json, `show` and `status` are made of it.
import type { HookFailure, Totals } from './event-values.ts'
import type { Failure, Result } from './failure.ts'
import { LIMITS } from './limits.ts'
import { fanoutChildren } from './fanout-outcome.ts'
import { copyRollup } from './spend.ts'
import type { RunState, Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { toTimestamp } from './time.ts'

export interface NodeSummary {
  readonly path: string
  readonly kind: string
  readonly result: Result | 'running' | 'pending'
  readonly visits: number
  readonly attempts: number
  readonly retries: number
  readonly failure?: Failure | undefined
  readonly label?: string | undefined
  readonly partial?: boolean | undefined
  readonly tolerated?: boolean | undefined
  /** Fan-outs: branches by how they came out. */
  readonly children?:
    | { readonly total: number; readonly failed: number; readonly retried: number; readonly skipped: number }
    | undefined
}

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
  const total = collect(state.root, nodes)
  return {
    run_id: state.runId,
    pipeline: state.pipeline.name,
    result: state.result,
    ...(state.failure && { failure: state.failure }),
    hook_failures: state.hookFailures,
    started_at: toTimestamp(state.startedAt),
    finished_at: toTimestamp(state.lastAt),
    duration_ms: Math.max(0, Math.round(state.lastAt - state.startedAt)),
    totals: totalsOf(state),
    nodes,
    nodes_total: total,
    trace_id: state.traceId,
    execution: state.execution,
    resumable: state.resumable,
  }
}

/** Nodes of the scope and of what is held inside it (open, failed, canceled); branches that ended well are counts. */
function collect(scope: Scope, into: NodeSummary[]): number {
  let total = 0
  for (const node of scope.nodes.values()) {
    total++
    if (into.length < LIMITS.finalNodes) into.push(summarise(node))
    for (const inner of innerOf(node)) total += collect(inner, into)
  }
  return total
}

function* innerOf(node: NodeState): Generator<Scope> {
  if (node.inner) yield node.inner
  for (const branch of node.fanout?.ended.values() ?? []) if (branch.scope) yield branch.scope
  for (const scope of node.fanout?.open.values() ?? []) yield scope
}

function summarise(node: NodeState): NodeSummary {
  const done = node.phase === 'done' || node.phase === 'routing'
  return {
    path: node.path,
    kind: node.def.kind,
    result: done ? node.result! : node.phase === 'idle' ? 'pending' : 'running',
    visits: node.visits,
    attempts: node.attemptsTotal,
    retries: node.retriesTotal,
    ...(node.failure && { failure: node.failure }),
    ...(node.label !== undefined && { label: node.label }),
    ...(node.partial && { partial: true }),
    ...(node.tolerated && { tolerated: true }),
    ...(node.fanout && { children: fanoutChildren(node.fanout) }),
  }
}
