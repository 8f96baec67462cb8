// Owns: what final.json says, made of the summary of a state. In an ended run every node has a result: what was open when
// the process died ended with it, and what never began was not reached.
import type { Result } from '../core/failure.ts'
import type { RunState } from '../core/state.ts'
import { summaryOf, type NodeSummary } from '../core/summary.ts'
import type { Final } from '../journal/final.ts'

/** @throws when the run is neither ended nor interrupted: that would be a bug of the caller. */
export function finalOf(state: RunState): Final {
  const { nodes, nodes_total, result, ...rest } = summaryOf(state)
  if (result === undefined) throw new Error(`run ${state.runId} has no result yet`)
  return {
    ...rest,
    result,
    hook_failures: [...rest.hook_failures],
    nodes: nodes.map((node) => ({ ...node, ...endOf(node, state) })),
    node_count: nodes_total,
  }
}

function endOf(node: NodeSummary, state: RunState): { result: Result; failure?: Final['failure'] } {
  if (node.result === 'running') return { result: state.result === 'cancellation' ? 'cancellation' : 'error', ...(state.failure && { failure: state.failure }) }
  if (node.result === 'pending') return { result: 'skip' }
  return { result: node.result }
}
