// Owns: the fold of attempts: started, progressed, waiting, acted, finished, lost; retries; checks.
import { attemptCommand } from './attempt-command.ts'
import { addCommand, checkId, dropCommand, placeOf, timerId } from './command-queue.ts'
import { isOwnFailure } from './choose-agent.ts'
import type { EventOf } from './events.ts'
import { retryHooks } from './hook-list.ts'
import { visitId } from './ids.ts'
import { checkOrder } from './policy.ts'
import { isRequest } from './questions.ts'
import { giveBack, reserve } from './reserved.ts'
import { rememberSession } from './sessions.ts'
import { freeSlot, retakeSlot, takeSlot } from './slots.ts'
import { forBudgets } from './budgets.ts'
import { addSpend, addToRollups } from './spend.ts'
import { endWork, startWork, stopClocks, worksThroughout } from './work-clock.ts'
import { nothingSpent } from './spent.ts'
import { nodeAt, type RunState } from './state.ts'
import { NOTHING, type NodeState } from './node-state.ts'
import { fromTimestamp } from './time.ts'

export function onStarted(state: RunState, event: EventOf<'attempt.started'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  takeSlot(state, node)
  state.agenda.delete(node)
  node.step = 'acting'
  node.inputs = event.inputs
  node.attemptsInVisit = event.attempt
  node.checkIndex = 0
  node.checkOpen = false
  node.checkFailure = undefined
  node.hooks = undefined
  node.attempt = {
    id: event.attempt_id,
    number: event.attempt,
    spanId: event.span_id,
    max: event.max,
    agent: event.agent,
    startedAt: at,
    open: true,
    waiting: false,
    acted: undefined,
    result: undefined,
    failure: undefined,
    settled: undefined,
    next: undefined,
    notes: undefined,
    questions: undefined,
    spent: nothingSpent(),
    reserved: NOTHING,
    lost: false,
  }
  state.attempts.set(event.attempt_id, node)
  node.attemptsTotal++
  addToRollups(node, (rollup) => void rollup.attempts++)
  forBudgets(state, node, (budget) => void budget.attempts++)
  addCommand(state, attemptCommand(state, node, event.agent_span_id ?? event.span_id))
}

export function onProgressed(state: RunState, event: EventOf<'attempt.progressed'>): void {
  const node = nodeAt(state, event.node)
  if (node?.attempt?.id !== event.attempt_id || !node.attempt.open) return
  rememberSession(state, node, event.session)
  addSpend(state, node, event.usage, event.cost)
}

export function onReserved(state: RunState, event: EventOf<'budget.reserved'>): void {
  const node = openNode(state, event)
  if (node) reserve(state, node, { usd: event.usd ?? 0, tokens: event.tokens ?? 0 })
}

export function onWaiting(state: RunState, event: EventOf<'attempt.waiting'>, at: number): void {
  const node = openNode(state, event)
  if (!node) return
  const due = fromTimestamp(event.due_at)
  node.attempt!.waiting = true
  node.step = 'limited'
  node.notBefore = due
  node.limitedUntil = due
  node.limitWaits = event.wait
  node.limitWaitMs += Math.max(0, due - at)
  giveBack(state, node)
  freeSlot(state, node)
  endWork(state, node, at)
  addCommand(state, { kind: 'timer', id: timerId.limit(event.attempt_id), due })
}

/** The main action's report is on record: its command is done, checks follow. */
export function onActed(state: RunState, event: EventOf<'attempt.acted'>, at: number): void {
  const node = openNode(state, event)
  if (!node) return
  endWaiting(state, node, at)
  node.attempt!.acted = event
  node.step = 'checking'
  rememberSession(state, node, event.session)
  addSpend(state, node, event.usage, event.cost)
  giveBack(state, node)
  dropCommand(state, event.attempt_id)
  state.agenda.add(node)
}

export function onFinished(state: RunState, event: EventOf<'attempt.finished'>, at: number): void {
  const node = openNode(state, event)
  if (!node) return
  const waited = node.limitedUntil
  endWaiting(state, node, at)
  // Canceled while it waited: who goes on with it waits on.
  if (event.result === 'cancellation') node.limitedUntil = waited
  rememberSession(state, node, event.session)
  addSpend(state, node, event.usage, event.cost)
  const attempt = closeAttempt(state, node)
  attempt.result = event.result
  attempt.failure = event.failure
  attempt.next = event.next
  attempt.notes = event.notes
  attempt.questions = event.questions
  attempt.settled = {
    ...(event.failure && { failure: event.failure }),
    label: event.label,
    outputs: event.outputs,
    partial: event.partial,
    skipped: event.result === 'skip',
  }
  if (event.result !== 'cancellation') node.lostInARow = 0
  countStreak(node, event.failure)
  remember(node, event.failure)
  if (event.result === 'success' && isRequest(node, event.label)) node.answers = undefined
  node.step = 'concluding'
  state.agenda.add(node)
}

