// Owns: budgets: what they hold, which ones pay for a node, what is left of them, what has to be said about them.
import type { Left } from './commands.ts'
import { formatDuration } from './duration.ts'
import { LIMITS } from './limits.ts'
import { NOTHING, type BudgetState, type NodeState } from './node-state.ts'
import type { Budget } from './pipeline.ts'
import type { RunState } from './state.ts'

export const BUDGET_KINDS = ['usd', 'tokens', 'time', 'attempts'] as const
export type BudgetKind = (typeof BUDGET_KINDS)[number]

export function newBudget(
  state: RunState,
  scopePath: string,
  limits: Budget,
  owner: NodeState | undefined,
): BudgetState {
  const budget: BudgetState = {
    scopePath,
    limits,
    owner,
    usd: 0,
    tokens: 0,
    attempts: 0,
    reserved: NOTHING,
    timeMs: 0,
    since: 0,
    busy: 0,
    warned: new Set(),
    exceeded: new Set(),
    blocked: undefined,
  }
  state.budgets.set(scopePath, budget)
  return budget
}

/** The budgets that pay for something in this node: its own, those of the nodes around it, the run's. */
export function* budgetsOf(state: RunState, node: NodeState): Generator<BudgetState> {
  if (state.budgets.size === 0) return
  for (let at: NodeState | undefined = node; at; at = at.scope.owner) {
    if (at.childBudget) yield at.childBudget
    if (at.budget) yield at.budget
  }
  const run = state.budgets.get('')
  if (run) yield run
}

/** What a message calls it. */
export const nameOf = (budget: BudgetState): string =>
  budget.scopePath === ''
    ? 'the run'
    : budget.scopePath.endsWith('/')
      ? `the child pipeline ${budget.scopePath.slice(0, -1)}`
      : budget.scopePath

/** Puts a budget on the agenda while something has to be said about it. */
export function review(state: RunState, budget: BudgetState): void {
  if (dueNotices(budget, state.lastAt).length > 0) state.agenda.add(budget)
  else state.agenda.delete(budget)
}

/** The budget, if any, that forbids to start something in this node. */
export function blockingBudget(state: RunState, node: NodeState): BudgetState | undefined {
  for (const budget of budgetsOf(state, node)) if (budget.blocked) return budget
  return undefined
}

export function forBudgets(state: RunState, node: NodeState, add: (budget: BudgetState) => void): void {
  for (const budget of budgetsOf(state, node)) {
    add(budget)
    review(state, budget)
  }
}

export function usedOf(budget: BudgetState, kind: BudgetKind, now: number): number {
  switch (kind) {
    case 'usd':
      return budget.usd
    case 'tokens':
      return budget.tokens
    case 'attempts':
      return budget.attempts
    case 'time':
      return budget.timeMs + (budget.busy > 0 ? Math.max(0, now - budget.since) : 0)
  }
}

export const limitOf = (budget: BudgetState, kind: BudgetKind): number | undefined =>
  kind === 'time' ? budget.limits.time_ms : budget.limits[kind]

/** What has to be said about a budget: warned at 80 %, exceeded at 100 % (attempts: not before one more is wanted). */
export function dueNotices(
  budget: BudgetState,
  now: number,
): { kind: BudgetKind; notice: 'warned' | 'exceeded'; used: number; limit: number }[] {
  const due: { kind: BudgetKind; notice: 'warned' | 'exceeded'; used: number; limit: number }[] = []
  for (const kind of BUDGET_KINDS) {
    const limit = limitOf(budget, kind)
    if (limit === undefined) continue
    const used = usedOf(budget, kind, now)
    if (reached(used, limit * LIMITS.budgetWarning) && !budget.warned.has(kind))
      due.push({ kind, notice: 'warned', used, limit })
    if (reached(used, limit) && kind !== 'attempts' && !budget.exceeded.has(kind))
      due.push({ kind, notice: 'exceeded', used, limit })
  }
  return due
}

// Sums of fractions may miss the bound by a hair (and an alarm that misses it would ring for ever).
const reached = (used: number, bound: number): boolean => used >= bound * (1 - 1e-9)

/** What enforced budgets leave for something in this node, the smallest of each. */
export function leftFor(state: RunState, node: NodeState): Left {
  const left: Partial<Record<keyof Left, number>> = {}
  for (const budget of budgetsOf(state, node)) {
    if (budget.limits.mode !== 'enforce') continue
    for (const kind of BUDGET_KINDS) {
      const limit = limitOf(budget, kind)
      if (limit === undefined) continue
      const key = kind === 'time' ? 'time_ms' : kind
      const held = kind === 'usd' || kind === 'tokens' ? budget.reserved[kind] : 0
      const rest = Math.max(0, limit - held - usedOf(budget, kind, state.lastAt))
      left[key] = Math.min(left[key] ?? rest, rest)
    }
  }
  return left
}

/** As messages write it. */
export function amountOf(kind: BudgetKind, value: number): string {
  switch (kind) {
    case 'usd':
      // Below a cent two digits would tell nothing.
      return `$${value > 0 && value < 0.01 ? value.toFixed(4) : value.toFixed(2)}`
    case 'time':
      return formatDuration(value)
    case 'tokens':
      return `${value} tokens`
    case 'attempts':
      return `${value} attempts`
  }
}
