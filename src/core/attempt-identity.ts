// Owns: how events and refusals name an attempt.
import type { Refusal } from './inputs.ts'
import type { NodeState } from './node-state.ts'

export const stale = (id: string): Refusal => ({ refused: 'stale', message: `${id} has ended` })

export const identity = (node: NodeState): { node: string; visit: number; attempt: number; attempt_id: string } => ({
  node: node.path,
  visit: node.visits,
  attempt: node.attempt!.number,
  attempt_id: node.attempt!.id,
})
