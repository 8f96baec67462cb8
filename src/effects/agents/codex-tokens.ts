// Owns: how Codex counts tokens, in its stream and in its files.
import type { Tokens } from '../../core/outcome.ts'
import { asAmount, asFields } from './loose-json.ts'

/**
 * `input_tokens` is all input, cached or not; `output_tokens` includes reasoning. Undefined unless both are there.
 */
export function codexTokens(value: unknown): Tokens | undefined {
  const usage = asFields(value)
  const input = asAmount(usage?.['input_tokens'])
  const output = asAmount(usage?.['output_tokens'])
  if (!usage || input === undefined || output === undefined) return undefined
  const cacheRead = asAmount(usage['cached_input_tokens']) ?? 0
  const cacheWrite = asAmount(usage['cache_write_input_tokens']) ?? 0
  return {
    input: Math.max(0, input - cacheRead - cacheWrite),
    cache_read: cacheRead,
    cache_write: cacheWrite,
    output,
    reasoning: asAmount(usage['reasoning_output_tokens']) ?? 0,
  }
}
