// Owns: what one attempt of an agent has spent, from what its client tells: requests one by one, sums of a launch, reported
// cost. Several launches (a wait for a limit between them) add up. Unknown stays unknown, never 0.
import { LIMITS } from '../../core/limits.ts'
import type { Cost, Tokens, Usage } from '../../core/outcome.ts'
import type { AgentEvent, ModelSpent } from './adapter.ts'

type CallEvent = Extract<AgentEvent, { type: 'call' }>
type SpentEvent = Extract<AgentEvent, { type: 'spent' }>

/** US dollars of one request, undefined when its model has no price. */
export type PriceOf = (model: string, tokens: Tokens) => number | undefined

interface Call {
  readonly model: string | undefined
  readonly tokens: Tokens
  readonly usd: number | undefined
  readonly reported: boolean
}

interface Sum {
  readonly tokens: Tokens
  readonly usd: number
  /** Some part has no known price. */
  readonly unpriced: boolean
  readonly reported: boolean
  /** Whether anything was spent that has a price at all. */
  readonly priced: boolean
  readonly turns: number
  readonly models: Readonly<Record<string, ModelSpent>>
}

export const NO_TOKENS: Tokens = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 }
const UNKNOWN_MODEL = 'unknown'
const OTHER_MODELS = 'others'
/** Requests that may still be told again; older ones are only summed up. */
const OPEN_CALLS = 512

export class Spending {
  readonly #priceOf: PriceOf
  readonly #askedModel: string | undefined
  #model: string | undefined
  #earlier: Sum | undefined
  #calls = new Map<string, Call>()
  /** Of this launch, before `#calls`. */
  #olderCalls: Sum | undefined
  #unnamed = 0
  #spent: SpentEvent | undefined

  /** @param askedModel what the pipeline names: the model of requests whose client does not say which */
  constructor(priceOf: PriceOf, askedModel: string | undefined) {
    this.#priceOf = priceOf
    this.#askedModel = askedModel
  }

  /** The main model as far as it is known. */
  get model(): string | undefined {
    return this.#model ?? this.#askedModel
  }

  /** True when something about what was spent has changed. */
  add(event: AgentEvent): boolean {
    switch (event.type) {
      case 'session':
        this.#model ??= event.model
        return false
      case 'call':
        return this.#addCall(event)
      case 'spent':
        this.#spent = { ...this.#spent, ...event }
        return true
      default:
        return false
    }
  }

  #addCall(event: CallEvent): boolean {
    if (!event.subagent) this.#model ??= event.model
    if (!event.tokens) return false
    const model = event.model ?? this.model
    const usd = event.usd ?? (model === undefined ? undefined : this.#priceOf(model, event.tokens))
    const reported = event.usd !== undefined
    this.#calls.set(event.id ?? `#${++this.#unnamed}`, { model, tokens: event.tokens, usd, reported })
    if (this.#calls.size > OPEN_CALLS) this.#closeCalls(OPEN_CALLS / 2)
    return true
  }

  #closeCalls(number: number): void {
    const closed = [...this.#calls].slice(0, number)
    this.#olderCalls = callsSum(
      closed.map(([, call]) => call),
      this.#olderCalls,
    )
    for (const [id] of closed) this.#calls.delete(id)
  }

  /** The client is started again in the same attempt. */
  nextLaunch(): void {
    this.#earlier = this.#sum()
    this.#calls = new Map()
    this.#olderCalls = undefined
    this.#spent = undefined
  }

  /** Absolute, for the whole attempt; undefined while nothing is known. */
  soFar(): { readonly usage: Usage; readonly cost: Cost } | undefined {
    const sum = this.#sum()
    if (!sum) return undefined
    const names = Object.keys(sum.models)
    return {
      usage: {
        ...sum.tokens,
        ...(this.model !== undefined && { model: this.model }),
        turns: sum.turns,
        ...(names.length > 1 && { models: { ...sum.models } }),
      },
      cost: costOf(sum),
    }
  }

  #sum(): Sum | undefined {
    const launch = this.#launchSum()
    if (!launch || !this.#earlier) return launch ?? this.#earlier
    const before = this.#earlier
    return {
      tokens: plus(before.tokens, launch.tokens),
      usd: before.usd + launch.usd,
      unpriced: before.unpriced || launch.unpriced,
      reported: before.reported && launch.reported,
      priced: before.priced || launch.priced,
      turns: before.turns + launch.turns,
      models: mergeModels(before.models, launch.models),
    }
  }

