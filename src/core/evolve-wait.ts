// Owns: the fold of what a run waits for: gates that a person answers, timers that go off.
import { addCommand, askGate, dropCommand, timerId } from './command-queue.ts'
import type { EventOf } from './events.ts'
import type { Failure } from './failure.ts'
import { isAsking } from './questions.ts'
import { enqueue, retakeSlot } from './slots.ts'
import { review } from './budgets.ts'
import { endWork, startWork } from './work-clock.ts'
import { nodeAt, type RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { haltScope, stopNode } from './stopping.ts'
import { fromTimestamp } from './time.ts'

export function onGateOpened(state: RunState, event: EventOf<'gate.opened'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  state.agenda.delete(node)
  state.gates.set(node.path, node)
  node.step = 'gate'
  endWork(state, node, at)
  node.dueAt = event.due_at === undefined ? undefined : fromTimestamp(event.due_at)
  node.gate = { question: event.question, choices: event.choices, reject: event.reject, default: event.default }
  askGate(state, node)
}

export function onGateAnswered(state: RunState, event: EventOf<'gate.answered'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node || node.phase !== 'running') return
  closeGate(state, node)
  if (isAsking(node) && !node.gate!.reject.includes(event.choice)) return goOn(state, node, event, at)
  node.settled = { label: event.choice }
}

/** Its questions are answered: the next attempt of the visit is told. */
function goOn(state: RunState, node: NodeState, event: EventOf<'gate.answered'>, at: number): void {
  node.answers = {
    question: node.gate!.question,
    choice: event.choice,
    ...(event.comment !== undefined && { comment: event.comment }),
  }
  node.answeredInVisit++
  node.gate = undefined
  node.delayMs = undefined
  state.agenda.delete(node)
  startWork(state, node, at)
  enqueue(state, node)
}

export function onGateExpired(state: RunState, event: EventOf<'gate.expired'>): void {
  const node = nodeAt(state, event.node)
  if (!node || node.phase !== 'running') return
  closeGate(state, node)
  node.gateExpired = true
}

function closeGate(state: RunState, node: NodeState): void {
  state.gates.delete(node.path)
  dropCommand(state, `ask:${timerId.gate(node)}`)
  dropCommand(state, timerId.gate(node))
  node.step = 'concluding'
  state.agenda.add(node)
}

export function onTimerFired(state: RunState, event: EventOf<'timer.fired'>, at: number): void {
  dropCommand(state, event.id)
  const node = event.node === undefined ? undefined : nodeAt(state, event.node)
  switch (event.timer) {
    case 'retry':
      if (node && node.step === 'backoff') {
        node.notBefore = 0
        node.limitedUntil = 0
        startWork(state, node, at)
        if (!node.hooks || node.hooks.position >= node.hooks.list.length) enqueue(state, node)
      }
      return
    case 'wait':
      if (!node || node.step !== 'wait') return
      node.settled = {}
      node.step = 'concluding'
      state.agenda.add(node)
      return
    case 'limit':
      if (!node?.attempt?.waiting) return
      node.attempt.waiting = false
      node.limitedUntil = 0
      node.step = 'acting'
      retakeSlot(state, node)
      startWork(state, node, at)
      return
    case 'timeout':
      if (node) timeOut(state, node)
      return
    case 'cancel':
      if (state.cancel) endNowAfterCancel(state)
      return
    case 'budget':
      alarm(state, event.id)
  }
}

function alarm(state: RunState, id: string): void {
  const budget = state.budgets.get(id.slice(timerId.budget('').length))
  if (budget) review(state, budget)
}

function timeOut(state: RunState, node: NodeState): void {
  const message = `${node.path} ran past its timeout`
  const failure: Failure = { code: 'timed_out', class: 'timeout', source: 'scheduler', message, signature: '' }
  stopNode(
    state,
    node,
    { code: 'timed_out', message, now: false },
    { reason: 'stopped', by: undefined, failure, cleanup: true },
  )
}

function endNowAfterCancel(state: RunState): void {
  const { failure } = state.cancel!
  state.cancel!.expired = true
  haltScope(state, state.root, { reason: 'canceled_run', by: undefined, failure, cleanup: false })
  for (const command of state.commands.values()) {
    if (command.kind === 'attempt' || command.kind === 'check' || command.kind === 'summary')
      addCommand(state, { ...command, stop: { code: failure.code, message: failure.message, now: false } })
  }
}

// -- routes
