// Owns: making what a cancel, a used-up budget or a crash ended open again, as it stood. Only the resume calls it.
import { countBranch } from './branches.ts'
import { wantsInput } from './questions.ts'
import { withdraw } from './readiness.ts'
import type { RunState, Scope } from './state.ts'
import type { BranchResult, FanoutState, NodeState } from './node-state.ts'

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
    summary: undefined,
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
  // One that asks is not over: the question is open again.
  if (node.attempt && !wantsInput(node)) node.attempt = { ...node.attempt, lost: true }
  if (node.fanout) openAgain(node.fanout, (branch) => branch.canceledRun)
  if (node.inner) node.inner.phase = 'open'
}

/** Opens ended branches that are still held, if they are meant; the counts are made anew from the others. */
export function openAgain(fanout: FanoutState, isMeant: (branch: BranchResult) => boolean): void {
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
  } satisfies Partial<FanoutState>)
  for (const branch of ended) {
    const { scope } = branch
    if (scope && isMeant(branch)) {
      Object.assign(scope, { phase: 'open', result: undefined, failure: undefined } satisfies Partial<Scope>)
      fanout.open.set(branch.index, scope)
    } else {
      fanout.ended.set(branch.index, branch)
      countBranch(fanout, branch)
    }
  }
}
