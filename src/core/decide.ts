// Owns: decide(state, input) → events | refusal. Pure: it reads the state and the input, changes nothing, and answers
// with the facts that follow; the host records and folds them, then says `proceed` until the agenda is empty.
import { decideObserved, decideOutcome, decideStart, decideUsage, decideWaiting } from './decide-attempt.ts'
import { decideCheckOutcome } from './decide-check.ts'
import { decideBranch } from './decide-fanout.ts'
import { decideNode } from './decide-node.ts'
import {
  decideCancel,
  decideCreate,
  decideGateAnswer,
  decideHookOutcome,
  decideInterrupt,
  decideResume,
  decideRetry,
  decideSweepOutcome,
} from './decide-run.ts'
import { decideReserve } from './decide-reserve.ts'
import { decideBudget, decideScope } from './decide-scope.ts'
import { decideSummaryOutcome } from './decide-summary.ts'
import { decideTimer } from './decide-timer.ts'
import type { Event } from './events.ts'
import type { Input, Refusal } from './inputs.ts'
import { nextInQueue } from './slots.ts'
import type { RunState, Scope } from './state.ts'
import type { BudgetState, NodeState } from './node-state.ts'

/** Events that follow from an input, or why it is refused. `now` of the input is epoch milliseconds. */
export function decide(state: RunState, input: Input): readonly Event[] | Refusal {
  switch (input.type) {
    case 'proceed':
      return proceed(state, input.now)
    case 'create':
      return decideCreate(state, input)
    case 'resume':
      return decideResume(state, input)
    case 'retry':
      return decideRetry(state, input)
    case 'interrupt':
      return decideInterrupt(state, input)
    case 'cancel':
      return decideCancel(state, input)
    case 'gate.answer':
      return decideGateAnswer(state, input)
    case 'timer.fired':
      return decideTimer(state, input)
    case 'attempt.outcome':
      return decideOutcome(state, input)
    case 'attempt.observed':
      return decideObserved(state, input)
    case 'attempt.usage':
      return decideUsage(state, input)
    case 'attempt.waiting':
      return decideWaiting(state, input)
    case 'attempt.reserve':
      return decideReserve(state, input)
    case 'summary.outcome':
      return decideSummaryOutcome(state, input)
    case 'check.outcome':
      return decideCheckOutcome(state, input)
    case 'hook.outcome':
      return decideHookOutcome(state, input)
    case 'sweep.outcome':
      return decideSweepOutcome(state, input)
    case 'observed':
      return state.phase === 'running' ? [input.event] : { refused: 'stale', message: 'The run is not running' }
    case 'abort':
      return decideCancel(
        state,
        { type: 'cancel', now: input.now, by: { kind: 'program' }, force: true },
        input.failure,
      )
  }
}

/** What is next: the agenda, then visits that wait for a slot, then branches (only while nothing waits for a slot). */
function proceed(state: RunState, now: number): readonly Event[] {
  if (state.phase !== 'running') return []
  for (const item of state.agenda) {
    if (isScope(item)) return decideScope(state, item, now)
    if (isBudget(item)) return decideBudget(item, now)
    return decideNode(state, item, now)
  }
  const waiting = nextInQueue(state)
  if (waiting) return decideStart(state, waiting)
  if (state.queue.size === 0) for (const node of state.spawning) return decideBranch(state, node)
  return []
}

const isScope = (item: NodeState | Scope | BudgetState): item is Scope => 'graph' in item
const isBudget = (item: NodeState | Scope | BudgetState): item is BudgetState => 'limits' in item
