// Owns: what an attempt owes the budgets around it: no money that cannot be counted (a model without a known price below an
// enforced budget in dollars), and how much the next request of a client may cost.
import type { AgentSpec } from '../../core/agent.ts'
import type { Left } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import type { EffectsContext, Reservation } from '../context.ts'
import { reason } from '../reason.ts'
import type { AgentAdapter, AgentEvent } from './adapter.ts'
import { priceOf } from './pricing.ts'
import { NO_TOKENS, type PriceOf } from './spending.ts'

/** Prices as the node's agent pays them. */
export function pricesFor(context: EffectsContext, spec: AgentSpec): PriceOf {
  const endpoint = { provider: spec.provider, baseUrl: spec.base_url }
  return (model, tokens) => priceOf(model, tokens, context.prices ?? {}, endpoint)
}

const unmeasurable = (spec: AgentSpec, model: string): FailureReport =>
  reason(
    'config_invalid',
    `the budget of this run cannot be measured: ${spec.use} uses ${model}, whose price is not known: add \`prices:\` for it, or set the budget to \`mode: audit\``,
    'agent',
    { model },
  )

/** Why it may not start: its model is known, and neither its price nor a client that tells the cost. */
export function unmeasurableBefore(
  spec: AgentSpec,
  adapter: AgentAdapter,
  usdLeft: number | undefined,
  price: PriceOf,
): FailureReport | undefined {
  if (usdLeft === undefined || adapter.reportsCost || spec.model === undefined) return undefined
  return price(spec.model, { ...NO_TOKENS, input: 1_000, output: 1_000 }) === undefined
    ? unmeasurable(spec, spec.model)
    : undefined
}

/** Why it may not go on: a request was made whose cost nobody knows. */
export function unmeasurableCall(
  event: AgentEvent,
  spec: AgentSpec,
  usdLeft: number | undefined,
  price: PriceOf,
): FailureReport | undefined {
  if (usdLeft === undefined || event.type !== 'call' || !event.tokens || event.usd !== undefined) return undefined
  const model = event.model ?? spec.model
  if (model !== undefined && price(model, event.tokens) !== undefined) return undefined
  return unmeasurable(spec, model ?? 'a model it does not name')
}

export type CallEvent = Extract<AgentEvent, { type: 'call' }>

/** What the next request may cost: as much as the last one. Undefined where no enforced budget counts it. */
export function nextRequest(
  last: CallEvent | undefined,
  { asked, price }: { readonly asked: { readonly spec: AgentSpec }; readonly price: PriceOf },
  left: Left,
): Reservation | undefined {
  if (!last?.tokens || (left.usd === undefined && left.tokens === undefined)) return undefined
  const { input, cache_read, cache_write, output } = last.tokens
  const model = last.model ?? asked.spec.model
  const usd = last.usd ?? (model === undefined ? undefined : price(model, last.tokens))
  return {
    ...(left.usd !== undefined && usd !== undefined && { usd }),
    ...(left.tokens !== undefined && { tokens: input + cache_read + cache_write + output }),
  }
}
