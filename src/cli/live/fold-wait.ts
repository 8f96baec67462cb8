// Owns: how many attempts wait for a limit, in every fan-out around them.
import { around, fanoutOf, type NodeView } from './run-view.ts'

/** Does nothing where the attempt does not wait. */
export function stopWaiting(node: NodeView): void {
  if (node.attempt?.waitingUntil === undefined) return
  node.attempt.waitingUntil = undefined
  node.mark = 'running'
  wait(node, -1)
}

export function wait(node: NodeView, by: 1 | -1): void {
  for (const { scope } of around(node)) if (scope.key !== undefined && scope.owner) fanoutOf(scope.owner).waiting += by
}