  #launchSum(): Sum | undefined {
    if (this.#calls.size === 0 && !this.#spent) return undefined
    const calls = callsSum(this.#calls.values(), this.#olderCalls)
    const { tokens, models, cost, turns } = this.#spent ?? {}
    const total = tokens ?? (models && Object.values(models).reduce<Tokens>(plus, NO_TOKENS)) ?? calls.tokens
    const counted = { tokens: total, turns: turns ?? calls.turns }
    if (cost && cost.usd !== null) {
      const unpriced = cost.unpriced ?? false
      return {
        ...counted,
        usd: cost.usd,
        unpriced,
        reported: cost.source === 'reported',
        priced: true,
        models: models ?? calls.models,
      }
    }
    if (models) return { ...counted, ...this.#modelsSum(models, counted.turns), models }
    const rest = minus(total, calls.tokens)
    if (isNothing(rest)) return { ...calls, ...counted }
    // The client's sum holds requests of which it did not tell: they are priced as if they were equally large.
    const priced = this.#estimate(this.model, rest, Math.max(1, counted.turns - calls.turns))
    return {
      ...counted,
      usd: calls.usd + (priced ?? 0),
      unpriced: calls.unpriced || priced === undefined,
      reported: false,
      priced: calls.priced || priced !== undefined,
      models: mergeModels(calls.models, { [this.model ?? UNKNOWN_MODEL]: { ...rest, usd: priced ?? null } }),
    }
  }

  #modelsSum(
    models: Readonly<Record<string, ModelSpent>>,
    turns: number,
  ): Pick<Sum, 'usd' | 'unpriced' | 'reported' | 'priced'> {
    let usd = 0
    let unpriced = false
    let reported = true
    let priced = false
    for (const [name, spent] of Object.entries(models)) {
      reported &&= typeof spent.usd === 'number'
      const known = spent.usd ?? this.#estimate(name, spent, Math.max(1, turns))
      usd += known ?? 0
      priced ||= known !== undefined
      unpriced ||= known === undefined && !isNothing(spent)
    }
    return { usd, unpriced, reported, priced }
  }

  /** Prices depend on the size of one request, so a sum is priced as that many equal ones. */
  #estimate(model: string | undefined, tokens: Tokens, requests: number): number | undefined {
    if (model === undefined) return undefined
    const one = this.#priceOf(
      model,
      mapTokens(tokens, (count) => count / requests),
    )
    return one === undefined ? undefined : one * requests
  }
}

/** @param before what was summed up already, in the same order */
function callsSum(calls: Iterable<Call>, before?: Sum): Sum {
  let { tokens = NO_TOKENS, usd = 0, unpriced = false, priced = false, turns = 0 } = before ?? {}
  const models = new Map(Object.entries(before?.models ?? {}))
  let reported = before?.reported ?? true
  for (const call of calls) {
    turns++
    tokens = plus(tokens, call.tokens)
    usd += call.usd ?? 0
    unpriced ||= call.usd === undefined && !isNothing(call.tokens)
    priced ||= call.usd !== undefined
    reported &&= call.reported
    addModel(models, call.model ?? UNKNOWN_MODEL, { ...call.tokens, usd: call.usd ?? null })
  }
  return { tokens, usd, unpriced, reported: reported && turns > 0, priced, turns, models: Object.fromEntries(models) }
}

function costOf(sum: Sum): Cost {
  if (!sum.priced) return { usd: null, source: 'unknown' }
  return { usd: sum.usd, source: sum.reported ? 'reported' : 'computed', ...(sum.unpriced && { unpriced: true }) }
}

const KEYS = ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const

const mapTokens = (tokens: Tokens, map: (count: number, key: (typeof KEYS)[number]) => number): Tokens => ({
  input: map(tokens.input, 'input'),
  cache_read: map(tokens.cache_read, 'cache_read'),
  cache_write: map(tokens.cache_write, 'cache_write'),
  output: map(tokens.output, 'output'),
  reasoning: map(tokens.reasoning ?? 0, 'reasoning'),
})
export const plus = (a: Tokens, b: Tokens): Tokens => mapTokens(a, (count, key) => count + (b[key] ?? 0))
/** Never below 0: a client that counts less than before has begun anew. */
export const minus = (a: Tokens, b: Tokens): Tokens => mapTokens(a, (count, key) => Math.max(0, count - (b[key] ?? 0)))
const isNothing = (tokens: Tokens): boolean => KEYS.every((key) => (tokens[key] ?? 0) === 0)

function mergeModels(
  a: Readonly<Record<string, ModelSpent>>,
  b: Readonly<Record<string, ModelSpent>>,
): Readonly<Record<string, ModelSpent>> {
  const merged = new Map(Object.entries(a))
  for (const [name, spent] of Object.entries(b)) addModel(merged, name, spent)
  return Object.fromEntries(merged)
}

function addModel(models: Map<string, ModelSpent>, told: string, spent: ModelSpent): void {
  const name = models.has(told) || models.size < LIMITS.models ? told : OTHER_MODELS
  const before = models.get(name)
  models.set(
    name,
    before
      ? { ...plus(before, spent), usd: before.usd == null || spent.usd == null ? null : before.usd + spent.usd }
      : { ...mapTokens(spent, (count) => count), usd: spent.usd ?? null },
  )
}
