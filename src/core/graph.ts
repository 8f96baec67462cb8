// Owns: what follows from a list of nodes alone: who depends on whom, what lies downstream, what a route can lead to.
// Computed once per definition and kept as long as the definition lives.
import type { Node } from './pipeline.ts'

export interface Graph {
  readonly nodes: readonly Node[]
  readonly byId: ReadonlyMap<string, Node>
  /** Direct dependents by `needs`, in order of definition. */
  readonly dependents: ReadonlyMap<string, readonly string[]>
  /** Everything downstream by `needs`, without the node itself, in order of definition. */
  downstream(id: string): readonly string[]
  /** Whether `id` lies downstream of `of`. */
  isDownstream(of: string, id: string): boolean
  /** Whether going to `from` can ever lead to `to`, over needs and routes. */
  leadsTo(from: string, to: string): boolean
}

const cache = new WeakMap<readonly Node[], Graph>()

export function graphOf(nodes: readonly Node[]): Graph {
  let graph = cache.get(nodes)
  if (!graph) cache.set(nodes, (graph = build(nodes)))
  return graph
}

function build(nodes: readonly Node[]): Graph {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const dependents = new Map<string, string[]>(nodes.map((node) => [node.id, []]))
  for (const node of nodes) for (const need of node.needs) dependents.get(need)?.push(node.id)
  const routed = (id: string): string[] =>
    byId
      .get(id)
      ?.routes.map((route) => route.to)
      .filter((to) => byId.has(to)) ?? []
  const downstream = new Map<string, readonly string[]>()
  const below = new Map<string, Set<string>>()
  const belowOf = (id: string): Set<string> => {
    let found = below.get(id)
    if (!found) {
      found = closure(dependents.get(id) ?? [], (next) => dependents.get(next) ?? [])
      found.delete(id)
      below.set(id, found)
    }
    return found
  }
  const reach = new Map<string, Set<string>>()
  return {
    nodes,
    byId,
    dependents,
    downstream(id) {
      let list = downstream.get(id)
      if (!list) {
        const found = belowOf(id)
        list = nodes.filter((node) => found.has(node.id)).map((node) => node.id)
        downstream.set(id, list)
      }
      return list
    },
    isDownstream: (of, id) => belowOf(of).has(id),
    leadsTo(from, to) {
      let found = reach.get(from)
      if (!found) {
        found = closure([from], (next) => [...(dependents.get(next) ?? []), ...routed(next)])
        reach.set(from, found)
      }
      return found.has(to)
    },
  }
}

function closure(start: readonly string[], next: (id: string) => readonly string[]): Set<string> {
  const found = new Set(start)
  for (const id of found) for (const other of next(id)) found.add(other)
  return found
}
