// Owns: who may run an attempt now. Only attempts hold slots: of the run's max_parallel and of that of each child
// pipeline around them. A visit in `state.queue` has its child slots reserved and waits for one of the run.
import { scopesOutward, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

/** Puts a visit in line for its next attempt. */
export function enqueue(state: RunState, node: NodeState): void {
  node.step = 'queued'
  const bounded = boundedScopes(node.scope)
  const full = bounded.find((scope) => scope.slots!.used >= scope.slots!.limit)
  if (full) {
    full.slots!.queue.add(node)
    return
  }
  for (const scope of bounded) scope.slots!.used++
  state.queue.add(node)
}

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
  for (const scope of boundedScopes(node.scope)) {
    scope.slots!.used--
    const [next] = scope.slots!.queue
    if (next && scope.slots!.used < scope.slots!.limit) {
      scope.slots!.queue.delete(next)
      enqueue(state, next)
    }
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
