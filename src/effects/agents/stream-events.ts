// Owns: from what a client tells to what goes on record while it runs: requests and tool calls with spans of their own,
// spend, progress. Content only when it is captured; all of it masked and bounded.
import { spanIdOf } from '../../core/ids.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Observation } from '../../core/events.ts'
import type { Cost, Usage } from '../../core/outcome.ts'
import { toTimestamp } from '../../core/time.ts'
import { CAPTURE } from '../agent-telemetry.ts'
import type { Standing } from '../attempt-conclusion.ts'
import { lastBytes, oneLine, shortened } from '../reason.ts'
import { warningEvent } from '../status-files.ts'
import type { AgentEvent } from './adapter.ts'
import { codeOf } from './outcome.ts'
import type { RecordBuilder } from './record.ts'
import type { PriceOf } from './spending.ts'

type CallEvent = Extract<AgentEvent, { type: 'call' }>
type StartedEvent = Extract<AgentEvent, { type: 'tool.started' }>
type FinishedEvent = Extract<AgentEvent, { type: 'tool.finished' }>

/** Text of an answer, output of a tool, in an event. */
const CONTENT_BYTES = 16 * 1024
const PROGRESS_CHARS = 500
const ERROR_CHARS = 300

export interface EventRecorderOptions {
  readonly standing: Standing
  readonly record: RecordBuilder
  readonly priceOf: PriceOf
  readonly agent: string
}

