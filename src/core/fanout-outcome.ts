// Owns: how a fan-out came out: whether its join is met, and the reason when it is not (DESIGN 3, Fan-out).
import type { Children } from './event-values.ts'
import { resultOf, type Failure, type Result } from './failure.ts'
import { failure } from './failures.ts'
import type { FanoutNode } from './pipeline.ts'
import { isFailing, neededSuccesses } from './policy.ts'
import type { RunState } from './state.ts'
import type { FanoutState, NodeState } from './node-state.ts'

/** Branches named in a message. */
const NAMED = 5

export function fanoutOutcome(state: RunState, node: NodeState): { result: Result; failure?: Failure } {
  const fanout = node.fanout!
  const total = fanout.total ?? 0
  const { join, on_failure } = (node.def as FanoutNode).fanout
  if (node.stop && (fanout.canceledCount > 0 || fanout.next < total || fanout.total === undefined || fanout.failed > 0))
    return stopped(state, node, fanout)
  if (fanout.blocked)
    return {
      result: 'failure',
      failure: failure('budget_exhausted', 'scheduler', fanout.blocked.message, {
        causes: [fanout.firstFailure ?? fanout.blocked],
      }),
    }
  const allSkipped = total > 0 && fanout.skipped === total
  if (join.kind !== 'all') {
    const needed = neededSuccesses(join, total)
    if (total > 0 && fanout.succeeded >= needed) return { result: 'success' }
    return unsatisfied(fanout, `${node.path} needed ${needed} of ${total} branches to succeed; ${fanout.succeeded} did`)
  }
  if (on_failure === 'ignore' && fanout.failed > 0) {
    if (fanout.succeeded > 0) return { result: 'success' }
    return unsatisfied(fanout, `${node.path}: none of ${total} branches succeeded`)
  }
  if (fanout.failed > 0) return branchesFailed(node, fanout, total)
  if (fanout.canceledCount > 0) return canceledBranches(node, fanout)
  return { result: allSkipped ? 'skip' : 'success' }
}

function stopped(state: RunState, node: NodeState, fanout: FanoutState): { result: Result; failure: Failure } {
  const { code, message } = node.stop!
  const source = state.cancel ? 'user' : 'scheduler'
  const reason = failure(code, source, message, { causes: [fanout.firstFailure] })
  return { result: resultOf(code), failure: reason }
}

function unsatisfied(fanout: FanoutState, message: string): { result: Result; failure: Failure } {
  return {
    result: failingResult(fanout),
    failure: failure('join_unsatisfied', 'scheduler', message, { causes: [fanout.firstFailure] }),
  }
}

function branchesFailed(node: NodeState, fanout: FanoutState, total: number): { result: Result; failure: Failure } {
  const failed = [...fanout.ended.values()]
    .filter((branch) => isFailing(branch.result))
    .sort((a, b) => a.index - b.index)
  const named = failed
    .slice(0, NAMED)
    .map((branch) => branch.key)
    .join(', ')
  const more = failed.length > NAMED ? ` and ${failed.length - NAMED} more` : ''
  const message = `${failed.length} of ${total} branches of ${node.path} failed: ${named}${more}`
  const details = { branches: failed.slice(0, 100).map((branch) => branch.key), failed: failed.length, total }
  return {
    result: failingResult(fanout),
    failure: failure('branch_failed', 'scheduler', message, { details, causes: [fanout.firstFailure] }),
  }
}

function canceledBranches(node: NodeState, fanout: FanoutState): { result: Result; failure: Failure } {
  const branch = [...fanout.ended.values()].find((ended) => ended.result === 'cancellation')
  return {
    result: 'cancellation',
    failure: failure('canceled', 'scheduler', `Branches of ${node.path} were canceled`, { causes: [branch?.failure] }),
  }
}

/** The branches' results roll up; a join that is not met is a failure at least. */
const failingResult = (fanout: FanoutState): Result => (isFailing(fanout.worst) ? fanout.worst! : 'failure')

/** A branch that never started has no span and counts as skipped. */
export function fanoutChildren(fanout: FanoutState): Children {
  const total = fanout.total ?? 0
  return {
    total,
    failed: fanout.failed,
    retried: fanout.retried,
    skipped: fanout.skipped + Math.max(0, total - fanout.next),
  }
}
