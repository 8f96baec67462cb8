// Owns: what each event says in one line: its state, where it happened, what happened and why. Used by plain progress
// and by `events`. One row per event type, so that a new event does not compile without its line.
// Must not: keep anything between events.
import type { Event, EventOf, EventType } from '../../core/events.ts'
import type { Actor } from '../../core/event-values.ts'
import { amountOf } from '../../core/budgets.ts'
import { originalCause, type Failure } from '../../core/failure.ts'
import { attemptId, visitId } from '../../core/ids.ts'
import { fromTimestamp } from '../../core/time.ts'
import { count, counted, elapsed, timeOfDay, usd } from '../terminal/amounts.ts'
import { markOf, type Mark } from '../terminal/style.ts'
import { costText, questionText, usageText } from '../agent-words.ts'
import { shortMessage } from '../cause.ts'
import { cleanLine } from '../terminal/text.ts'

export interface EventText {
  readonly mark: Mark
  /** Run, node, branch or attempt. */
  readonly where: string
  readonly what: string
  /** Told in the plain progress of a run; the others only by `events`. */
  readonly progress: boolean
}

/** The line of an event. Text that comes from steps is cleaned. */
export function eventText(event: Event): EventText {
  const text = (TEXT[event.type] as (event: Event) => EventText)(event)
  return { ...text, where: cleanLine(text.where), what: cleanLine(text.what) }
}

type Text<T extends EventType> = (event: EventOf<T>) => EventText
const told = (mark: Mark, where: string, what: string): EventText => ({ mark, where, what, progress: true })
const untold = (mark: Mark, where: string, what: string): EventText => ({ mark, where, what, progress: false })

/** `exit_nonzero: Command exited with code 1`; the original cause where it is another. */
export function failureText(failure: Failure | undefined): string {
  if (!failure) return ''
  const cause = originalCause(failure)
  if (failure.code === 'canceled') return failure.message
  const own = `${failure.code}: ${shortMessage(failure)}`
  return cause === failure || failure.message.includes(cause.message)
    ? own
    : `${own} (${cause.code}: ${shortMessage(cause)})`
}

const because = (failure: Failure | undefined): string => (failure ? `: ${failureText(failure)}` : '')
const place = (event: { readonly node: string; readonly visit: number }): string =>
  event.visit > 1 ? visitId(event.node, event.visit) : event.node
const lane = (event: EventOf<'branch.started' | 'branch.finished'>): string => `${place(event)}:${event.branch.key}`
const ended = (result: string): string =>
  result === 'success'
    ? 'succeeded'
    : result === 'cancellation'
      ? 'canceled'
      : result === 'timeout'
        ? 'timed out'
        : result === 'skip'
          ? 'skipped'
          : result === 'error'
            ? 'ended in error'
            : 'failed'
const by = (actor: Actor): string => actor.user ?? actor.signal ?? actor.kind
const step = (event: { readonly node: string; readonly visit: number; readonly attempt: number }): string =>
  attemptId(event.node, event.visit, event.attempt)
const ownerOf = (event: { readonly node?: string | undefined; readonly visit?: number | undefined }): string =>
  event.node ?? 'run'

/** What is new, all of it: each kind of news may come alone. */
function newsText({
  turn,
  usage,
  cost,
  session,
  process,
  output_bytes: output,
}: EventOf<'attempt.progressed'>): string {
  const news = [
    turn === undefined ? '' : `turn ${turn}`,
    usage === undefined ? '' : usageText(usage),
    cost === undefined ? '' : costText(cost),
    session === undefined ? '' : `session ${session.id}`,
    process?.pid === undefined ? '' : `pid ${process.pid}`,
    output === undefined ? '' : `${count(output)} bytes of output`,
  ].filter((text) => text !== '')
  return news.length === 0 ? 'is at work' : news.join(', ')
}

/** An agent's questions with their options; the gate's own question is their sum. */
function askedText({ question, questions = [] }: EventOf<'gate.opened'>): string {
  if (questions.length === 0) return question
  return questions.map((asked, at) => `${questions.length > 1 ? `${at + 1}. ` : ''}${questionText(asked)}`).join('  ')
}

const STALL_ACTIONS: { readonly [action: string]: string } = { end: 'it is ended', wait: 'it goes on' }

/** `, claude claude-sonnet-5 (fallback)`. */
function byAgent({ agent, model, chosen }: EventOf<'attempt.started'>): string {
  if (agent === undefined) return ''
  return `, ${agent}${model === undefined ? '' : ` ${model}`}${chosen === undefined ? '' : ` (${chosen})`}`
}

