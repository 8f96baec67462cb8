// Owns: adding up what attempts spend, from the attempt through everything around it.
import type { Cost, Usage } from '../../core/outcome.ts'
import { around, type AttemptView, type NodeView, type Spend } from './run-view.ts'

/** Usage is absolute per attempt: only what is new is added up the scopes. */
export function spendMore(
  node: NodeView,
  attempt: AttemptView,
  usage: Usage | undefined,
  cost: Cost | undefined,
): void {
  const input = usage === undefined ? attempt.input : usage.input + usage.cache_read + usage.cache_write
  const cacheRead = usage?.cache_read ?? attempt.cacheRead
  const output = usage?.output ?? attempt.output
  const usd = cost?.usd ?? attempt.usd
  add(node, {
    input: input - attempt.input,
    cacheRead: cacheRead - attempt.cacheRead,
    output: output - attempt.output,
    usd: usd - attempt.usd,
  })
  Object.assign(attempt, { input, cacheRead, output, usd })
}

/** Adds to the node and all around it. */
export function add(node: NodeView, more: Partial<Spend>): void {
  for (const { node: at, scope } of around(node)) {
    for (const [key, value] of Object.entries(more) as [keyof Spend, number][]) {
      at.spend[key] += value
      scope.spend[key] += value
    }
  }
}
