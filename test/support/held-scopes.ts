// Owns: what a state may hold of scopes and budgets: those that are open, and those that a resume or a retry may go
// back into; nothing that cannot be reached from the run. Throws with the prefix at fault.
import type { NodeState } from '../../src/core/node-state.ts'
import type { RunState, Scope } from '../../src/core/state.ts'

export function checkHeldScopes(state: RunState): void {
  const held = new Set<Scope>()
  collect(state.root, held)
  for (const scope of held)
    if (state.scopes.get(scope.prefix) !== scope) fail(`the scope \`${scope.prefix}\` is held but not known`)
  for (const scope of state.scopes.values())
    if (!held.has(scope)) fail(`the scope \`${scope.prefix}\` is known but not held by anything`)
  for (const { scopePath, owner } of state.budgets.values())
    if (owner && !held.has(owner.scope)) fail(`the budget of \`${scopePath}\` lies in a scope that is held no longer`)
}

function collect(scope: Scope, into: Set<Scope>): void {
  into.add(scope)
  for (const node of scope.nodes.values()) for (const inner of innerOf(node)) collect(inner, into)
}

function* innerOf(node: NodeState): Generator<Scope> {
  const over = node.phase === 'done' || node.phase === 'routing'
  if (node.inner) {
    if (over) refuseWell(node.inner.prefix, node.result)
    yield node.inner
  }
  for (const scope of node.fanout?.open.values() ?? []) {
    if (over) fail(`${node.path} is over and its branch \`${scope.prefix}\` is open`)
    yield scope
  }
  for (const { scope, result } of node.fanout?.ended.values() ?? []) {
    if (!scope) continue
    refuseWell(scope.prefix, result)
    yield scope
  }
}

function refuseWell(prefix: string, result: NodeState['result']): void {
  if (result === 'success' || result === 'skip') fail(`the scope \`${prefix}\` ended as ${result} and is held`)
}

const fail = (message: string): never => {
  throw new Error(message)
}