function calledText({ model, usage, cost, error, started_at, ended_at }: EventOf<'model.called'>): string {
  const took = fromTimestamp(ended_at) - fromTimestamp(started_at)
  const facts = [
    `called ${model ?? 'the model'}${took > 0 ? ` for ${elapsed(took)}` : ''}`,
    usage && usageText(usage),
    cost && costText(cost),
  ].filter((fact) => fact !== undefined && fact !== '')
  return `${facts.join(', ')}${error === undefined ? '' : `: ${error.code}: ${error.message}`}`
}

function reservedText({ usd: money, tokens: count }: EventOf<'budget.reserved'>): string {
  const parts = [
    money === undefined || money === 0 ? '' : usd(money),
    count === undefined || count === 0 ? '' : counted(count, 'token'),
  ].filter((part) => part !== '')
  return parts.length === 0 ? 'gives back what it had reserved' : `reserves ${parts.join(' and ')} for its next call`
}

const TEXT: { readonly [T in EventType]: Text<T> } = {
  'run.created': (event) => told('running', event.run_id, `${event.pipeline.name} started, trace ${event.trace_id}`),
  'run.resumed': (event) =>
    told(
      'running',
      'run',
      event.retry
        ? `goes on in execution ${event.execution}: retry of ${event.retry.nodes.join(', ')}`
        : `goes on in execution ${event.execution}`,
    ),
  'run.cancel_requested': (event) =>
    told(
      'canceled',
      'run',
      `${event.force ? 'cancel by force' : 'cancel'} requested by ${by(event.by)}: ${event.failure.message}`,
    ),
  'run.interrupted': (event) =>
    told('error', 'run', `execution ${event.execution} interrupted${because(event.failure)}`),
  'run.concluded': (event) => untold(markOf(event.result), 'run', `all nodes have their results: ${event.result}`),
  'run.finished': (event) =>
    told(
      markOf(event.result),
      'run',
      `${ended(event.result)} in ${elapsed(event.duration_ms)}${because(event.failure)}`,
    ),
  'node.started': (event) => ({
    ...told('running', place(event), `started (${event.via})${because(event.failure)}`),
    progress: !['run', 'agent', 'call'].includes(event.kind),
  }),
  'node.skipped': (event) => told('skipped', place(event), `skipped${because(event.failure)}`),
  'node.finished': (event) => ({
    ...told(
      event.failure?.code === 'breaker_open' ? 'breaker' : markOf(event.result),
      place(event),
      `${ended(event.result)}${event.partial === true ? ' (partial)' : ''}${event.label === undefined ? '' : `, label ${event.label}`}${event.retry_count > 0 ? ` after ${counted(event.retry_count, 'retry', 'retries')}` : ''}${event.tolerated === true ? ' (allowed)' : ''}${because(event.failure)}`,
    ),
    // A node that succeeded at its first attempt has been told by its attempt.
    progress: !(['run', 'agent', 'call'].includes(event.kind) && event.result === 'success' && event.retry_count === 0),
  }),
  'fanout.expanded': (event) => ({
    ...told('running', place(event), counted(event.total, 'branch', 'branches')),
    progress: event.offset === 0,
  }),
  'branch.started': (event) => untold('running', lane(event), 'started'),
  'branch.finished': (event) =>
    told(markOf(event.result), lane(event), `${ended(event.result)}${because(event.failure)}`),
  'attempt.started': (event) =>
    told(
      'running',
      step(event),
      `started${event.max > 1 ? ` (attempt ${event.attempt} of ${event.max})` : ''}${byAgent(event)}`,
    ),
  'attempt.progressed': (event) => ({
    ...untold('running', step(event), event.text ?? newsText(event)),
    progress: event.text !== undefined,
  }),
  'attempt.waiting': (event) =>
    told(
      'waiting',
      step(event),
      `waits until ${timeOfDay(fromTimestamp(event.due_at))} (wait ${event.wait})${because(event.failure)}`,
    ),
  'attempt.acted': (event) =>
    untold('running', step(event), `main action succeeded in ${elapsed(event.duration_ms)}, checks follow`),
  'attempt.finished': (event) =>
    told(
      markOf(event.result),
      step(event),
      `${ended(event.result)} in ${elapsed(event.duration_ms)}${event.cost === undefined ? '' : `, ${costText(event.cost)}`}${because(event.failure)}`,
    ),
  'attempt.lost': (event) => told('error', step(event), `lost${because(event.failure)}`),
  'retry.scheduled': (event) =>
    told(
      'retrying',
      step(event),
      `attempt ${event.next_attempt} of ${event.max} in ${elapsed(event.delay_ms)}${because(event.failure)}`,
    ),
  'retry_context.assembled': (event) =>
    untold(
      'running',
      step(event),
      `is told of ${counted(event.prior_attempt_ids.length, 'earlier attempt')} (${count(event.bytes)} bytes)`,
    ),
  'check.started': (event) => untold('running', event.attempt_id ?? place(event), `check ${event.name} started`),
  'check.finished': (event) =>
    told(
      event.passed ? 'success' : 'failure',
      event.attempt_id ?? place(event),
      `check ${event.name} ${event.passed ? 'passed' : event.required ? 'failed' : 'failed (not required)'}${because(event.failure)}`,
    ),
  'hook.started': (event) => untold('running', ownerOf(event), `hook ${event.hook} ${event.name} started`),
  'hook.finished': (event) => ({
    ...told(
      event.passed ? 'success' : 'failure',
      ownerOf(event),
      `hook ${event.hook} ${event.name} ${event.passed ? 'succeeded' : 'failed'}${because(event.failure)}`,
    ),
    progress: !event.passed,
  }),
  'gate.opened': (event) =>
    told('gate', place(event), `waits for an answer: ${askedText(event)} (${event.choices.join(', ')})`),
  'gate.answered': (event) =>
    told(
      'success',
      place(event),
      `${event.choice}, answered by ${by(event.by)}${event.comment === undefined ? '' : `: ${event.comment}`}`,
    ),
  'gate.expired': (event) =>
    told('timeout', place(event), `expired${event.default === undefined ? '' : `, becomes ${event.default}`}`),
  'timer.fired': (event) => untold('running', event.attempt_id ?? event.node ?? 'run', `timer ${event.timer} fired`),
  'route.taken': (event) =>
    told('running', place(event), `goes to ${event.to}${event.label === undefined ? '' : ` (${event.label})`}`),
  'route.ignored': (event) => told('skipped', place(event), `does not enter ${event.to}: ${event.reason}`),
  'signature.counted': (event) =>
    untold('failure', place(event), `signature ${event.signature} seen ${counted(event.count, 'time')}`),
  'breaker.opened': (event) =>
    told(
      'breaker',
      place(event),
      `breaker open: the same failure ${counted(event.count, 'time')}${because(event.failure)}`,
    ),
  'budget.warned': (event) =>
    told(
      'gate',
      event.scope || 'run',
      `budget: ${amountOf(event.budget, event.used)} of ${amountOf(event.budget, event.limit)} used`,
    ),
  'budget.exceeded': (event) =>
    told('failure', event.scope || 'run', `budget ${event.budget} used up (${event.mode})${because(event.failure)}`),
  'outcome.normalized': (event) =>
    told(
      'success',
      step(event),
      `outcome read from ${event.source}${event.message === undefined ? '' : `: ${event.message}`}`,
    ),
  'outcome.conflict': (event) => told('error', step(event), event.message),
  'stall.detected': (event) =>
    told(
      'timeout',
      step(event),
      `stalled: ${event.reason} for ${elapsed(event.idle_ms)}, ${STALL_ACTIONS[event.action] ?? event.action}`,
    ),
  'processes.ended': (event) =>
    told(
      'canceled',
      event.attempt_id ?? 'run',
      `ended ${counted(event.processes.length + (event.omitted ?? 0), 'process', 'processes')} left behind: ${event.processes.map(({ pid, command }) => `${pid} ${command}`).join(', ')}`,
    ),
  'log.capped': (event) => told('error', step(event), `${event.stream} is cut at ${count(event.limit_bytes)} bytes`),
  'budget.reserved': (event) => untold('running', step(event), reservedText(event)),
  'model.called': (event) => untold(event.error === undefined ? 'success' : 'error', step(event), calledText(event)),
  'tool.started': (event) => untold('running', step(event), `uses ${event.tool}`),
  'tool.finished': (event) =>
    untold(
      event.ok ? 'success' : 'failure',
      step(event),
      `${event.tool} ${event.ok ? 'succeeded' : 'failed'}${event.exit_code === undefined || event.exit_code === 0 ? '' : ` with exit code ${event.exit_code}`}${event.error === undefined ? '' : `: ${event.error}`}`,
    ),
  'summary.started': (event) => untold('running', place(event), 'its failures are summed up'),
  'summary.failed': (event) => untold('skipped', place(event), 'there is no summary of its failures'),
  'failure.summarized': (event) => told('skipped', place(event), `summary of its failures (generated): ${event.text}`),
  'warning.raised': (event) =>
    told('error', event.attempt_id ?? event.node ?? 'run', `warning ${event.code}: ${event.message}`),
}
