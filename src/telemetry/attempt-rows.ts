// Owns: what events of attempts, checks and hooks mean for spans.
import type { EventOf } from '../core/events.ts'
import type { Failure } from '../core/failure.ts'
import { agentActed, agentTold, openAgent } from './agent-rows.ts'
import { ATTR, LINK, SPAN_EVENT, spanName } from './names.ts'
import { idOf, taskAttributes } from './run-rows.ts'
import type { OpenSpan, RunSpans } from './run-spans.ts'
import type { Row } from './span-rows.ts'
import { bounded, failureAttributes, isFailed, processAttributes, usageAttributes } from './span-attributes.ts'
import type { Attributes, SpanLink } from './span-record.ts'

const SPAN_ID = /^[0-9a-f]{16}$/

export const attemptStarted: Row<'attempt.started'> = (spans, event, atUs) => {
  const attributes: Attributes = {
    ...taskAttributes(event.node, event.attempt_id, spans.url(`attempts/${event.attempt_id}`)),
    [ATTR.nodeKind]: event.kind,
    [ATTR.nodeVisit]: event.visit,
    ...attemptAttributes(event),
    [ATTR.attemptMax]: event.max,
  }
  if (event.chosen !== undefined) attributes[ATTR.attemptChosen] = event.chosen
  if (event.delay_ms !== undefined) attributes[ATTR.retryDelayMs] = event.delay_ms
  if (event.model !== undefined) attributes[ATTR.genAiRequestModel] = bounded(event.model)
  const attempt = spans.open({
    subject: 'attempt',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? spans.ofVisit(event.node, event.visit)?.opening.spanId,
    name: spanName.attempt(idOf(event.node)),
    atUs,
    attributes,
    links: retryLinks(spans, event),
    attemptId: event.attempt_id,
  })
  if (attempt) openAgent(spans, attempt, event, atUs)
}

function retryLinks(spans: RunSpans, event: EventOf<'attempt.started'>): SpanLink[] {
  return event.retry_of !== undefined && SPAN_ID.test(event.retry_of) ? [spans.link(event.retry_of, LINK.retryOf)] : []
}

/** Progress leaves nothing on the span, but a lost attempt ends with what it last told. */
export const attemptProgressed: Row<'attempt.progressed'> = (spans, event) => {
  const span = spans.ofAttempt(event.attempt_id)
  if (span) learn(spans, span, event)
}

export const attemptActed: Row<'attempt.acted'> = (spans, event, atUs) => {
  const span = spans.ofAttempt(event.attempt_id)
  if (!span) return
  learn(spans, span, event)
  agentActed(spans, event, atUs)
}

function learn(
  spans: RunSpans,
  span: OpenSpan,
  told: EventOf<'attempt.progressed'> | EventOf<'attempt.acted'> | EventOf<'attempt.finished'>,
): void {
  span.facts = {
    usage: told.usage ?? span.facts.usage,
    cost: told.cost ?? span.facts.cost,
    process: told.process ?? span.facts.process,
  }
  agentTold(spans, span, told)
}

export const attemptWaiting: Row<'attempt.waiting'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofAttempt(event.attempt_id), SPAN_EVENT.attemptWaiting, atUs, {
    ...attemptAttributes(event),
    ...failureAttributes(event.failure),
    [ATTR.dueAt]: event.due_at,
  })
}

export const attemptFinished: Row<'attempt.finished'> = (spans, event, atUs) => {
  const span = spans.ofAttempt(event.attempt_id)
  if (!span) return
  learn(spans, span, event)
  const { facts } = span
  const attributes = { ...usageAttributes(facts.usage, facts.cost), ...processAttributes(facts.process) }
  if (event.label !== undefined) attributes[ATTR.nodeLabel] = bounded(event.label)
  if (event.partial === true) attributes[ATTR.nodePartial] = true
  if (isFailed(event.result)) addFailed(spans, span, event, atUs)
  spans.close(event.span_id, { atUs, result: event.result, failure: event.failure, attributes })
}

export const attemptLost: Row<'attempt.lost'> = (spans, event, atUs) => {
  const span = spans.ofAttempt(event.attempt_id)
  if (!span) return
  addFailed(spans, span, event, atUs)
  spans.close(event.span_id, {
    atUs,
    result: 'error',
    failure: event.failure,
    attributes: { ...usageAttributes(span.facts.usage, span.facts.cost), ...processAttributes(span.facts.process) },
  })
}

