// Owns: how OpenCode counts tokens, in its stream and in its database alike.
import type { Tokens } from '../../core/outcome.ts'
import { asAmount, asFields, type Fields } from './loose-json.ts'

/** `input` excludes the cache, `output` excludes reasoning. Undefined when any of it cannot be read. */
export function tokensOf(tokens: Fields | undefined): Tokens | undefined {
  const input = asAmount(tokens?.['input'])
  const output = asAmount(tokens?.['output'])
  const reasoning = asAmount(tokens?.['reasoning'] ?? 0)
  const cache = asFields(tokens?.['cache'] ?? {})
  const read = asAmount(cache?.['read'] ?? 0)
  const write = asAmount(cache?.['write'] ?? 0)
  if (input === undefined || output === undefined || reasoning === undefined) return undefined
  if (!cache || read === undefined || write === undefined) return undefined
  // Its total shows when some of them are not there.
  if (input + output + reasoning + read + write < (asAmount(tokens?.['total']) ?? 0)) return undefined
  return {
    input,
    output: output + reasoning,
    reasoning,
    cache_read: read,
    cache_write: write,
  }
}
