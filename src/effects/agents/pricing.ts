// Owns: what a request to a model costs: the user's prices first, then the bundled price table (list prices, not the
// invoice). The table is loaded with the first question only: it is half a megabyte and takes 40 ms. Must not: guess; a
// model without a known price has none.
import { createRequire } from 'node:module'
import type * as PriceTable from '@pydantic/genai-prices'
import type { Price } from '../../core/pipeline.ts'
import type { Tokens } from '../../core/outcome.ts'

export type Prices = Readonly<Record<string, Price>>

/** Where and when a model is asked: what is known of it. */
export interface Endpoint {
  readonly provider?: string | undefined
  readonly baseUrl?: string | undefined
  /** Prices change. Default: now. */
  readonly at?: Date | undefined
}

/**
 * Models that only their makers serve: a gateway in front of them costs about the list price, whatever its address. Any
 * other model at an unknown address may run on the user's own machine: no price.
 */
const CLOSED = /^(?:claude-|gpt-\d|chatgpt-|o\d|gemini-|grok-)/
/** A wire format, no provider. */
const ANY_PROVIDER = 'openai-compatible'
const MILLION = 1e6

let table: typeof PriceTable | undefined
const priceTable = (): typeof PriceTable =>
  (table ??= createRequire(import.meta.url)('@pydantic/genai-prices') as typeof PriceTable)

/**
 * US dollars of ONE request (tiers depend on its size); undefined when the model has no known price. A user's price for
 * `<provider>/<model>` goes before one for `<model>`; the provider is the one that the endpoint names or that its address
 * belongs to.
 */
export function priceOf(model: string, tokens: Tokens, prices: Prices, endpoint: Endpoint = {}): number | undefined {
  const counts = clean(tokens)
  const own = ownPrice(model, prices, endpoint)
  return own ? ownCost(counts, own) : listCost(model, counts, endpoint)
}

function ownPrice(model: string, own: Prices, endpoint: Endpoint): Price | undefined {
  const find = (name: string): Price | undefined => (Object.hasOwn(own, name) ? own[name] : undefined)
  const named = endpoint.provider === undefined ? undefined : find(`${endpoint.provider}/${model}`)
  if (named) return named
  if (endpoint.baseUrl !== undefined && Object.keys(own).some((name) => name.endsWith(`/${model}`))) {
    const provider = providerAt(endpoint.baseUrl)
    const price = provider === undefined ? undefined : find(`${provider}/${model}`)
    if (price) return price
  }
  return find(model)
}

function ownCost(tokens: Tokens, price: Price): number {
  return (
    (tokens.input * price.input +
      tokens.cache_read * (price.cache_read ?? price.input) +
      tokens.cache_write * (price.cache_write ?? price.input) +
      tokens.output * price.output) /
    MILLION
  )
}

function listCost(model: string, tokens: Tokens, endpoint: Endpoint): number | undefined {
  const timestamp = endpoint.at ?? new Date()
  const usage = {
    input_tokens: tokens.input + tokens.cache_read + tokens.cache_write,
    cache_read_tokens: tokens.cache_read,
    cache_write_tokens: tokens.cache_write,
    output_tokens: tokens.output,
  }
  for (const { id, providerId } of candidates(model, endpoint)) {
    try {
      const found = priceTable().calcPrice(usage, id, { ...(providerId !== undefined && { providerId }), timestamp })
      if (found) return found.total_price
    } catch {
      // The table has no price for one of these kinds of tokens: what they cost is not known.
      return undefined
    }
  }
  return undefined
}

/** Under which names, with whom, the table may know the model. Without `providerId`: whoever is known to make it. */
function* candidates(model: string, { provider, baseUrl }: Endpoint): Generator<{ id: string; providerId?: string }> {
  const there = baseUrl === undefined ? undefined : providerAt(baseUrl)
  if (there !== undefined) {
    yield { id: model, providerId: there }
    return
  }
  const named = provider === undefined || provider === ANY_PROVIDER ? undefined : providerNamed(provider)
  if (named !== undefined) yield { id: model, providerId: named }
  const slash = model.indexOf('/')
  const prefix = slash < 0 ? undefined : providerNamed(model.slice(0, slash))
  if (prefix !== undefined) yield { id: model.slice(slash + 1), providerId: prefix }
  if (baseUrl === undefined ? named === undefined : CLOSED.test(model)) yield { id: model }
}

const providerNamed = (providerId: string): string | undefined => priceTable().findProvider({ providerId })?.id
const providerAt = (baseUrl: string): string | undefined => priceTable().findProvider({ providerApiUrl: baseUrl })?.id

/** Counts that clients got wrong (negative, not a number) count as none. */
function clean(tokens: Tokens): Tokens {
  const count = (value: number): number => (value > 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0)
  return {
    input: count(tokens.input),
    cache_read: count(tokens.cache_read),
    cache_write: count(tokens.cache_write),
    output: count(tokens.output),
  }
}
