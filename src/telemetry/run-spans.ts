// Owns: the open spans of one run while its journal is read: opening, finding, closing. Memory is linear in open
// spans: what is closed leaves nothing behind but sums in its parent. No clock, no I/O, no SDK.
import type { EventOf } from '../core/events.ts'
import type { InboundContext } from '../core/event-values.ts'
import type { Failure, Result } from '../core/failure.ts'
import { visitId } from '../core/ids.ts'
import type { Cost, ProcessFacts, Usage } from '../core/outcome.ts'
import type { LogRecord } from './log-record.ts'
import { toLogRecord } from './log-rows.ts'
import { ATTR, LINK } from './names.ts'
import {
  bounded,
  childrenAttributes,
  endingOf,
  isFailed,
  processAttributes,
  rollupAttributes,
  usageAttributes,
} from './span-attributes.ts'
import type {
  Attributes,
  OpenSpanRecord,
  SpanEvent,
  SpanKind,
  SpanLink,
  SpanRecord,
  SpanSubject,
} from './span-record.ts'
import { countAttempt, countChild, emptyTally, type Tally } from './tally.ts'

/** Events kept per span; the first ones stay, the rest is counted (a visit may have 1,000 attempts). */
const EVENTS_PER_SPAN = 128

/** What a span is opened with. `visit` and `attemptId` are the names under which later events find it. */
export interface Opening {
  readonly subject: SpanSubject
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly parentIsRemote?: boolean
  readonly name: string
  readonly kind?: SpanKind
  readonly atUs: number
  readonly attributes: Attributes
  readonly links?: SpanLink[]
  readonly visit?: { readonly node: string; readonly visit: number }
  readonly attemptId?: string
}

export interface OpenSpan {
  readonly opening: Opening
  readonly attributes: Attributes
  readonly events: SpanEvent[]
  droppedEvents: number
  /** No earlier than the end of its last child. */
  lastChildEndUs: number
  readonly tally: Tally | undefined
  /** Attempts: what progress told so far, for the case that no end tells it. */
  facts: { usage?: Usage | undefined; cost?: Cost | undefined; process?: ProcessFacts | undefined }
  /** How it ended, while one more event about it is awaited. */
  settled: Ending | undefined
  /** Attempts of agents: the agent's span, also when it has ended. */
  agentSpanId: string | undefined
  /** Open spans that end with this one: the agent of an attempt, the tools of an agent. */
  readonly inner: Set<string>
}

export interface Ending {
  readonly atUs: number
  readonly result: Result
  readonly failure?: Failure | undefined
  readonly attributes?: Attributes
}

interface Identity {
  readonly traceId: string
  readonly traceState: string | undefined
  readonly common: Attributes
  readonly pipeline: string
  readonly pageUrl: string
  readonly firstRunSpanId: string
}

export class RunSpans {
  /** Spans that ended with the current entry, children before parents. */
  ended: SpanRecord[] = []
  /** Log records of the current entry. */
  logs: LogRecord[] = []
  private identity: Identity | undefined
  private runSpanId: string | undefined
  /** By span id, in the order of opening: parents come before children. */
  private readonly spans = new Map<string, OpenSpan>()
  private readonly byVisit = new Map<string, OpenSpan>()
  private readonly byPath = new Map<string, OpenSpan>()
  private readonly byAttempt = new Map<string, OpenSpan>()
  /** Open spans that may get a marker, oldest first. */
  private markerQueue: OpenSpan[] = []
  private readonly baseUrl: string
  private readonly withMarkers: boolean

  constructor(options: { readonly pageUrl: string; readonly markers: boolean }) {
    this.baseUrl = options.pageUrl.replace(/\/+$/, '')
    this.withMarkers = options.markers
  }

  created(event: EventOf<'run.created'>): void {
    this.identity = {
      traceId: event.trace_id,
      traceState: event.inbound?.relation === 'parent' ? event.inbound.trace_state : undefined,
      common: { [ATTR.pipelineName]: bounded(event.pipeline.name), [ATTR.pipelineRunId]: event.run_id },
      pipeline: bounded(event.pipeline.name),
      pageUrl: `${this.baseUrl}/runs/${event.run_id}`,
      firstRunSpanId: event.span_id,
    }
  }

  /** Page of a visit (`nodes/<visit id>`) or an attempt (`attempts/<attempt id>`). */
  url(page: string): string {
    return `${this.identity?.pageUrl ?? ''}/${page}`
  }

