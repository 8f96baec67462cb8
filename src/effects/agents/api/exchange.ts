// Owns: one request to the model, from its start to its last byte: what came of it, or why nothing did. Its own clock
// ends one of which nothing arrives any more. Must not: try again, run tools.
import { jsonSchema, Output, streamText, tool, type LanguageModel, type ModelMessage, type ToolSet } from 'ai'
import { z } from 'zod'
import type { JsonObject } from '../../../core/json.ts'
import { LIMITS } from '../../../core/limits.ts'
import type { Tokens } from '../../../core/outcome.ts'
import { AnswerTooLarge } from './bounded-fetch.ts'
import { withCacheMark, providerOptions } from './model.ts'
import type { ApiRequest, ToolName } from './protocol.ts'
import { providerError, type ProviderError } from './provider-error.ts'
import { TOOLS } from './tools.ts'

export interface ToolUse {
  readonly id: string
  readonly name: string
  readonly input: unknown
  /** Why it cannot be run: no such tool, an input that is no JSON. Its answer is in the messages already. */
  readonly invalid?: string | undefined
}

export interface Exchange {
  readonly startedAt: number
  readonly endedAt: number
  readonly id?: string | undefined
  readonly model: string
  /** Null: the provider did not tell. With an error they are what is known, a lower bound. */
  readonly tokens: Tokens | null
  readonly finishReason?: string | undefined
  readonly text: string
  readonly toolUses: readonly ToolUse[]
  /** To be added to the conversation. */
  readonly messages: readonly ModelMessage[]
  readonly error?: ProviderError | undefined
  /** What the provider does not do although it was asked to. */
  readonly warnings: readonly string[]
  /** It was ended from outside. */
  readonly aborted: boolean
}

export interface ExchangeOptions {
  readonly model: LanguageModel
  readonly request: ApiRequest
  readonly system: string
  readonly messages: readonly ModelMessage[]
  /** Asked of the provider itself, where it can. */
  readonly outputSchema?: JsonObject | undefined
  readonly signal: AbortSignal
  /** Something arrived. */
  readonly alive: () => void
}

// They are told as warnings of the agent, not printed.
globalThis.AI_SDK_LOG_WARNINGS = false

/** Never rejects. */
export async function exchange(options: ExchangeOptions): Promise<Exchange> {
  const startedAt = Date.now()
  const idle = new IdleClock(options.request.idle_timeout_ms)
  const tooLarge = new AbortController()
  const seen = new Seen(options.request)
  let messages: readonly ModelMessage[] = []
  try {
    const result = start({ ...options, signal: AbortSignal.any([options.signal, idle.signal, tooLarge.signal]) })
    // An aborted request may take its time to notice: it is not waited for.
    const parts = result.fullStream[Symbol.asyncIterator]()
    const ended = new Promise<undefined>((resolve) => {
      const end = (): void => resolve(undefined)
      options.signal.addEventListener('abort', end, { once: true })
      idle.signal.addEventListener('abort', end, { once: true })
    })
    for (;;) {
      const next = await Promise.race([parts.next(), ended])
      if (next === undefined || next.done === true) break
      idle.reset()
      options.alive()
      seen.add(next.value)
      if (seen.tooLarge) {
        tooLarge.abort()
        seen.error = providerError(new AnswerTooLarge())
        break
      }
    }
    if (!seen.error && seen.complete) {
      const response = await result.response
      messages = response.messages.map(withoutMarks)
      seen.id = response.id
    }
  } catch (error) {
    seen.error ??= providerError(error)
  } finally {
    idle.stop()
  }
  const aborted = options.signal.aborted && !seen.complete
  return {
    ...seen.outcome(idle.signal.aborted, options.request.idle_timeout_ms),
    startedAt,
    endedAt: Date.now(),
    messages,
    aborted,
  }
}

function start({ model, request, system, messages, outputSchema, signal }: ExchangeOptions) {
  return streamText({
    model,
    instructions: system,
    messages: request.provider === 'anthropic' ? withCacheMark(messages) : [...messages],
    tools: toolSet(request.tools),
    maxRetries: 0,
    maxOutputTokens: request.max_output_tokens,
    ...(request.temperature !== undefined && { temperature: request.temperature }),
    ...(outputSchema && { output: Output.object({ schema: jsonSchema(outputSchema), name: 'answer' }) }),
    providerOptions: providerOptions(request),
    abortSignal: signal,
    // Errors come as parts of the stream; the default prints them.
    onError: () => {},
  })
}

/** Tools without anything to run: the loop runs them, one request at a time. */
const toolSet = (names: readonly ToolName[]): ToolSet =>
  Object.fromEntries(
    names.map((name) => {
      const { description, input } = TOOLS[name]
      const { $schema: _, ...schema } = z.toJSONSchema(input)
      return [name, tool({ description, inputSchema: jsonSchema(schema as Parameters<typeof jsonSchema>[0]) })]
    }),
  )

type Part = ReturnType<typeof start>['fullStream'] extends AsyncIterable<infer T> ? T : never

/** What the parts of one answer add up to. */
class Seen {
  id: string | undefined
  error: ProviderError | undefined
  complete = false
  readonly #request: ApiRequest
  #chars = 0
  #model: string
  #tokens: Tokens | null = null
  #finishReason: string | undefined
  #texts = new Map<string, string>()
  #toolUses: ToolUse[] = []
  #warnings: string[] = []

