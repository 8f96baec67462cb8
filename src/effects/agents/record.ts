// Owns: agent.json: everything that is known of an attempt of an agent, folded from what its adapter told (DESIGN 5).
// Must not: decide what follows from it.
import type { Json } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Session } from '../../core/outcome.ts'
import { toTimestamp } from '../../core/time.ts'
import { lastBytes } from '../reason.ts'
import type { AgentEvent, AgentExit, ErrorClass, ModelSpent, Verdict } from './adapter.ts'
import { NO_TOKENS, Spending, type PriceOf } from './spending.ts'

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly input: Json
  output_tail: string | null
  /** Null: its end was not seen. */
  ok: boolean | null
  exit_code: number | null
  readonly started_at: string
  ended_at: string | null
}

/** agent.json. `tokens.input` is uncached input, `output` includes reasoning; `cost_usd` is null when unknown. */
export interface AgentRecord {
  readonly cli: string
  readonly cli_version: string | null
  readonly session_id: string | null
  readonly model: string | null
  readonly models: { readonly [model: string]: ModelSpent }
  readonly turns: number
  readonly tool_calls: readonly ToolCall[]
  /** How many there were; the list holds the first ones only. */
  readonly tool_calls_total: number
  readonly tokens: {
    readonly input: number
    readonly cache_read: number
    readonly cache_write: number
    readonly output: number
    readonly reasoning: number
  }
  readonly cost_usd: number | null
  readonly cost_source: 'reported' | 'computed' | 'unknown'
  readonly final_text: string | null
  readonly structured: Json
  readonly status: Verdict['status']
  readonly error_class: ErrorClass | null
  readonly error_message: string | null
  readonly http_status: number | null
  /** Requests that the client tried again by itself. */
  readonly retries: number
  readonly warnings: readonly string[]
  readonly exit_code: number | null
  readonly signal: string | null
  readonly usage_complete: boolean
}

const WARNINGS = 100
const WARNING_CHARS = 2_000

export class RecordBuilder {
  readonly spending: Spending
  readonly #cli: string
  readonly #calls = new Map<string, ToolCall>()
  #total = 0
  #sessionId: string | undefined
  #version: string | undefined
  #totals: Session['totals']
  #texts: string[] = []
  #final: string | undefined
  #structured: unknown
  #retries = 0
  #warnings = new Set<string>()

  constructor(cli: string, priceOf: PriceOf, askedModel: string | undefined) {
    this.#cli = cli
    this.spending = new Spending(priceOf, askedModel)
  }

  get sessionId(): string | undefined {
    return this.#sessionId
  }
  get version(): string | undefined {
    return this.#version
  }
  get totals(): Session['totals'] {
    return this.#totals
  }
  /** The last thing it said, or its result. */
  get finalText(): string | undefined {
    return this.#final ?? this.#texts.at(-1)
  }
  get structured(): unknown {
    return this.#structured
  }
  /** The tool it used last. */
  get lastTool(): ToolCall | undefined {
    return [...this.#calls.values()].at(-1)
  }

  nextLaunch(): void {
    this.spending.nextLaunch()
    this.#final = undefined
    this.#structured = undefined
    this.#texts = []
  }

  warn(message: string): void {
    if (this.#warnings.size < WARNINGS) this.#warnings.add(message.slice(0, WARNING_CHARS))
  }

  /** True when what was spent has changed. */
  add(event: AgentEvent): boolean {
    switch (event.type) {
      case 'session':
        this.#sessionId = event.id ?? this.#sessionId
        this.#version = event.version ?? this.#version
        break
      case 'totals':
        this.#totals = event.totals
        break
      case 'text':
        this.#addText(event.text)
        break
      case 'result':
        this.#final = event.text ?? this.#final
        this.#structured = event.structured ?? this.#structured
        break
      case 'retry':
        this.#retries++
        break
      case 'warning':
        this.warn(event.message)
        break
      case 'tool.started':
        this.#startTool(event)
        break
      case 'tool.finished':
        this.#finishTool(event)
        break
      default:
    }
    return this.spending.add(event)
  }

  #addText(text: string): void {
    this.#texts.push(lastBytes(text, LIMITS.finalTextBytes))
    if (this.#texts.length > 10) this.#texts.shift()
  }

  #startTool({ id, name, input, at }: Extract<AgentEvent, { type: 'tool.started' }>): void {
    if (this.#calls.has(id)) return
    this.#total++
    if (this.#calls.size >= LIMITS.callsOnRecord) return
    this.#calls.set(id, {
      id,
      name,
      input: boundedInput(input),
      output_tail: null,
      ok: null,
      exit_code: null,
      started_at: toTimestamp(at),
      ended_at: null,
    })
  }

  #finishTool({ id, ok, exitCode, output, at }: Extract<AgentEvent, { type: 'tool.finished' }>): void {
    const call = this.#calls.get(id)
    if (!call) return
    call.ok = ok
    call.exit_code = exitCode ?? null
    call.output_tail = lastBytes(output, LIMITS.failureTailBytes)
    call.ended_at = toTimestamp(at)
  }

  finish(exit: AgentExit, verdict: Verdict): AgentRecord {
    for (const warning of verdict.warnings ?? []) this.warn(warning)
    const spent = this.spending.soFar()
    const { input, cache_read, cache_write, output, reasoning = 0 } = spent?.usage ?? NO_TOKENS
    const model = this.spending.model
    return {
      cli: this.#cli,
      cli_version: this.#version ?? null,
      session_id: this.#sessionId ?? null,
      model: model ?? null,
      models:
        spent?.usage.models ??
        (spent && model !== undefined
          ? { [model]: { input, cache_read, cache_write, output, reasoning, usd: spent.cost.usd } }
          : {}),
      turns: spent?.usage.turns ?? 0,
      tool_calls: [...this.#calls.values()],
      tool_calls_total: this.#total,
      tokens: { input, cache_read, cache_write, output, reasoning },
      cost_usd: spent?.cost.usd ?? null,
      cost_source: spent?.cost.source ?? 'unknown',
      final_text: this.finalText === undefined ? null : lastBytes(this.finalText, LIMITS.finalTextBytes),
      structured: asJson(this.#structured),
      status: verdict.status,
      error_class: verdict.errorClass ?? null,
      error_message: verdict.message ?? null,
      http_status: verdict.httpStatus ?? null,
      retries: this.#retries,
      warnings: [...this.#warnings],
      exit_code: exit.exitCode ?? null,
      signal: exit.signal ?? null,
      usage_complete: verdict.usageComplete,
    }
  }
}

/** A tool's input as it is, or the beginning of its text when it is too large. */
function boundedInput(input: unknown): Json {
  const value = asJson(input)
  const text = JSON.stringify(value)
  return text.length <= LIMITS.toolInputBytes ? value : `${text.slice(0, LIMITS.toolInputBytes)}…`
}

const asJson = (value: unknown): Json =>
  value === undefined ? null : (JSON.parse(JSON.stringify(value) ?? 'null') as Json)