  get pipeline(): string {
    return this.identity?.pipeline ?? ''
  }

  get firstRunSpanId(): string | undefined {
    return this.identity?.firstRunSpanId
  }

  get run(): OpenSpan | undefined {
    return this.runSpanId === undefined ? undefined : this.spans.get(this.runSpanId)
  }

  get size(): number {
    return this.spans.size
  }

  ofVisit(node: string, visit: number): OpenSpan | undefined {
    return this.byVisit.get(visitId(node, visit))
  }

  /** The open visit of a node path; the run for the empty path. */
  ofPath(path: string): OpenSpan | undefined {
    return path === '' ? this.run : this.byPath.get(path)
  }

  ofAttempt(id: string): OpenSpan | undefined {
    return this.byAttempt.get(id)
  }

  /** The open span of its agent. */
  agentOf(attempt: OpenSpan): OpenSpan | undefined {
    return attempt.agentSpanId === undefined ? undefined : this.spans.get(attempt.agentSpanId)
  }

  ofId(spanId: string): OpenSpan | undefined {
    return this.spans.get(spanId)
  }

  parentOf(spanId: string): OpenSpan | undefined {
    const parent = this.spans.get(spanId)?.opening.parentSpanId
    return parent === undefined ? undefined : this.spans.get(parent)
  }

  open(opening: Opening): OpenSpan | undefined {
    if (!this.identity || this.spans.has(opening.spanId)) return undefined
    const { subject } = opening
    const span: OpenSpan = {
      opening,
      attributes: { ...this.identity.common, ...opening.attributes },
      events: [],
      droppedEvents: 0,
      lastChildEndUs: 0,
      tally: subject === 'run' || subject === 'node' || subject === 'branch' ? emptyTally() : undefined,
      facts: {},
      settled: undefined,
      agentSpanId: undefined,
      inner: new Set(),
    }
    this.spans.set(opening.spanId, span)
    if (subject === 'run') this.runSpanId = opening.spanId
    if (subject === 'agent' || subject === 'tool') this.spans.get(opening.parentSpanId ?? '')?.inner.add(opening.spanId)
    if (opening.visit) {
      this.byVisit.set(visitId(opening.visit.node, opening.visit.visit), span)
      this.byPath.set(opening.visit.node, span)
    }
    if (opening.attemptId !== undefined) this.byAttempt.set(opening.attemptId, span)
    if (this.withMarkers && (subject === 'run' || subject === 'attempt')) this.markerQueue.push(span)
    return span
  }

  /** One more event and its log record. Nothing is added to a span that has ended: `span` is undefined then. */
  addEvent(span: OpenSpan | undefined, name: string, atUs: number, attributes: Attributes): void {
    if (!span) return
    const event: SpanEvent = { name, atUs, attributes }
    if (span.events.length < EVENTS_PER_SPAN) span.events.push(event)
    else span.droppedEvents += 1
    const { spanId } = span.opening
    this.logs.push(toLogRecord(event, { traceId: this.identity?.traceId ?? '', spanId, attributes: span.attributes }))
  }

  link(spanId: string, relation: string): SpanLink {
    return { traceId: this.identity?.traceId ?? '', spanId, remote: false, attributes: { [ATTR.link]: relation } }
  }

  inboundLink(inbound: InboundContext): SpanLink {
    return {
      traceId: inbound.trace_id,
      spanId: inbound.span_id,
      remote: true,
      attributes: { [ATTR.link]: LINK.inbound },
    }
  }

  /** The span has ended, but `release` (or the end of the execution) sends it: one more event belongs on it. */
  settle(spanId: string, ending: Ending): void {
    const span = this.spans.get(spanId)
    if (span) span.settled = ending
  }

  release(span: OpenSpan | undefined): void {
    if (span?.settled) this.close(span.opening.spanId, span.settled)
  }

  close(spanId: string, ending: Ending): void {
    const span = this.spans.get(spanId)
    if (!span) return
    for (const inner of span.inner) this.close(inner, innerEnding(this.spans.get(inner), ending))
    this.forget(span)
    const { status, attributes } = endingOf(ending.result, ending.failure)
    const result = span.opening.subject === 'run' ? ATTR.pipelineResult : ATTR.taskRunResult
    const record: SpanRecord = {
      ...this.recordOf(span),
      endUs: Math.max(ending.atUs, span.lastChildEndUs, span.opening.atUs + 1),
      status,
      attributes: { ...span.attributes, [result]: ending.result, ...attributes, ...ending.attributes },
    }
    this.countInParent(span, ending.result, record.endUs)
    this.ended.push(record)
  }

