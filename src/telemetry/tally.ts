// Owns: sums per open span, needed only where a span is closed without an event that carries them (an interruption).
// They cover this execution; the sums in events cover all executions.
import type { Children, Rollup } from '../core/event-values.ts'
import type { Result } from '../core/failure.ts'
import type { Cost, Usage } from '../core/outcome.ts'
import { nothingSpent, spentOf } from '../core/spent.ts'
import { isFailed } from './span-attributes.ts'

const TOKENS = ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const

export interface Tally {
  readonly children: Children
  readonly rollup: Rollup
}

export const emptyTally = (): Tally => ({
  children: { total: 0, failed: 0, retried: 0, skipped: 0 },
  rollup: {
    attempts: 0,
    retries: 0,
    cost_usd: 0,
    cost_unpriced: 0,
    tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
  },
})

export function countAttempt(tally: Tally, usage: Usage | undefined, cost: Cost | undefined): void {
  tally.rollup.attempts += 1
  countSpend(tally, usage, cost)
}

export function countSpend({ rollup }: Tally, usage: Usage | undefined, cost: Cost | undefined): void {
  const { tokens, costUsd, unpriced } = spentOf(usage, cost, nothingSpent())
  for (const name of TOKENS) rollup.tokens[name] += tokens[name]
  rollup.cost_usd += costUsd
  rollup.cost_unpriced += unpriced
}

/** Counts a child (node or branch) that ended, and what was spent below it. */
export function countChild(tally: Tally, child: Tally, result: Result): void {
  tally.children.total += 1
  if (isFailed(result)) tally.children.failed += 1
  if (result === 'skip') tally.children.skipped += 1
  if (child.rollup.retries > 0) tally.children.retried += 1
  const { rollup } = tally
  rollup.attempts += child.rollup.attempts
  rollup.retries += child.rollup.retries
  rollup.cost_usd += child.rollup.cost_usd
  rollup.cost_unpriced += child.rollup.cost_unpriced
  for (const name of TOKENS) rollup.tokens[name] += child.rollup.tokens[name]
}
