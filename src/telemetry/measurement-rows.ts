// Owns: the table event type → increments of counters and recordings of histograms, and what becomes open or closed.
// A new event does not compile without its row; `null` says that it is none of the metrics' business.
// Summed over a run's entries the increments are what final.json says (the simulation proves it).
import type { EventOf, EventType } from '../core/events.ts'
import type { Failure, Result } from '../core/failure.ts'
import { visitId } from '../core/ids.ts'
import { nothingSpent, spentOf } from '../core/spent.ts'
import { fromTimestamp } from '../core/time.ts'
import { ATTR } from './names.ts'
import { goOn, modelOf, stand, type OpenWork } from './open-work.ts'
import { idOf } from './run-rows.ts'
import { bounded, isFailed } from './span-attributes.ts'
import type { Attributes } from './span-record.ts'
import { recordSpend } from './spend-measurements.ts'

export type MeasurementRow<T extends EventType> = (work: OpenWork, event: EventOf<T>, atUs: number) => void

const toMicros = (at: string): number => Math.round(fromTimestamp(at) * 1_000)
const seconds = (fromUs: number, toUs: number): number => Math.max(0, toUs - fromUs) / 1_000_000
const errorType = (result: Result, failure: Failure | undefined): Attributes =>
  failure && isFailed(result) ? { [ATTR.errorType]: failure.code } : {}

// -- the run

const runCreated: MeasurementRow<'run.created'> = (work, event, atUs) => {
  work.pipeline = bounded(event.pipeline.name)
  begin(work, event, atUs)
}

const runResumed: MeasurementRow<'run.resumed'> = (work, event, atUs) => begin(work, event, atUs)

function begin(work: OpenWork, event: EventOf<'run.created'> | EventOf<'run.resumed'>, atUs: number): void {
  work.budgets.open('', event.budget)
  work.isOpen = true
  work.executionStartedUs = atUs
}

/** An execution that broke off counts as one duration; how the run ends after a resume is another. */
const runInterrupted: MeasurementRow<'run.interrupted'> = (work, event) => {
  const duration = event.duration_ms ?? (work.lastAliveUs - work.executionStartedUs) / 1_000
  recordRun(work, { result: 'error', failure: event.failure, durationMs: duration })
  endExecution(work, 'error')
}

const runFinished: MeasurementRow<'run.finished'> = (work, event, atUs) => {
  work.budgets.stopClocks(atUs)
  recordRun(work, { result: event.result, failure: event.failure, durationMs: event.duration_ms })
  endExecution(work, 'cancellation')
}

function recordRun(
  work: OpenWork,
  { result, failure, durationMs }: { result: Result; failure: Failure | undefined; durationMs: number },
): void {
  work.record('runDuration', Math.max(0, durationMs) / 1_000, {
    [ATTR.pipelineRunState]: 'executing',
    [ATTR.pipelineResult]: result,
    ...errorType(result, failure),
  })
}

/** Branches that nobody ended: each counts once, so it counts here; a later execution that goes on with it adds none. */
function endExecution(work: OpenWork, result: Result): void {
  for (const spanId of [...work.branches.keys()]) endBranch(work, spanId, { result, atUs: work.lastAliveUs })
  work.endExecution()
}

// -- nodes, branches, gates

const nodeStarted: MeasurementRow<'node.started'> = (work, event, atUs) => {
  work.seen(event.node, event.kind)
  work.budgets.open(event.node, event.budget)
  work.budgets.open(`${event.node}/`, event.child_budget)
  work.budgets.visitStarted(event, atUs)
  // A gate, or an agent's question, that nobody has answered yet.
  if (event.continues !== undefined && work.reopenGate(event)) work.budgets.endWork(event.node, atUs)
}

const nodeFinished: MeasurementRow<'node.finished'> = (work, event, atUs) => {
  // A resume may go on with what was canceled.
  work.closeGate(event, event.result === 'cancellation')
  work.budgets.visitEnded(event, atUs)
  if (event.kind !== 'fanout') return
  const first = work.takeFirstEnd(visitId(event.node, event.visit))
  // One that a resume goes on with has not waited to its end; nor does the time between two executions count.
  if (first === undefined || event.canceled_run === true) return
  work.record('joinWait', seconds(first, atUs), { [ATTR.taskName]: idOf(event.node) })
}

