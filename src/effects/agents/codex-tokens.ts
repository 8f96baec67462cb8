// Owns: how Codex counts tokens, in its stream and in its files.
import type { Tokens } from '../../core/outcome.ts'
import { asAmount, asFields } from './loose-json.ts'

/**
 * `input_tokens` is all input, cached or not; `output_tokens` includes reasoning. Undefined unless both are there and
 * what else is there can be read.
 */
export function codexTokens(value: unknown): Tokens | undefined {
  const usage = asFields(value)
  const input = asAmount(usage?.['input_tokens'])
  const output = asAmount(usage?.['output_tokens'])
  if (!usage || input === undefined || output === undefined) return undefined
  const part = (name: string): number | undefined => (name in usage ? asAmount(usage[name]) : 0)
  const cacheRead = part('cached_input_tokens')
  const cacheWrite = part('cache_write_input_tokens')
  const reasoning = part('reasoning_output_tokens')
  if (cacheRead === undefined || cacheWrite === undefined || reasoning === undefined) return undefined
  return {
    input: Math.max(0, input - cacheRead - cacheWrite),
    cache_read: cacheRead,
    cache_write: cacheWrite,
    output,
    reasoning,
  }
}
