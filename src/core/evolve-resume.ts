// Owns: the fold of `run.resumed`: what was open or canceled goes on, top down, each announced by an event of the new
// execution; a manual retry re-opens the way to its nodes. Finished work stays as it is.
import { addCommand, askGate, setTimeoutTimer, timerId } from './command-queue.ts'
import type { EventOf } from './events.ts'
import { decideJoin, planBranches } from './branches.ts'
import { LIMITS } from './limits.ts'
import { isAsking } from './questions.ts'
import { isHeld, judgeIfIdle, reset, settleEntering, wake, withdraw } from './readiness.ts'
import { enqueue } from './slots.ts'
import { failure } from './failures.ts'
import { BUDGET_KINDS, blockingBudget, budgetsOf, limitOf, review, usedOf } from './budgets.ts'
import { startWork, worksThroughout } from './work-clock.ts'
import type { Halt, RunState, Scope } from './state.ts'
import type { BudgetState, NodeState } from './node-state.ts'
import { haltScope } from './stopping.ts'
import { bringBack } from './bring-back.ts'
import { reopen } from './reopen.ts'

export function onResumed(state: RunState, event: EventOf<'run.resumed'>, at: number): void {
  Object.assign(state, {
    phase: 'running',
    execution: event.execution,
    spanId: event.span_id,
    executionStartedAt: at,
    cancel: undefined,
    slots: { limit: event.max_parallel, used: 0 },
    concluded: undefined,
    hooks: undefined,
    result: undefined,
    failure: undefined,
    hookFailures: state.hookFailures.filter((failed) => failed.node !== undefined),
  } satisfies Partial<RunState>)
  state.commands.clear()
  state.dirty.clear()
  state.root.spanId = event.span_id
  for (const budget of state.budgets.values()) reviewBudget(budget)
  for (const path of event.retry?.nodes ?? []) reopen(state, path, event.retry!)
  resumeScope(state, state.root)
}

/** Spend is kept; a budget that was raised in the meantime (accepted changes) does not block any longer. */
function reviewBudget(budget: BudgetState): void {
  for (const kind of BUDGET_KINDS) {
    const limit = limitOf(budget, kind)
    if (limit === undefined || usedOf(budget, kind, 0) < limit) budget.exceeded.delete(kind)
    if (limit === undefined || usedOf(budget, kind, 0) < limit * LIMITS.budgetWarning) budget.warned.delete(kind)
  }
  if (budget.exceeded.size === 0) budget.blocked = undefined
}

/** Makes a scope go on: open and canceled nodes will be announced, ready ones are planned, the rest is left alone. */
function resumeScope(state: RunState, scope: Scope): void {
  scope.phase = 'open'
  if (scope.halt?.reason === 'canceled_run' || scope.halt?.reason === 'budget') scope.halt = undefined
  if (scope.slots) {
    scope.slots.used = 0
    scope.slots.queue.clear()
  }
  scope.holding.clear()
  for (const node of scope.nodes.values()) {
    if (node.cleanup || (node.canceledRun && !node.began)) reset(state, node)
    else if (node.phase === 'done' && node.canceledRun) bringBack(state, node)
    else if (node.phase === 'running') node.resuming = true
    // A stop that came with the run's cancel is over; one that the scope itself decided stands.
    if (node.resuming && !scope.halt && node.stop?.code !== 'superseded') node.stop = undefined
  }
  if (!scope.halt) for (const node of scope.nodes.values()) if (mustRunAgain(node)) hold(node)
  scope.active = scope.entering.size
  for (const node of scope.nodes.values()) {
    if (node.phase === 'ready' || node.phase === 'running' || node.phase === 'routing') {
      scope.active++
      if (node.phase !== 'running' || !isHeld(node)) state.agenda.add(node)
    } else wake(state, node)
  }
  settleEntering(state, scope)
  judgeIfIdle(state, scope)
}

/** A `leave_running` node that ended well is visited again while something downstream of it has still to run. */
function mustRunAgain(node: NodeState): boolean {
  if (!node.def.leave_running || node.phase !== 'done' || node.result !== 'success' || node.scope.entering.has(node))
    return false
  return node.scope.graph.downstream(node.def.id).some((id) => {
    const other = node.scope.nodes.get(id)!
    return other.phase !== 'done' || other.resuming
  })
}

function hold(node: NodeState): void {
  withdraw(node)
  node.phase = 'ready'
  node.enterVia = 'resume'
  node.scope.holding.add(node)
}

