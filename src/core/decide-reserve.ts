// Owns: whether an attempt may make a call that costs, before it makes it.
import { identity, stale } from './attempt-identity.ts'
import type { Event } from './events.ts'
import type { InputOf, Refusal } from './inputs.ts'
import type { Amount, BudgetState, NodeState } from './node-state.ts'
import { amountOf, budgetsOf, nameOf } from './budgets.ts'
import type { RunState } from './state.ts'

/**
 * Refused when what was spent and all reservations would pass an enforced limit. With nothing reserved and something left
 * one call goes through, however large it may become: a budget smaller than one estimate can be used, and the most that is
 * spent is the limit and that one call. A client that does not ask gets no such call: the one it makes before it is ended
 * is that one already.
 */
export function decideReserve(state: RunState, input: InputOf<'attempt.reserve'>): Event[] | Refusal {
  const node = state.attempts.get(input.attempt_id)
  if (!node?.attempt?.open || node.attempt.acted) return stale(input.attempt_id)
  const own = node.attempt.reserved
  const asked: Amount = { usd: input.usd ?? 0, tokens: input.tokens ?? 0 }
  const more = asked.usd > own.usd || asked.tokens > own.tokens
  if (more && node.stop) return { refused: 'conflict', message: node.stop.message }
  for (const budget of more ? budgetsOf(state, node) : []) {
    const untold = input.unasked ? untoldUnder(state, budget, node) : 0
    const ask = { own, asked, unasked: input.unasked ?? false, untold }
    const message = whyNot(budget, 'usd', ask) ?? whyNot(budget, 'tokens', ask)
    if (message !== undefined) return { refused: 'conflict', message }
  }
  return [
    {
      type: 'budget.reserved',
      ...identity(node),
      ...(input.usd !== undefined && { usd: input.usd }),
      ...(input.tokens !== undefined && { tokens: input.tokens }),
    },
  ]
}

interface Ask {
  readonly own: Amount
  readonly asked: Amount
  readonly unasked: boolean
  /** First requests of others that nobody has told of yet: each may be as large as this one. */
  readonly untold: number
}

/** At most as many as attempts may run at once. */
function untoldUnder(state: RunState, budget: BudgetState, own: NodeState): number {
  let count = 0
  for (const node of state.attempts.values()) {
    if (node === own || node.def.kind !== 'agent' || node.step !== 'acting') continue
    const { spent, reserved } = node.attempt!
    const told =
      spent.tokens.input + spent.tokens.output + spent.tokens.cache_read > 0 || reserved.usd + reserved.tokens > 0
    if (!told && [...budgetsOf(state, node)].includes(budget)) count++
  }
  return count
}

function whyNot(budget: BudgetState, kind: keyof Amount, { own, asked, unasked, untold }: Ask): string | undefined {
  const limit = budget.limits[kind]
  if (budget.limits.mode !== 'enforce' || limit === undefined || asked[kind] <= own[kind]) return undefined
  const used = budget[kind]
  const held = budget.reserved[kind]
  if (used >= limit)
    return `The budget of ${nameOf(budget)} is used up: ${amountOf(kind, used)} of ${amountOf(kind, limit)}`
  if ((held === 0 && !unasked) || used + held - own[kind] + asked[kind] * (1 + untold) <= limit * (1 + 1e-9))
    return undefined
  const left = amountOf(kind, Math.max(0, limit - used - held))
  return `The budget of ${nameOf(budget)} has ${left} left besides what calls under way may cost; this one may cost ${amountOf(kind, asked[kind] - own[kind])}`
}
