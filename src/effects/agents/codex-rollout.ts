// Owns: what the rollout file of one conversation tells beyond the stream: model, every request to it with its tokens and
// times, whether one is under way, and commands that the sandbox refused (the stream is silent about those).
import { minus } from './spending.ts'
import type { Tokens } from '../../core/outcome.ts'
import type { AgentEvent } from './adapter.ts'
import { codexTokens } from './codex-tokens.ts'
import { asAmount, asFields, asText, asTime, objectIn, type Fields } from './loose-json.ts'

/** What was there before this launch: of a resumed conversation the file goes on. */
export interface Before {
  /** The first bytes of the file that are not of this launch. */
  readonly bytes?: number | undefined
  /** Epoch ms: what was written earlier is not of this launch. */
  readonly since?: number | undefined
  /** What the conversation had used in all. */
  readonly totals?: Tokens | undefined
}

interface Asked {
  readonly name: string
  readonly input: string
  readonly at: number
  /** Answers that had been there before. */
  readonly answer: number
}

export class Rollout {
  readonly #subagent: boolean
  readonly #bytesBefore: number
  readonly #since: number
  #bytes = 0
  #usedBefore: Tokens | undefined
  #total: Tokens | undefined
  #model: string | undefined
  #requestAt: number | undefined
  #open = true
  #requests = 0
  readonly #pending = new Map<string, Asked>()
  readonly #done = new Set<string>()
  #texts: string[] = []
  #limitEndsAt: number | undefined

  constructor(subagent: boolean, before: Before = {}) {
    this.#subagent = subagent
    this.#bytesBefore = before.bytes ?? 0
    this.#since = before.since ?? Number.NEGATIVE_INFINITY
    this.#usedBefore = before.totals
  }

  /** What the conversation had used before this launch; undefined = not known. */
  get before(): Tokens | undefined {
    return this.#usedBefore
  }
  /** What it has used in all. */
  get total(): Tokens | undefined {
    return this.#total
  }
  /** Requests of this launch that were answered. */
  get requests(): number {
    return this.#requests
  }
  /** Tool calls of the last answer are under way: there will be another request. */
  get goesOn(): boolean {
    return this.#pending.size > 0
  }
  /** A request was begun whose tokens are not known. */
  get requestOpen(): boolean {
    return this.#open
  }
  /** Epoch ms: the end of a plan's limit that is used up. */
  get limitEndsAt(): number | undefined {
    return this.#limitEndsAt
  }

  line(line: string, at: number): readonly AgentEvent[] {
    const inOldPart = this.#bytes < this.#bytesBefore
    this.#bytes += Buffer.byteLength(line) + 1
    const entry = objectIn(line)
    const payload = asFields(entry?.['payload'])
    if (!entry || !payload) return []
    const time = asTime(entry['timestamp']) ?? at
    const old = inOldPart || time < this.#since
    if (entry['type'] === 'token_usage_record') return this.#used(payload, old, time)
    if (old) return []
    switch (entry['type']) {
      case 'session_meta':
        return this.#meta(payload)
      case 'turn_context':
        return this.#context(payload, time)
      case 'response_item':
        return this.#item(payload, time)
      case 'event_msg':
        return this.#message(payload)
      default:
        return []
    }
  }

