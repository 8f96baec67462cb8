// Owns: the results of one launch of Claude Code: there may be several (agents in the background bring their own), each may
// come twice or out of turn. Which is the last, what all of them come to, whether one is missing. Seen with 2.1.329.
import type { Session } from '../../core/outcome.ts'
import { addModels, modelsOf, sumOf, type Models } from './claude-usage.ts'
import { asAmount, asFields, asText, type Fields } from './loose-json.ts'
import { minus } from './spending.ts'

export class ClaudeResults {
  /** The conversation that this launch goes on with. */
  readonly #before: Session | undefined
  readonly #results = new Map<string, Fields>()
  readonly #turns = new Set<string>()
  #notified = false

  constructor(before: Session | undefined) {
    this.#before = before
  }

  add(result: Fields): void {
    this.#results.set(keyOf(result), result)
  }

  /** A turn begins: at first, and each time that something in the background is to be answered. */
  turnBegan(init: Fields): void {
    this.#turns.add(asText(init['uuid']) ?? `#${this.#turns.size}`)
  }

  /** Something in the background has ended; the agent is told of it in a turn of its own. */
  notified(): void {
    this.#notified = true
  }

  get count(): number {
    return this.#results.size
  }

  /** The last one by their own numbers, where they have such, else by arrival. */
  get last(): Fields | undefined {
    let last: Fields | undefined
    for (const result of this.#results.values())
      if (!((indexOf(result) ?? Infinity) < (indexOf(last) ?? -1))) last = result
    return last
  }

  /** A turn that answers to something in the background has begun, and its result has yet to come. */
  get awaitsMore(): boolean {
    return this.#notified && this.#results.size > 0 && this.#turns.size > this.#results.size
  }

  /** How many agents had not finished as the last one was written; undefined: it does not tell. */
  get agentsLeft(): number | undefined {
    const stats = asFields(this.last?.['subagent_stats'])
    const spawned = asAmount(stats?.['spawned'])
    if (!stats || spawned === undefined) return undefined
    const killed = Object.values(asFields(stats['killed']) ?? {})
    const over = [stats['completed'], stats['failed'], ...killed].map((count) => asAmount(count) ?? 0)
    return over.reduce((left, count) => left - count, spawned)
  }

  /** Their numbers show that one of them was not in the output. */
  get hasGap(): boolean {
    const indexes = [...this.#results.values()].map(indexOf)
    return Math.max(-1, ...indexes.map((index) => index ?? -1)) >= this.#results.size
  }

  /** By model, earlier parts of the conversation taken off. Undefined: that cannot be told. */
  get models(): Models | undefined {
    let sum: Models = {}
    for (const result of this.#results.values()) {
      const since = modelsOf(result['model_usage_since_last_result'])
      if (since === undefined) return this.#difference()
      sum = addModels(sum, since)
    }
    return sum
  }

  /** Its sums hold what an earlier attempt did not tell. */
  get isAfterPart(): boolean {
    const hasOwn = [...this.#results.values()].every((result) => modelsOf(result['model_usage_since_last_result']))
    return this.#before?.partial === true && !hasOwn
  }

  /** Results without sums of their own: of an old client, or of one that did not begin. */
  #difference(): Models | undefined {
    const models = modelsOf(this.last?.['modelUsage'])
    if (models === undefined || !this.#before) return models
    const { totals } = this.#before
    const names = Object.keys(models)
    if (names.length === 0) return {}
    if (!totals || names.length > 1) return undefined
    return { [names[0]!]: minus(sumOf(models), totals) }
  }
}

const indexOf = (result: Fields | undefined): number | undefined => asAmount(result?.['result_index'])

/** Tells a result from the others of its launch: a line that came twice counts once. */
function keyOf(result: Fields): string {
  const index = indexOf(result)
  return asText(result['uuid']) ?? (index === undefined ? JSON.stringify(result) : `#${index}`)
}
