// Owns: the clock of time budgets: it runs while something under the budget is under way that is no gate and no limit wait.
import { budgetsOf } from './budgets.ts'
import { addCommand, dropCommand, timerId } from './command-queue.ts'
import { LIMITS } from './limits.ts'
import type { BudgetState, NodeState } from './node-state.ts'
import type { RunState } from './state.ts'

/** Whether a visit counts as work all the time. Gates do not; fan-outs and children only count by what runs in them. */
export const worksThroughout = (node: NodeState): boolean =>
  node.def.kind !== 'gate' && node.def.kind !== 'fanout' && node.def.kind !== 'child'

/** Of a visit, or of a check or hook of one that does not count throughout. */
export function startWork(state: RunState, node: NodeState, at: number): void {
  if (node.workingIn === state.execution) return
  node.workingIn = state.execution
  for (const budget of budgetsOf(state, node)) {
    if (budget.limits.time_ms === undefined) continue
    if (budget.busy++ === 0) {
      budget.since = at
      setAlarm(state, budget)
    }
  }
}

export function endWork(state: RunState, node: NodeState, at: number): void {
  if (node.workingIn !== state.execution) return
  node.workingIn = 0
  for (const budget of budgetsOf(state, node)) {
    if (budget.limits.time_ms === undefined || budget.busy === 0) continue
    if (--budget.busy === 0) stopClock(state, budget, at)
  }
}

/** The execution ends: nothing is under way any longer. */
export function stopClocks(state: RunState, at: number): void {
  for (const budget of state.budgets.values()) {
    if (budget.busy > 0) stopClock(state, budget, at)
    budget.busy = 0
  }
}

function stopClock(state: RunState, budget: BudgetState, at: number): void {
  budget.timeMs += Math.max(0, at - budget.since)
  dropCommand(state, timerId.budget(budget.scopePath))
}

/** The clock goes on to the next threshold that has not been announced. */
export function setAlarm(state: RunState, budget: BudgetState): void {
  const limit = budget.limits.time_ms
  if (limit === undefined || budget.busy === 0 || budget.exceeded.has('time')) return
  const threshold = budget.warned.has('time') ? limit : limit * LIMITS.budgetWarning
  addCommand(state, {
    kind: 'timer',
    id: timerId.budget(budget.scopePath),
    due: budget.since + Math.max(0, threshold - budget.timeMs),
  })
}
