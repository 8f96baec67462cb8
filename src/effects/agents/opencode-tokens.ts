// Owns: how OpenCode counts tokens, in its stream and in its database alike.
import type { Tokens } from '../../core/outcome.ts'
import { asAmount, asFields, type Fields } from './loose-json.ts'

/** `input` excludes the cache, `output` excludes reasoning. */
export function tokensOf(tokens: Fields | undefined): Tokens | undefined {
  const input = asAmount(tokens?.['input'])
  const output = asAmount(tokens?.['output'])
  if (input === undefined || output === undefined) return undefined
  const reasoning = asAmount(tokens?.['reasoning']) ?? 0
  const cache = asFields(tokens?.['cache'])
  return {
    input,
    output: output + reasoning,
    reasoning,
    cache_read: asAmount(cache?.['read']) ?? 0,
    cache_write: asAmount(cache?.['write']) ?? 0,
  }
}
