// Owns: what OpenCode writes with `run --format json`: one line for each finished part of the conversation, and no final
// event. A step is one request; the last one ends with a reason other than `tool-calls`, or an `error` comes.
import type { AgentEvent, AgentExit, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { asAmount, asFields, asText, objectIn, type Fields } from './loose-json.ts'
import { opencodeError } from './opencode-errors.ts'
import { childSpend } from './opencode-sessions.ts'
import { OpencodeSteps } from './opencode-steps.ts'
import { tokensOf } from './opencode-tokens.ts'
import { opencodeVerdict, type OpencodeProgress } from './opencode-verdict.ts'
import { Refusals } from './refusals.ts'
import { structuredIn } from './structured-answer.ts'

/** Steps that go on: tools are to follow, or the provider did not say why it ended. */
const GOES_ON: ReadonlySet<string> = new Set(['tool-calls', 'unknown'])
/** The client compacts a conversation that is too long and asks again, without an end when that does not help. */
const MAX_OVERFLOWS = 3
const TYPES: ReadonlySet<string> = new Set(['step_start', 'text', 'reasoning', 'tool_use', 'step_finish', 'error'])
const REJECTED = /rejected permission/i
/** A rule forbids the call, or the tool is not offered because of one. */
const RULE = /specified a rule which prevents|tried to call unavailable tool/i

export class OpencodeReader implements AgentReader {
  readonly #request: AgentRequest
  readonly #seen = new Set<string>()
  readonly #progress: OpencodeProgress = {
    finish: undefined,
    error: undefined,
    open: false,
    steps: 0,
    limit: undefined,
    rejected: undefined,
    untold: false,
    children: new Set(),
  }
  readonly #steps = new OpencodeSteps()
  readonly #refusals = new Refusals()
  #session: string | undefined
  #stepAt: number | undefined
  #text: string | undefined
  /** The text that the latest result was told with; undefined: none was. */
  #toldAnswer: { readonly text: string | undefined } | undefined
  #finalPart: Fields = {}
  /** A conversation that is too long is being summed up: that is no answer, the client's own words follow it. */
  #isCompacting = false
  #overflows = 0
  /** Requests that the client tried again: those seen in its stream, those in its log, and how many of them were told. */
  readonly #again = { steps: 0, logged: 0, told: 0 }
  #lastFailure = 'the answer broke off'

  constructor(request: AgentRequest) {
    this.#request = request
  }

  stdout(line: string, at: number): readonly AgentEvent[] {
    const event = objectIn(line)
    const type = asText(event?.['type'])
    if (!event || type === undefined) return []
    const time = asAmount(event['timestamp'])
    const part = asFields(event['part'])
    const id = asText(part?.['id'])
    if (id !== undefined) {
      if (this.#seen.has(id)) return []
      this.#seen.add(id)
    }
    if (TYPES.has(type)) this.#steps.add(type, part ?? {}, time)
    return [...this.#sessionOf(event), ...this.#told(type, { event, part: part ?? {}, time: time ?? at })]
  }

  #sessionOf(event: Fields): readonly AgentEvent[] {
    const id = asText(event['sessionID'])
    if (id === undefined || this.#session !== undefined) return []
    this.#session = id
    const { model } = this.#request.spec
    return [{ type: 'session', id, ...(model !== undefined && { model }) }]
  }

  #told(type: string, { event, part, time }: { event: Fields; part: Fields; time: number }): readonly AgentEvent[] {
    switch (type) {
      case 'step_start':
        return this.#stepStarted(time)
      case 'text':
        return this.#said(part)
      case 'reasoning':
        return [{ type: 'alive' }]
      case 'tool_use':
        return this.#used(part, time)
      case 'step_finish':
        return this.#stepFinished(part, time)
      case 'error':
        return this.#failed(asFields(event['error']) ?? {}, time)
      default:
        return []
    }
  }

  #stepStarted(time: number): readonly AgentEvent[] {
    const progress = this.#progress
    if (progress.open) {
      progress.untold = true
      this.#again.steps++
    }
    progress.open = true
    progress.finish = undefined
    progress.error = undefined
    this.#stepAt = time
    return [{ type: 'alive' }, ...this.#retries(this.#again.logged)]
  }

  #said(part: Fields): readonly AgentEvent[] {
    const text = asText(part['text'])
    if (text === undefined) return []
    if (part['synthetic'] === true) {
      // The client's own words to the model, after which it goes on.
      this.#progress.finish = undefined
      this.#isCompacting = false
      return [{ type: 'alive' }]
    }
    this.#text = text
    return [{ type: 'text', text }]
  }

  #used(part: Fields, time: number): readonly AgentEvent[] {
    const id = asText(part['callID']) ?? asText(part['id'])
    const state = asFields(part['state'])
    if (id === undefined || !state) return []
    const called = asText(part['tool']) ?? 'unknown'
    const input = asFields(state['input']) ?? {}
    const invalid = called === 'invalid'
    const name = invalid ? (asText(input['tool']) ?? called) : called
    const metadata = asFields(state['metadata'])
    const times = asFields(state['time'])
    const exitCode = asAmount(metadata?.['exit'])
    const error = asText(state['error']) ?? (invalid ? asText(input['error']) : undefined)
    const output = asText(state['output']) ?? error ?? ''
    const ok = state['status'] === 'completed' && !invalid && (exitCode ?? 0) === 0
    if (called === 'task') this.#noteChild(metadata)
    if (error !== undefined && REJECTED.test(error)) this.#progress.rejected ??= name
    const isRefused = error !== undefined && (invalid || RULE.test(error))
    if (isRefused) this.#refusals.refused(name)
    else this.#refusals.ended({ ok, exitCode })
    const startedAt = asAmount(times?.['start']) ?? time
    const endedAt = asAmount(times?.['end']) ?? time
    return [
      { type: 'tool.started', id, name, input, at: startedAt },
      { type: 'tool.finished', id, ok, exitCode, output, error, at: endedAt },
      ...(isRefused ? [{ type: 'warning', message: `it was not allowed to use ${name}` } as const] : []),
    ]
  }

  /** The requests of a subagent are in a conversation of their own and not in the stream. */
  #noteChild(metadata: Fields | undefined): void {
    const child = asText(metadata?.['sessionId'])
    if (child === undefined) this.#progress.untold = true
    else this.#progress.children.add(child)
  }

  #stepFinished(part: Fields, time: number): readonly AgentEvent[] {
    const progress = this.#progress
    const reason = asText(part['reason']) ?? 'unknown'
    const tokens = tokensOf(asFields(part['tokens']))
    const cost = asAmount(part['cost'])
    if (!tokens) progress.untold = true
    progress.open = false
    progress.steps++
    progress.finish = GOES_ON.has(reason) || this.#isCompacting ? undefined : reason
    this.#finalPart = part
    if (reason === 'tool-calls') this.#overflows = 0
    const events: AgentEvent[] = [
      {
        type: 'call',
        id: asText(part['id']),
        model: this.#request.spec.model,
        startedAt: this.#stepAt,
        endedAt: time,
        tokens,
        // 0: the client knows no price.
        usd: cost === undefined || cost === 0 ? undefined : cost,
        finishReason: reason,
        text: this.#text,
      },
    ]
    const max = this.#request.spec.max_turns
    if (progress.finish !== undefined) events.push(this.#result())
    else if (
      max !== undefined &&
      progress.steps >= max &&
      progress.rejected === undefined &&
      progress.limit === undefined
    ) {
      progress.limit = 'max_turns'
      events.push({ type: 'limit', errorClass: 'max_turns' })
    }
    return events
  }

  /** What was said in the last step, else the last thing that was said. */
  #result(): AgentEvent {
    const text = this.#steps.textOf(this.#finalPart) ?? this.#text
    this.#toldAnswer = { text }
    return { type: 'result', text }
  }

  #failed(told: Fields, time: number): readonly AgentEvent[] {
    const progress = this.#progress
    const error = opencodeError(told, time)
    if (progress.open) progress.untold = true
    progress.open = false
    progress.error = error
    const { errorClass, message } = error
    const call: AgentEvent = { type: 'call', endedAt: time, error: { errorClass, message } }
    if (error.name !== 'ContextOverflowError') return [call, this.#result()]
    this.#isCompacting = true
    if (++this.#overflows >= MAX_OVERFLOWS && progress.limit === undefined) {
      progress.limit = 'context_length'
      return [call, { type: 'limit', errorClass: 'context_length' }]
    }
    return [call]
  }

  /** `--print-logs`: the only place that tells of requests which failed and are tried again. */
  stderr(line: string): readonly AgentEvent[] {
    if (!line.includes('message="stream error"') || line.includes('small=true')) return []
    this.#again.logged++
    const found = /error\.error="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]
    const events = this.#retries(this.#again.logged - 1)
    this.#lastFailure = found ?? 'the request failed'
    return [{ type: 'alive' }, ...events]
  }

  /** @param logged how many of the failures in its log are known to have been followed by another try */
  #retries(logged: number): readonly AgentEvent[] {
    const seen = Math.max(this.#again.steps, logged)
    const news = Array.from({ length: seen - this.#again.told }, () => ({
      type: 'retry' as const,
      message: this.#lastFailure,
    }))
    this.#again.told = Math.max(seen, this.#again.told)
    return news
  }

  end(exit: AgentExit, at: number): { events: readonly AgentEvent[]; verdict: Verdict } {
    const events: AgentEvent[] = [...this.stdout(exit.rest, at)]
    const children = childSpend(this.#request, [...this.#progress.children], at)
    if (!children.complete) this.#progress.untold = true
    events.push(...children.events)
    if (!this.#progress.error) events.push(...this.#retries(this.#again.logged))
    const gaps = this.#steps.gaps(this.#progress.finish === 'stop')
    const verdict = this.#refusals.over(opencodeVerdict(this.#progress, exit, gaps))
    const told = this.#toldAnswer
    const answer = told && this.#result()
    if (answer?.type === 'result' && answer.text !== told?.text) events.push(answer)
    const structured = structuredIn(this.#toldAnswer?.text, this.#request.spec.output_schema)
    if (verdict.status === 'ok' && structured !== undefined) events.push({ type: 'result', structured })
    return { events, verdict }
  }
}