export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #content: boolean
  readonly #openTools = new Map<string, { readonly spanId: string; readonly name: string }>()
  readonly #toldCalls = new Set<string>()
  #launch = 0
  #onRecord = 0
  #unnamed = 0
  #warned = false
  #pending: { readonly event: CallEvent; readonly startedAt: number } | undefined
  /** Since when the model has been at work, as far as nobody tells. */
  #idleSince = Date.now()
  #prompt: string | undefined

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#content = options.standing.ground.context.env[CAPTURE]?.trim() === 'content'
  }

  nextLaunch(launch: number, prompt: string, at: number): void {
    this.#launch = launch
    this.#prompt = prompt
    this.#idleSince = at
  }

  /** Takes an event that is fit for the record (fit-event.ts). */
  take(told: AgentEvent): void {
    const { record } = this.#options
    const event = this.#distinct(told)
    if (event.type !== 'call' || event.id === undefined || event.id !== this.#pending?.event.id) this.#tellPending()
    if (record.add(event)) this.#tellUsage()
    switch (event.type) {
      case 'call':
        this.#pending = { event: { ...this.#pending?.event, ...event }, startedAt: event.startedAt ?? this.#idleSince }
        this.#idleSince = Math.max(this.#idleSince, event.endedAt)
        break
      case 'tool.started':
        this.#toolStarted(event)
        break
      case 'tool.finished':
        this.#idleSince = Math.max(this.#idleSince, event.at)
        this.#toolFinished(event)
        break
      case 'session':
        if (event.id !== undefined) this.#progressed({ session: { id: event.id, agent: this.#options.agent } })
        break
      case 'text':
        this.#progressed({ text: shortened(oneLine(event.text), PROGRESS_CHARS) })
        break
      default:
    }
  }

  /** No more events of this launch: what is open has ended with it. */
  end(at: number): void {
    this.#tellPending()
    for (const id of [...this.#openTools.keys()])
      this.#toolFinished({ type: 'tool.finished', id, ok: false, output: '', error: 'ended with the attempt', at })
  }

  /** Ids of a client may begin anew with every launch. */
  #distinct(event: AgentEvent): AgentEvent {
    if (this.#launch <= 1 || !('id' in event) || event.id === undefined || event.type === 'session') return event
    return event.type === 'reserve' ? event : { ...event, id: `${event.id}#${this.#launch}` }
  }

  #tell(observation: Observation): void {
    const { ground, report } = this.#options.standing
    report.observed(ground.context.mask.event(observation))
  }

  #progressed(news: Pick<Extract<Observation, { type: 'attempt.progressed' }>, 'session' | 'text' | 'turn'>): void {
    this.#tell({ type: 'attempt.progressed', ...this.#options.standing.subject, ...news })
  }

  #tellUsage(): void {
    const spent = this.#options.record.spending.soFar()
    if (!spent) return
    this.#options.standing.report.usage(spent.usage, spent.cost)
    if (spent.usage.turns !== undefined) this.#progressed({ turn: spent.usage.turns })
  }

  /** False: enough of them are on record. */
  #hasRoom(): boolean {
    if (this.#onRecord++ < LIMITS.callsOnRecord) return true
    if (this.#warned) return false
    this.#warned = true
    const { standing, agent } = this.#options
    const message = `${agent} made more than ${LIMITS.callsOnRecord} calls of models and tools: later ones are counted, but not put on record one by one`
    standing.report.observed(
      warningEvent({ code: 'calls_omitted', message }, standing.subject.node, standing.command.id),
    )
    return false
  }

  #span(what: string): { readonly span_id: string; readonly parent_span_id: string } {
    const { ground, command } = this.#options.standing
    const id = spanIdOf(ground.context.runId, 0, `${what} of ${command.id} launch ${this.#launch}`)
    return { span_id: id, parent_span_id: command.place.span_id }
  }

  #toolStarted(event: StartedEvent): void {
    if (this.#openTools.has(event.id) || !this.#hasRoom()) return
    const span = this.#span(`tool ${event.id}`)
    this.#openTools.set(event.id, { spanId: span.span_id, name: event.name })
    this.#tell({
      type: 'tool.started',
      ...this.#options.standing.subject,
      ...span,
      started_at: toTimestamp(event.at),
      call_id: event.id,
      tool: event.name,
      ...(this.#content && { input: shortened(JSON.stringify(event.input) ?? '', LIMITS.toolInputBytes) }),
    })
  }

  #toolFinished(event: FinishedEvent): void {
    const open = this.#openTools.get(event.id)
    if (!open) return
    this.#openTools.delete(event.id)
    this.#tell({
      type: 'tool.finished',
      ...this.#options.standing.subject,
      span_id: open.spanId,
      ended_at: toTimestamp(event.at),
      call_id: event.id,
      tool: open.name,
      ok: event.ok,
      ...(event.exitCode !== undefined && { exit_code: event.exitCode }),
      ...(event.error !== undefined && { error: shortened(oneLine(event.error), ERROR_CHARS) }),
      ...(this.#content && { output: lastBytes(event.output, CONTENT_BYTES) }),
    })
  }

  /** A request is put on record once: when the next event shows that all is known of it. */
  #tellPending(): void {
    const pending = this.#pending
    this.#pending = undefined
    if (!pending) return
    const { event, startedAt } = pending
    const id = event.id ?? `#${++this.#unnamed}`
    if (this.#toldCalls.has(id) || !this.#hasRoom()) return
    this.#toldCalls.add(id)
    const input = this.#content ? this.#prompt : undefined
    this.#prompt = undefined
    const { usage, cost } = this.#spentBy(event)
    this.#tell({
      type: 'model.called',
      ...this.#options.standing.subject,
      ...this.#span(`call ${id}`),
      started_at: toTimestamp(Math.min(startedAt, event.endedAt)),
      ended_at: toTimestamp(event.endedAt),
      ...(usage?.model !== undefined && { model: usage.model }),
      ...(event.id !== undefined && { response_id: event.id }),
      ...(event.finishReason !== undefined && { finish_reason: event.finishReason }),
      ...(usage && event.tokens && { usage, cost }),
      ...(event.error && {
        error: { code: codeOf(event.error.errorClass), message: shortened(oneLine(event.error.message), ERROR_CHARS) },
      }),
      ...(event.subagent && { subagent: true }),
      ...(input !== undefined && { input: shortened(input, CONTENT_BYTES) }),
      ...(this.#content && event.text !== undefined && { output: lastBytes(event.text, CONTENT_BYTES) }),
    })
  }

  #spentBy({ model, tokens, usd }: CallEvent): { readonly usage: Usage; readonly cost: Cost } {
    const name = model ?? this.#options.record.spending.model
    const none = { input: 0, cache_read: 0, cache_write: 0, output: 0 }
    const usage: Usage = { ...(tokens ?? none), ...(name !== undefined && { model: name }) }
    if (usd !== undefined) return { usage, cost: { usd, source: 'reported' } }
    const computed = name === undefined || !tokens ? undefined : this.#options.priceOf(name, tokens)
    return {
      usage,
      cost: computed === undefined ? { usd: null, source: 'unknown' } : { usd: computed, source: 'computed' },
    }
  }
}