  #meta(payload: Fields): readonly AgentEvent[] {
    const version = asText(payload['cli_version'])
    return this.#subagent || version === undefined ? [] : [{ type: 'session', version }]
  }

  #context(payload: Fields, time: number): readonly AgentEvent[] {
    this.#model = asText(payload['model']) ?? this.#model
    this.#requestAt = time
    this.#open = true
    return this.#subagent || this.#model === undefined ? [] : [{ type: 'session', model: this.#model }]
  }

  #used(payload: Fields, old: boolean, time: number): readonly AgentEvent[] {
    const total = codexTokens(payload['thread_token_usage'])
    if (old) {
      this.#usedBefore = total ?? this.#usedBefore
      return []
    }
    this.#total = total ?? this.#total
    const tokens = codexTokens(payload['usage'])
    this.#open = tokens === undefined
    if (!tokens) return []
    // Of earlier answers everything is answered, whatever form that had.
    for (const [id, { answer }] of this.#pending) if (answer < this.#requests) this.#pending.delete(id)
    this.#requests++
    const call: AgentEvent = {
      type: 'call',
      id: asText(payload['response_id']),
      model: this.#model,
      startedAt: this.#requestAt,
      endedAt: time,
      tokens,
      text: this.#texts.length === 0 ? undefined : this.#texts.join('\n'),
      ...(this.#subagent && { subagent: true }),
    }
    this.#texts = []
    this.#requestAt = time
    return total && !this.#subagent ? [call, { type: 'totals', totals: total }] : [call]
  }

  #item(payload: Fields, time: number): readonly AgentEvent[] {
    const type = asText(payload['type']) ?? ''
    const id = asText(payload['call_id'])
    if (type === 'message' && payload['role'] === 'assistant') this.#texts.push(textIn(payload['content']))
    else if (type.endsWith('_call') && id !== undefined)
      this.#pending.set(id, {
        name: asText(payload['name']) ?? type,
        input: asText(payload['arguments']) ?? asText(payload['input']) ?? '',
        at: time,
        answer: this.#requests,
      })
    else if (type.endsWith('_output') && id !== undefined) return this.#answered(id, payload['output'], time)
    return []
  }

  /** Its tool calls are answered: what follows is the next request. */
  #answered(id: string, output: unknown, time: number): readonly AgentEvent[] {
    const asked = this.#pending.get(id)
    this.#pending.delete(id)
    if (this.#pending.size === 0) {
      this.#requestAt = time
      this.#open = true
    }
    return asked && !this.#done.has(id) ? refusal(id, asked, textIn(output), time) : []
  }

  #message(payload: Fields): readonly AgentEvent[] {
    if (payload['type'] === 'item_completed') {
      const id = asText(asFields(payload['item'])?.['id'])
      if (id !== undefined) this.#done.add(id)
    }
    if (payload['type'] === 'token_count') this.#limits(asFields(payload['rate_limits']))
    if (payload['type'] === 'task_complete') this.#open = false
    return []
  }

  #limits(limits: Fields | undefined): void {
    for (const window of [asFields(limits?.['primary']), asFields(limits?.['secondary'])]) {
      const resets = asAmount(window?.['resets_at'])
      if (resets !== undefined && (asAmount(window?.['used_percent']) ?? 0) >= 100)
        this.#limitEndsAt = Math.max(this.#limitEndsAt ?? 0, resets * 1_000)
    }
  }
}

const REFUSED = /Process exited with code ([1-9]\d*)|rejected|sandbox|verification failed/

/** A command that the sandbox did not let do its work, or a patch that does not fit, ends without an item in the stream. */
function refusal(id: string, { name, input, at }: Asked, output: string, time: number): readonly AgentEvent[] {
  const found = REFUSED.exec(output)
  if (!found || !/^(?:exec_command|shell|shell_command|local_shell_call|apply_patch)$/.test(name)) return []
  const exitCode = found[1] === undefined ? undefined : Number(found[1])
  const command = asText(objectIn(input)?.['cmd']) ?? input
  return [
    { type: 'tool.started', id, name: name === 'apply_patch' ? name : 'shell', input: { command }, at },
    {
      type: 'tool.finished',
      id,
      ok: false,
      exitCode,
      output: output.replace(/^[\s\S]*?\nOutput:\n/, ''),
      error: exitCode === undefined ? output : `exit code ${exitCode}`,
      at: time,
    },
  ]
}

/** Text as it is or as a list of parts. */
function textIn(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part) => asText(asFields(part)?.['text']))
    .filter((text) => text !== undefined)
    .join('\n')
}

/** Whether two counts are of the same use. */
export const sameTokens = (a: Tokens, b: Tokens): boolean =>
  [minus(a, b), minus(b, a)].every((rest) => Object.values(rest).every((count) => count === 0))
