// Owns: what is certain before a run has ended: that it will fail, and which nodes can no longer start. Computed from
// the view model when it is drawn. Must not: guess; where a route or an expression could still turn it, it says nothing.
import { graphOf } from '../../core/graph.ts'
import type { NodeView, RunView, ScopeView } from './run-view.ts'

const BAD = new Set(['failure', 'error', 'timeout'])

/** Whether the node will end (or has ended) in a way that fails its scope. */
function isDoomed(node: NodeView): boolean {
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

/** Queued nodes of a scope that can no longer start, each with the node that is in its way. Linear in the scope. */
export function blockedIn(scope: ScopeView): ReadonlyMap<NodeView, NodeView> {
  const blocked = new Map<NodeView, NodeView>()
  const graph = graphOf(scope.defs)
  const reached = [...scope.nodes.values()].filter(isDoomed).map((node) => ({ node, blocker: node }))
  for (const { node, blocker } of reached) {
    for (const id of graph.dependents.get(node.id) ?? []) {
      const next = scope.nodes.get(id)
      // A `when` of its own may hold all the same; a route may lead there.
      if (!next?.def || next.startedAt !== undefined || next.def.when || next.def.routed || blocked.has(next)) continue
      blocked.set(next, blocker)
      reached.push({ node: next, blocker })
    }
  }
  return blocked
}
