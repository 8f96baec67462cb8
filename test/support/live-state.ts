// Owns: what must hold of a state after every single entry: slots and reservations are those of the attempts that are open.
// Throws with what is wrong.
import { budgetsOf } from '../../src/core/budgets.ts'
import type { BudgetState } from '../../src/core/node-state.ts'
import type { RunState } from '../../src/core/state.ts'

export function checkLiveState(state: RunState): void {
  if (state.phase !== 'running') {
    for (const budget of state.budgets.values()) expectHeld(budget, { usd: 0, tokens: 0 })
    return
  }
  let working = 0
  const held = new Map<BudgetState, { usd: number; tokens: number }>()
  for (const node of state.attempts.values()) {
    const { waiting, reserved } = node.attempt!
    if (!waiting) working++
    if (waiting && (reserved.usd > 0 || reserved.tokens > 0)) throw new Error(`${node.path} waits and reserves`)
    for (const budget of budgetsOf(state, node)) {
      const sum = held.get(budget) ?? { usd: 0, tokens: 0 }
      held.set(budget, { usd: sum.usd + reserved.usd, tokens: sum.tokens + reserved.tokens })
    }
  }
  if (state.slots.used !== working)
    throw new Error(`${state.slots.used} slots are taken by ${working} attempts that do not wait`)
  for (const budget of state.budgets.values()) expectHeld(budget, held.get(budget) ?? { usd: 0, tokens: 0 })
  for (const node of state.gates.values())
    if (node.attempt?.open) throw new Error(`${node.path} asks while its attempt is open`)
}

function expectHeld({ scopePath, reserved }: BudgetState, held: { usd: number; tokens: number }): void {
  if (Math.abs(reserved.usd - held.usd) > 1e-6 || Math.abs(reserved.tokens - held.tokens) > 1e-6)
    throw new Error(
      `budget \`${scopePath}\` holds ${JSON.stringify(reserved)}, its open attempts ${JSON.stringify(held)}`,
    )
}
