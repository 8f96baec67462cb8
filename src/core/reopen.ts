// Owns: a manual retry's way back in: every scope and node around its target is open again, as it stood. Only the
// resume calls it.
import { countBranch } from './branches.ts'
import { pathWithoutVisits } from './ids.ts'
import { forget, reset, withdraw } from './readiness.ts'
import { findNode, nodeAt, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { bringBack, reopenScope } from './bring-back.ts'

/** Opens the way to a node and plans its next visit; what did not run because of it runs again. */
export function reopen(
  state: RunState,
  path: string,
  retry: { readonly reset_count: boolean; readonly mode: 'clean' | 'continue' },
): void {
  const node = nodeAt(state, path) ?? findNode(state, path)
  if (!node) return
  openWay(state, node.scope)
  reopenNodes(state, node.scope, node)
  const carried = retry.reset_count ? 0 : node.retriesCarried + node.retriesInVisit
  if (retry.reset_count) {
    state.signatures.delete(pathWithoutVisits(node.path))
    node.visitsCounted = 0
  }
  withdraw(node)
  node.scope.finished.delete(node)
  forgetHookFailures(state, node)
  forget(state, node)
  Object.assign(node, {
    phase: 'ready',
    enterVia: 'retry',
    retriesCarried: carried,
    mode: retry.mode,
  } satisfies Partial<NodeState>)
}

/** What failed in hooks of a visit that does not count any more. */
function forgetHookFailures(state: RunState, node: NodeState): void {
  state.hookFailures = state.hookFailures.filter((failed) => failed.node !== node.path)
}

/** From the inside outward: every scope and node around it is open again, as it stood. */
function openWay(state: RunState, scope: Scope): void {
  scope.phase = 'open'
  if (scope.halt && scope.halt.reason !== 'end') scope.halt = undefined
  const { owner } = scope
  if (!owner) return
  openWay(state, owner.scope)
  if (owner.phase === 'done') {
    bringBack(state, owner)
    forgetHookFailures(state, owner)
    reopenNodes(state, owner.scope, owner)
  }
  const branch = scope.branch && owner.fanout?.ended.get(scope.branch.index)
  if (branch) {
    owner.fanout!.ended.delete(branch.index)
    reopenCanceled(owner)
    reopenScope(scope, owner.fanout!.open)
    recount(owner)
  }
}

/** Branches that a join or fail_fast canceled run after all. */
function reopenCanceled(owner: NodeState): void {
  const fanout = owner.fanout!
  for (const branch of [...fanout.ended.values()]) {
    if (branch.result !== 'cancellation' || !branch.scope) continue
    fanout.ended.delete(branch.index)
    branch.scope.halt = undefined
    for (const node of branch.scope.nodes.values()) if (node.result === 'cancellation') node.canceledRun = true
    reopenScope(branch.scope, fanout.open)
  }
}

function recount(owner: NodeState): void {
  const fanout = owner.fanout!
  Object.assign(fanout, {
    succeeded: 0,
    failed: 0,
    canceledCount: 0,
    retried: 0,
    skipped: 0,
    firstFailure: undefined,
    worst: undefined,
    joined: false,
    decided: undefined,
  })
  for (const branch of fanout.ended.values()) countBranch(fanout, branch)
}

/** What was skipped or canceled in the scope, and everything downstream of the node, counts as not run. */
function reopenNodes(state: RunState, scope: Scope, node: NodeState): void {
  for (const other of scope.nodes.values()) {
    if (other !== node && other.phase === 'done' && (other.result === 'skip' || other.result === 'cancellation'))
      reset(state, other)
  }
  for (const id of scope.graph.downstream(node.def.id)) {
    const other = scope.nodes.get(id)!
    if (other.phase === 'done') {
      forgetHookFailures(state, other)
      reset(state, other)
    }
  }
}
