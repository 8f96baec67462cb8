// Owns: what a run has used: roll-ups of attempts, retries, tokens and cost at every level, and budgets with their
// clocks. Spend is absolute per attempt, so that reports can be repeated; it is never given back.
import { addCommand, dropCommand, timerId } from './command-queue.ts'
import type { Left } from './commands.ts'
import { scopesOutward, type RunState } from './state.ts'
import type { BudgetState, NodeState, Spent } from './node-state.ts'
import type { Rollup } from './event-values.ts'
import { LIMITS } from './limits.ts'
import type { Cost, Usage } from './outcome.ts'
import type { Budget } from './pipeline.ts'
import { spentOf } from './spent.ts'

export const BUDGET_KINDS = ['usd', 'tokens', 'time', 'attempts'] as const
export type BudgetKind = (typeof BUDGET_KINDS)[number]

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
}

const total = (tokens: Spent['tokens']): number => tokens.input + tokens.cache_read + tokens.cache_write + tokens.output

// -- budgets

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
      const rest = Math.max(0, limit - usedOf(budget, kind, state.lastAt))
      left[key] = Math.min(left[key] ?? rest, rest)
    }
  }
  return left
}

// -- the clock of time budgets: it runs while something under the budget is under way that is no gate and no limit wait

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

/** The scope's own rollup as of now, for an event. */
export const copyRollup = (rollup: Rollup): Rollup => ({ ...rollup, tokens: { ...rollup.tokens } })
