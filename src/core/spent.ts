// Owns: what one attempt has spent so far, of what it reported: absolute, so that reports can be repeated. The state
// and every reader of the journal count by it.
import type { Cost, Usage } from './outcome.ts'
import { emptyRollup, type Spent } from './node-state.ts'

export const nothingSpent = (): Spent => ({ tokens: { ...emptyRollup().tokens }, costUsd: 0, unpriced: 0 })

/** After one more report. What it leaves out stays as it was; a known price is not unknown because a report has none. */
export function spentOf(usage: Usage | undefined, cost: Cost | undefined, before: Spent): Spent {
  const tokens = usage
    ? {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning ?? 0,
      }
    : before.tokens
  const priced = cost?.usd ?? before.costUsd
  const unpriced = cost
    ? cost.usd === null || cost.unpriced
      ? 1
      : 0
    : usage && before.costUsd === 0
      ? 1
      : before.unpriced
  return { tokens, costUsd: priced, unpriced }
}
