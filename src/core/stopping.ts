// Owns: how open work is told to end: one visit, a whole scope, everything. It only marks; the effects' outcomes and
// the agenda finish it. Only evolve calls it.
import { checkId, dropCommand, dropTimers, hookId, stopCommand, summaryId, timerId } from './command-queue.ts'
import type { Stop } from './commands.ts'
import type { Failure } from './failure.ts'
import { failure } from './failures.ts'
import { visitId } from './ids.ts'
import { checkOrder } from './policy.ts'
import { judgeIfIdle, mayStart } from './readiness.ts'
import { dequeue } from './slots.ts'
import type { Halt, RunState, Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

export const stopFor = (failure: Failure, now = false): Stop => ({ code: failure.code, message: failure.message, now })

/** Ends the open visit of a node with a reason. What already ends keeps its first reason, unless it has to end now. */
export function stopNode(state: RunState, node: NodeState, stop: Stop, halt: Halt): void {
  if (node.phase === 'ready') return unready(state, node)
  if (node.phase !== 'running') return
  if (node.stop && !stop.now) return
  node.stop = node.stop ? { ...node.stop, now: true } : stop
  // Not announced in this execution yet: the stop takes effect then.
  if (node.resuming) return
  switch (node.step) {
    case 'acting':
    case 'limited':
      if (node.attempt) stopCommand(state, node.attempt.id, node.stop)
      return
    case 'checking':
    case 'settling':
    case 'concluding':
      return stopOwnCommands(state, node)
    case 'queued':
      dequeue(state, node)
      return settleLater(state, node)
    case 'backoff':
      if (node.hooks?.open) return settleAfterHook(state, node)
      return settleLater(state, node)
    case 'gate':
    case 'wait':
    case 'suspended':
      return settleLater(state, node)
    case 'branches':
    case 'scope':
      return stopInner(state, node, halt)
    case 'entering':
      return
  }
}

const openCheck = (node: NodeState): string =>
  checkId(
    node.attempt?.open ? node.attempt.id : visitId(node.path, node.visits),
    checkOrder(node.def)[node.checkIndex]!,
  )

function openHook(node: NodeState): string {
  const { list, position } = node.hooks!
  return hookId(visitId(node.path, node.visits), list[position]!.event, list[position]!.index)
}

/** Checks and hooks that run for the node: checks end, hooks only when it has to be now. */
function stopOwnCommands(state: RunState, node: NodeState): void {
  if (node.checkOpen) stopCommand(state, openCheck(node), node.stop!)
  if (node.summary?.open) stopCommand(state, summaryId(node), node.stop!)
  if (node.hooks?.open && node.stop!.now) stopCommand(state, openHook(node), node.stop!)
}

/** An on_retry hook runs: it ends first. */
function settleAfterHook(state: RunState, node: NodeState): void {
  dropTimers(state, node)
  node.step = 'concluding'
  node.settled = {
    failure: failure(node.stop!.code, 'scheduler', node.stop!.message, { causes: [node.attempt?.failure] }),
  }
  stopCommand(state, openHook(node), node.stop!)
}

function settleLater(state: RunState, node: NodeState): void {
  dropTimers(state, node)
  node.settled ??= {
    failure: failure(node.stop!.code, 'scheduler', node.stop!.message, { causes: [node.attempt?.failure] }),
  }
  dropCommand(state, `ask:${timerId.gate(node)}`)
  state.gates.delete(node.path)
  node.step = 'concluding'
  state.agenda.add(node)
}

function stopInner(state: RunState, node: NodeState, halt: Halt): void {
  dropTimers(state, node)
  state.spawning.delete(node)
  if (node.inner) haltScope(state, node.inner, halt)
  for (const branch of node.fanout?.open.values() ?? []) haltScope(state, branch, halt)
  if (node.fanout && node.fanout.open.size === 0) state.agenda.add(node)
  if (node.checkOpen) stopCommand(state, openCheck(node), node.stop!)
}

/** Nothing new starts in the scope (but what the halt lets through), and what runs is ended. */
export function haltScope(state: RunState, scope: Scope, halt: Halt): void {
  if (scope.phase !== 'open') return
  if (!scope.halt || halt.reason === 'stopped') scope.halt = halt
  if (halt.reason !== 'canceled_run') dropEntries(state, scope)
  if (scope.resuming) return
  for (const node of scope.nodes.values()) {
    if (
      node === halt.by ||
      (halt.reason === 'fail_fast' && halt.by && scope.graph.isDownstream(halt.by.def.id, node.def.id))
    )
      continue
    if (node.phase === 'ready' && mayStart(state, node)) continue
    stopNode(state, node, stopFor(halt.failure, halt.failure.code === 'forced'), halt)
  }
  judgeIfIdle(state, scope)
}

/** Routes that were taken and not entered yet are not entered any more. */
function dropEntries(state: RunState, scope: Scope): void {
  for (const target of scope.entering.keys()) {
    state.agenda.delete(target)
    if (!state.cancel) scope.active--
  }
  scope.entering.clear()
}

function unready(state: RunState, node: NodeState): void {
  node.phase = 'idle'
  state.agenda.delete(node)
  node.scope.active--
  // It was to be visited again before others go on: they are announced now, and end.
  if (node.scope.holding.delete(node)) {
    for (const id of node.scope.graph.downstream(node.def.id)) {
      const other = node.scope.nodes.get(id)!
      if (other.resuming && other.phase === 'running') state.agenda.add(other)
    }
  }
  judgeIfIdle(state, node.scope)
}

/** Every pending effect ends at once (second signal, force, end of the time for clean-up). */
export function stopEverythingNow(state: RunState, failure: Failure): void {
  for (const command of [...state.commands.values()]) {
    stopCommand(state, command.id, stopFor(failure, true))
  }
}
