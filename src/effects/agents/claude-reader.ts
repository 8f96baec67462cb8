// Owns: what the lines of Claude Code's stream-json mean, one launch of it. Facts as seen with 2.1.329. Keys come in any
// order, there may be several results, types that are not known only show that it lives.
import type { AgentEvent, AgentExit, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { ClaudeRequests } from './claude-requests.ts'
import { addModels, isSynthetic, listCost, modelsOf, resultKey, sumOf, totalsOf, type Models } from './claude-usage.ts'
import { byName, claudeVerdict, resetOf, textOf } from './claude-verdict.ts'
import { asAmount, asFields, asList, asRecords, asText, asTime, objectIn, type Fields } from './loose-json.ts'
import { minus, NO_TOKENS } from './spending.ts'

type Events = readonly AgentEvent[]
const ALIVE: Events = [{ type: 'alive' }]

/** Its own tool for the structured answer: no work on anything. */
const ANSWER_TOOL = 'StructuredOutput'

/** A tool that was taken away is refused by a result, without an event. */
const DISABLED_TOOL = /^<tool_use_error>.*\b(\w+) is disabled for this session/

export class ClaudeReader implements AgentReader {
  readonly #request: AgentRequest
  readonly #requests = new ClaudeRequests()
  /** Tool calls that were begun and have no end, by id: the tool's name. */
  readonly #tools = new Map<string, string>()
  readonly #toolIds = new Set<string>()
  readonly #results = new Map<string, Fields>()
  #last: Fields | undefined
  #apiError: Fields | undefined
  #spoke = false
  #background = 0
  #resetsAt: number | undefined
  /** What the provider asked to wait before the last try. */
  #waitMs: number | undefined
  #denied: string[] = []
  #worked = false
  #unpricedModel: string | undefined

  constructor(request: AgentRequest) {
    this.#request = request
  }

  stdout(line: string, at: number): Events {
    const event = objectIn(line)
    if (!event || asText(event['type']) === undefined) return []
    this.#spoke = true
    return this.#withSpent(this.#read(event, at))
  }

  #read(event: Fields, at: number): Events {
    const time = asTime(event['timestamp']) ?? at
    switch (event['type']) {
      case 'system':
        return this.#system(event, at)
      case 'stream_event':
        return this.#requests.streamed(event, at)
      case 'assistant':
        return this.#assistant(event, time)
      case 'user':
        return this.#user(event, time)
      case 'rate_limit_event':
        return this.#rateLimit(asFields(event['rate_limit_info']))
      case 'result':
        return this.#result(event, at)
      default:
        return ALIVE
    }
  }

  /** Of its many lines only this one changes what is known. */
  stderr(line: string): Events {
    if (!line.includes('[claude-code:unrecognized_model]')) return []
    const model = asText(objectIn(line.slice(line.indexOf('{')))?.['model'])
    if (model === undefined || model === this.#unpricedModel) return []
    this.#unpricedModel = model
    return [
      {
        type: 'warning',
        message: `Claude Code does not know the model ${model}: its own cost is a guess and not used`,
      },
    ]
  }

  #system(event: Fields, at: number): Events {
    switch (event['subtype']) {
      case 'init':
        return [init(event)]
      case 'status':
        if (event['status'] === 'requesting') this.#requests.asked(at)
        return ALIVE
      case 'api_retry':
        return this.#retry(event, at)
      case 'permission_denied': {
        const tool = asText(event['tool_name']) ?? 'a tool'
        this.#denied.push(tool)
        const message = `${tool} was not allowed: ${asText(event['decision_reason']) ?? asText(event['message']) ?? ''}`
        return [{ type: 'warning', message }]
      }
      case 'background_tasks_changed':
        // Shells that it left running end with it; only agents still bring results.
        this.#background = asRecords(event['tasks']).filter((task) => task['task_type'] !== 'local_bash').length
        return ALIVE
      case 'task_notification':
        return this.#requests.wentOn(asText(event['tool_use_id']) ?? '', at)
      case 'informational':
      case 'model_refusal_no_fallback':
        return told(event['content'])
      default:
        return ALIVE
    }
  }

  #retry(event: Fields, at: number): Events {
    const httpStatus = asAmount(event['error_status'])
    const error = asText(event['error']) ?? 'unknown'
    const errorClass = byName(error) ?? (httpStatus === undefined ? 'network' : 'unknown')
    const attempt = `${asAmount(event['attempt']) ?? '?'} of ${asAmount(event['max_retries']) ?? '?'}`
    const message = `${httpStatus ?? 'no answer'} ${error}, retry ${attempt}`
    const delay = asAmount(event['retry_delay_ms']) ?? 0
    // Longer than it waits by itself: the provider named the time.
    const isTold = errorClass === 'rate_limit' && delay > ownDelayMs(asAmount(event['attempt']) ?? 1)
    this.#waitMs = isTold ? delay : undefined
    return [...this.#requests.failed(errorClass, message, at, true), { type: 'retry', message, httpStatus, errorClass }]
  }

  #assistant(event: Fields, at: number): Events {
    const message = asFields(event['message'])
    if (!message) return []
    if (isSynthetic(message['model'])) return this.#ownMessage(event, at)
    const parent = asText(event['parent_tool_use_id']) ?? ''
    const blocks = asRecords(message['content'])
    const texts = blocks.flatMap((block) => (block['type'] === 'text' ? (asText(block['text']) ?? []) : []))
    const events = this.#requests.block(message, parent, at, texts)
    // What a subagent says goes to the agent that asked it.
    if (parent === '') events.push(...texts.map((text) => ({ type: 'text', text }) as const))
    return [...events, ...blocks.flatMap((block) => (block['type'] === 'tool_use' ? this.#toolStarted(block, at) : []))]
  }

  /** What no model said: how an error of the API is told. */
  #ownMessage(event: Fields, at: number): Events {
    const error = asText(event['error'])
    if (event['is_api_error_message'] !== true && error === undefined) return []
    this.#apiError = event
    if (this.#waitMs !== undefined) this.#resetsAt ??= at + this.#waitMs
    const errorClass = byName(asText(event['api_error'])) ?? byName(error) ?? 'unknown'
    return this.#requests.failed(errorClass, textOf(event) ?? 'the request failed', at, false)
  }

  #toolStarted(block: Fields, at: number): Events {
    const id = asText(block['id'])
    const name = asText(block['name'])
    if (id === undefined || name === undefined || this.#toolIds.has(id)) return []
    this.#toolIds.add(id)
    this.#tools.set(id, name)
    return [{ type: 'tool.started', id, name, input: block['input'], at }]
  }

  #user(event: Fields, at: number): Events {
    const parent = asText(event['parent_tool_use_id']) ?? ''
    const blocks = asRecords(asFields(event['message'])?.['content']).filter((block) => block['type'] === 'tool_result')
    if (blocks.length === 0) return ALIVE
    return [...this.#requests.wentOn(parent, at), ...blocks.flatMap((block) => this.#toolFinished(block, at))]
  }

  #toolFinished(block: Fields, at: number): Events {
    const output = contentText(block['content'])
    const disabled = DISABLED_TOOL.exec(output)?.[1]
    if (disabled !== undefined) this.#denied.push(disabled)
    const id = asText(block['tool_use_id'])
    const name = id === undefined ? undefined : this.#tools.get(id)
    if (id === undefined || name === undefined) return []
    this.#tools.delete(id)
    const ok = block['is_error'] !== true
    if (ok) {
      this.#worked ||= name !== ANSWER_TOOL
      return [{ type: 'tool.finished', id, ok, output, at }]
    }
    const code = /^Exit code (\d+)\b/.exec(output)?.[1]
    // A command that ran and failed is work, too.
    this.#worked ||= code !== undefined
    const exitCode = code === undefined ? undefined : Number(code)
    return [{ type: 'tool.finished', id, ok, exitCode, output, error: firstLine(output), at }]
  }

  #rateLimit(info: Fields | undefined): Events {
    if (info?.['status'] === 'rejected') this.#resetsAt = resetOf(info) ?? this.#resetsAt
    else if (info?.['status'] === 'allowed_warning')
      return told(`the limit ${asText(info['rateLimitType']) ?? ''} is nearly reached`)
    return ALIVE
  }

  #result(event: Fields, at: number): Events {
    this.#results.set(resultKey(event), event)
    this.#last = event
    const events = this.#requests.closeAll(at)
    const id = asText(event['session_id'])
    // An unknown conversation has no id worth keeping.
    if (id !== undefined && event['subtype'] !== 'error_during_execution') events.push({ type: 'session', id })
    const totals = totalsOf(event)
    if (totals) events.push({ type: 'totals', totals })
    events.push(this.#spent())
    // Agents in the background: another result will follow.
    if (this.#background > 0) return [...events, ...ALIVE]
    const text = event['is_error'] === false ? asText(event['result']) : undefined
    const structured = event['structured_output']
    return [...events, { type: 'result', text, ...(structured !== undefined && { structured }) }]
  }

  /** Where calls do not tell all, what is known in sum goes with each of them. */
  #withSpent(events: Events): Events {
    const needsSum = this.#requests.hasPlaceholders || this.#results.size > 0
    if (!needsSum || !events.some(({ type }) => type === 'call')) return events
    return [...events, this.#spent()]
  }

  /** The sum of all results; where it lacks requests that were seen (broken ones, later ones), those that were seen. */
  #spent(): AgentEvent {
    const told = this.#told()
    const isWhole = told !== undefined && this.#covers(told)
    const models = isWhole ? told : this.#requests.models
    const usd = isWhole ? listCost(models) : undefined
    return {
      type: 'spent',
      models: { ...models },
      tokens: sumOf(models),
      turns: this.#requests.count,
      cost: usd === undefined ? undefined : { usd, source: 'reported' },
    }
  }

  #covers(told: Models): boolean {
    return total(told) >= total(this.#requests.models)
  }

  /** By model, earlier parts of the conversation taken off. Undefined: that cannot be told. */
  #told(): Models | undefined {
    let sum: Models = {}
    for (const result of this.#results.values()) {
      const since = modelsOf(result['model_usage_since_last_result'])
      if (since === undefined) return this.#difference()
      sum = addModels(sum, since)
    }
    return sum
  }

  /** Results without sums of their own: of an old client, or of one that did not begin. */
  #difference(): Models | undefined {
    const models = modelsOf(this.#last?.['modelUsage'])
    if (models === undefined) return undefined
    if (!this.#request.session) return models
    const { totals } = this.#request.session
    const names = Object.keys(models)
    if (names.length === 0) return {}
    if (!totals || names.length > 1) return undefined
    return { [names[0]!]: minus(sumOf(models), totals) }
  }

  end(exit: AgentExit, at: number): { readonly events: Events; readonly verdict: Verdict } {
    const events = [...this.stdout(exit.rest, at), ...this.#withSpent(this.#requests.closeAll(at))]
    const told = this.#told()
    const known = this.#last !== undefined && told !== undefined && this.#covers(told)
    const verdict = claudeVerdict(
      {
        result: this.#last,
        apiError: this.#apiError,
        spoke: this.#spoke,
        brokenAnswer: this.#requests.hasBroken,
        resetsAt: this.#resetsAt,
        denied: this.#worked ? [] : this.#denied,
        usageComplete: known && !this.#requests.hasUntold && this.#background === 0,
        warnings: this.#warnings(),
      },
      exit,
      at,
    )
    return { events, verdict }
  }

  #warnings(): string[] {
    const warnings: string[] = []
    if (this.#background > 0) warnings.push(`${this.#background} agents in the background had not finished`)
    const isOk = this.#last?.['is_error'] === false
    if (isOk && this.#request.spec.output_schema !== undefined && this.#last?.['structured_output'] === undefined)
      warnings.push('it gave no structured answer although one was asked for')
    return warnings
  }
}

function init(event: Fields): AgentEvent {
  const id = asText(event['session_id'])
  const model = asText(event['model'])
  const version = asText(event['claude_code_version'])
  return {
    type: 'session',
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    ...(version !== undefined && { version }),
  }
}

function told(value: unknown): Events {
  const message = asText(value)
  return message === undefined ? ALIVE : [{ type: 'warning', message }]
}

/** It begins with half a second and doubles, with some jitter. */
const ownDelayMs = (attempt: number): number => Math.min(40_000, 1_000 * 2 ** (attempt - 1)) + 500

const total = (models: Models): number => {
  const { input, cache_read, cache_write, output } = sumOf(models) ?? NO_TOKENS
  return input + cache_read + cache_write + output
}

/** A tool's result is a text or a list of blocks. */
const contentText = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : asList(content)
        .flatMap((block) => asText(asFields(block)?.['text']) ?? [])
        .join('\n')

const firstLine = (text: string): string => text.slice(0, 2_000).split('\n')[0] ?? ''
