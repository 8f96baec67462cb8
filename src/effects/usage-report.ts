// Owns: the `usage` of a report → what the core counts. `input_tokens` is the total with cache, as in the GenAI semantic
// conventions; the core counts uncached input.
import { isJsonObject, type Json } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { Cost, Usage } from '../core/outcome.ts'
import { shortened } from './reason.ts'

const COUNTS = [
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_creation_tokens',
  'turns',
  'cost_usd',
] as const

export interface Spent {
  readonly usage?: Usage | undefined
  readonly cost?: Cost | undefined
}

/** Tokens and cost, or what is wrong. A total that is smaller than its cached part was meant as uncached input. */
export function usageOf(value: Json | undefined): Spent | { readonly problem: string } {
  if (value === undefined || value === null) return {}
  if (!isJsonObject(value))
    return { problem: 'has a usage that is no object; expected {"input_tokens": …, "output_tokens": …}' }
  const counts: { [name in (typeof COUNTS)[number]]?: number } = {}
  for (const name of COUNTS) {
    const given = value[name]
    if (given === undefined || given === null) continue
    if (typeof given !== 'number' || !(given >= 0 && given <= Number.MAX_SAFE_INTEGER)) {
      const shown = shortened(JSON.stringify(given), 80)
      return { problem: `has usage.${name} ${shown}; expected a number that is not negative and can be counted` }
    }
    counts[name] = given
  }
  const model = value['model']
  if (model !== undefined && model !== null && (typeof model !== 'string' || model.length > LIMITS.nameChars)) {
    const shown = shortened(JSON.stringify(model), 80)
    return { problem: `has usage.model ${shown}; expected a string of at most ${LIMITS.nameChars} characters` }
  }
  const {
    input_tokens: total = 0,
    output_tokens: output = 0,
    cache_read_tokens: read = 0,
    cache_creation_tokens: write = 0,
  } = counts
  return {
    usage: {
      input: total >= read + write ? total - read - write : total,
      cache_read: read,
      cache_write: write,
      output,
      ...(typeof model === 'string' ? { model } : {}),
      ...(counts.turns === undefined ? {} : { turns: counts.turns }),
    },
    cost:
      counts.cost_usd === undefined ? { usd: null, source: 'unknown' } : { usd: counts.cost_usd, source: 'reported' },
  }
}
