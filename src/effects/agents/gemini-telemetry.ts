// Owns: what Gemini CLI says about its requests in the local file that GEMINI_TELEMETRY_OUTFILE names: the only place that
// tells of tokens per request, of failed requests, and of how an answer ended. Objects over many lines; only few matter.
import type { Tokens } from '../../core/outcome.ts'
import type { AgentEvent } from './adapter.ts'
import { asAmount, asFields, asList, asText, asTime, objectIn, type Fields } from './loose-json.ts'
import { errorClassOf } from './status-class.ts'

const MAX_LINES = 20_000
const EVENT = /^\s*"event\.name": "gemini_cli\.(api_request|api_response|api_error)"/

export class GeminiTelemetry {
  #lines: string[] | undefined
  #event: string | undefined
  /** Requests that began, less those of which an end is told. */
  #open = 0
  #count = 0
  /** Its conversation, as soon as that is known: a client that it starts as a command writes to the same file. */
  session: string | undefined
  /** How the last answer of the main conversation ended: `stop`, `length`, `content_filter`, … */
  lastFinish: string | undefined

  /** The file has told of some request. */
  get used(): boolean {
    return this.#count > 0
  }
  /** There are requests of which it does not tell what they cost. */
  get untold(): boolean {
    return this.#open > 0
  }

  /** One line; the object it ends is an event. */
  line(line: string, at: number): readonly AgentEvent[] {
    if (line === '{') {
      this.#lines = []
      this.#event = undefined
      return []
    }
    if (!this.#lines) return []
    if (line !== '}') {
      this.#event ??= EVENT.exec(line)?.[1]
      if (this.#lines.push(line) > MAX_LINES) this.#lines = undefined
      return []
    }
    const [lines, event] = [this.#lines, this.#event]
    this.#lines = undefined
    if (event === undefined) return []
    const attributes = asFields(objectIn(`{${lines.join('\n')}}`)?.['attributes'])
    return attributes ? this.#told(event, attributes, at) : []
  }

  #told(event: string, told: Fields, at: number): readonly AgentEvent[] {
    if (this.session !== undefined && told['session.id'] !== this.session) return []
    this.#count++
    if (event === 'api_request') {
      this.#open++
      return []
    }
    this.#open--
    const endedAt = asTime(told['event.timestamp']) ?? at
    const call = {
      type: 'call' as const,
      id: `${asText(told['prompt_id']) ?? 'request'} ${endedAt}`,
      model: asText(told['model']),
      startedAt: endedAt - (asAmount(told['duration_ms']) ?? 0),
      endedAt,
      // Also requests beside the conversation, such as the one that chooses a model for it.
      ...(told['role'] !== 'main' && { subagent: true }),
    }
    if (event === 'api_error') {
      const message = asText(told['error.message']) ?? asText(told['error']) ?? 'the request failed'
      return [{ ...call, error: { errorClass: errorClassOf(asAmount(told['status_code']), message), message } }]
    }
    const finishReason = asText(asList(told['finish_reasons']).at(-1))
    if (told['role'] === 'main') this.lastFinish = finishReason
    return [{ ...call, tokens: tokensOf(told), finishReason }]
  }
}

/** `input_token_count` includes the cache; thoughts are not in the output. */
function tokensOf(told: Fields): Tokens {
  const count = (name: string): number => asAmount(told[`${name}_token_count`]) ?? 0
  const cached = count('cached_content')
  const reasoning = count('thoughts')
  return {
    input: Math.max(0, count('input') - cached) + count('tool'),
    cache_read: cached,
    cache_write: 0,
    output: count('output') + reasoning,
    reasoning,
  }
}
