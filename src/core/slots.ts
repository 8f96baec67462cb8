// Owns: who may run an attempt now. Only attempts hold slots: of the run's max_parallel and of that of each child
// pipeline around them. A visit in `state.queue` has its child slots reserved and waits for one of the run.
import { scopesOutward, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

/** Puts a visit in line for its next attempt: where it waits is the innermost child pipeline that has no slot left. */
export function enqueue(state: RunState, node: NodeState): void {
  node.step = 'queued'
  const bounded = boundedScopes(node.scope)
  const full = bounded.find(isFull)
  if (full) {
    full.slots!.queue.add(node)
    return
  }
  for (const scope of bounded) scope.slots!.used++
  state.queue.add(node)
}

const isFull = (scope: Scope): boolean => scope.slots!.used >= scope.slots!.limit

/** Takes a visit out of line (it is not going to start). */
export function dequeue(state: RunState, node: NodeState): void {
  if (state.queue.delete(node)) releaseScopes(state, node)
  else for (const scope of boundedScopes(node.scope)) scope.slots!.queue.delete(node)
}

export function takeSlot(state: RunState, node: NodeState): void {
  state.queue.delete(node)
  state.slots.used++
}

/** Gives back the slots of an attempt that ended or waits for a limit. */
export function freeSlot(state: RunState, node: NodeState): void {
  state.slots.used--
  releaseScopes(state, node)
}

/** An attempt goes on after a limit: it takes its slots back, over the bound if need be. */
export function retakeSlot(state: RunState, node: NodeState): void {
  state.slots.used++
  for (const scope of boundedScopes(node.scope)) scope.slots!.used++
}

function releaseScopes(state: RunState, node: NodeState): void {
  const bounded = boundedScopes(node.scope)
  for (const scope of bounded) scope.slots!.used--
  for (const scope of bounded.reverse()) letIn(state, scope)
}

/**
 * Lets in what waits at a child pipeline while it has slots. One whose queue waits for a pipeline around it stands in
 * that one's line itself, so that visits only ever move inward: no wake-up is lost, and none is repeated.
 */
function letIn(state: RunState, scope: Scope): void {
  const { queue } = scope.slots!
  for (const next of queue) {
    if (isFull(scope)) return
    const [, ...around] = boundedScopes(scope)
    const full = around.find(isFull)
    if (full) {
      full.slots!.queue.add(scope)
      return
    }
    queue.delete(next)
    if ('def' in next) enqueue(state, next)
    else letIn(state, next)
  }
}

function boundedScopes(scope: Scope): Scope[] {
  const bounded: Scope[] = []
  for (const at of scopesOutward(scope)) if (at.slots) bounded.push(at)
  return bounded
}

/** A free slot and a visit that waits for it. */
export const nextInQueue = (state: RunState): NodeState | undefined => {
  if (state.slots.used >= state.slots.limit) return undefined
  for (const node of state.queue) return node
  return undefined
}
