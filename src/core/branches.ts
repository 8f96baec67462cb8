// Owns: the counts of a fan-out's branches and whether another one may start. Only evolve calls it.
import type { FanoutNode } from './pipeline.ts'
import { isFailing, worstOf } from './policy.ts'
import type { BranchResult, FanoutState, NodeState, RunState } from './state.ts'

/** Lets more branches start while the fan-out's own bound allows it. */
export function planBranches(state: RunState, node: NodeState): void {
  const fanout = node.fanout!
  const max = (node.def as FanoutNode).fanout.max_parallel ?? Number.POSITIVE_INFINITY
  const may = fanout.total !== undefined && fanout.next < fanout.total && !fanout.decided && !node.stop && fanout.open.size < max
  if (may) state.spawning.add(node)
  else state.spawning.delete(node)
}

export function countBranch(fanout: FanoutState, branch: BranchResult): void {
  if (branch.result === 'success') fanout.succeeded++
  else if (branch.result === 'skip') fanout.skipped++
  else if (branch.result === 'cancellation') fanout.canceledCount++
  else fanout.failed++
  if (branch.retried) fanout.retried++
  if (isFailing(branch.result)) fanout.firstFailure ??= branch.failure
  fanout.worst = worstOf(fanout.worst, branch.result)
}
