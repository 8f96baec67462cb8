// Owns: adding up what attempts spend, from the attempt through everything around it. Counted as the core counts, so that
// the sums are those of final.json.
import type { Cost, Usage } from '../../core/outcome.ts'
import type { Spent } from '../../core/node-state.ts'
import { nothingSpent, spentOf } from '../../core/spent.ts'
import { around, type AttemptView, type NodeView, type Spend } from './run-view.ts'

/** Usage is absolute per attempt: only what is new is added up the scopes. */
export function spendMore(
  node: NodeView,
  attempt: AttemptView,
  usage: Usage | undefined,
  cost: Cost | undefined,
): void {
  const before = attempt.spent
  const turns = usage?.turns ?? attempt.turns
  attempt.spent = spentOf(usage, cost, before)
  add(node, { ...difference(before, attempt.spent), turns: turns - attempt.turns })
  attempt.turns = turns
}

/** Something that is paid for at once, beside the attempts. */
export const spendOnce = (node: NodeView, usage: Usage | undefined, cost: Cost | undefined): void =>
  add(node, difference(nothingSpent(), spentOf(usage, cost, nothingSpent())))

function difference(before: Spent, after: Spent): Partial<Spend> {
  return {
    input: inputOf(after) - inputOf(before),
    cacheRead: after.tokens.cache_read - before.tokens.cache_read,
    output: after.tokens.output - before.tokens.output,
    usd: after.costUsd - before.costUsd,
    unpriced: after.unpriced - before.unpriced,
  }
}

/** With cache. */
export const inputOf = ({ tokens }: Spent): number => tokens.input + tokens.cache_read + tokens.cache_write

/** Adds to the node and all around it. */
export function add(node: NodeView, more: Partial<Spend>): void {
  for (const { node: at, scope } of around(node)) {
    for (const [key, value] of Object.entries(more) as [keyof Spend, number][]) {
      at.spend[key] += value
      scope.spend[key] += value
    }
  }
}
