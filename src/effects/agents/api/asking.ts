// Owns: one turn of the model as the conversation wants it: leave to spend first, then the request, then again when that
// may help (few times, each one said). Must not: know what the answer is for.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LanguageModel, ModelMessage } from 'ai'
import type { JsonObject } from '../../../core/json.ts'
import type { Tokens } from '../../../core/outcome.ts'
import { priceOf } from '../pricing.ts'
import { exchange, type Exchange } from './exchange.ts'
import type { ApiRequest, ApiResult } from './protocol.ts'
import type { ProviderError } from './provider-error.ts'
import type { Wire } from './wire.ts'

/** Ends the conversation. */
export type Ending = Omit<ApiResult, 'requests' | 'usage_complete'>

/** A longer wait is left to the run, where it is seen and takes no slot. */
const LONGEST_WAIT_MS = 5_000
/** Between questions whether it may spend now, and how many of them. */
const FIRST_WAIT_MS = 100
const NEXT_WAIT_MS = 1_000
const MOST_ASKED = 3_600
/** Nobody gives back what is spent, and nobody answers when the run is gone. */
const FINAL = /\bused up\b|nobody answers|has ended/
const KILLED: Ending = { status: 'killed', message: 'ended by a signal' }
const CHARS_PER_TOKEN = 4
/** About what the tools' descriptions take. */
const TOOLS_TOKENS = 1_000
const NO_SCHEMA = /response_format|json_schema|output_format|output_config|structured output|text\.format/i

export class Asking {
  /** Requests that were ended, well or not. */
  requests = 0
  usageComplete = true
  readonly #request: ApiRequest
  readonly #model: LanguageModel
  readonly #system: string
  readonly #wire: Wire
  readonly #signal: AbortSignal
  /** Asked of the provider until it says that it cannot. */
  #schema: JsonObject | undefined
  readonly #warned = new Set<string>()
  /** The last answer's tokens, and how much text there was with it. */
  #known = { tokens: 0, chars: 0 }

  constructor(request: ApiRequest, model: LanguageModel, context: { system: string; wire: Wire; signal: AbortSignal }) {
    this.#request = request
    this.#model = model
    this.#system = context.system
    this.#wire = context.wire
    this.#signal = context.signal
    this.#schema = request.output_schema
  }

