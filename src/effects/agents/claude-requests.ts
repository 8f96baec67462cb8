// Owns: the single requests to a model that Claude Code's stream shows: when each began and ended, what it used, whether
// it broke. The stream's own events (`--include-partial-messages`) tell the true usage of the main conversation;
// subagents' requests come as whole blocks with a placeholder for their output tokens.
import type { Tokens } from '../../core/outcome.ts'
import type { AgentEvent, ErrorClass } from './adapter.ts'
import { addModels, isSynthetic, tokensOfMessage, type Models } from './claude-usage.ts'
import { asAmount, asFields, asText, type Fields } from './loose-json.ts'
import { NO_TOKENS } from './spending.ts'

type Call = Extract<AgentEvent, { type: 'call' }>

interface Request {
  readonly id: string
  readonly model: string | undefined
  /** Tool call that started the subagent; empty: the main conversation. */
  readonly parent: string
  readonly startedAt: number
  /** Its events come one by one; else in whole blocks. */
  readonly streamed: boolean
  tokens: Tokens
  /** The tokens are final. */
  told: boolean
  finishReason: string | undefined
  readonly texts: string[]
}

const BROKE_OFF = 'the answer broke off'

export class ClaudeRequests {
  /** By parent: one conversation has one request under way. */
  readonly #open = new Map<string, Request>()
  readonly #done = new Set<string>()
  #models: Models = {}
  #placeholders = false
  #hasStream = false
  #askedAt: number | undefined
  #broken = false
  #untold = false

  /** Requests that a model began to answer. */
  get count(): number {
    return this.#done.size + this.#open.size
  }
  /** Something was asked of which the cost is not told: an answer broke off or never came. */
  get hasUntold(): boolean {
    return this.#broken || (this.#untold && this.count > 0) || this.#askedAt !== undefined
  }
  /** An answer broke off. */
  get hasBroken(): boolean {
    return this.#broken
  }
  /** Some requests are only known without their output tokens: calls alone do not hold all that is known. */
  get hasPlaceholders(): boolean {
    return this.#placeholders
  }
  /** All that is known by model, a lower bound for subagents. */
  get models(): Models {
    let models = this.#models
    for (const { model, tokens } of this.#open.values()) models = addModels(models, { [model ?? 'unknown']: tokens })
    return models
  }

  /** The client is about to send a request of the main conversation. */
  asked(at: number): void {
    // Told together with the stream's events only.
    this.#hasStream = true
    this.#askedAt ??= at
  }

  /** The request under way was refused or lost; `again`: it is sent once more. */
  failed(errorClass: ErrorClass, message: string, at: number, again: boolean): Call[] {
    // Without the stream's events nobody sees whether an answer had begun.
    if (!this.#hasStream && errorClass === 'network' && again) this.#untold = true
    const startedAt = this.#askedAt
    this.#askedAt = again ? at : undefined
    // A broken answer has been told as such.
    if (startedAt === undefined) return []
    return [{ type: 'call', startedAt, endedAt: at, error: { errorClass, message } }]
  }

  /** A raw event of the provider's stream. */
  streamed(line: Fields, at: number): AgentEvent[] {
    this.#hasStream = true
    const event = asFields(line['event'])
    const parent = asText(line['parent_tool_use_id']) ?? ''
    const open = this.#open.get(parent)
    switch (event?.['type']) {
      case 'message_start':
        return this.#begin(asFields(event['message']), parent, at - (asAmount(line['ttft_ms']) ?? 0), true)
      case 'message_delta': {
        if (!open || isOther(open, line['api_message_id'])) return []
        open.finishReason = asText(asFields(event['delta'])?.['stop_reason']) ?? open.finishReason
        const tokens = tokensOfMessage(event['usage'], open.tokens)
        if (tokens) open.tokens = tokens
        open.told ||= tokens !== undefined && open.finishReason !== undefined
        return open.told ? this.close(parent, at) : []
      }
      case 'message_stop':
        return open && !isOther(open, line['api_message_id']) ? this.close(parent, at) : []
      default:
        return []
    }
  }

  /** A block of an answer: opens its request if no event did. */
  block(message: Fields, parent: string, at: number, texts: readonly string[]): AgentEvent[] {
    const id = asText(message['id'])
    const events = this.#open.get(parent)?.id === id ? [] : this.#begin(message, parent, at, false)
    const open = this.#open.get(parent)
    if (open && open.id === id) {
      open.texts.push(...texts)
      if (!open.streamed && asText(message['stop_reason']) !== undefined) {
        open.finishReason = asText(message['stop_reason'])
        open.told = true
      }
    }
    return events
  }

  #begin(message: Fields | undefined, parent: string, at: number, streamed: boolean): AgentEvent[] {
    const id = asText(message?.['id'])
    if (!message || id === undefined || isSynthetic(message['model'])) return []
    if (this.#done.has(id) || this.#open.get(parent)?.id === id) return []
    const events = this.close(parent, at)
    const startedAt = parent === '' ? Math.min(this.#askedAt ?? at, at) : at
    if (parent === '') this.#askedAt = undefined
    this.#placeholders ||= !streamed
    this.#open.set(parent, {
      id,
      model: asText(message['model']),
      parent,
      startedAt,
      streamed,
      tokens: tokensOfMessage(message['usage']) ?? NO_TOKENS,
      told: false,
      finishReason: undefined,
      texts: [],
    })
    return events
  }

  /** What came in blocks has no end of its own: the conversation went on. */
  wentOn(parent: string, at: number): AgentEvent[] {
    return this.#open.get(parent)?.streamed === false ? this.close(parent, at) : []
  }

  closeAll(at: number): AgentEvent[] {
    return [...this.#open.keys()].flatMap((parent) => this.close(parent, at))
  }

  close(parent: string, at: number): AgentEvent[] {
    const request = this.#open.get(parent)
    if (!request) return []
    this.#open.delete(parent)
    this.#done.add(request.id)
    const { model, tokens, told, streamed } = request
    this.#models = addModels(this.#models, { [model ?? 'unknown']: tokens })
    const broke = streamed && !told
    this.#broken ||= broke
    const call: Call = {
      type: 'call',
      id: request.id,
      model,
      startedAt: request.startedAt,
      endedAt: Math.max(request.startedAt, at),
      // A placeholder is no usage of a request; in sums it is a lower bound.
      ...((told || streamed) && { tokens }),
      finishReason: request.finishReason,
      ...(request.texts.length > 0 && { text: request.texts.join('\n') }),
      ...(broke && { error: { errorClass: 'stream', message: BROKE_OFF } }),
      ...(parent !== '' && { subagent: true }),
    }
    return [call]
  }
}

const isOther = (open: Request, id: unknown): boolean => typeof id === 'string' && id !== open.id
