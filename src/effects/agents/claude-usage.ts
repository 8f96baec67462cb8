// Owns: tokens and money in the forms in which Claude Code tells them: of one request (the provider's) and of many by
// model (its own). Facts as seen with 2.1.329.
import type { Session, Tokens } from '../../core/outcome.ts'
import type { ModelSpent } from './adapter.ts'
import { asAmount, asFields, type Fields } from './loose-json.ts'
import { NO_TOKENS, plus } from './spending.ts'

export type Models = Readonly<Record<string, ModelSpent>>

/** `usage` of a message; `earlier` fills in what a later part of the stream does not repeat. */
export function tokensOfMessage(value: unknown, earlier: Tokens = NO_TOKENS): Tokens | undefined {
  const usage = asFields(value)
  if (!usage) return undefined
  const thinking = asAmount(asFields(usage['output_tokens_details'])?.['thinking_tokens'])
  return {
    input: asAmount(usage['input_tokens']) ?? earlier.input,
    cache_read: asAmount(usage['cache_read_input_tokens']) ?? earlier.cache_read,
    cache_write: asAmount(usage['cache_creation_input_tokens']) ?? earlier.cache_write,
    output: asAmount(usage['output_tokens']) ?? earlier.output,
    reasoning: thinking ?? earlier.reasoning ?? 0,
  }
}

/**
 * `modelUsage` or `model_usage_since_last_result`; undefined when a model's counts cannot be read. Cost counts only on list
 * prices: elsewhere it is a guess.
 */
export function modelsOf(value: unknown): Models | undefined {
  const usage = asFields(value)
  if (!usage) return undefined
  const models: Record<string, ModelSpent> = {}
  for (const [model, of] of Object.entries(usage)) {
    const spent = modelSpent(asFields(of))
    if (!spent) return undefined
    models[model] = spent
  }
  return models
}

/** Counts that are not there are none; those that cannot be read are not known. */
function modelSpent(spent: Fields | undefined): ModelSpent | undefined {
  const input = asAmount(spent?.['inputTokens'])
  const output = asAmount(spent?.['outputTokens'])
  const cacheRead = asAmount(spent?.['cacheReadInputTokens'] ?? 0)
  const cacheWrite = asAmount(spent?.['cacheCreationInputTokens'] ?? 0)
  if (!spent || input === undefined || output === undefined || cacheRead === undefined || cacheWrite === undefined)
    return undefined
  const usd = spent['costBasis'] === 'list' ? asAmount(spent['costUSD']) : undefined
  return {
    input,
    cache_read: cacheRead,
    cache_write: cacheWrite,
    output,
    reasoning: asAmount(spent['thinkingTokens']) ?? 0,
    ...(usd !== undefined && { usd }),
  }
}

export function addModels(a: Models, b: Models): Models {
  const sum: Record<string, ModelSpent> = { ...a }
  for (const [model, spent] of Object.entries(b)) {
    const before = sum[model]
    const usd = before ? (before.usd == null || spent.usd == null ? undefined : before.usd + spent.usd) : spent.usd
    sum[model] = { ...plus(before ?? NO_TOKENS, spent), ...(usd != null && { usd }) }
  }
  return sum
}

export const sumOf = (models: Models): Tokens => Object.values(models).reduce<Tokens>(plus, NO_TOKENS)

/** Undefined: some of it has no list price. */
export function listCost(models: Models): number | undefined {
  let sum = 0
  for (const { usd } of Object.values(models)) {
    if (usd == null) return undefined
    sum += usd
  }
  return sum
}

/** What a result says of the whole conversation, resumed parts included. */
export function totalsOf(result: Fields): Session['totals'] {
  const models = modelsOf(result['modelUsage'])
  if (!models) return undefined
  const cost = listCost(models) === undefined ? undefined : asAmount(result['total_cost_usd'])
  return { ...sumOf(models), ...(cost !== undefined && { cost_usd: cost }) }
}

/** Names of models that are no models: what the client says by itself. */
export const isSynthetic = (model: unknown): boolean => model === '<synthetic>'
