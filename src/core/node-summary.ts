// Owns: one line per node for final.json and `show`, in the order of the pipeline, also for scopes that ended well and
// are not held any longer: the first ones are kept as lines, the rest as a number.
import { dropScope } from './drop-scope.ts'
import { fanoutChildren } from './fanout-outcome.ts'
import type { Failure, Result } from './failure.ts'
import { LIMITS } from './limits.ts'
import type { NodeState } from './node-state.ts'
import type { RunState, Scope } from './state.ts'

export interface NodeSummary {
  readonly path: string
  readonly kind: string
  readonly result: Result | 'running' | 'pending'
  readonly visits: number
  readonly attempts: number
  readonly retries: number
  readonly failure?: Failure | undefined
  /** What a model wrote about its failures. */
  readonly summary?: string | undefined
  readonly label?: string | undefined
  readonly partial?: boolean | undefined
  readonly tolerated?: boolean | undefined
  /** Fan-outs: branches by how they came out. */
  readonly children?:
    | { readonly total: number; readonly failed: number; readonly retried: number; readonly skipped: number }
    | undefined
}

/** What is left of a scope that ended well. */
export interface ClosedScope {
  readonly nodes: readonly NodeSummary[]
  /** Of all its nodes, inner ones included. */
  readonly count: number
}

/** Shrinks a scope to its lines: it is held no longer. All runs together keep no more lines than a final.json shows. */
export function closeScope(state: RunState, scope: Scope): ClosedScope {
  const room = Math.max(0, LIMITS.finalNodes - state.linesKept)
  const nodes: NodeSummary[] = []
  const count = collectNodes(scope, nodes, room)
  state.linesKept += nodes.length
  dropScope(state, scope)
  return { nodes, count }
}

/** Lines of the scope's nodes and of all inside them into `into` (at most `limit`); returns how many nodes there are. */
export function collectNodes(scope: Scope, into: NodeSummary[], limit: number = LIMITS.finalNodes): number {
  let total = 0
  for (const node of scope.nodes.values()) {
    total++
    if (into.length < limit) into.push(summarise(node))
    for (const inner of innerOf(node)) {
      if ('graph' in inner) total += collectNodes(inner, into, limit)
      else {
        into.push(...inner.nodes.slice(0, Math.max(0, limit - into.length)))
        total += inner.count
      }
    }
  }
  return total
}

function* innerOf(node: NodeState): Generator<Scope | ClosedScope> {
  if (node.inner) yield node.inner
  else if (node.closed) yield node.closed
  const { fanout } = node
  if (!fanout) return
  for (const branch of [...fanout.ended.values()].toSorted((a, b) => a.index - b.index)) {
    if (branch.scope) yield branch.scope
    else if (branch.closed) yield branch.closed
  }
  for (const scope of fanout.open.values()) yield scope
}

function summarise(node: NodeState): NodeSummary {
  const done = node.phase === 'done' || node.phase === 'routing'
  const holdsOthers = node.def.kind === 'fanout' || node.def.kind === 'child'
  return {
    path: node.path,
    kind: node.def.kind,
    result: done ? node.result! : node.phase === 'idle' ? 'pending' : 'running',
    visits: node.visits,
    attempts: holdsOthers ? node.rollup.attempts : node.attemptsTotal,
    retries: holdsOthers ? node.rollup.retries : node.retriesTotal,
    ...(node.failure && { failure: node.failure }),
    ...(node.summary?.text !== undefined && { summary: node.summary.text }),
    ...(node.label !== undefined && { label: node.label }),
    ...(node.partial && { partial: true }),
    ...(node.tolerated && { tolerated: true }),
    ...(node.fanout && { children: fanoutChildren(node.fanout) }),
  }
}
