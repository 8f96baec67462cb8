// Owns: the counts of a fan-out's branches, whether another one may start, and whether the join can be judged early.
// Only evolve calls it.
import type { Failure } from './failure.ts'
import type { FanoutNode } from './pipeline.ts'
import { isFailing, neededSuccesses, worstOf } from './policy.ts'
import type { RunState } from './state.ts'
import type { BranchResult, FanoutState, NodeState } from './node-state.ts'
import { haltScope } from './stopping.ts'

/** Lets more branches start while the fan-out's own bound allows it. */
export function planBranches(state: RunState, node: NodeState): void {
  const fanout = node.fanout!
  const max = (node.def as FanoutNode).fanout.max_parallel ?? Number.POSITIVE_INFINITY
  const may =
    fanout.total !== undefined && fanout.next < fanout.total && !fanout.decided && !node.stop && fanout.open.size < max
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

/** Satisfied, unreachable or failed fast: what still runs is canceled. */
export function decideJoin(state: RunState, node: NodeState, fanout: FanoutState): void {
  if (fanout.decided || node.stop || fanout.total === undefined) return
  const { join, on_failure } = (node.def as FanoutNode).fanout
  const ended = fanout.ended.size
  if (join.kind !== 'all') {
    const needed = neededSuccesses(join, fanout.total)
    if (fanout.succeeded >= needed) fanout.decided = 'satisfied'
    else if (fanout.succeeded + fanout.total - ended < needed) fanout.decided = 'unreachable'
  }
  if (!fanout.decided && on_failure === 'fail_fast' && fanout.failed > 0) fanout.decided = 'fail_fast'
  if (!fanout.decided) return
  const failure: Failure = {
    code: 'canceled',
    class: 'human',
    source: 'scheduler',
    message: whyCanceled(node, fanout),
    signature: '',
  }
  for (const scope of [...fanout.open.values()])
    haltScope(state, scope, { reason: 'stopped', by: undefined, failure, cleanup: true })
}

function whyCanceled(node: NodeState, fanout: FanoutState): string {
  const why = {
    satisfied: 'its join is satisfied',
    unreachable: 'its join can no longer be met',
    fail_fast: 'a branch failed and on_failure is fail_fast',
    blocked: 'its budget is used up',
  }
  return `Canceled by ${node.path}: ${why[fanout.decided!]}`
}