function addFailed(
  spans: RunSpans,
  span: OpenSpan,
  event: AttemptEvent & { failure?: Failure | undefined },
  atUs: number,
): void {
  spans.addEvent(span, SPAN_EVENT.attemptFailed, atUs, {
    ...attemptAttributes(event),
    ...(event.failure ? failureAttributes(event.failure) : {}),
  })
}

export const retryScheduled: Row<'retry.scheduled'> = (spans, event, atUs) => {
  const node = spans.ofVisit(event.node, event.visit)
  if (node?.tally) node.tally.rollup.retries += 1
  spans.addEvent(node, SPAN_EVENT.retryScheduled, atUs, {
    ...attemptAttributes(event),
    [ATTR.nextAttempt]: event.next_attempt,
    [ATTR.attemptMax]: event.max,
    [ATTR.retryDelayMs]: event.delay_ms,
    [ATTR.dueAt]: event.due_at,
    ...failureAttributes(event.failure),
  })
}

export const stallDetected: Row<'stall.detected'> = (spans, event, atUs) => {
  spans.addEvent(spans.ofAttempt(event.attempt_id), SPAN_EVENT.stallDetected, atUs, {
    ...attemptAttributes(event),
    [ATTR.stallReason]: bounded(event.reason),
    [ATTR.idleMs]: event.idle_ms,
    [ATTR.stallAction]: bounded(event.action),
  })
}

export const checkStarted: Row<'check.started'> = (spans, event, atUs) => {
  spans.open({
    subject: 'check',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? ownerOf(spans, event)?.opening.spanId,
    name: spanName.check(bounded(event.name)),
    atUs,
    attributes: checkAttributes(event),
  })
}

export const checkFinished: Row<'check.finished'> = (spans, event, atUs) => {
  if (!event.passed) {
    spans.addEvent(spans.parentOf(event.span_id) ?? ownerOf(spans, event), SPAN_EVENT.checkFailed, atUs, {
      ...checkAttributes(event),
      ...(event.failure ? failureAttributes(event.failure) : {}),
    })
  }
  spans.close(event.span_id, {
    atUs,
    result: event.passed ? 'success' : 'failure',
    failure: event.failure,
    attributes: processAttributes(event.process),
  })
}

export const hookStarted: Row<'hook.started'> = (spans, event, atUs) => {
  spans.open({
    subject: 'hook',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? hookOwner(spans, event)?.opening.spanId,
    name: spanName.hook(event.hook),
    atUs,
    attributes: hookAttributes(event),
  })
}

export const hookFinished: Row<'hook.finished'> = (spans, event, atUs) => {
  if (!event.passed) {
    spans.addEvent(spans.parentOf(event.span_id) ?? hookOwner(spans, event), SPAN_EVENT.hookFailed, atUs, {
      ...hookAttributes(event),
      ...(event.failure ? failureAttributes(event.failure) : {}),
    })
  }
  spans.close(event.span_id, {
    atUs,
    result: event.passed ? 'success' : 'failure',
    failure: event.failure,
    attributes: processAttributes(event.process),
  })
}

interface AttemptEvent {
  readonly attempt_id: string
  readonly attempt: number
}
const attemptAttributes = (event: AttemptEvent): Attributes => ({
  [ATTR.attemptId]: event.attempt_id,
  [ATTR.attemptNumber]: event.attempt,
})

interface CheckEvent {
  name: string
  level: string
  required: boolean
  node: string
  visit: number
  attempt_id?: string | undefined
}
const checkAttributes = (event: CheckEvent): Attributes => ({
  [ATTR.checkName]: bounded(event.name),
  [ATTR.checkLevel]: event.level,
  [ATTR.checkRequired]: event.required,
  [ATTR.nodePath]: event.node,
  ...(event.attempt_id === undefined ? {} : { [ATTR.attemptId]: event.attempt_id }),
})
const ownerOf = (spans: RunSpans, event: CheckEvent): OpenSpan | undefined =>
  event.attempt_id === undefined ? spans.ofVisit(event.node, event.visit) : spans.ofAttempt(event.attempt_id)

interface HookEventData {
  hook: string
  name: string
  node?: string | undefined
  visit?: number | undefined
}
const hookAttributes = (event: HookEventData): Attributes => ({
  [ATTR.hookEvent]: event.hook,
  [ATTR.hookName]: bounded(event.name),
  ...(event.node === undefined ? {} : { [ATTR.nodePath]: event.node }),
})
const hookOwner = (spans: RunSpans, event: HookEventData): OpenSpan | undefined =>
  event.node === undefined ? spans.run : spans.ofVisit(event.node, event.visit ?? 1)
