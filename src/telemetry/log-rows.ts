// Owns: span event → log record: its severity, and one sentence for people. Never prompts: only what the span event
// itself carries, and the words of failures, which the journal has masked and bounded.
import { formatDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import type { LogRecord } from './log-record.ts'
import { ATTR, SPAN_EVENT } from './names.ts'
import { bounded } from './span-attributes.ts'
import type { Attributes, SpanEvent } from './span-record.ts'

type Name = (typeof SPAN_EVENT)[keyof typeof SPAN_EVENT]

interface LogRow {
  readonly severity: LogRecord['severity']
  /** What happened to `who` (a node path, or the run). */
  readonly say: (who: string, event: Attributes) => string
}

const text = (value: Attributes[string] | undefined): string => (value === undefined ? '' : String(value))
const why = (event: Attributes): string => {
  const message = event[ATTR.failureMessage]
  return message === undefined ? '' : `: ${text(message)}`
}
/** The words of the failure. */
const told = (event: Attributes, otherwise: string): string => text(event[ATTR.failureMessage]) || otherwise
const length = (value: Attributes[string] | undefined): string => formatDuration(Number(value ?? 0))

/** A signal, or what the pipeline says: to go on waiting, or to end the attempt. */
function stallAction(event: Attributes): string {
  const action = text(event[ATTR.stallAction])
  if (action === 'wait') return 'it goes on'
  return action === 'end' ? 'it is ended' : `ended by ${action}`
}

/** Whether a failed attempt is the end of its node is not known when it ends: the retry or the node's end says so. */
const LOG_ROWS: { readonly [N in Name]: LogRow } = {
  [SPAN_EVENT.attemptFailed]: {
    severity: 'WARN',
    say: (who, event) => `${who}: attempt ${text(event[ATTR.attemptNumber])} failed${why(event)}`,
  },
  [SPAN_EVENT.retryScheduled]: {
    severity: 'WARN',
    say: (who, event) =>
      `${who}: attempt ${text(event[ATTR.nextAttempt])} of ${text(event[ATTR.attemptMax])} follows in ${length(event[ATTR.retryDelayMs])}${why(event)}`,
  },
  [SPAN_EVENT.attemptWaiting]: {
    severity: 'INFO',
    say: (who, event) => `${who}: waits for a limit until ${text(event[ATTR.dueAt])}${why(event)}`,
  },
  [SPAN_EVENT.stallDetected]: {
    severity: 'WARN',
    say: (who, event) =>
      `${who}: no progress for ${length(event[ATTR.idleMs])} (${text(event[ATTR.stallReason])}), ${stallAction(event)}`,
  },
  [SPAN_EVENT.checkFailed]: {
    severity: 'WARN',
    say: (who, event) => `${who}: ${told(event, `check ${text(event[ATTR.checkName])} failed`)}`,
  },
  [SPAN_EVENT.hookFailed]: {
    severity: 'WARN',
    say: (who, event) => `${who}: ${told(event, `hook ${text(event[ATTR.hookName])} failed`)}`,
  },
  [SPAN_EVENT.failureSummarized]: {
    severity: 'INFO',
    say: (who, event) => `${who}: summary of its failures (generated): ${text(event[ATTR.summaryText])}`,
  },
  [SPAN_EVENT.routeTaken]: {
    severity: 'INFO',
    say: (who, event) => `${who}: goes on at ${text(event[ATTR.routeTo])}`,
  },
  [SPAN_EVENT.gateOpened]: {
    severity: 'INFO',
    say: (who, event) => {
      const choices = event[ATTR.gateChoices]
      return `${who}: waits for an answer (${Array.isArray(choices) ? choices.join(', ') : text(choices)})`
    },
  },
  [SPAN_EVENT.gateAnswered]: {
    severity: 'INFO',
    say: (who, event) => `${who}: answered ${text(event[ATTR.gateChoice])} (${text(event[ATTR.gateBy])})`,
  },
  [SPAN_EVENT.gateExpired]: {
    severity: 'ERROR',
    say: (who, event) =>
      `${who}: nobody answered in time${event[ATTR.gateDefault] === undefined ? '' : `, the answer is ${text(event[ATTR.gateDefault])}`}`,
  },
  [SPAN_EVENT.breakerOpened]: { severity: 'ERROR', say: (who, event) => told(event, `${who}: stopped by its breaker`) },
  [SPAN_EVENT.budgetWarned]: {
    severity: 'WARN',
    say: (_who, event) => {
      const used = Math.round((Number(event[ATTR.budgetUsed]) / Number(event[ATTR.budgetLimit])) * 100)
      return `${text(event[ATTR.budgetScope]) || 'the run'}: ${used} % of its budget of ${text(event[ATTR.budgetKind])} is used`
    },
  },
  [SPAN_EVENT.budgetExceeded]: { severity: 'ERROR', say: (who, event) => told(event, `${who}: a budget is used up`) },
}

/** The log record of a span event. `of` is the span: its ids, and the attributes that say whose event it is. */
export function toLogRecord(
  event: SpanEvent,
  of: { readonly traceId: string; readonly spanId: string; readonly attributes: Attributes },
): LogRecord {
  const row = LOG_ROWS[event.name as Name]
  const attributes = { ...ownerOf(of.attributes), ...event.attributes }
  const who = text(attributes[ATTR.nodePath]) || 'the run'
  return {
    name: event.name,
    atUs: event.atUs,
    traceId: of.traceId,
    spanId: of.spanId,
    severity: row.severity,
    body: bounded(row.say(who, event.attributes), LIMITS.messageChars),
    attributes,
  }
}

const OWNER = [
  ATTR.pipelineName,
  ATTR.pipelineRunId,
  ATTR.taskName,
  ATTR.nodePath,
  ATTR.nodeVisit,
  ATTR.attemptId,
] as const

function ownerOf(span: Attributes): Attributes {
  const owner: Attributes = {}
  for (const name of OWNER) if (span[name] !== undefined) owner[name] = span[name]
  return owner
}
