// Owns: making what a cancel, a used-up budget or a crash ended open again, as it stood. Only the resume calls it.
import { countBranch } from './branches.ts'
import { withdraw } from './readiness.ts'
import type { RunState, Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

/** A visit that the cancel (or a used-up budget) ended is open again, as it stood. */
export function bringBack(state: RunState, node: NodeState): void {
  withdraw(node)
  node.scope.finished.delete(node)
  state.nodesFinished--
  Object.assign(node, {
    phase: 'running',
    resuming: true,
    result: undefined,
    failure: undefined,
    label: undefined,
    outputs: undefined,
    canceledRun: false,
    stop: undefined,
    settled: undefined,
    hooks: undefined,
    failed: undefined,
    canceled: false,
    broken: undefined,
    gateExpired: false,
    checkIndex: 0,
    checkOpen: false,
    checkFailure: undefined,
  } satisfies Partial<NodeState>)
  // A canceled attempt counts as lost; one that had failed on its own was waiting for its retry, and still is.
  if (node.attempt?.result === 'cancellation' || node.attempt?.failure?.code === 'budget_exhausted')
    Object.assign(node, { lostInVisit: node.lostInVisit + 1, lostInARow: node.lostInARow + 1 })
  if (node.attempt) node.attempt = { ...node.attempt, lost: true }
  bringBackBranches(node)
  if (node.inner) node.inner.phase = 'open'
}

/** Branches that were canceled with the run are open again; the counts are made anew from the others. */
function bringBackBranches(node: NodeState): void {
  const { fanout } = node
  if (!fanout) return
  const ended = [...fanout.ended.values()]
  fanout.ended.clear()
  Object.assign(fanout, {
    succeeded: 0,
    failed: 0,
    canceledCount: 0,
    retried: 0,
    skipped: 0,
    firstFailure: undefined,
    worst: undefined,
    joined: false,
    decided: undefined,
    blocked: undefined,
  })
  for (const branch of ended) {
    if (branch.canceledRun && branch.scope) reopenScope(branch.scope, fanout.open)
    else {
      fanout.ended.set(branch.index, branch)
      countBranch(fanout, branch)
    }
  }
}

export function reopenScope(scope: Scope, open: Map<number, Scope>): void {
  scope.phase = 'open'
  scope.result = undefined
  scope.failure = undefined
  open.set(scope.branch!.index, scope)
}
