// Owns: letting go of scopes that nobody goes back into: they and all inside them leave the state, with their budgets,
// so that it stays linear in what is open or kept. Only evolve calls it.
import type { NodeState } from './node-state.ts'
import type { RunState, Scope } from './state.ts'

/** The scope and all that is still held inside it (failed branches that a join ignored, canceled children). */
export function dropScope(state: RunState, scope: Scope): void {
  state.scopes.delete(scope.prefix)
  for (const node of scope.nodes.values()) {
    for (const budget of [node.budget, node.childBudget]) if (budget) state.budgets.delete(budget.scopePath)
    dropInner(state, node)
  }
}

/** The scopes of a node's latest visit; its own budgets stay. */
export function dropInner(state: RunState, node: NodeState): void {
  if (node.inner) dropScope(state, node.inner)
  if (!node.fanout) return
  for (const scope of node.fanout.open.values()) dropScope(state, scope)
  for (const { scope } of node.fanout.ended.values()) if (scope) dropScope(state, scope)
}