  /** Ends everything that is open, children before parents, with what is known of it. */
  closeAll(ending: Ending): void {
    this.closeBelow(undefined, ending)
    this.runSpanId = undefined
  }

  /** The same for everything but the span `keep`. */
  closeBelow(keep: string | undefined, ending: Ending): void {
    for (const span of [...this.spans.values()].reverse()) {
      if (span.opening.spanId !== keep)
        this.close(span.opening.spanId, span.settled ?? { ...ending, attributes: this.knownOf(span) })
    }
    this.markerQueue = []
  }

  openRecords(): OpenSpanRecord[] {
    return [...this.spans.values()].map((span) => ({ ...this.recordOf(span), attributes: { ...span.attributes } }))
  }

  /** Takes the spans that are still open and have been for `afterUs(span)`, each once. */
  takeForMarkers(nowUs: number, afterUs: (span: OpenSpan) => number): OpenSpanRecord[] {
    const waiting: OpenSpan[] = []
    const due: OpenSpanRecord[] = []
    for (const span of this.markerQueue) {
      if (this.spans.get(span.opening.spanId) !== span) continue
      if (span.opening.atUs + afterUs(span) <= nowUs) due.push({ ...this.recordOf(span), attributes: span.attributes })
      else waiting.push(span)
    }
    this.markerQueue = waiting
    return due
  }

  private forget(span: OpenSpan): void {
    const { spanId, visit, attemptId } = span.opening
    this.spans.delete(spanId)
    if (visit) {
      const id = visitId(visit.node, visit.visit)
      if (this.byVisit.get(id) === span) this.byVisit.delete(id)
      if (this.byPath.get(visit.node) === span) this.byPath.delete(visit.node)
    }
    if (attemptId !== undefined && this.byAttempt.get(attemptId) === span) this.byAttempt.delete(attemptId)
  }

  private countInParent(span: OpenSpan, result: Result, endUs: number): void {
    const parent = span.opening.parentSpanId === undefined ? undefined : this.spans.get(span.opening.parentSpanId)
    if (!parent) return
    parent.inner.delete(span.opening.spanId)
    parent.lastChildEndUs = Math.max(parent.lastChildEndUs, endUs)
    if (!parent.tally) return
    if (span.opening.subject === 'attempt') countAttempt(parent.tally, span.facts.usage, span.facts.cost)
    else if (span.tally) countChild(parent.tally, span.tally, result)
  }

  private knownOf(span: OpenSpan): Attributes {
    if (span.opening.subject === 'attempt') {
      return { ...usageAttributes(span.facts.usage, span.facts.cost), ...processAttributes(span.facts.process) }
    }
    if (!span.tally) return {}
    const { children, rollup } = span.tally
    const attributes: Attributes =
      span.opening.subject !== 'node' || children.total > 0 ? childrenAttributes(children) : {}
    if (span.opening.subject === 'node' && rollup.attempts > 0) attributes[ATTR.retryCount] = rollup.retries
    return { ...attributes, ...rollupAttributes(rollup) }
  }

  private recordOf(span: OpenSpan): Omit<SpanRecord, 'endUs' | 'status' | 'attributes'> {
    const { opening } = span
    return {
      subject: opening.subject,
      traceId: this.identity?.traceId ?? '',
      spanId: opening.spanId,
      parentSpanId: opening.parentSpanId,
      parentIsRemote: opening.parentIsRemote ?? false,
      traceState: this.identity?.traceState,
      name: opening.name,
      kind: opening.kind ?? 'INTERNAL',
      startUs: opening.atUs,
      events: span.events,
      droppedEvents: span.droppedEvents,
      links: opening.links ?? [],
    }
  }
}

/** An agent ends as its attempt does; of a tool that was still at work when its agent succeeded nobody knows the end. */
function innerEnding(inner: OpenSpan | undefined, { atUs, result, failure }: Ending): Ending {
  return inner?.opening.subject === 'tool' && !isFailed(result)
    ? { atUs, result: 'cancellation' }
    : { atUs, result, failure }
}
