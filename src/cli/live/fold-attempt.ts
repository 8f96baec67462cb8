// Owns: the fold of what attempts and their agents say into the view model.
// Must not: settle nodes (fold.ts).
import type { EventOf } from '../../core/events.ts'
import { originalCause } from '../../core/failure.ts'
import { nothingSpent } from '../../core/spent.ts'
import { fromTimestamp } from '../../core/time.ts'
import type { Fold } from './fold.ts'
import { finishTool, learnAgent, startAgent, startTool } from './fold-agent.ts'
import { add, spendMore } from './fold-spend.ts'
import { stopWaiting, wait } from './fold-wait.ts'
import { nodeAt, type AttemptView, type NodeView, type RunView } from './run-view.ts'

type AttemptEvent =
  | 'attempt.started'
  | 'attempt.progressed'
  | 'attempt.waiting'
  | 'attempt.acted'
  | 'attempt.finished'
  | 'attempt.lost'
  | 'model.called'
  | 'tool.started'
  | 'tool.finished'

export const ATTEMPT_FOLD: { readonly [T in AttemptEvent]: Fold<T> } = {
  'attempt.started': startAttempt,
  'attempt.progressed': (view, event, at) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    attempt.view.lastOutputAt = event.last_output_at === undefined ? at : fromTimestamp(event.last_output_at)
    attempt.view.text = event.text ?? attempt.view.text
    attempt.view.turn = event.turn ?? attempt.view.turn
    spend(attempt, event)
  },
  'attempt.waiting': (view, event) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    attempt.view.waitingFor = originalCause(event.failure).code
    attempt.view.tools.clear()
    attempt.view.waitingUntil = fromTimestamp(event.due_at)
    attempt.node.mark = 'waiting'
    wait(attempt.node, 1)
  },
  'attempt.acted': (view, event) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    attempt.view.acted = true
    spend(attempt, event)
  },
  'attempt.finished': (view, event) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    spend(attempt, event)
    endAttempt(view, attempt.node, event.attempt_id)
  },
  'attempt.lost': (view, event) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    endAttempt(view, attempt.node, event.attempt_id)
    attempt.node.mark = 'error'
    attempt.node.failure = event.failure
  },
  'model.called': (view, event, at) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (attempt) attempt.view.lastOutputAt = at
  },
  'tool.started': (view, event, at) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    attempt.view.lastOutputAt = at
    startTool(attempt.view, event)
  },
  'tool.finished': (view, event, at) => {
    const attempt = openAttempt(view, event.attempt_id)
    if (!attempt) return
    attempt.view.lastOutputAt = at
    finishTool(attempt.view, event)
  },
}

function startAttempt(view: RunView, event: EventOf<'attempt.started'>, at: number): void {
  const node = nodeAt(view, event.node)
  if (!node) return
  node.mark = 'running'
  node.retry = undefined
  node.note = undefined
  node.attempt = {
    id: event.attempt_id,
    number: event.attempt,
    max: event.max,
    startedAt: at,
    lastOutputAt: at,
    text: undefined,
    turn: undefined,
    waitingUntil: undefined,
    waitingFor: undefined,
    spent: nothingSpent(),
    turns: 0,
    tools: new Map(),
    acted: false,
  }
  startAgent(node, event)
  view.running.set(event.attempt_id, node)
  view.openAttempts++
  add(node, { attempts: 1 })
}

/** Undefined when it has ended. */
export function openAttempt(view: RunView, id: string): { node: NodeView; view: AttemptView } | undefined {
  const node = view.running.get(id)
  return node?.attempt?.id === id ? { node, view: node.attempt } : undefined
}

type Spending = Pick<EventOf<'attempt.finished'>, 'usage' | 'cost' | 'session'>

function spend(attempt: { node: NodeView; view: AttemptView }, event: Spending): void {
  learnAgent(attempt.node, event)
  spendMore(attempt.node, attempt.view, event.usage, event.cost)
}

function endAttempt(view: RunView, node: NodeView, id: string): void {
  stopWaiting(node)
  view.running.delete(id)
  view.openAttempts--
}