/** `node.started` of a visit that goes on: its timers, commands and inner scopes are there again. */
export function announce(state: RunState, node: NodeState, spanId: string, at: number): void {
  node.spanId = spanId
  node.resuming = false
  state.agenda.delete(node)
  if (worksThroughout(node) && node.limitedUntil <= at && !isAsking(node)) startWork(state, node, at)
  setTimeoutTimer(state, node)
  // What the execution before did not come to say about a budget is said now.
  for (const budget of budgetsOf(state, node)) review(state, budget)
  if (node.inner && node.inner.phase === 'open') {
    node.inner.spanId = spanId
    node.step = 'scope'
    resumeScope(state, node.inner)
    if (node.stop) haltScope(state, node.inner, haltOf(node))
    return
  }
  if (node.fanout) return announceFanout(state, node)
  const blocked = blockingBudget(state, node)?.blocked
  if (blocked && !hasEnded(node)) node.settled ??= { failure: blocked }
  if (node.stop && !hasEnded(node)) node.settled ??= { failure: haltOf(node).failure }
  if (node.settled || node.stop || node.broken) return settle(state, node)
  switch (node.def.kind) {
    case 'gate':
      node.step = 'gate'
      if (node.gateExpired) return settle(state, node)
      if (!node.gate) state.agenda.add(node)
      else askAgain(state, node)
      return
    case 'wait':
      node.step = 'wait'
      addCommand(state, { kind: 'timer', id: timerId.wait(node), due: node.dueAt ?? at })
      return
    default:
      return announceAttempts(state, node)
  }
}

/** A stop that came before the visit was announced takes effect now. */
const haltOf = (node: NodeState): Halt => ({
  reason: 'stopped',
  by: undefined,
  failure: failure(node.stop!.code, 'scheduler', node.stop!.message),
  cleanup: true,
})

/** Its outcome was on record before: only hooks and the end are missing. */
const hasEnded = (node: NodeState): boolean =>
  node.broken !== undefined ||
  (node.attempt !== undefined &&
    !node.attempt.lost &&
    !isAsking(node) &&
    (node.step === 'concluding' || node.step === 'settling'))

function askAgain(state: RunState, node: NodeState): void {
  node.step = 'gate'
  state.gates.set(node.path, node)
  askGate(state, node)
}

function announceAttempts(state: RunState, node: NodeState): void {
  // Attempts that ended on their own have still to be judged; lost ones are followed by the next.
  if (isAsking(node)) return askAgain(state, node)
  if (node.attempt && !node.attempt.lost && node.step !== 'backoff' && node.step !== 'queued')
    return settle(state, node)
  if (node.attempt?.lost && node.lostInARow >= LIMITS.lostInARow) return settle(state, node)
  if (node.notBefore > state.lastAt) {
    node.step = 'backoff'
    node.hooks = undefined
    addCommand(state, { kind: 'timer', id: timerId.retry(node), due: node.notBefore })
    return
  }
  enqueue(state, node)
}

function settle(state: RunState, node: NodeState): void {
  node.step = 'concluding'
  if (node.hooks) node.hooks.open = false
  // It was lost with the process: asked for again.
  if (node.summary?.open) node.summary = undefined
  state.agenda.add(node)
}

function announceFanout(state: RunState, node: NodeState): void {
  const fanout = node.fanout!
  node.step = 'branches'
  node.checkOpen = false
  const blocked = blockingBudget(state, node)?.blocked
  if (blocked && !fanout.joined)
    Object.assign(fanout, { decided: fanout.decided ?? 'blocked', blocked: fanout.blocked ?? blocked })
  for (const scope of fanout.open.values()) scope.resuming = true
  decideJoin(state, node, fanout)
  for (const scope of fanout.open.values()) {
    if (node.stop) haltScope(state, scope, haltOf(node))
    state.agenda.add(scope)
  }
  if (fanout.total === undefined || fanout.joined) state.agenda.add(node)
  else {
    planBranches(state, node)
    const over = fanout.next === fanout.total || fanout.decided !== undefined || node.stop !== undefined
    if (fanout.open.size === 0 && over) {
      fanout.joined = true
      state.agenda.add(node)
    }
  }
}

/** `branch.started` of a branch that goes on. */
export function announceScope(state: RunState, scope: Scope, spanId: string): void {
  scope.resuming = false
  scope.spanId = spanId
  state.agenda.delete(scope)
  state.scopes.set(scope.prefix, scope)
  resumeScope(state, scope)
  if (scope.halt) haltScope(state, scope, scope.halt)
}

// -- manual retry
