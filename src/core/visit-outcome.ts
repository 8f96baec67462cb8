// Owns: how a visit came out, as a pure question to the state: from its attempt, gate, wait, join, child scope, stop or
// breaker; whether it is tolerated; which route it takes. Asked before hooks run and again when the node finishes.
import { blockingBudget } from './budgets.ts'
import type { Children } from './event-values.ts'
import { originalCause, resultOf, type Failure, type Result } from './failure.ts'
import { failure } from './failures.ts'
import { configInvalid, evaluateAll, holds, type Site } from './evaluation.ts'
import { fanoutOutcome, fanoutChildren } from './fanout-outcome.ts'
import type { JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import { isFailing } from './policy.ts'
import { wantsInput } from './questions.ts'
import { scopeChildren, scopeOutcome } from './scope-outcome.ts'
import type { RunState } from './state.ts'
import type { NodeState, Settled } from './node-state.ts'
import { expressionsIn, fill } from './template.ts'

export interface VisitOutcome {
  readonly result: Result
  readonly failure?: Failure | undefined
  readonly label?: string | undefined
  readonly outputs?: JsonObject | undefined
  readonly partial?: boolean | undefined
  readonly children?: Children | undefined
  readonly tolerated: boolean
  readonly route?: { readonly index: number; readonly to: string } | undefined
  readonly canceledRun: boolean
  /** It cannot go on before a person has answered. */
  readonly asks?: boolean | undefined
}

/** Result of a simple outcome: success unless there is a reason. */
export const settledResult = (reason: Failure | undefined): Result => (reason ? resultOf(reason.code) : 'success')

/** Labels of a decision that are failures unless a route takes them. */
const FAILING_LABELS = ['fail', 'blocked', 'needs_input']

export function outcomeOf(state: RunState, node: NodeState): VisitOutcome {
  let raw = rawOutcome(state, node)
  let route = routeOf(state, node, raw)
  if (route && 'failure' in route) {
    raw = { result: 'error', failure: route.failure }
    route = undefined
  }
  const asks = !route && !raw.failure && !node.settled && wantsInput(node)
  if (asks && canAsk(state, node)) return { ...raw, tolerated: false, canceledRun: false, asks }
  if (asks) raw = unanswered(state, node) ?? raw
  if (!route && !raw.failure && node.def.decision && raw.label !== undefined && FAILING_LABELS.includes(raw.label)) {
    const told = raw.notes ?? `the decision was \`${raw.label}\``
    raw = {
      ...raw,
      result: 'failure',
      failure: failure('agent_failed', node.def.kind === 'agent' ? 'agent' : 'command', `${node.path}: ${told}`),
    }
  }
  const children = node.fanout ? fanoutChildren(node.fanout) : node.inner ? scopeChildren(node.inner) : undefined
  return {
    ...raw,
    ...(children && { children }),
    tolerated: node.def.allow_failure && isFailing(raw.result) && !route,
    ...(route && { route }),
    canceledRun: !route && goesOnAfterResume(state, raw),
  }
}

const canAsk = (state: RunState, node: NodeState): boolean =>
  !node.stop && !state.cancel && node.attemptsInVisit < LIMITS.attempts && !blockingBudget(state, node)

/** It was ended before it could ask. */
function unanswered(state: RunState, node: NodeState): RawOutcome | undefined {
  const stop = node.stop ?? state.cancel?.failure ?? blockingBudget(state, node)?.blocked
  return stop && { result: resultOf(stop.code), failure: failure(stop.code, 'scheduler', stop.message) }
}

interface RawOutcome extends Settled {
  readonly result: Result
  readonly notes?: string | undefined
}

function goesOnAfterResume(state: RunState, raw: RawOutcome): boolean {
  if (!raw.failure) return false
  if (raw.result === 'cancellation') return state.cancel !== undefined && raw.failure.code === 'canceled'
  return originalCause(raw.failure).code === 'budget_exhausted'
}

function rawOutcome(state: RunState, node: NodeState): RawOutcome {
  if (node.broken) return { result: 'failure', failure: node.broken }
  if (node.settled) return settled(node, node.settled)
  if (node.fanout) return afterChecks(node, fanoutOutcome(state, node))
  if (node.inner) return childOutcome(state, node)
  if (node.gateExpired)
    return {
      result: 'failure',
      failure: failure('gate_expired', 'gate', `Nobody answered ${node.path} in time and it has no default`),
    }
  if (node.attempt?.lost) return { result: 'error', failure: lostTooOften(node) }
  if (node.attempt?.settled) return settled(node, node.attempt.settled, node.attempt.notes)
  throw new Error(`${node.path} has no outcome yet`)
}

const lostTooOften = (node: NodeState): Failure =>
  failure(
    'worker_lost',
    'scheduler',
    `${node.path} was lost ${node.lostInARow} times in a row (${LIMITS.lostInARow} are the limit)`,
    { causes: [node.attempt!.failure] },
  )

function settled(node: NodeState, outcome: Settled, notes?: string): RawOutcome {
  if (outcome.failure) return { ...outcome, result: resultOf(outcome.failure.code) }
  if (node.gate && outcome.label !== undefined && node.gate.reject.includes(outcome.label)) {
    return {
      result: 'failure',
      label: outcome.label,
      failure: failure('gate_rejected', 'gate', `${node.path} was answered \`${outcome.label}\``),
    }
  }
  return { ...outcome, notes, result: outcome.skipped ? 'skip' : 'success' }
}

/** What its checks say. One that was ended with the visit did not fail: the visit was stopped. */
export function checkReason(node: NodeState): Failure | undefined {
  const { checkFailure, stop } = node
  if (!checkFailure || !stop || checkFailure.causes?.[0]?.code !== stop.code) return checkFailure
  return failure(stop.code, 'scheduler', stop.message, node.attempt ? { attemptId: node.attempt.id } : {})
}

/** Whether the branches or the child pipeline came out well: then checks of the node may run. */
export const innerSucceeded = (state: RunState, node: NodeState): boolean =>
  (node.fanout ? fanoutOutcome(state, node) : scopeOutcome(state, node.inner!)).result === 'success'

function afterChecks(node: NodeState, outcome: RawOutcome): RawOutcome {
  const reason = outcome.failure ? undefined : checkReason(node)
  return reason ? { result: resultOf(reason.code), failure: reason } : outcome
}

function childOutcome(state: RunState, node: NodeState): RawOutcome {
  const inner = node.inner!
  const unchecked = checkReason(node)
  if (unchecked) return { result: resultOf(unchecked.code), failure: unchecked }
  const judged = scopeOutcome(state, inner)
  if (
    node.stop &&
    (judged.result === 'success' || judged.result === 'skip' || judged.result === 'cancellation') &&
    scopeChildren(inner).total < inner.nodes.size + (judged.result === 'cancellation' ? 1 : 0)
  ) {
    const reason = failure(node.stop.code, 'scheduler', node.stop.message, { causes: [judged.failure] })
    return { result: resultOf(reason.code), failure: reason }
  }
  if (judged.failure || judged.result !== 'success') return judged
  const templates = inner.pipeline.outputs ?? {}
  const site: Site = { scope: inner, node: undefined, what: `outputs of ${node.path}` }
  const evaluated = evaluateAll(state, site, expressionsIn(templates))
  if (evaluated.failure) return { result: 'error', failure: evaluated.failure }
  return { result: 'success', outputs: fill(templates, evaluated.value) as JsonObject }
}

/** The first route whose condition holds; the reported `next` names one outright. */
function routeOf(
  state: RunState,
  node: NodeState,
  raw: RawOutcome,
): { index: number; to: string } | { failure: Failure } | undefined {
  const { routes } = node.def
  if (routes.length === 0 || raw.result === 'cancellation' || state.cancel) return undefined
  const stuck = raw.failure?.code === 'breaker_open' || raw.failure?.code === 'visit_limit'
  const next = node.attempt?.next
  const site: Site = {
    scope: node.scope,
    node,
    what: `route of node ${node.path}`,
    outcome: { result: raw.result, label: raw.label, failure: raw.failure },
  }
  for (const [index, route] of routes.entries()) {
    if (stuck && node.scope.graph.byId.has(route.to) && node.scope.graph.leadsTo(route.to, node.def.id)) continue
    if (next !== undefined) {
      if (route.to === next) return { index, to: route.to }
      continue
    }
    if (route.when === undefined) return { index, to: route.to }
    const held = holds(state, site, route.when)
    if (held.failure) return { failure: configInvalid(held.failure.message) }
    if (held.value) return { index, to: route.to }
  }
  return undefined
}
