// Owns: what open attempts may still spend on calls that are under way. An attempt's reservation is absolute. Whatever it
// reports as spent comes out of it, so that spent and reserved together never count a call twice; a wait, the end of its
// main action and its own end give the rest back.
import { NOTHING, type Amount, type NodeState } from './node-state.ts'
import { budgetsOf } from './budgets.ts'
import type { RunState } from './state.ts'

/** The attempt's reservation is this much from now on. */
export function reserve(state: RunState, node: NodeState, amount: Amount): void {
  const attempt = node.attempt!
  const before = attempt.reserved
  if (before.usd === amount.usd && before.tokens === amount.tokens) return
  attempt.reserved = amount
  for (const budget of budgetsOf(state, node)) {
    budget.reserved = {
      usd: exact(budget.reserved.usd + amount.usd - before.usd),
      tokens: exact(budget.reserved.tokens + amount.tokens - before.tokens),
    }
  }
}

/** Spend that was reserved before is reserved no longer. */
export function takeOutOfReserved(state: RunState, node: NodeState, spent: Amount): void {
  const { usd, tokens } = node.attempt!.reserved
  reserve(state, node, { usd: Math.max(0, usd - spent.usd), tokens: Math.max(0, tokens - spent.tokens) })
}

export const giveBack = (state: RunState, node: NodeState): void => reserve(state, node, NOTHING)

/** Sums of fractions that should be nothing are nothing. */
const exact = (sum: number): number => (sum < 1e-9 ? 0 : sum)