const branchStarted: MeasurementRow<'branch.started'> = (work, event, atUs) => work.openBranch(event, atUs)

const branchFinished: MeasurementRow<'branch.finished'> = (work, event, atUs) => {
  work.noteBranchEnd(visitId(event.node, event.visit), atUs)
  endBranch(work, event.span_id, { result: event.result, atUs })
  work.budgets.branchEnded(event)
}

function endBranch(work: OpenWork, spanId: string, { result, atUs }: { result: Result; atUs: number }): void {
  const branch = work.closeBranch(spanId)
  if (!branch || branch.counted) return
  work.record('branchDuration', seconds(branch.startedUs, atUs), {
    [ATTR.taskName]: branch.node,
    [ATTR.taskRunResult]: result,
  })
}

/** An agent that asks does not work meanwhile. */
const gateOpened: MeasurementRow<'gate.opened'> = (work, event, atUs) => {
  work.openGate(event, atUs)
  work.budgets.endWork(event.node, atUs)
}
const gateAnswered: MeasurementRow<'gate.answered'> = (work, event, atUs) => {
  const gate = work.closeGate(event)
  if (gate?.reject.includes(event.choice) === false) work.budgets.goOn(event.node, atUs)
}
const gateExpired: MeasurementRow<'gate.expired'> = (work, event) => void work.closeGate(event)

const breakerOpened: MeasurementRow<'breaker.opened'> = (work, event) => {
  Object.assign(work.node(event.node), { breaker: true, breakerOpen: true })
  work.record('breakersOpened', 1, { [ATTR.taskName]: idOf(event.node) })
}

// -- attempts

const attemptStarted: MeasurementRow<'attempt.started'> = (work, event, atUs) => {
  work.attempt(event, atUs)
  work.budgets.addAttempt(event.node)
}

const attemptProgressed: MeasurementRow<'attempt.progressed'> = (work, event, atUs) => {
  const attempt = work.attempts.get(event.attempt_id)
  if (!attempt) return
  work.book(attempt, event)
  const outputUs = event.last_output_at === undefined ? atUs : toMicros(event.last_output_at)
  attempt.progressUs = Math.max(attempt.progressUs, outputUs)
}

const attemptWaiting: MeasurementRow<'attempt.waiting'> = (work, event, atUs) => {
  const attempt = work.attempts.get(event.attempt_id)
  if (!attempt) return
  attempt.waiting = true
  stand(attempt, atUs)
  work.budgets.limit(attempt.path, atUs, toMicros(event.due_at))
}

const timerFired: MeasurementRow<'timer.fired'> = (work, event, atUs) => {
  if ((event.timer === 'limit' || event.timer === 'retry') && event.node !== undefined)
    work.budgets.unlimit(event.node, atUs)
  const attempt = event.timer === 'limit' ? work.attempts.get(event.attempt_id ?? '') : undefined
  if (!attempt) return
  attempt.waiting = false
  goOn(attempt, atUs)
}

const stepStarted = (work: OpenWork, event: { readonly node?: string | undefined }, atUs: number): void => {
  if (event.node !== undefined) work.budgets.startWork(event.node, atUs)
}
/** Hooks of a gate run once it is settled, also by a cancel. */
const hookStarted: MeasurementRow<'hook.started'> = (work, event, atUs) => {
  stepStarted(work, event, atUs)
  if (event.node !== undefined && event.visit !== undefined)
    work.closeGate({ node: event.node, visit: event.visit }, true)
}
const stepFinished = (work: OpenWork, event: { readonly node?: string | undefined }, atUs: number): void => {
  if (event.node !== undefined) work.budgets.stepEnded(event.node, atUs)
}

/** Its main action is over; checks have timeouts of their own. */
const attemptActed: MeasurementRow<'attempt.acted'> = (work, event, atUs) => {
  const attempt = work.attempts.get(event.attempt_id)
  if (!attempt) return
  work.book(attempt, event)
  attempt.waiting = false
  goOn(attempt, atUs)
  stand(attempt, atUs)
  work.budgets.unlimit(attempt.path, atUs)
}