export function onLost(state: RunState, event: EventOf<'attempt.lost'>, _at: number, before = _at): void {
  // The process died some time ago; what is known of is the time up to the entry before.
  stopClocks(state, before)
  const node = openNode(state, event)
  if (!node) return
  const attempt = closeAttempt(state, node)
  attempt.lost = true
  attempt.failure = event.failure
  node.lostInVisit++
  node.lostInARow++
  remember(node, event.failure)
  node.step = 'suspended'
}

/** An end that says nothing of the work (a cancel) breaks no row. */
function countStreak({ memory }: NodeState, failure: NodeState['failure']): void {
  if (!failure) memory.streak = undefined
  else if (isOwnFailure(failure.code)) {
    const { signature } = failure
    memory.streak = { signature, count: memory.streak?.signature === signature ? memory.streak.count + 1 : 1 }
  }
}

function remember(node: NodeState, failure: NodeState['failure']): void {
  if (failure) node.prior.push({ attempt_id: node.attempt!.id, span_id: node.attempt!.spanId, failure })
}

function endWaiting(state: RunState, node: NodeState, at: number): void {
  if (!node.attempt!.waiting) return
  node.attempt!.waiting = false
  node.limitedUntil = 0
  retakeSlot(state, node)
  startWork(state, node, at)
}

function closeAttempt(state: RunState, node: NodeState): NonNullable<NodeState['attempt']> {
  const attempt = node.attempt!
  giveBack(state, node)
  attempt.open = false
  state.attempts.delete(attempt.id)
  dropCommand(state, attempt.id)
  dropCommand(state, timerId.limit(attempt.id))
  if (node.checkOpen) dropCommand(state, checkId(attempt.id, checkOrder(node.def)[node.checkIndex]!))
  if (!attempt.waiting) freeSlot(state, node)
  attempt.waiting = false
  return attempt
}

function openNode(state: RunState, event: { readonly attempt_id: string }): NodeState | undefined {
  return state.attempts.get(event.attempt_id)
}

export function onRetryScheduled(state: RunState, event: EventOf<'retry.scheduled'>): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  state.agenda.delete(node)
  node.step = 'backoff'
  node.retriesInVisit++
  if (event.fallback) node.fallbacksInVisit++
  node.notBefore = fromTimestamp(event.due_at)
  node.delayMs = event.delay_ms
  node.retriesTotal++
  addToRollups(node, (rollup) => void rollup.retries++)
  node.hooks = retryHooks(node, node.attempt?.result ?? 'failure')
  if (node.hooks.list.length > 0) state.agenda.add(node)
  addCommand(state, { kind: 'timer', id: timerId.retry(node), due: node.notBefore })
}

// -- checks: of an attempt, or of a fan-out after its join

export function onCheckStarted(state: RunState, event: EventOf<'check.started'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  state.agenda.delete(node)
  if (node.inner) state.agenda.delete(node.inner)
  node.step = 'checking'
  node.checkOpen = true
  node.checkIndex = checkOrder(node.def).indexOf(event.index)
  startWork(state, node, at)
  const check = node.def.checks[event.index]!
  addCommand(state, {
    kind: 'check',
    id: checkId(event.attempt_id ?? visitId(node.path, node.visits), event.index),
    place: placeOf(state, node.scope, node, event.span_id),
    attempt_id: event.attempt_id,
    run: check.run,
    rule: check.rule,
    outputs: node.attempt?.acted?.outputs,
    name: check.name,
    level: check.level,
    required: check.required,
    inputs: event.inputs,
    timeout_ms: check.timeout_ms,
    grace_ms: node.def.grace_ms,
  })
}

export function onCheckFinished(state: RunState, event: EventOf<'check.finished'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  dropCommand(state, checkId(event.attempt_id ?? visitId(node.path, node.visits), event.index))
  node.checkOpen = false
  node.checkIndex = checkOrder(node.def).indexOf(event.index) + 1
  if (!worksThroughout(node)) endWork(state, node, at)
  if (event.required && event.failure) node.checkFailure = event.failure
  state.agenda.add(node)
}
