// Owns: the table event type → spans. A new event does not compile without its row; `null` says that it is none of
// the trace's business. Metrics are a table of the same form (measurement-rows.ts); log records follow span events.
import type { EventOf, EventType } from '../core/events.ts'
import * as agents from './agent-rows.ts'
import * as attempts from './attempt-rows.ts'
import { ATTR, SPAN_EVENT } from './names.ts'
import * as runs from './run-rows.ts'
import type { RunSpans } from './run-spans.ts'
import { bounded, failureAttributes } from './span-attributes.ts'

export type Row<T extends EventType> = (spans: RunSpans, event: EventOf<T>, atUs: number) => void

const gateOpened: Row<'gate.opened'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofVisit(event.node, event.visit), SPAN_EVENT.gateOpened, atUs, {
    [ATTR.gateChoices]: event.choices.slice(0, 32).map((choice) => bounded(choice)),
    ...(event.default === undefined ? {} : { [ATTR.gateDefault]: bounded(event.default) }),
    ...(event.due_at === undefined ? {} : { [ATTR.dueAt]: event.due_at }),
  })
}

/** Who answered is in the journal; a trace says only what kind of actor it was. */
const gateAnswered: Row<'gate.answered'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofVisit(event.node, event.visit), SPAN_EVENT.gateAnswered, atUs, {
    [ATTR.gateChoice]: bounded(event.choice),
    [ATTR.gateBy]: event.by.kind,
  })
}

const gateExpired: Row<'gate.expired'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofVisit(event.node, event.visit), SPAN_EVENT.gateExpired, atUs, {
    ...(event.default === undefined ? {} : { [ATTR.gateDefault]: bounded(event.default) }),
  })
}

const breakerOpened: Row<'breaker.opened'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofVisit(event.node, event.visit) ?? spans.run, SPAN_EVENT.breakerOpened, atUs, {
    [ATTR.nodePath]: event.path,
    [ATTR.breakerSignature]: bounded(event.signature),
    [ATTR.breakerCount]: event.count,
    [ATTR.breakerLimit]: event.limit,
    ...failureAttributes(event.failure),
  })
}

const budgetWarned: Row<'budget.warned'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofPath(event.scope) ?? spans.run, SPAN_EVENT.budgetWarned, atUs, budgetAttributes(event))
}

const budgetExceeded: Row<'budget.exceeded'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofPath(event.scope) ?? spans.run, SPAN_EVENT.budgetExceeded, atUs, {
    ...budgetAttributes(event),
    [ATTR.budgetMode]: event.mode,
    ...failureAttributes(event.failure),
  })
}

const budgetAttributes = (event: { scope: string; budget: string; used: number; limit: number }) => ({
  [ATTR.budgetScope]: event.scope,
  [ATTR.budgetKind]: event.budget,
  [ATTR.budgetUsed]: event.used,
  [ATTR.budgetLimit]: event.limit,
})

export const SPAN_ROWS = {
  'run.created': runs.runCreated,
  'run.resumed': runs.runResumed,
  'run.cancel_requested': null,
  'run.interrupted': runs.runInterrupted,
  'run.concluded': null,
  'run.finished': runs.runFinished,
  'node.started': runs.nodeStarted,
  'node.skipped': runs.nodeSkipped,
  'node.finished': runs.nodeFinished,
  'fanout.expanded': runs.fanoutExpanded,
  'branch.started': runs.branchStarted,
  'branch.finished': runs.branchFinished,
  'attempt.started': attempts.attemptStarted,
  'attempt.progressed': attempts.attemptProgressed,
  'attempt.waiting': attempts.attemptWaiting,
  'attempt.acted': attempts.attemptActed,
  'attempt.finished': attempts.attemptFinished,
  'attempt.lost': attempts.attemptLost,
  'retry.scheduled': attempts.retryScheduled,
  'retry_context.assembled': null,
  'check.started': attempts.checkStarted,
  'check.finished': attempts.checkFinished,
  'hook.started': attempts.hookStarted,
  'hook.finished': attempts.hookFinished,
  'gate.opened': gateOpened,
  'gate.answered': gateAnswered,
  'gate.expired': gateExpired,
  'route.taken': runs.routeTaken,
  'route.ignored': runs.routeIgnored,
  'timer.fired': null,
  'signature.counted': null,
  'breaker.opened': breakerOpened,
  'budget.warned': budgetWarned,
  'budget.exceeded': budgetExceeded,
  'outcome.normalized': null,
  'outcome.conflict': null,
  'stall.detected': attempts.stallDetected,
  'processes.ended': null,
  'log.capped': null,
  'budget.reserved': null,
  'model.called': agents.modelCalled,
  'tool.started': agents.toolStarted,
  'tool.finished': agents.toolFinished,
  'summary.started': null,
  'failure.summarized': agents.failureSummarized,
  'summary.failed': agents.summaryFailed,
  'warning.raised': null,
} satisfies { readonly [T in EventType]: Row<T> | null }
