// Owns: a manual retry's way back in: every scope and node around its target is open again, as it stood. Only the
// resume calls it.
import { pathWithoutVisits } from './ids.ts'
import { forget, reset, withdraw } from './readiness.ts'
import { findNode, nodeAt, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { bringBack, openAgain } from './bring-back.ts'

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
  const carried = retry.reset_count ? 0 : node.retriesCarried + node.retriesInVisit - node.fallbacksInVisit
  if (retry.reset_count) {
    state.signatures.delete(pathWithoutVisits(node.path))
    node.visitsCounted = 0
    Object.assign(node.memory, { failedBefore: 0, streak: undefined } satisfies Partial<NodeState['memory']>)
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
  const canceled = canceledBranches(owner)
  const wasOver = scope.branch && owner.fanout?.ended.has(scope.branch.index)
  if (owner.phase === 'done') {
    goOn(state, owner)
    reopenNodes(state, owner.scope, owner)
  }
  if (wasOver) reopenBranches(state, owner, canceled, scope)
}

/** Of the ended branches, before any is opened again. */
const canceledBranches = ({ fanout }: NodeState): Scope[] =>
  [...(fanout?.ended.values() ?? [])].flatMap(({ result, scope }) =>
    result === 'cancellation' && scope ? [scope] : [],
  )

/** The branch on the way is open again; those that a join or fail_fast canceled run after all. */
function reopenBranches(state: RunState, owner: NodeState, canceled: readonly Scope[], way?: Scope): void {
  openAgain(owner.fanout!, (branch) => branch.scope === way || branch.result === 'cancellation')
  for (const scope of canceled) if (scope !== way) reopenCanceled(state, scope)
}

/**
 * What was canceled with the scope goes on, inside and further inside. What did not run because of that, and what came
 * after it, counts as not run.
 */
function reopenCanceled(state: RunState, scope: Scope): void {
  // What its own route to end or fail canceled was meant to be.
  if (scope.halt?.reason === 'end' || scope.halt?.reason === 'fail') return
  scope.halt = undefined
  const again = [...scope.nodes.values()].filter((node) => node.result === 'cancellation' || didNotRun(node))
  for (const node of again) resetAfter(state, node)
  for (const node of again) {
    if (node.phase !== 'done') continue
    if (!node.began || didNotRun(node)) {
      reset(state, node)
      continue
    }
    const canceled = canceledBranches(node)
    goOn(state, node)
    node.lostInARow = 0
    if (node.inner) reopenCanceled(state, node.inner)
    if (node.fanout) reopenBranches(state, node, canceled)
  }
}

/** Skipped because of others, not by its own `when` or by what it reported. */
const didNotRun = ({ result, failure }: NodeState): boolean =>
  result === 'skip' && (failure?.code === 'not_reached' || failure?.code === 'upstream_failed')

/** Its visit is open again. The time since it ended was not its own: a timeout begins anew, a gate keeps what was left. */
function goOn(state: RunState, node: NodeState): void {
  bringBack(state, node)
  forgetHookFailures(state, node)
  const { def, dueAt, finishedAt } = node
  if (node.timeoutAt !== undefined && def.timeout_ms !== undefined) node.timeoutAt = state.lastAt + def.timeout_ms
  if (def.kind === 'gate' && dueAt !== undefined) node.dueAt = dueAt + state.lastAt - finishedAt
}

/** What was skipped or canceled in the scope, and everything downstream of the node, counts as not run. */
function reopenNodes(state: RunState, scope: Scope, node: NodeState): void {
  for (const other of scope.nodes.values()) {
    if (other !== node && other.phase === 'done' && (other.result === 'skip' || other.result === 'cancellation'))
      reset(state, other)
  }
  resetAfter(state, node)
}

function resetAfter(state: RunState, node: NodeState): void {
  for (const id of node.scope.graph.downstream(node.def.id)) {
    const other = node.scope.nodes.get(id)!
    if (other.phase !== 'done') continue
    forgetHookFailures(state, other)
    reset(state, other)
  }
}
