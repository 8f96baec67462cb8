// Owns: what final.json says, made of the summary of a state. In an ended run every node has a result: what was open when
// the process died ended with it, and what never began was not reached.
import type { Failure, Result } from '../core/failure.ts'
import type { RunState } from '../core/state.ts'
import type { NodeSummary } from '../core/node-summary.ts'
import { summaryOf } from '../core/summary.ts'
import type { Final } from '../journal/final.ts'

/** `ended` for a run whose journal cannot say how it ended. Throws when nobody can: that would be a bug of the caller. */
export function finalOf(state: RunState, ended?: { readonly result: Result; readonly failure: Failure }): Final {
  const { nodes, nodes_total, ...rest } = summaryOf(state)
  const { result, failure } = ended ?? state
  if (result === undefined) throw new Error(`run ${state.runId} has no result yet`)
  return {
    ...rest,
    result,
    ...(failure && { failure }),
    hook_failures: [...rest.hook_failures],
    nodes: nodes.map((node) => ({ ...node, ...endOf(node, { result, failure }) })),
    node_count: nodes_total,
    resumable: ended === undefined && state.resumable,
  }
}

function endOf(
  node: NodeSummary,
  run: { result: Result; failure: Failure | undefined },
): { result: Result; failure?: Failure } {
  if (node.result === 'running')
    return {
      result: run.result === 'cancellation' ? 'cancellation' : 'error',
      ...(run.failure && { failure: run.failure }),
    }
  if (node.result === 'pending') return { result: 'skip' }
  return { result: node.result }
}