  constructor(request: ApiRequest) {
    this.#request = request
    this.#model = request.model
  }

  /** More than any model writes. */
  get tooLarge(): boolean {
    return this.#chars > LIMITS.answerChars || this.#toolUses.length > LIMITS.answerCalls
  }

  add(part: Part): void {
    if ('text' in part) this.#chars += part.text.length
    if (part.type === 'tool-input-delta') this.#chars += part.delta.length
    switch (part.type) {
      case 'text-delta':
        this.#texts.set(part.id, (this.#texts.get(part.id) ?? '') + part.text)
        break
      case 'tool-call':
        this.#toolUses.push({
          id: part.toolCallId,
          name: part.toolName,
          input: part.input,
          ...(part.invalid === true && { invalid: errorText(part.error) }),
        })
        break
      case 'custom':
        // Anthropic tells what it read before it answers: all that is known of a request that is then cut.
        this.#tokens ??= anthropicStart(part.providerMetadata)
        break
      case 'start-step':
        this.#warnings.push(...part.warnings.map(warningText))
        break
      case 'finish-step':
        this.#finishReason = part.finishReason
        this.#tokens = tokensOf(part.usage) ?? this.#tokens
        this.#model = servedModel(this.#request, part.response.modelId)
        this.complete = !this.error && part.finishReason !== 'interrupted' && part.finishReason !== 'error'
        break
      case 'error':
        this.error ??= providerError(part.error)
        this.complete = false
        break
      default:
    }
  }

  outcome(idle: boolean, idleMs: number) {
    const error = this.complete ? undefined : (this.error ?? notComplete(idle, idleMs))
    return {
      id: this.id,
      model: this.#model,
      tokens: this.#tokens,
      finishReason: this.#finishReason,
      text: [...this.#texts.values()].filter((text) => text !== '').join('\n\n'),
      toolUses: this.#toolUses,
      warnings: this.#warnings,
      error: idle && !this.complete ? notComplete(idle, idleMs) : error,
    }
  }
}

/** The name it is known and priced by: the asked one, unless the provider answered with another model. */
function servedModel({ model, provider, prices = {} }: ApiRequest, served: string): string {
  const own = Object.hasOwn(prices, model) || Object.hasOwn(prices, `${provider}/${model}`)
  return own || served === '' || served.startsWith(model) ? model : served
}

const notComplete = (idle: boolean, idleMs: number): ProviderError => ({
  errorClass: 'stream',
  message: idle
    ? `nothing arrived from the provider for ${idleMs / 1000} s`
    : 'the answer ended before it was complete',
  retryable: true,
})

type Warning = Extract<Part, { type: 'start-step' }>['warnings'][number]
const warningText = (warning: Warning): string => {
  if (warning.type === 'other') return warning.message
  if (warning.type === 'deprecated') return `${warning.setting}: ${warning.message}`
  return `${warning.feature} ${warning.type === 'unsupported' ? 'is not supported' : 'works differently'} here${warning.details === undefined ? '' : `: ${warning.details}`}`
}

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error))

interface SdkUsage {
  readonly inputTokens: number | undefined
  readonly inputTokenDetails: {
    readonly noCacheTokens: number | undefined
    readonly cacheReadTokens: number | undefined
    readonly cacheWriteTokens: number | undefined
  }
  readonly outputTokens: number | undefined
  readonly outputTokenDetails: { readonly reasoningTokens: number | undefined }
}

/** Null when the provider counted nothing. */
function tokensOf({
  inputTokens,
  inputTokenDetails: input,
  outputTokens,
  outputTokenDetails,
}: SdkUsage): Tokens | null {
  if (inputTokens === undefined && outputTokens === undefined) return null
  const cacheRead = input.cacheReadTokens ?? 0
  const cacheWrite = input.cacheWriteTokens ?? 0
  return {
    input: input.noCacheTokens ?? Math.max(0, (inputTokens ?? 0) - cacheRead - cacheWrite),
    cache_read: cacheRead,
    cache_write: cacheWrite,
    output: outputTokens ?? 0,
    reasoning: outputTokenDetails.reasoningTokens ?? 0,
  }
}

const startSchema = z.object({
  anthropic: z.object({
    usage: z.object({
      input_tokens: z.number(),
      cache_creation_input_tokens: z.number().nullish(),
      cache_read_input_tokens: z.number().nullish(),
      output_tokens: z.number().nullish(),
    }),
  }),
})

function anthropicStart(metadata: unknown): Tokens | null {
  const { data } = startSchema.safeParse(metadata)
  if (!data) return null
  const { usage } = data.anthropic
  return {
    input: usage.input_tokens,
    cache_read: usage.cache_read_input_tokens ?? 0,
    cache_write: usage.cache_creation_input_tokens ?? 0,
    output: usage.output_tokens ?? 0,
  }
}

/** Without the parts that only inform: they are no part of a conversation. */
function withoutMarks(message: ModelMessage): ModelMessage {
  if (message.role !== 'assistant' || typeof message.content === 'string') return message
  return { ...message, content: message.content.filter((part) => part.type !== 'custom') }
}

class IdleClock {
  readonly #ms: number
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout

  constructor(ms: number) {
    this.#ms = ms
    this.#timer = this.#set()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  #set(): NodeJS.Timeout {
    return setTimeout(() => this.#controller.abort(), this.#ms)
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#timer = this.#set()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
