// Owns: the graph of a pipeline file read leniently, so that every rule can run even where the shape of a part is wrong.
// Must not: report anything but broken limits, or fill in defaults other than implicit needs.
import { isJsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { NodeKind } from '../core/pipeline.ts'
import type { Diagnostic } from './diagnostic.ts'
import { KIND_KEYS } from './schema-node.ts'
import type { Path, Position, Source } from './yaml-source.ts'

export type Raw = { readonly [key: string]: unknown }

export interface OutlineNode {
  readonly id: string
  /** Where the node stands in the file. */
  readonly path: Path
  readonly raw: Raw
  /** The first kind key; undefined when there is none. */
  readonly kind: NodeKind | undefined
  /** Written out: implicit needs are resolved. */
  readonly needs: readonly string[]
  readonly routed: boolean
  readonly routes: readonly OutlineRoute[]
  readonly scope: OutlineScope
  /** Scopes of a fan-out's branches: one for `nodes`, one per entry of `branches`. */
  readonly inner: readonly OutlineScope[]
}

export interface OutlineRoute {
  readonly to: string
  readonly when: string | undefined
  readonly path: Path
}

export interface OutlineScope {
  readonly path: Path
  readonly nodes: readonly OutlineNode[]
  /** First node of each id. */
  readonly byId: ReadonlyMap<string, OutlineNode>
  /** The fan-out around it. */
  readonly parent: OutlineNode | undefined
}

export interface Outline {
  readonly root: OutlineScope
  readonly raw: Raw
  /** The scopes that have a node of that id. */
  readonly scopesById: ReadonlyMap<string, readonly OutlineScope[]>
}

/** Collects problems: `at` a path of the file, under a rule id. */
export class Report {
  readonly diagnostics: Diagnostic[] = []
  readonly source: Source
  constructor(source: Source) {
    this.source = source
  }

  error(rule: string, path: Path, message: string, fix?: string): void {
    this.at(this.source.locate(path), { severity: 'error', rule, message, fix })
  }

  warning(rule: string, path: Path, message: string, fix?: string): void {
    this.at(this.source.locate(path), { severity: 'warning', rule, message, fix })
  }

  /** At a place inside a string. */
  at(position: Position, problem: Pick<Diagnostic, 'rule' | 'severity' | 'message' | 'fix'>): void {
    this.diagnostics.push({ file: this.source.file, ...position, ...problem })
  }
}

export const asRaw = (value: unknown): Raw => (isJsonObject(value) ? value : {})
export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const asStrings = (value: unknown): readonly string[] => asList(value).filter((item) => typeof item === 'string')

/** The graph of a file; undefined when it breaks the limit on nodes or on nesting (reported). */
export function outlineOf(source: Source, report: Report): Outline | undefined {
  const raw = asRaw(source.value)
  const reader = new OutlineReader(report)
  const root = reader.scope(raw['nodes'], ['nodes'], undefined)
  return reader.broken ? undefined : { root, raw, scopesById: reader.scopesById }
}

class OutlineReader {
  broken = false
  readonly scopesById = new Map<string, OutlineScope[]>()
  #count = 0
  readonly #report: Report
  constructor(report: Report) {
    this.#report = report
  }

  scope(list: unknown, path: Path, parent: OutlineNode | undefined, depth = 1): OutlineScope {
    const nodes: OutlineNode[] = []
    const byId = new Map<string, OutlineNode>()
    const scope: OutlineScope = { path, nodes, byId, parent }
    if (depth > LIMITS.nestingDepth) {
      this.#breakAt('too-deep', path, `nodes nest deeper than ${LIMITS.nestingDepth} levels`)
      return scope
    }
    let above: string | undefined
    for (const [index, item] of asList(list).entries()) {
      if (this.broken) break
      if (++this.#count > LIMITS.nodes)
        this.#breakAt('too-many-nodes', path, `a pipeline file holds at most ${LIMITS.nodes} nodes`)
      if (!isJsonObject(item)) continue
      const node = this.#node(item, { path: [...path, index], scope, above, depth })
      nodes.push(node)
      if (!byId.has(node.id)) this.#index(node, byId)
      if (!node.routed) above = node.id
    }
    return scope
  }

  #index(node: OutlineNode, byId: Map<string, OutlineNode>): void {
    byId.set(node.id, node)
    const scopes = this.scopesById.get(node.id)
    if (scopes) scopes.push(node.scope)
    else this.scopesById.set(node.id, [node.scope])
  }

  #node(raw: Raw, at: { path: Path; scope: OutlineScope; above: string | undefined; depth: number }): OutlineNode {
    const routed = raw['routed'] === true
    const implicit = routed || at.above === undefined ? [] : [at.above]
    const inner: OutlineScope[] = []
    const node: OutlineNode = {
      id: typeof raw['id'] === 'string' ? raw['id'] : '',
      path: at.path,
      raw,
      kind: KIND_KEYS.find((key) => raw[key] !== undefined),
      needs: raw['needs'] === undefined ? implicit : asStrings(raw['needs']),
      routed,
      routes: routesOf(raw, at.path),
      scope: at.scope,
      inner,
    }
    const fanout = asRaw(raw['fanout'])
    const path = [...at.path, 'fanout']
    if (Array.isArray(fanout['nodes'])) inner.push(this.scope(fanout['nodes'], [...path, 'nodes'], node, at.depth + 1))
    for (const [key, list] of Object.entries(asRaw(fanout['branches']))) {
      inner.push(this.scope(list, [...path, 'branches', key], node, at.depth + 1))
    }
    return node
  }

  #breakAt(rule: string, path: Path, message: string): void {
    if (!this.broken) this.#report.error(rule, path, message, 'move parts into child pipelines')
    this.broken = true
  }
}

function routesOf(raw: Raw, path: Path): OutlineRoute[] {
  return asList(raw['routes']).flatMap((item, index) => {
    const { to, when } = asRaw(item)
    if (typeof to !== 'string') return []
    const condition = when === undefined ? undefined : typeof when === 'string' ? when : JSON.stringify(when)
    return [{ to, when: condition, path: [...path, 'routes', index] }]
  })
}

/** Every scope of the file, outer before inner. */
export function* scopesOf(scope: OutlineScope): Generator<OutlineScope> {
  yield scope
  for (const node of scope.nodes) for (const inner of node.inner) yield* scopesOf(inner)
}
