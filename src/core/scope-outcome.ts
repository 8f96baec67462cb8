// Owns: how the final results of a scope's nodes roll up (DESIGN 3, Result roll-up).
import type { Children } from './event-values.ts'
import { resultOf, type Failure, type Result } from './failure.ts'
import { failure } from './failures.ts'
import { isFailing, isLeftOut, worstOf } from './policy.ts'
import type { RunState, Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

export interface ScopeOutcome {
  readonly result: Result
  readonly failure?: Failure | undefined
}

/**
 * Any error > failure > timeout > cancellation > success; all skipped = skip. Tolerated failures and those a route
 * handled count as success. The reason is that of the first node (in journal order) with the worst result, verbatim.
 */
export function scopeOutcome(state: RunState, scope: Scope): ScopeOutcome {
  let result: Result | undefined
  let reason: Failure | undefined
  for (const node of scope.finished) {
    const counted = countedResult(scope, node)
    if (counted === undefined) continue
    const worse = worstOf(result, counted)
    if (worse !== result && node.failure && counted === worse && counted !== 'skip') reason = node.failure
    result = worse
  }
  if (scope.halt?.reason === 'fail' && !isFailing(result)) return routedToFail(scope.halt.by!)
  if (state.cancel && leftUndone(scope)) return canceled(state, reason)
  const unmet = isFailing(result) || result === 'cancellation' ? undefined : unmetGoalGate(scope)
  if (unmet) return { result: 'failure', failure: unmet }
  if (result === 'success' || result === 'skip' || result === undefined) return { result: result ?? 'skip' }
  return { result, ...(reason && { failure: reason }) }
}

function countedResult(scope: Scope, node: NodeState): Result | undefined {
  if (node.tolerated) return 'success'
  if (node.route) return scope.halt?.reason === 'fail' && scope.halt.by === node ? node.result : 'success'
  // What a route to `end` or `fail` canceled was meant to be: it does not turn the scope into a cancellation.
  if (node.result === 'cancellation' && (scope.halt?.reason === 'end' || scope.halt?.reason === 'fail'))
    return undefined
  return node.result
}

function unmetGoalGate(scope: Scope): Failure | undefined {
  for (const node of scope.nodes.values()) {
    if (!node.def.goal_gate || (node.phase === 'done' && node.result === 'success') || isLeftOut(node)) continue
    const how = node.result === undefined || node.result === 'skip' ? 'never ran' : `ended as ${node.result}`
    return failure('goal_gate_unmet', 'scheduler', `The goal gate ${node.path} is not met: it ${how}`, {
      causes: [node.failure],
    })
  }
  return undefined
}

function routedToFail(node: NodeState): ScopeOutcome {
  const label = node.label === undefined ? '' : ` (label \`${node.label}\`)`
  return {
    result: 'failure',
    failure: node.failure ?? failure('goal_gate_unmet', 'scheduler', `${node.path} took its route to \`fail\`${label}`),
  }
}

/** Something was canceled with the run, or never got its turn because of it. */
function leftUndone(scope: Scope): boolean {
  for (const node of scope.nodes.values()) {
    if (
      node.canceledRun ||
      (node.phase === 'idle' && !node.def.routed) ||
      node.result === 'cancellation' ||
      node.failure?.code === 'forced'
    )
      return true
  }
  return false
}

function canceled(state: RunState, reason: Failure | undefined): ScopeOutcome {
  const request = state.cancel!.failure
  const cause = reason && reason.code !== request.code ? reason : undefined
  return { result: resultOf(request.code), failure: cause ? { ...request, causes: [cause] } : request }
}

/** Counts over the nodes of a scope that have a result. */
export function scopeChildren(scope: Scope): Children {
  const children = { total: 0, failed: 0, retried: 0, skipped: 0 }
  for (const node of scope.nodes.values()) {
    if (node.result === undefined) continue
    children.total++
    if (isFailing(node.result)) children.failed++
    if (node.retriesInVisit > 0) children.retried++
    if (node.result === 'skip') children.skipped++
  }
  return children
}
