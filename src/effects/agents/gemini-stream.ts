// Owns: what Gemini CLI writes with `-o stream-json`, put together with the two files beside it: its local telemetry
// (requests) and the conversation that it keeps (exit codes, answers without their broken beginnings).
import { rmSync } from 'node:fs'
import type { Tokens } from '../../core/outcome.ts'
import type { AgentEvent, AgentExit, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { keptIn } from './gemini-conversation.ts'
import { NOISE } from './gemini-errors.ts'
import { ownTelemetry, telemetryFile } from './gemini-files.ts'
import { statsOf } from './gemini-stats.ts'
import { StreamOrder } from './gemini-order.ts'
import { GeminiTelemetry } from './gemini-telemetry.ts'
import { geminiVerdict, type GeminiProgress } from './gemini-verdict.ts'
import { asFields, asText, asTime, objectIn, type Fields } from './loose-json.ts'
import { Refusals } from './refusals.ts'
import { minus, NO_TOKENS, plus } from './spending.ts'
import { structuredIn } from './structured-answer.ts'
import { ToolEnds } from './tool-ends.ts'

type Finished = Extract<AgentEvent, { type: 'tool.finished' }>

/** Its name for the tool whose exit codes the stream leaves out. */
const SHELL = 'run_shell_command'
/** It refuses some commands without a look at its rules, and calls that a success. */
const REFUSED = /^Blocked: /
/** The conversation's file is read every 100 ms; where it is not kept, results of commands wait no longer for it. */
const HOLD_MS = 1_000
const MAX_CODES = 10_000

export class GeminiReader implements AgentReader {
  readonly #request: AgentRequest
  readonly #telemetry = new GeminiTelemetry()
  readonly #told = new Map<string, Tokens>()
  readonly #progress: GeminiProgress = {
    result: undefined,
    stats: undefined,
    loop: false,
    error: undefined,
    limited: false,
  }
  readonly #order = new StreamOrder()
  readonly #refusals = new Refusals()
  readonly #tools = new ToolEnds<{ readonly event: Fields; readonly time: number }>()
  readonly #held = new Map<string, { readonly event: Finished; readonly at: number }>()
  readonly #codes = new Map<string, number>()
  #block = ''
  #answer: string | undefined
  /** The answer that its result was told with. */
  #toldAnswer: string | undefined
  #kept: string | undefined
  #turns = 0
  #asked = true

  constructor(request: AgentRequest) {
    this.#request = request
  }

  stdout(line: string, at: number): readonly AgentEvent[] {
    const event = objectIn(line)
    const type = asText(event?.['type'])
    if (!event) this.#order.unreadable(line)
    if (!event || type === undefined) return []
    const time = asTime(event['timestamp'])
    this.#order.add(event, line, time)
    return [...this.#overdue(at), ...this.#read(type, event, time ?? at, at)]
  }

  #read(type: string, event: Fields, time: number, at: number): readonly AgentEvent[] {
    switch (type) {
      case 'init': {
        const [id, model] = [asText(event['session_id']), asText(event['model'])]
        this.#telemetry.session = id
        // `auto` is no model: the first request tells which it became.
        return [
          {
            type: 'session',
            ...(id !== undefined && { id }),
            ...(model !== undefined && model !== 'auto' && { model }),
          },
        ]
      }
      case 'message':
        return this.#said(event)
      case 'tool_use':
        return this.#used(event, time, at)
      case 'tool_result':
        return this.#returned(event, time, at)
      case 'error':
        return this.#complained(event)
      case 'result':
        return this.#ended(event)
      default:
        return []
    }
  }

  #said(event: Fields): readonly AgentEvent[] {
    const content = asText(event['content'])
    if (event['role'] !== 'assistant' || content === undefined) return []
    this.#beginTurn()
    this.#block = event['delta'] === true ? this.#block + content : content
    return [{ type: 'alive' }]
  }

  /** A request has been answered with the first thing that comes of it. */
  #beginTurn(): void {
    if (!this.#asked) return
    this.#asked = false
    this.#turns++
  }

  #flushed(): readonly AgentEvent[] {
    const text = this.#block
    this.#block = ''
    if (text === '') return []
    this.#answer = text
    return [{ type: 'text', text }]
  }

  #used(event: Fields, time: number, at: number): readonly AgentEvent[] {
    const id = asText(event['tool_id'])
    const name = asText(event['tool_name']) ?? 'unknown'
    if (id === undefined || !this.#tools.begin(id, name)) return []
    this.#beginTurn()
    const text = this.#flushed()
    this.#answer = undefined
    const started: AgentEvent = { type: 'tool.started', id, name, input: event['parameters'] ?? {}, at: time }
    const early = this.#tools.takeEarly(id)
    return [...text, started, ...(early ? this.#returned(early.event, early.time, at) : [])]
  }

  #returned(event: Fields, time: number, at: number): readonly AgentEvent[] {
    const id = asText(event['tool_id'])
    const name = id === undefined ? undefined : this.#tools.end(id, { event, time })
    if (id === undefined || name === undefined) return []
    const refused = name === SHELL && REFUSED.test(asText(event['output']) ?? '')
    const ok = event['status'] === 'success' && !refused
    const error = asText(asFields(event['error'])?.['message'])
    const output = asText(event['output']) ?? error ?? ''
    const finished: Finished = { type: 'tool.finished', id, ok, output, error, at: time }
    const kind = asText(asFields(event['error'])?.['type'])
    const denied = refused || kind === 'tool_not_registered' || kind === 'policy_violation'
    if (denied) this.#refusals.refused(name)
    else this.#refusals.ended({ ok })
    const warning = denied ? [{ type: 'warning', message: `it was not allowed to use ${name}` } as const] : []
    const limit = [...warning, ...this.#turnEnded()]
    if (name !== SHELL || !ok) return [finished, ...limit]
    if (this.#codes.has(id)) return [withCode(finished, this.#codes.get(id)!), ...limit]
    this.#held.set(id, { event: finished, at })
    return limit
  }

  /** All tools of a turn have ended: the next request follows. Only settings of its own could hold it to a number of them. */
  #turnEnded(): readonly AgentEvent[] {
    if (this.#tools.hasOpen) return []
    this.#asked = true
    const max = this.#request.spec.max_turns
    if (max === undefined || this.#turns < max || this.#progress.limited) return []
    this.#progress.limited = true
    return [{ type: 'limit', errorClass: 'max_turns' }]
  }

  /** Commands whose exit code has not come. */
  #overdue(at: number): readonly AgentEvent[] {
    const due = [...this.#held].filter(([, held]) => at - held.at >= HOLD_MS)
    for (const [id] of due) this.#held.delete(id)
    return due.map(([, { event }]) => event)
  }

  #complained(event: Fields): readonly AgentEvent[] {
    const message = asText(event['message']) ?? 'it reported an error without a message'
    const progress = this.#progress
    if (/loop detected/i.test(message)) progress.loop = true
    if (event['severity'] === 'error') progress.error = message
    return [{ type: 'warning', message }]
  }

  #ended(event: Fields): readonly AgentEvent[] {
    const progress = this.#progress
    const stats = asFields(event['stats'])
    progress.result = {
      ok: event['status'] === 'success',
      error: asText(asFields(event['error'])?.['message']),
      type: asText(asFields(event['error'])?.['type']),
    }
    progress.stats = statsOf(stats)
    const text = this.#flushed()
    this.#toldAnswer = this.#answer ?? (progress.result.ok ? '' : undefined)
    return [...text, { type: 'result', text: this.#toldAnswer }]
  }

  stderr(line: string): readonly AgentEvent[] {
    if (!/ Retrying (?:with backoff|after \d+ms)/.test(line)) return NOISE.test(line) ? [] : [{ type: 'alive' }]
    const status = / failed with status (\d{3})/.exec(line)?.[1]
    return [{ type: 'retry', message: line.slice(0, 500), ...(status !== undefined && { httpStatus: Number(status) }) }]
  }

  side(line: string, at: number): readonly AgentEvent[] {
    if (!line.startsWith('{"')) {
      const events = this.#telemetry.line(line, at)
      for (const event of events) if (event.type === 'call' && event.tokens) this.#note(event.model ?? '', event.tokens)
      return events
    }
    const kept = keptIn(line)
    if (!kept) return []
    this.#kept = kept.text ?? this.#kept
    return [...kept.exitCodes].flatMap(([id, code]) => {
      const held = this.#held.get(id)
      this.#held.delete(id)
      if (held) return [withCode(held.event, code)]
      if (this.#codes.size < MAX_CODES) this.#codes.set(id, code)
      return []
    })
  }

  #note(model: string, tokens: Tokens): void {
    this.#told.set(model, plus(this.#told.get(model) ?? NO_TOKENS, tokens))
  }

  end(exit: AgentExit, at: number): { events: readonly AgentEvent[]; verdict: Verdict } {
    const events: AgentEvent[] = [...this.stdout(exit.rest, at), ...this.#flushed()]
    for (const { event } of this.#held.values()) events.push(event)
    this.#held.clear()
    events.push(...this.#rest(at))
    const answer = this.#mended()
    const gaps = this.#gaps()
    const told = geminiVerdict(this.#progress, {
      exit,
      at,
      finish: this.#telemetry.lastFinish,
      untold: this.#untold || gaps.length > 0,
      turns: this.#turns,
      warnings: gaps,
    })
    const verdict = this.#refusals.over(told)
    if (this.#progress.result) {
      const structured = verdict.status === 'ok' ? structuredIn(answer, this.#request.spec.output_schema) : undefined
      if (answer !== this.#toldAnswer || structured !== undefined)
        events.push({ type: 'result', text: answer, structured })
    }
    // Holds what no file of the run's may: text that is not masked.
    rmSync(telemetryFile(this.#request), { force: true })
    return { events, verdict }
  }

  /** Requests were made of which no tokens are told. */
  get #untold(): boolean {
    if (ownTelemetry(this.#request) && this.#telemetry.used) return this.#telemetry.untold
    return this.#progress.loop || this.#progress.stats === undefined
  }

  /** What shows that its stream is not all there, or not in order. */
  #gaps(): readonly string[] {
    const isOver = this.#progress.result?.ok === true
    const { missing } = this.#tools
    return [...this.#order.gaps(isOver), ...(isOver && missing !== undefined ? [missing] : [])]
  }

  /** An answer that broke off and was asked for again is in the stream with all its beginnings, one after the other. */
  #mended(): string | undefined {
    const [streamed, kept] = [this.#answer, this.#kept]
    return kept !== undefined && streamed !== undefined && streamed !== kept && streamed.endsWith(kept)
      ? kept
      : streamed
  }

  /** What the final sums hold beyond the requests that were told of. */
  #rest(at: number): readonly AgentEvent[] {
    const stats = this.#progress.stats ?? []
    if (!this.#telemetry.used) {
      if (stats.length === 0) return []
      const models = Object.fromEntries(stats.map(({ model, tokens }) => [model, tokens]))
      const [main] = stats.toSorted((a, b) => b.tokens.output - a.tokens.output)
      // Its beginning may have named none, or `auto`.
      return [
        { type: 'session', model: main!.model },
        { type: 'spent', models, turns: this.#turns },
      ]
    }
    return stats.flatMap(({ model, tokens }) => {
      const rest = minus(tokens, this.#told.get(model) ?? NO_TOKENS)
      const none = rest.input + rest.cache_read + rest.output === 0
      return none ? [] : [{ type: 'call', id: `rest of ${model}`, model, endedAt: at, tokens: rest } as const]
    })
  }
}

const withCode = (event: Finished, exitCode: number): Finished => ({
  ...event,
  exitCode,
  ok: event.ok && exitCode === 0,
})
