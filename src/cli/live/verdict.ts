// Owns: what is certain before a run has ended: that it will fail, and which nodes can no longer start. Computed from
// the view model when it is drawn. Must not: guess; where a route or an expression could still turn it, it says nothing.
import type { NodeView, RunView, ScopeView } from './run-view.ts'

const BAD = new Set(['failure', 'error', 'timeout'])

/** Whether the node will end (or has ended) in a way that fails its scope. */
export function isDoomed(node: NodeView): boolean {
  if (node.result !== undefined)
    return BAD.has(node.result) && !node.tolerated && !node.routed && node.def?.allow_failure !== true
  if (node.def && (node.def.allow_failure || node.def.routes.length > 0)) return false
  if (node.fanout && node.def?.kind === 'fanout') {
    const { join, on_failure: onFailure } = node.def.fanout
    return join.kind === 'all' && onFailure !== 'ignore' && node.fanout.failed > 0
  }
  return node.inner !== undefined && scopeIsDoomed(node.inner)
}

const scopeIsDoomed = (scope: ScopeView): boolean => [...scope.nodes.values()].some(isDoomed)

/** Whether the run will end as a failure, whatever else happens. */
export const runIsDoomed = (view: RunView): boolean => view.result === undefined && scopeIsDoomed(view.root)

/** The node that keeps a queued node from ever starting; undefined when it may still start. */
export function blockerOf(node: NodeView, seen: Set<string> = new Set()): NodeView | undefined {
  if (node.startedAt !== undefined || !node.def || node.def.when || node.def.routed || seen.has(node.id))
    return undefined
  seen.add(node.id)
  for (const need of node.def.needs) {
    const other = node.inside.nodes.get(need)
    if (!other) continue
    if (isDoomed(other)) return other
    const blocker = blockerOf(other, seen)
    if (blocker) return blocker
  }
  return undefined
}
