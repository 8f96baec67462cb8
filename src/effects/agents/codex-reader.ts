// Owns: reading one launch of Codex: its stream, the rollout files beside it, and what both come to. The stream tells what
// was done, the rollouts which model was asked how often for how many tokens. Must not: trust the exit code alone.
import type { Tokens } from '../../core/outcome.ts'
import type { AgentEvent, AgentExit, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { codexError, type CodexError } from './codex-errors.ts'
import { itemEvents, subagentsOf } from './codex-items.ts'
import { ItemOrder } from './codex-order.ts'
import { Rollout, sameTokens } from './codex-rollout.ts'
import { threadsOf, type Threads } from './codex-threads.ts'
import { codexTokens } from './codex-tokens.ts'
import { codexVerdict } from './codex-verdict.ts'
import { asFields, asText, objectIn, type Fields } from './loose-json.ts'
import { AFTER_PART } from './partial-session.ts'
import { minus, NO_TOKENS, plus } from './spending.ts'

/**
 * Without a network it waits for one, for ever, and says so every 30 s. After so many times others take over: a retry, a
 * fallback.
 */
const NETWORK_WAITS = 4
type LimitKind = Extract<AgentEvent, { type: 'limit' }>['errorClass']
const RETRY = /^Reconnecting\.\.\. (?:\d+\/\d+ )?(.*)$/s

export class CodexReader implements AgentReader {
  readonly #request: AgentRequest
  readonly #threads: Threads
  #main: Rollout
  readonly #files = new Map<string, Rollout>()
  readonly #warned = new Set<string>()
  /** Arrival of the first line, epoch ms. */
  #since: number | undefined
  #thread: string | undefined
  #model: string | undefined
  #final: 'completed' | 'failed' | undefined
  #error: CodexError | undefined
  /** Tries that broke off after the answer had begun. */
  #brokenTries = 0
  /** Usage of the whole conversation, as the end of its turn tells it. */
  #total: Tokens | undefined
  /** The message with the highest number, as lines may have changed places. */
  #answer: { readonly text: string; readonly item: number } | undefined
  #toldAnswer: string | undefined
  readonly #tools = new Map<string, 'open' | 'done'>()
  readonly #order = new ItemOrder()
  #toolTurns = 0
  #networkWaits = 0
  #limit: LimitKind | undefined
  #subagentTokens = NO_TOKENS
  #mainTokens = NO_TOKENS

  constructor(request: AgentRequest) {
    this.#request = request
    this.#threads = threadsOf(request)
    const { session } = request
    if (session) {
      this.#threads.add(session.id)
      this.#main = new Rollout(false, { bytes: this.#threads.sizeOf(session.id), totals: session.totals })
    } else this.#main = new Rollout(false, { totals: NO_TOKENS })
  }

  stdout(line: string, at: number): readonly AgentEvent[] {
    this.#since ??= at
    const event = objectIn(line)
    switch (event?.['type']) {
      case 'thread.started':
        return this.#started(asText(event['thread_id']))
      case 'item.started':
      case 'item.updated':
      case 'item.completed':
        return this.#item(event['type'], asFields(event['item']) ?? {}, at)
      case 'turn.completed':
        return this.#completed(event)
      case 'turn.failed':
        return this.#failed(asText(asFields(event['error'])?.['message']) ?? '', at)
      case 'error':
        return this.#said(asText(event['message']) ?? '', at)
      default:
        return event ? [{ type: 'alive' }] : []
    }
  }

  /** Its log: errors that the stream does not tell. */
  stderr(line: string): readonly AgentEvent[] {
    const message = /^\S+Z\s+(?:ERROR|WARN)\s+(.+)$/.exec(line)?.[1]
    if (message === undefined || this.#warned.has(message) || this.#warned.size >= 100) return []
    this.#warned.add(message)
    return [{ type: 'warning', message }]
  }

  side(line: string, at: number, file: string): readonly AgentEvent[] {
    const rollout = this.#rolloutOf(file)
    const events = rollout.line(line, at)
    for (const event of events) {
      if (event.type === 'session') this.#model = event.model ?? this.#model
      if (event.type !== 'call' || !event.tokens) continue
      if (event.subagent) this.#subagentTokens = plus(this.#subagentTokens, event.tokens)
      else this.#mainTokens = plus(this.#mainTokens, event.tokens)
    }
    const { max_turns: max } = this.#request.spec
    if (rollout !== this.#main || max === undefined || rollout.requests < max || !rollout.goesOn) return events
    return [...events, ...this.#limitEvent('max_turns')]
  }

  end(exit: AgentExit, at: number): { readonly events: readonly AgentEvent[]; readonly verdict: Verdict } {
    // Its last word may lack its line end.
    const events = [...this.stdout(exit.rest, at)]
    const spent = this.#spent()
    if (spent) events.push(spent)
    if (this.#final === 'completed' && this.#toldAnswer !== this.#answer?.text) events.push(this.#result())
    const gaps = this.#gaps()
    const verdict = codexVerdict(
      {
        started: this.#thread !== undefined,
        final: this.#final,
        error: this.#error,
        limitEndsAt: this.#main.limitEndsAt,
        usageComplete: this.#usageComplete() && gaps.length === 0,
        limit: this.#limit,
        maxTurns: this.#request.spec.max_turns,
      },
      exit,
      at,
    )
    const warnings = [...gaps, ...(verdict.warnings ?? [])]
    return { events, verdict: warnings.length === 0 ? verdict : { ...verdict, warnings } }
  }

  #started(thread: string | undefined): readonly AgentEvent[] {
    if (thread === undefined) return [{ type: 'alive' }]
    // Another conversation than the one to go on with: nothing is known of what it had used.
    if (this.#thread === undefined && this.#request.session && this.#request.session.id !== thread)
      this.#main = new Rollout(false)
    this.#thread ??= thread
    this.#threads.add(thread)
    return [{ type: 'session', id: thread }]
  }

  #item(phase: string, item: Fields, at: number): readonly AgentEvent[] {
    this.#networkWaits = 0
    this.#order.add(phase, item, this.#final !== undefined)
    for (const thread of subagentsOf(item)) this.#threads.add(thread)
    const events = itemEvents(phase, item, at).filter((event) => this.#isNew(event))
    for (const event of events) if (event.type === 'text') this.#answered(event.text, asText(item['id']))
    // Without its rollout each round of tools stands for a request; one answer may ask for several rounds.
    const { max_turns: max } = this.#request.spec
    const counted = this.#files.size > 0 || max === undefined || this.#toolTurns < max
    return counted ? events : [...events, ...this.#limitEvent('max_turns')]
  }

  /** A tool call begins and ends once, though its end may come without its beginning. */
  #isNew(event: AgentEvent): boolean {
    if (event.type === 'tool.started') {
      if (this.#tools.has(event.id)) return false
      this.#tools.set(event.id, 'open')
    }
    if (event.type === 'tool.finished') {
      if (this.#tools.get(event.id) === 'done') return false
      this.#tools.set(event.id, 'done')
      if (![...this.#tools.values()].includes('open')) this.#toolTurns++
    }
    return true
  }

  #completed(event: Fields): readonly AgentEvent[] {
    this.#final = 'completed'
    this.#total = larger(codexTokens(event['usage']), this.#total)
    return [...(this.#total ? [{ type: 'totals', totals: this.#total } as const] : []), this.#result()]
  }

  #answered(text: string, id: string | undefined): void {
    const item = Number(/^item_(\d+)$/.exec(id ?? '')?.[1] ?? Number.NaN)
    if (!(item < (this.#answer?.item ?? -1))) this.#answer = { text, item }
  }

  #result(): AgentEvent {
    const text = this.#answer?.text
    this.#toldAnswer = text
    const structured = this.#request.spec.output_schema && text !== undefined ? objectIn(text) : undefined
    return { type: 'result', text, structured }
  }

  #failed(message: string, at: number): readonly AgentEvent[] {
    this.#final = 'failed'
    this.#error = codexError(message, at)
    return [this.#failedCall(this.#error, at), { type: 'result' }]
  }

  /** Before the end of the turn: a try that is made again, or the reason that `turn.failed` repeats. */
  #said(message: string, at: number): readonly AgentEvent[] {
    const again = RETRY.exec(message)?.[1]
    const error = codexError(again?.replace(/^\((.*)\)$/s, '$1') ?? message, at)
    if (again === undefined) {
      this.#error = error
      return [{ type: 'alive' }]
    }
    if (error.broken) this.#brokenTries++
    const { errorClass, httpStatus } = error
    const retry: AgentEvent = { type: 'retry', message: error.message, httpStatus, errorClass }
    this.#networkWaits = errorClass === 'network' ? this.#networkWaits + 1 : 0
    const limit = this.#networkWaits >= NETWORK_WAITS ? this.#limitEvent('network') : []
    if (errorClass === 'network') this.#error = error
    return [this.#failedCall(error, at), retry, ...limit]
  }

  #failedCall({ errorClass, message }: CodexError, at: number): AgentEvent {
    return { type: 'call', model: this.#model ?? this.#request.spec.model, endedAt: at, error: { errorClass, message } }
  }

  #rolloutOf(file: string): Rollout {
    const known = this.#files.get(file)
    if (known) return known
    const other = this.#threads.isOfAnother(file, this.#thread ?? this.#request.session?.id)
    const rollout = other ? new Rollout(true, { since: this.#since }) : this.#main
    this.#files.set(file, rollout)
    return rollout
  }

  #limitEvent(errorClass: LimitKind): readonly AgentEvent[] {
    if (this.#limit !== undefined || this.#final !== undefined) return []
    this.#limit = errorClass
    return [{ type: 'limit', errorClass }]
  }

  /** What this launch used of its conversation, by the total that the end of the turn tells. */
  get #used(): Tokens | undefined {
    const { before } = this.#main
    return this.#total && before && minus(this.#total, before)
  }

  /** What it had used before is known in part only, and its file tells no more. */
  get #isAfterPart(): boolean {
    const { session } = this.#request
    return session?.partial === true && this.#main.before === session.totals
  }

  /** Only where the requests that were told do not add up to it. */
  #spent(): AgentEvent | undefined {
    const used = this.#used
    if (!used || sameTokens(used, this.#mainTokens)) return undefined
    const turns = this.#main.requests > 0 ? this.#main.requests : this.#toolTurns + 1
    return { type: 'spent', tokens: plus(used, this.#subagentTokens), turns }
  }

  #gaps(): readonly string[] {
    const isOver = this.#final === 'completed'
    const hasBeginning = !isOver || this.#thread !== undefined
    return [
      ...(hasBeginning ? [] : ['the beginning of its stream is missing']),
      ...(isOver && this.#isAfterPart ? [AFTER_PART] : []),
      ...this.#order.gaps(isOver),
    ]
  }

  #usageComplete(): boolean {
    if (this.#brokenTries > 0 || this.#error?.broken) return false
    const rollouts = [...this.#files.values()]
    const subagents = rollouts.filter((rollout) => rollout !== this.#main)
    if (subagents.some((rollout) => rollout.requestOpen)) return false
    if (this.#threads.count > 1 + subagents.length) return false
    if (this.#used) return !this.#isAfterPart
    return this.#thread !== undefined && this.#files.size > 0 && !this.#main.requestOpen
  }
}

/** Totals only grow. */
const larger = (a: Tokens | undefined, b: Tokens | undefined): Tokens | undefined =>
  a && b ? (a.input + a.cache_read + a.output < b.input + b.cache_read + b.output ? b : a) : (a ?? b)
