// Owns: what a run has used: roll-ups of attempts, retries, tokens and cost at every level. Spend is absolute per attempt,
// so that reports can be repeated; it is never given back.
import { forBudgets } from './budgets.ts'
import type { Rollup } from './event-values.ts'
import type { NodeState, Spent } from './node-state.ts'
import type { Cost, Usage } from './outcome.ts'
import { takeOutOfReserved } from './reserved.ts'
import { spentOf } from './spent.ts'
import { scopesOutward, type RunState } from './state.ts'

/** Adds to the visit, its scope, the visit around it, … up to the run. */
export function addToRollups(node: NodeState, add: (rollup: Rollup) => void): void {
  add(node.rollup)
  for (const scope of scopesOutward(node.scope)) {
    add(scope.rollup)
    if (scope.owner) add(scope.owner.rollup)
  }
}

/** Books what an attempt has spent in all so far. */
export function addSpend(state: RunState, node: NodeState, usage: Usage | undefined, cost: Cost | undefined): void {
  const attempt = node.attempt
  if (!attempt || (!usage && !cost)) return
  const before = attempt.spent
  const after = spentOf(usage, cost, before)
  attempt.spent = after
  const difference = (key: keyof Spent['tokens']): number =>
    (after.tokens[key] as number) - (before.tokens[key] as number)
  addToRollups(node, (rollup) => {
    for (const key of ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const)
      rollup.tokens[key] += difference(key)
    rollup.cost_usd += after.costUsd - before.costUsd
    rollup.cost_unpriced += after.unpriced - before.unpriced
  })
  const tokens = total(after.tokens) - total(before.tokens)
  forBudgets(state, node, (budget) => {
    budget.usd += after.costUsd - before.costUsd
    budget.tokens += tokens
  })
  takeOutOfReserved(state, node, { usd: after.costUsd - before.costUsd, tokens })
}

const total = (tokens: Spent['tokens']): number => tokens.input + tokens.cache_read + tokens.cache_write + tokens.output

/** The scope's own rollup as of now, for an event. */
export const copyRollup = (rollup: Rollup): Rollup => ({ ...rollup, tokens: { ...rollup.tokens } })