  /** The model's turn, or why there is none. */
  async turn(messages: readonly ModelMessage[]): Promise<Exchange | Ending> {
    for (let failures = 0; ;) {
      const refused = await this.#reserve(messages)
      if (refused) return refused
      const answer = await this.#send(messages)
      if (answer.aborted) return KILLED
      if (!answer.error) {
        this.#remember(answer.tokens, messages, answer.messages)
        return answer
      }
      if (this.#schema && answer.error.errorClass === 'bad_request' && NO_SCHEMA.test(answer.error.message)) {
        this.#schema = undefined
        this.#wire.say({
          type: 'warning',
          message: `the provider takes no schema for answers: ${answer.error.message}`,
        })
        continue
      }
      const waitMs = this.#waitBefore(answer.error, failures)
      if (waitMs === undefined) return ended(answer.error)
      failures++
      this.#wire.say({
        type: 'retry',
        message: answer.error.message,
        error_class: answer.error.errorClass,
        delay_ms: waitMs,
        ...(answer.error.httpStatus !== undefined && { http_status: answer.error.httpStatus }),
      })
      await sleep(waitMs, undefined, { signal: this.#signal }).catch(() => {})
      if (this.#signal.aborted) return KILLED
    }
  }

  #waitBefore(error: ProviderError, failures: number): number | undefined {
    if (!error.retryable || failures >= this.#request.max_retries) return undefined
    const wait = Math.max(error.retryAfterMs ?? 0, this.#request.retry_delay_ms * 2 ** failures)
    return wait > LONGEST_WAIT_MS && error.retryAfterMs !== undefined ? undefined : Math.min(wait, LONGEST_WAIT_MS)
  }

  /**
   * Asks for leave to spend what the request can cost at most. What is refused because of others' requests under way is
   * asked again: they end, and give back what they did not need. Undefined: granted.
   */
  async #reserve(messages: readonly ModelMessage[]): Promise<Ending | undefined> {
    const { model, provider, base_url: baseUrl, prices = {}, max_output_tokens: output } = this.#request
    const input = this.#promptTokens(messages)
    const usd = priceOf(model, { input, cache_read: 0, cache_write: 0, output }, prices, { provider, baseUrl })
    for (let asked = 1, waitMs = FIRST_WAIT_MS; ; asked++, waitMs = Math.min(2 * waitMs, NEXT_WAIT_MS)) {
      const id = `reserve-${this.requests + 1}-${asked}`
      const amount = { tokens: input + output, ...(usd !== undefined && { usd }) }
      const answer = await this.#wire.reserve(id, amount, this.#signal)
      if (this.#signal.aborted) return KILLED
      if (answer.type === 'grant') return undefined
      const reason = answer.reason ?? 'no more may be spent'
      if (FINAL.test(reason) || asked >= MOST_ASKED)
        return { status: 'limit', error_class: 'budget', message: `the next request was not made: ${reason}` }
      await sleep(waitMs, undefined, { signal: this.#signal }).catch(() => {})
      if (this.#signal.aborted) return KILLED
    }
  }

  #promptTokens(messages: readonly ModelMessage[]): number {
    const chars = charsOf(messages) - this.#known.chars
    const rest = Math.ceil(Math.max(0, chars) / CHARS_PER_TOKEN)
    return this.#known.tokens > 0
      ? this.#known.tokens + rest
      : rest + Math.ceil(this.#system.length / CHARS_PER_TOKEN) + TOOLS_TOKENS
  }

  #remember(tokens: Tokens | null, messages: readonly ModelMessage[], fresh: readonly ModelMessage[]): void {
    if (!tokens) return
    this.#known = {
      tokens: tokens.input + tokens.cache_read + tokens.cache_write + tokens.output,
      chars: charsOf(messages) + charsOf(fresh),
    }
  }

  async #send(messages: readonly ModelMessage[]): Promise<Exchange> {
    this.requests++
    const id = `request-${this.requests}`
    this.#wire.say({ type: 'request.started', id, model: this.#request.model })
    const answer = await exchange({
      model: this.#model,
      request: this.#request,
      system: this.#system,
      messages,
      outputSchema: this.#schema,
      signal: this.#signal,
      alive: () => this.#wire.alive(),
    })
    for (const message of answer.warnings) {
      if (!this.#warned.has(message)) this.#wire.say({ type: 'warning', message })
      this.#warned.add(message)
    }
    // A refused request costs nothing; one that was cut costs what nobody tells.
    if (answer.aborted || CUT.has(answer.error?.errorClass) || (!answer.error && !answer.tokens))
      this.usageComplete = false
    this.#wire.say({
      type: 'request.finished',
      id: answer.id ?? id,
      started_at: answer.startedAt,
      model: answer.model,
      tokens: answer.tokens,
      ...(answer.finishReason !== undefined && { finish_reason: answer.finishReason }),
      ...(answer.text !== '' && { text: answer.text }),
      ...(answer.aborted && { error: { error_class: 'unknown', message: 'ended by a signal' } }),
      ...(!answer.aborted && answer.error && { error: bare(answer.error) }),
    })
    return answer
  }
}

const bare = ({ errorClass, message, httpStatus }: ProviderError) => ({
  error_class: errorClass,
  message,
  ...(httpStatus !== undefined && { http_status: httpStatus }),
})

const CUT: ReadonlySet<string | undefined> = new Set(['stream', 'output_limit'])
const LIMITS: ReadonlySet<string> = new Set(['rate_limit', 'quota'])

const ended = (error: ProviderError): Ending => ({
  status: LIMITS.has(error.errorClass) ? 'limit' : 'error',
  ...bare(error),
  ...(error.retryAfterMs !== undefined && { resets_at: Date.now() + error.retryAfterMs }),
})

const charsOf = (messages: readonly ModelMessage[]): number => JSON.stringify(messages).length
