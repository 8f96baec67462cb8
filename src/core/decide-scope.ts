// Owns: the end of scopes (run, branch, child), and what has to be said about budgets.
import { decideEnter, skipped } from './decide-enter.ts'
import { conclude } from './decide-node.ts'
import { decideHook } from './decide-hooks.ts'
import type { Event } from './events.ts'
import { originalCause } from './failure.ts'
import { failure } from './failures.ts'
import { spanIdOf } from './ids.ts'
import { mayStart } from './readiness.ts'
import { scopeChildren, scopeOutcome } from './scope-outcome.ts'
import { amountOf, dueNotices, nameOf } from './budgets.ts'
import { copyRollup } from './spend.ts'
import type { RunState, Scope } from './state.ts'
import type { BudgetState, NodeState } from './node-state.ts'

export function decideScope(state: RunState, scope: Scope, now: number): Event[] {
  if (scope.resuming) return [continuedBranch(state, scope)]
  const left = unreached(state, scope, now)
  if (left.length > 0) return left
  switch (scope.kind) {
    case 'branch':
      return [finishedBranch(state, scope)]
    case 'child':
      return conclude(state, scope.owner!, now)
    case 'run':
      return state.concluded
        ? decideHook(state, undefined, state.concluded.result, { failure: state.concluded.failure })
        : [concluded(state, scope)]
  }
}

function continuedBranch(state: RunState, scope: Scope): Event {
  const { key, index } = scope.branch!
  return {
    type: 'branch.started',
    node: scope.owner!.path,
    visit: scope.owner!.visits,
    branch: { key, index },
    span_id: spanIdOf(state.runId, state.execution, `branch ${scope.prefix}`),
    parent_span_id: scope.owner!.spanId,
    continues: scope.spanId,
  }
}

/**
 * What can no longer start is skipped, from the front: a skip may let a node that calls always() start after all.
 * While the run is being canceled nothing is skipped (a resume goes on there), but clean-up nodes do not wait for it.
 */
function unreached(state: RunState, scope: Scope, now: number): Event[] {
  const idle = [...scope.nodes.values()].filter((node) => node.phase === 'idle')
  const cleanups = idle.filter((node) => !node.def.routed && (scope.halt || state.cancel) && mayStart(state, node))
  if (state.cancel) return cleanups.slice(0, 1).flatMap((node) => decideEnter(state, firstOf(node, cleanups), now))
  const later = new Set(cleanups.flatMap((node) => [node.def.id, ...scope.graph.downstream(node.def.id)]))
  let front = scope.halt ? idle.filter((node) => !later.has(node.def.id)) : []
  if (front.length === 0)
    front = idle.filter((node) => !node.def.needs.some((id) => scope.nodes.get(id)!.phase === 'idle'))
  return front.map((node) => skipped(state, node, failure('not_reached', 'scheduler', whyNotReached(scope, node))))
}

/** The clean-up node that comes before all others it depends on. */
function firstOf(node: NodeState, cleanups: readonly NodeState[]): NodeState {
  return cleanups.find((other) => other !== node && other.scope.graph.isDownstream(other.def.id, node.def.id)) ?? node
}

function whyNotReached(scope: Scope, node: NodeState): string {
  if (scope.halt) return `Not reached: ${scope.halt.failure.message}`
  return node.def.routed
    ? 'Not reached: no route led here'
    : 'Not reached: a node it needs took a route and did not come back'
}

function finishedBranch(state: RunState, scope: Scope): Event {
  const { key, index } = scope.branch!
  const outcome = scopeOutcome(state, scope)
  const canceled =
    (state.cancel !== undefined && outcome.result === 'cancellation') ||
    (outcome.failure && originalCause(outcome.failure).code === 'budget_exhausted')
  return {
    type: 'branch.finished',
    node: scope.owner!.path,
    visit: scope.owner!.visits,
    branch: { key, index },
    result: outcome.result,
    ...(outcome.failure && { failure: outcome.failure }),
    children: scopeChildren(scope),
    rollup: copyRollup(scope.rollup),
    ...(canceled && { canceled_run: true }),
    span_id: scope.spanId,
  }
}

function concluded(state: RunState, scope: Scope): Event {
  const { result, failure: reason } = scopeOutcome(state, scope)
  return { type: 'run.concluded', result, ...(reason && { failure: reason }) }
}

// -- budgets

export function decideBudget(budget: BudgetState, now: number): Event[] {
  return dueNotices(budget, now).map(({ kind, notice, used, limit }): Event => {
    const base = { scope: budget.scopePath, budget: kind, used, limit }
    if (notice === 'warned') return { type: 'budget.warned', ...base }
    const message = `The budget of ${nameOf(budget)} is used up: ${amountOf(kind, used)} of ${amountOf(kind, limit)}`
    return {
      type: 'budget.exceeded',
      ...base,
      mode: budget.limits.mode,
      failure: failure('budget_exhausted', 'scheduler', message),
    }
  })
}