const attemptFinished: MeasurementRow<'attempt.finished'> = (work, event, atUs) => {
  const attempt = work.attempts.get(event.attempt_id)
  if (!attempt) return
  work.budgets.unlimit(attempt.path, atUs)
  work.book(attempt, event)
  endAttempt(work, event, { result: event.result, atUs })
}

/** Its process died some time ago: what is known of is the time up to the last entry before. */
const attemptLost: MeasurementRow<'attempt.lost'> = (work, event) => {
  work.budgets.stopClocks(work.lastAliveUs)
  endAttempt(work, event, { result: 'error', atUs: work.lastAliveUs })
}

function endAttempt(
  work: OpenWork,
  event: { readonly attempt_id: string; readonly failure?: Failure | undefined },
  { result, atUs }: { result: Result; atUs: number },
): void {
  const attempt = work.attempts.get(event.attempt_id)
  if (!attempt) return
  work.attempts.delete(event.attempt_id)
  const task = { [ATTR.taskName]: attempt.node }
  const ended = { ...task, [ATTR.taskRunResult]: result }
  work.record('attempts', 1, ended)
  work.record('attemptDuration', seconds(attempt.startedUs, atUs), {
    ...ended,
    [ATTR.nodeKind]: attempt.kind,
    [ATTR.attemptNumber]: attempt.number < 4 ? String(attempt.number) : '4+',
    ...errorType(result, event.failure),
  })
  recordSpend(work, { ...attempt, model: modelOf(attempt), result })
}

const retryScheduled: MeasurementRow<'retry.scheduled'> = (work, event) =>
  work.record('retries', 1, { [ATTR.taskName]: idOf(event.node), [ATTR.errorType]: event.failure.code })

/** What the summary of a visit's failures was spent on: it is part of what the failure costs. */
const summaryEnded = (work: OpenWork, event: EventOf<'failure.summarized'> | EventOf<'summary.failed'>): void => {
  const { usage, cost } = event
  if (!usage && !cost) return
  const spent = spentOf(usage, cost, nothingSpent())
  work.budgets.addSpend(event.node, nothingSpent(), spent)
  const model = usage?.model ?? event.model
  recordSpend(work, {
    node: idOf(event.node),
    model: model === undefined ? undefined : bounded(model),
    models: usage?.models,
    spent,
    source: cost?.source ?? 'unknown',
    result: 'failure',
  })
}

export const MEASUREMENT_ROWS = {
  'run.created': runCreated,
  'run.resumed': runResumed,
  'run.cancel_requested': null,
  'run.interrupted': runInterrupted,
  'run.concluded': null,
  'run.finished': runFinished,
  'node.started': nodeStarted,
  'node.skipped': null,
  'node.finished': nodeFinished,
  'fanout.expanded': null,
  'branch.started': branchStarted,
  'branch.finished': branchFinished,
  'attempt.started': attemptStarted,
  'attempt.progressed': attemptProgressed,
  'attempt.waiting': attemptWaiting,
  'attempt.acted': attemptActed,
  'attempt.finished': attemptFinished,
  'attempt.lost': attemptLost,
  'retry.scheduled': retryScheduled,
  'retry_context.assembled': null,
  'check.started': stepStarted,
  'check.finished': stepFinished,
  'hook.started': hookStarted,
  'hook.finished': stepFinished,
  'gate.opened': gateOpened,
  'gate.answered': gateAnswered,
  'gate.expired': gateExpired,
  'route.taken': null,
  'route.ignored': null,
  'timer.fired': timerFired,
  'signature.counted': null,
  'breaker.opened': breakerOpened,
  'budget.warned': null,
  'budget.exceeded': null,
  'outcome.normalized': null,
  'outcome.conflict': null,
  'stall.detected': null,
  'processes.ended': null,
  'log.capped': null,
  'budget.reserved': null,
  'model.called': null,
  'tool.started': null,
  'tool.finished': null,
  'summary.started': null,
  'failure.summarized': summaryEnded,
  'summary.failed': summaryEnded,
  'warning.raised': null,
} satisfies { readonly [T in EventType]: MeasurementRow<T> | null }
