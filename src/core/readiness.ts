// Owns: when a node becomes ready, what its result releases, and what a re-entry takes back. Only evolve calls it.
import { dropTimers } from './command-queue.ts'
import { dropInner } from './drop-scope.ts'
import type { RunState, Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

/** Starts the nodes of a scope that need nothing; a scope without any is judged at once. */
export function openScope(state: RunState, scope: Scope): void {
  state.scopes.set(scope.prefix, scope)
  for (const node of scope.nodes.values()) wake(state, node)
  judgeIfIdle(state, scope)
}

/** With nothing under way a scope can be judged (the run only once). */
export function judgeIfIdle(state: RunState, scope: Scope): void {
  if (scope.active === 0 && scope.phase === 'open' && !(scope.kind === 'run' && state.concluded))
    state.agenda.add(scope)
}

/** Puts a node on the agenda when all its needs have a result and nothing forbids its start. */
export function wake(state: RunState, node: NodeState): void {
  if (node.phase !== 'idle' || node.unmet > 0 || node.def.routed || node.scope.entering.has(node)) return
  if (!mayStart(state, node) || isHeld(node) || willBeReset(node)) return
  node.phase = 'ready'
  occupy(state, node.scope)
  state.agenda.add(node)
}

/** One thing more under way in the scope: it cannot be judged yet. */
export function occupy(state: RunState, scope: Scope): void {
  scope.active++
  state.agenda.delete(scope)
}

/** While the run or the scope is ending only clean-up nodes start. */
export function mayStart(state: RunState, node: NodeState): boolean {
  const cleanup = node.def.when?.calls.some((call) => call === 'always' || call === 'canceled') ?? false
  if (state.cancel) return cleanup && !state.cancel.force && !state.cancel.expired
  const halt = node.scope.halt
  if (!halt) return true
  if (halt.reason === 'fail_fast' && halt.by && node.scope.graph.isDownstream(halt.by.def.id, node.def.id)) return true
  return halt.cleanup && cleanup
}

/** Waits for a `leave_running` node upstream that is visited again. */
export const isHeld = (node: NodeState): boolean => isDownstreamOf(node, node.scope.holding)

/** Downstream of a node that a route is about to enter: it counts as not run from then on. */
const willBeReset = (node: NodeState): boolean => isDownstreamOf(node, node.scope.entering.keys())

function isDownstreamOf(node: NodeState, others: Iterable<NodeState>): boolean {
  for (const other of others) if (node.scope.graph.isDownstream(other.def.id, node.def.id)) return true
  return false
}

/** Routes wait until what is downstream of their target has stopped. */
export function settleEntering(state: RunState, scope: Scope): void {
  if (state.cancel) return
  for (const target of scope.entering.keys()) if (isQuiet(scope, target)) state.agenda.add(target)
}

/** The node has a result that counts: its dependents may become ready. */
export function release(state: RunState, node: NodeState): void {
  if (node.released) return
  node.released = true
  const { scope } = node
  for (const id of scope.graph.dependents.get(node.def.id) ?? []) {
    const dependent = scope.nodes.get(id)!
    dependent.unmet--
    wake(state, dependent)
  }
  letGo(state, node)
}

/** What waited for the visit of a `leave_running` node goes on. */
export function letGo(state: RunState, node: NodeState): void {
  if (!node.scope.holding.delete(node)) return
  for (const id of node.scope.graph.downstream(node.def.id)) replan(state, node.scope.nodes.get(id)!)
}

function replan(state: RunState, node: NodeState): void {
  if (isHeld(node)) return
  if (node.resuming && node.phase === 'running') state.agenda.add(node)
  else wake(state, node)
}

/** The node's result does not count any more. */
export function withdraw(node: NodeState): void {
  if (!node.released) return
  node.released = false
  for (const id of node.scope.graph.dependents.get(node.def.id) ?? []) node.scope.nodes.get(id)!.unmet++
}

/** One thing less under way in the scope; with nothing left it can be judged. */
export function rest(state: RunState, scope: Scope): void {
  scope.active--
  judgeIfIdle(state, scope)
}

/** Back to "never ran": numbers of visits and counted signatures stay. */
export function reset(state: RunState, node: NodeState): void {
  withdraw(node)
  if (node.phase === 'ready' || node.phase === 'running' || node.phase === 'routing') {
    node.scope.active--
    dropTimers(state, node)
  }
  state.agenda.delete(node)
  node.scope.finished.delete(node)
  forget(state, node)
  node.phase = 'idle'
}

/** Clears what the latest visit left behind. */
export function forget(state: RunState, node: NodeState): void {
  dropInner(state, node)
  Object.assign(node, {
    result: undefined,
    label: undefined,
    outputs: undefined,
    failure: undefined,
    partial: false,
    tolerated: false,
    route: undefined,
    canceledRun: false,
    failed: undefined,
    canceled: false,
    stop: undefined,
    settled: undefined,
    inputs: {},
    attempt: undefined,
    hooks: undefined,
    summary: undefined,
    inner: undefined,
    closed: undefined,
    fanout: undefined,
    checkIndex: 0,
    checkOpen: false,
    checkFailure: undefined,
    dueAt: undefined,
    timeoutAt: undefined,
    cleanup: false,
    resuming: false,
    broken: undefined,
    counted: false,
    gate: undefined,
    gateExpired: false,
    answers: undefined,
    began: false,
  } satisfies Partial<NodeState>)
}

/** A node is entered again: everything downstream of it by `needs` counts as not run. */
export function resetDownstream(state: RunState, node: NodeState): void {
  for (const id of node.scope.graph.downstream(node.def.id)) {
    const other = node.scope.nodes.get(id)!
    if (other.phase !== 'idle') reset(state, other)
  }
}

/** Nothing downstream of the node is under way. */
export function isQuiet(scope: Scope, target: NodeState): boolean {
  return scope.graph.downstream(target.def.id).every((id) => {
    const { phase } = scope.nodes.get(id)!
    return phase === 'idle' || phase === 'done'
  })
}
