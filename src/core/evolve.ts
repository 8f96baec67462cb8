// Owns: evolve(state, event): the fold (I3). Total: it never refuses, never validates, never looks at a clock. Each
// event changes the state in place and says on the agenda what has to be decided next; a prefix of a journal is
// therefore always a state from which the run can go on.
import type { Event, EventType, EventOf } from './events.ts'
import type { RunState } from './state.ts'
import * as attempts from './evolve-attempt.ts'
import * as fanouts from './evolve-fanout.ts'
import * as nodes from './evolve-node.ts'
import * as routes from './evolve-route.ts'
import * as runs from './evolve-run.ts'
import * as summaries from './evolve-summary.ts'
import * as waits from './evolve-wait.ts'
import { onResumed } from './evolve-resume.ts'

const nothing = (): void => undefined

const TABLE: { readonly [T in EventType]: (state: RunState, event: EventOf<T>, at: number) => void } = {
  'run.created': runs.onCreated,
  'run.resumed': onResumed,
  'run.cancel_requested': runs.onCancelRequested,
  'run.interrupted': runs.onInterrupted,
  'run.concluded': runs.onConcluded,
  'run.finished': runs.onFinished,
  'node.started': nodes.onStarted,
  'node.skipped': nodes.onSkipped,
  'node.finished': nodes.onFinished,
  'fanout.expanded': fanouts.onExpanded,
  'branch.started': fanouts.onBranchStarted,
  'branch.finished': fanouts.onBranchFinished,
  'attempt.started': attempts.onStarted,
  'attempt.progressed': attempts.onProgressed,
  'attempt.waiting': attempts.onWaiting,
  'attempt.acted': attempts.onActed,
  'attempt.finished': attempts.onFinished,
  'attempt.lost': attempts.onLost,
  'retry.scheduled': attempts.onRetryScheduled,
  'retry_context.assembled': nothing,
  'check.started': attempts.onCheckStarted,
  'check.finished': attempts.onCheckFinished,
  'hook.started': runs.onHookStarted,
  'hook.finished': runs.onHookFinished,
  'gate.opened': waits.onGateOpened,
  'gate.answered': waits.onGateAnswered,
  'gate.expired': waits.onGateExpired,
  'timer.fired': waits.onTimerFired,
  'route.taken': routes.onRouteTaken,
  'route.ignored': routes.onRouteIgnored,
  'signature.counted': nodes.onSignatureCounted,
  'breaker.opened': nodes.onBreakerOpened,
  'budget.warned': runs.onBudgetWarned,
  'budget.exceeded': runs.onBudgetExceeded,
  'outcome.normalized': nothing,
  'outcome.conflict': nothing,
  'stall.detected': nothing,
  'processes.ended': nothing,
  'log.capped': nothing,
  'budget.reserved': attempts.onReserved,
  'model.called': nothing,
  'tool.started': nothing,
  'tool.finished': nothing,
  'summary.started': summaries.onSummaryStarted,
  'failure.summarized': summaries.onSummaryEnded,
  'summary.failed': summaries.onSummaryEnded,
  'warning.raised': nothing,
}

/**
 * Folds one event into the state, in place.
 * @param at epoch milliseconds of the entry
 */
export function evolve(state: RunState, event: Event, at: number): void {
  const before = state.lastAt
  state.lastAt = at
  ;(TABLE[event.type] as (state: RunState, event: Event, at: number, before: number) => void)(state, event, at, before)
}
