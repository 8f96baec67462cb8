// Owns: what a run has used: roll-ups of attempts, retries, tokens and cost at every level. Spend is absolute per attempt,
// so that reports can be repeated; it is never given back.
import { forBudgets } from './budgets.ts'
import type { Rollup } from './event-values.ts'
import type { Amount, NodeState, Spent } from './node-state.ts'
import type { Cost, Usage } from './outcome.ts'
import { takeOutOfReserved } from './reserved.ts'
import { nothingSpent, spentOf } from './spent.ts'
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
  attempt.spent = spentOf(usage, cost, before)
  takeOutOfReserved(state, node, book(state, node, before, attempt.spent))
}

/** Books what was spent once on a visit, beside its attempts. */
export function addToVisit(state: RunState, node: NodeState, usage: Usage | undefined, cost: Cost | undefined): void {
  if (usage || cost) book(state, node, nothingSpent(), spentOf(usage, cost, nothingSpent()))
}

function book(state: RunState, node: NodeState, before: Spent, after: Spent): Amount {
  addToRollups(node, (rollup) => {
    for (const key of ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const)
      rollup.tokens[key] += after.tokens[key] - before.tokens[key]
    rollup.cost_usd += after.costUsd - before.costUsd
    rollup.cost_unpriced += after.unpriced - before.unpriced
  })
  const more: Amount = { usd: after.costUsd - before.costUsd, tokens: total(after.tokens) - total(before.tokens) }
  forBudgets(state, node, (budget) => {
    budget.usd += more.usd
    budget.tokens += more.tokens
  })
  return more
}

const total = (tokens: Spent['tokens']): number => tokens.input + tokens.cache_read + tokens.cache_write + tokens.output

/** The scope's own rollup as of now, for an event. */
export const copyRollup = (rollup: Rollup): Rollup => ({ ...rollup, tokens: { ...rollup.tokens } })
