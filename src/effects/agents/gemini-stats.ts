// Owns: the sums by model in the result of Gemini CLI.
import type { Tokens } from '../../core/outcome.ts'
import { asAmount, asFields, type Fields } from './loose-json.ts'

export interface ModelStats {
  readonly model: string
  readonly tokens: Tokens
}

/** Models that were asked for nothing are left out; undefined when any of it cannot be read, or does not add up. */
export function statsOf(stats: Fields | undefined): readonly ModelStats[] | undefined {
  const models = asFields(stats?.['models'])
  if (!models) return undefined
  const told: ModelStats[] = []
  let sum = 0
  for (const [model, counts] of Object.entries(models)) {
    const tokens = tokensOf(asFields(counts))
    if (!tokens) return undefined
    const used = tokens.input + tokens.cache_read + tokens.output
    sum += used
    if (used > 0) told.push({ model, tokens })
  }
  return sum < (asAmount(stats?.['total_tokens']) ?? 0) ? undefined : told
}

/** `input` is uncached; thoughts are only in the total. */
function tokensOf(counts: Fields | undefined): Tokens | undefined {
  const [total, prompt] = [asAmount(counts?.['total_tokens']), asAmount(counts?.['input_tokens'])]
  const [output, uncached] = [asAmount(counts?.['output_tokens']), asAmount(counts?.['input'])]
  if (total === undefined || prompt === undefined || output === undefined) return undefined
  const cached = asAmount(counts?.['cached']) ?? (uncached === undefined ? undefined : prompt - uncached)
  if (cached === undefined || cached < 0) return undefined
  const reasoning = Math.max(0, total - prompt - output)
  return {
    input: Math.max(0, prompt - cached),
    cache_read: cached,
    cache_write: 0,
    output: output + reasoning,
    reasoning,
  }
}
