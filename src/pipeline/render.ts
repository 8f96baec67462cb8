// Owns: drawing a pipeline as Mermaid or Graphviz text. Solid arrows are needs, dashed ones routes with their condition.
import { asText } from '../core/template.ts'
import type { Fanout, Node, Pipeline } from '../core/pipeline.ts'

/** A box (group) with the nodes and boxes inside it. */
interface Scope {
  readonly nodes: readonly Node[]
  /** Path of the scope: makes ids unique. */
  readonly prefix: string
}

const LABEL_CHARS = 60

/** Mermaid flowchart. */
export function toMermaid(pipeline: Pipeline): string {
  const lines = ['flowchart TD']
  const ids = new Ids()
  const draw = ({ nodes, prefix }: Scope, indent: string): void => {
    for (const node of nodes) {
      const id = ids.of(prefix + node.id)
      const groups = groupsOf(node, prefix)
      if (groups.length === 0) {
        const [open, close] = MERMAID_SHAPES[node.kind]
        lines.push(`${indent}${id}${open}"${mermaidText(titleOf(node))}"${close}`)
        continue
      }
      lines.push(`${indent}subgraph ${id}["${mermaidText(titleOf(node))}"]`)
      for (const group of groups) {
        if (group.title === '') draw(group, `${indent}  `)
        else {
          lines.push(`${indent}  subgraph ${ids.of(`${group.prefix}*`)}["${mermaidText(group.title)}"]`)
          draw(group, `${indent}    `)
          lines.push(`${indent}  end`)
        }
      }
      lines.push(`${indent}end`)
    }
    for (const { from, to, route } of edgesOf(nodes)) {
      if (to === 'end' || to === 'fail') lines.push(`${indent}${ids.of(`${prefix}@${to}`)}(["${to}"])`)
      const target = ids.of(to === 'end' || to === 'fail' ? `${prefix}@${to}` : prefix + to)
      const arrow = route === undefined ? '-->' : route === '' ? '-.->' : `-. "${mermaidText(route)}" .->`
      lines.push(`${indent}${ids.of(prefix + from)} ${arrow} ${target}`)
    }
  }
  draw({ nodes: pipeline.nodes, prefix: '' }, '  ')
  return `${lines.join('\n')}\n`
}

/** Graphviz digraph. */
export function toDot(pipeline: Pipeline): string {
  const lines = [
    `digraph ${dotText(pipeline.name)} {`,
    '  rankdir=TB compound=true fontname="sans-serif"',
    '  node [fontname="sans-serif"] edge [fontname="sans-serif"]',
  ]
  const draw = ({ nodes, prefix }: Scope, indent: string): void => {
    for (const node of nodes) {
      const path = prefix + node.id
      const groups = groupsOf(node, prefix)
      if (groups.length === 0) {
        lines.push(`${indent}${dotId(path)} [label=${dotText(titleOf(node))} shape=${DOT_SHAPES[node.kind]}]`)
        continue
      }
      lines.push(`${indent}subgraph ${dotId(`cluster_${path}`)} {`, `${indent}  label=${dotText(titleOf(node))}`)
      lines.push(`${indent}  ${dotId(path)} [shape=point label=""]`)
      for (const group of groups) {
        if (group.title !== '')
          lines.push(
            `${indent}  subgraph ${dotId(`cluster_${group.prefix}`)} {`,
            `${indent}    label=${dotText(group.title)}`,
          )
        draw(group, group.title === '' ? `${indent}  ` : `${indent}    `)
        if (group.title !== '') lines.push(`${indent}  }`)
      }
      lines.push(`${indent}}`)
    }
    for (const { from, to, route } of edgesOf(nodes)) {
      const outside = to === 'end' || to === 'fail'
      const target = outside ? `${prefix}@${to}` : prefix + to
      if (outside) lines.push(`${indent}${dotId(target)} [label=${dotText(to)} shape=doublecircle]`)
      const style = route === undefined ? '' : ` [style=dashed${route === '' ? '' : ` label=${dotText(route)}`}]`
      lines.push(`${indent}${dotId(prefix + from)} -> ${dotId(target)}${style}`)
    }
  }
  draw({ nodes: pipeline.nodes, prefix: '' }, '  ')
  lines.push('}')
  return `${lines.join('\n')}\n`
}

const MERMAID_SHAPES: { readonly [kind in Node['kind']]: readonly [string, string] } = {
  run: ['[', ']'],
  agent: ['([', '])'],
  call: ['[[', ']]'],
  fanout: ['[', ']'],
  gate: ['{', '}'],
  child: ['[/', '/]'],
  wait: ['((', '))'],
}
const DOT_SHAPES: { readonly [kind in Node['kind']]: string } = {
  run: 'box',
  agent: 'oval',
  call: 'component',
  fanout: 'box',
  gate: 'diamond',
  child: 'folder',
  wait: 'circle',
}

/** Mermaid knows few characters in ids and some words not at all, so every node gets a number of its own. */
class Ids {
  readonly #numbers = new Map<string, string>()
  of(path: string): string {
    let id = this.#numbers.get(path)
    if (!id) this.#numbers.set(path, (id = `n${this.#numbers.size + 1}`))
    return id
  }
}

interface Edge {
  readonly from: string
  readonly to: string
  /** Condition of a route, empty for none; undefined = a need. */
  readonly route: string | undefined
}

function edgesOf(nodes: readonly Node[]): Edge[] {
  return nodes.flatMap((node) => [
    ...node.needs.map((need) => ({ from: need, to: node.id, route: undefined })),
    ...node.routes.map((route) => ({ from: node.id, to: route.to, route: route.when ?? '' })),
  ])
}

interface Group extends Scope {
  /** Empty when the box of the node itself is enough. */
  readonly title: string
}

/** What is inside a node: the lane of a fan-out, its named branches, or a child pipeline. */
function groupsOf(node: Node, prefix: string): Group[] {
  const path = prefix + node.id
  if (node.kind === 'child') return [{ nodes: node.child.pipeline.nodes, prefix: `${path}/`, title: '' }]
  if (node.kind !== 'fanout') return []
  const { over, nodes } = node.fanout
  if (!('branches' in over)) return [{ nodes, prefix: `${path}/`, title: '' }]
  return Object.entries(over.branches).map(([key, inner]) => ({ nodes: inner, prefix: `${path}:${key}/`, title: key }))
}

function titleOf(node: Node): string {
  switch (node.kind) {
    case 'fanout':
      return `${node.id} × ${overOf(node.fanout)}`
    case 'child':
      return `${node.id} (${node.child.file})`
    case 'gate':
      return `${node.id}: ${node.gate.question}`
    case 'agent':
      return `${node.id} (${asText(node.agent['use'] ?? null)})`
    default:
      return node.id
  }
}

function overOf({ over }: Fanout): string {
  if ('each' in over) return Array.isArray(over.each) ? String(over.each.length) : asText(over.each)
  if ('count' in over) return String(over.count)
  return 'branches' in over ? String(Object.keys(over.branches).length) : Object.keys(over.matrix).join(' × ')
}

const short = (text: string): string =>
  (text.length > LABEL_CHARS ? `${text.slice(0, LABEL_CHARS - 1)}…` : text).replaceAll(/\s+/g, ' ')
/** Characters that mean something to Mermaid become its entity codes. */
const mermaidText = (text: string): string =>
  short(text).replaceAll(/["#&<>`\\]/g, (char) => `#${char.codePointAt(0)};`)
const dotText = (text: string): string => dotId(short(text))
const dotId = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
