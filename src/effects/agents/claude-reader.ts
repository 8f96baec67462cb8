// Owns: what the lines of Claude Code's stream-json mean, one launch of it. Facts as seen with 2.1.329. Keys come in any
// order, there may be several results, types that are not known only show that it lives.
import type { AgentEvent, AgentExit, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { ClaudeRequests } from './claude-requests.ts'
import { ClaudeResults } from './claude-results.ts'
import { isSynthetic, listCost, sumOf, totalsOf, type Models } from './claude-usage.ts'
import { byName, claudeVerdict, resetOf, textOf } from './claude-verdict.ts'
import { asAmount, asFields, asList, asRecords, asText, asTime, objectIn, type Fields } from './loose-json.ts'
import { Refusals } from './refusals.ts'
import { AFTER_PART } from './partial-session.ts'
import { NO_TOKENS } from './spending.ts'
import { ToolEnds } from './tool-ends.ts'

type Events = readonly AgentEvent[]
const ALIVE: Events = [{ type: 'alive' }]

/** Its own tool for the structured answer: no work on anything. */
const ANSWER_TOOL = 'StructuredOutput'

/** A tool that was taken away is refused by a result, without an event. */
const DISABLED_TOOL = /^<tool_use_error>.*\b(\w+) is disabled for this session/

export class ClaudeReader implements AgentReader {
  readonly #request: AgentRequest
  readonly #requests = new ClaudeRequests()
  readonly #tools = new ToolEnds<{ readonly block: Fields; readonly at: number }>()
  readonly #results: ClaudeResults
  #toldResult: Fields | undefined
  /** Requests that had begun when the latest result came. */
  #requestsAtResult = 0
  /** What the agent said last by the client's clock. */
  #said: { readonly text: string; readonly at: number } | undefined
  #apiError: Fields | undefined
  #spoke = false
  #background = 0
  #resetsAt: number | undefined
  /** What the provider asked to wait before the last try. */
  #waitMs: number | undefined
  readonly #refusals = new Refusals()
  #unpricedModel: string | undefined

  constructor(request: AgentRequest) {
    this.#request = request
    this.#results = new ClaudeResults(request.session)
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
        this.#results.turnBegan(event)
        return [init(event)]
      case 'status':
        if (event['status'] === 'requesting') this.#requests.asked(at)
        return ALIVE
      case 'api_retry':
        return this.#retry(event, at)
      case 'permission_denied': {
        const tool = asText(event['tool_name']) ?? 'a tool'
        this.#refusals.refused(tool)
        const message = `${tool} was not allowed: ${asText(event['decision_reason']) ?? asText(event['message']) ?? ''}`
        return [{ type: 'warning', message }]
      }
      case 'background_tasks_changed':
        // Shells that it left running end with it; only agents still bring results.
        this.#background = asRecords(event['tasks']).filter((task) => task['task_type'] !== 'local_bash').length
        return ALIVE
      case 'task_notification':
        this.#results.notified()
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
    if (parent === '') {
      events.push(...texts.map((text) => ({ type: 'text', text }) as const))
      for (const text of texts) if (at >= (this.#said?.at ?? at)) this.#said = { text, at }
    }
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
    if (id === undefined || name === undefined || !this.#tools.begin(id, name)) return []
    const early = this.#tools.takeEarly(id)
    const started: AgentEvent = { type: 'tool.started', id, name, input: block['input'], at }
    return early ? [started, ...this.#toolFinished(early.block, early.at)] : [started]
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
    if (disabled !== undefined) this.#refusals.refused(disabled)
    const id = asText(block['tool_use_id'])
    const name = id === undefined ? undefined : this.#tools.end(id, { block, at })
    if (id === undefined || name === undefined) return []
    const ok = block['is_error'] !== true
    if (ok) {
      if (name !== ANSWER_TOOL) this.#refusals.ended({ ok })
      return [{ type: 'tool.finished', id, ok, output, at }]
    }
    const code = /^Exit code (\d+)\b/.exec(output)?.[1]
    const exitCode = code === undefined ? undefined : Number(code)
    this.#refusals.ended({ ok, exitCode })
    return [{ type: 'tool.finished', id, ok, exitCode, output, error: firstLine(output), at }]
  }

  #rateLimit(info: Fields | undefined): Events {
    if (info?.['status'] === 'rejected') this.#resetsAt = resetOf(info) ?? this.#resetsAt
    else if (info?.['status'] === 'allowed_warning')
      return told(`the limit ${asText(info['rateLimitType']) ?? ''} is nearly reached`)
    return ALIVE
  }

  #result(event: Fields, at: number): Events {
    this.#results.add(event)
    const events = this.#requests.closeAll(at)
    const id = asText(event['session_id'])
    // An unknown conversation has no id worth keeping.
    if (id !== undefined && event['subtype'] !== 'error_during_execution') events.push({ type: 'session', id })
    const totals = totalsOf(event)
    if (totals) events.push({ type: 'totals', totals })
    events.push(this.#spent())
    this.#requestsAtResult = this.#requests.count
    // Another result will follow.
    if (this.#background > 0 || this.#results.awaitsMore) return [...events, ...ALIVE]
    this.#toldResult = this.#results.last ?? event
    return [...events, resultEvent(this.#toldResult)]
  }

  /** Where calls do not tell all, what is known in sum goes with each of them. */
  #withSpent(events: Events): Events {
    const needsSum = this.#requests.hasPlaceholders || this.#results.count > 0
    if (!needsSum || !events.some(({ type }) => type === 'call')) return events
    return [...events, this.#spent()]
  }

  /** The sum of all results; where it lacks requests that were seen (broken ones, later ones), those that were seen. */
  #spent(): AgentEvent {
    const told = this.#results.models
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

  /** Agents are at work in the background, or the agent is being told of one: there would have been another result. */
  get #unfinished(): boolean {
    const agents = Math.min(this.#background, this.#results.agentsLeft ?? this.#background)
    return agents > 0 || this.#results.awaitsMore
  }

  end(exit: AgentExit, at: number): { readonly events: Events; readonly verdict: Verdict } {
    const events = [...this.stdout(exit.rest, at), ...this.#withSpent(this.#requests.closeAll(at))]
    const told = this.#results.models
    const result = this.#results.last
    const isKnown = result !== undefined && told !== undefined && this.#covers(told)
    const gaps = this.#gaps(result)
    const unfinished = this.#unfinished || this.#wentOn(result)
    // It came while another one was waited for.
    if (result && !unfinished && result !== this.#toldResult) events.push(resultEvent(result))
    for (const denial of asRecords(result?.['permission_denials']))
      this.#refusals.refused(asText(denial['tool_name']) ?? 'a tool')
    const verdict = claudeVerdict(
      {
        result,
        unfinished,
        apiError: this.#apiError,
        spoke: this.#spoke,
        brokenAnswer: this.#requests.hasBroken,
        resetsAt: this.#resetsAt,
        usageComplete: isKnown && !this.#requests.hasUntold && gaps.length === 0,
        warnings: [...gaps, ...this.#warnings(result, exit)],
      },
      exit,
      at,
    )
    return { events, verdict: this.#refusals.over(verdict) }
  }

  get #requestsSince(): number {
    return this.#requests.count - this.#requestsAtResult
  }

  /** After its result it said something else. */
  #wentOn(result: Fields | undefined): boolean {
    return this.#requestsSince > 0 && this.#said !== undefined && this.#said.text !== result?.['result']
  }

  /** What shows that its output is not all there, or not in order. */
  #gaps(result: Fields | undefined): readonly string[] {
    if (result === undefined) return []
    const isOk = result['is_error'] === false
    const requests = this.#requestsSince
    return [
      ...(this.#background > 0 ? [`${this.#background} agents in the background had not finished`] : []),
      ...(this.#results.isAfterPart ? [AFTER_PART] : []),
      ...(this.#results.hasGap ? ['one of its results is not in its output'] : []),
      ...(requests > 0
        ? [`it asked its model ${requests === 1 ? 'once' : `${requests} times`} more after its last result`]
        : []),
      ...(isOk && this.#requests.count === 0 ? ['the answer that its result tells of is not in its output'] : []),
      ...(isOk && this.#tools.missing !== undefined ? [this.#tools.missing] : []),
    ]
  }

  #warnings(result: Fields | undefined, { exitCode, ended }: AgentExit): readonly string[] {
    if (result?.['is_error'] !== false) return []
    const asked = this.#request.spec.output_schema !== undefined
    const isOdd = ended === undefined && exitCode !== undefined && exitCode !== 0
    return [
      ...(asked && result['structured_output'] === undefined
        ? ['it gave no structured answer although one was asked for']
        : []),
      ...(isOdd ? [`it exited with ${exitCode} after its result`] : []),
    ]
  }
}

function resultEvent(result: Fields): AgentEvent {
  const text = result['is_error'] === false ? asText(result['result']) : undefined
  const structured = result['structured_output'] ?? undefined
  return { type: 'result', text, ...(structured !== undefined && { structured }) }
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
