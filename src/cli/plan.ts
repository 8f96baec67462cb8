// Owns: `--dry-run`: what a run would do, from the pipeline and its params alone: order, kinds, needs, commands, the names
// of environment variables and secrets (never values). Pure.
import type { JsonObject } from '../core/json.ts'
import type { CommandLine, Fanout, Node, Pipeline } from '../core/pipeline.ts'
import { counted, elapsed } from './terminal/amounts.ts'
import { line, piece, type Look, type Piece } from './terminal/style.ts'
import { cleanLine } from './terminal/text.ts'

export interface Plan {
  readonly pipeline: Pipeline
  readonly params: JsonObject
  readonly file: string
  readonly only?: string | undefined
  readonly from?: string | undefined
}

/** The lines of the plan. */
export function renderPlan({ pipeline, params, file, only, from }: Plan, look: Look): string[] {
  const given = Object.entries(params).map(
    ([name, value]) => `${name}=${pipeline.params[name]?.secret === true ? '***' : JSON.stringify(value)}`,
  )
  const part = only !== undefined ? `only ${only}` : from !== undefined ? `from ${from} on` : ''
  const head = [
    line(
      [
        piece(' '),
        piece(cleanLine(pipeline.name), 'bold'),
        piece(
          `   ${cleanLine(file)}   ${counted(pipeline.nodes.length, 'node')}, at most ${counted(pipeline.max_parallel, 'attempt')} at once${part === '' ? '' : `, ${part}`}`,
        ),
      ],
      [],
      look,
    ),
    ...(given.length > 0 ? [line([piece(' params  ', 'dim'), piece(cleanLine(given.join('  ')))], [], look)] : []),
    ...(pipeline.secrets.length > 0
      ? [line([piece(' secrets ', 'dim'), piece(pipeline.secrets.join('  '))], [], look)]
      : []),
    '',
  ]
  return [...head, ...inOrder(pipeline.nodes).flatMap((node) => nodeLines(node, 0, look)), '', ' Nothing was started.']
}

/** After what they need; as they are written where that leaves a choice. */
function inOrder(nodes: readonly Node[]): Node[] {
  const done = new Set<string>()
  const ordered: Node[] = []
  let left = [...nodes]
  while (left.length > 0) {
    const ready = left.filter(({ needs }) =>
      needs.every((need) => done.has(need) || !left.some(({ id }) => id === need)),
    )
    const next = ready.length > 0 ? ready : left
    for (const node of next) done.add(node.id)
    ordered.push(...next)
    left = left.filter((node) => !next.includes(node))
  }
  return ordered
}

function nodeLines(node: Node, depth: number, look: Look): string[] {
  const indent = `   ${'  '.repeat(depth)}`
  const facts = factsOf(node)
  const head = line(
    [
      piece(`${indent}${node.id.padEnd(Math.max(1, 24 - depth * 2))} `, 'bold'),
      piece(`${node.kind.padEnd(7)} `, 'dim'),
      piece(whatOf(node)),
    ],
    [],
    look,
  )
  const details = facts.map((fact): string => line([piece(`${indent}  `), ...fact], [], look))
  return [
    head,
    ...details,
    ...(node.kind === 'fanout' ? lanesOf(node.fanout, depth, look) : []),
    ...(node.kind === 'child'
      ? inOrder(node.child.pipeline.nodes).flatMap((inner) => nodeLines(inner, depth + 1, look))
      : []),
  ]
}

function lanesOf(fanout: Fanout, depth: number, look: Look): string[] {
  if (!('branches' in fanout.over)) return inOrder(fanout.nodes).flatMap((inner) => nodeLines(inner, depth + 1, look))
  return Object.entries(fanout.over.branches).flatMap(([key, nodes]) => [
    line([piece(`   ${'  '.repeat(depth + 1)}${key}:`, 'dim')], [], look),
    ...inOrder(nodes).flatMap((inner) => nodeLines(inner, depth + 2, look)),
  ])
}

function factsOf(node: Node): Piece[][] {
  const fact = (label: string, text: string): Piece[][] =>
    text === '' ? [] : [[piece(`${label.padEnd(8)} `, 'dim'), piece(cleanLine(text))]]
  return [
    ...fact('needs', node.routed ? 'a route that leads here' : node.needs.join(', ')),
    ...fact('when', node.when?.expression ?? ''),
    ...fact(
      'retry',
      node.retry.max_attempts > 1
        ? `up to ${node.retry.max_attempts} attempts, first delay ${elapsed(node.retry.initial_ms)}`
        : '',
    ),
    ...fact('checks', node.checks.map((check) => `${check.name}${check.required ? '' : ' (not required)'}`).join(', ')),
    ...fact(
      'routes',
      node.routes.map((route) => `${route.when === undefined ? '' : `${route.when} → `}${route.to}`).join('; '),
    ),
    ...fact('env', Object.keys(node.env).join(', ')),
    ...fact('secrets', node.secrets.join(', ')),
  ]
}

const commandText = (command: CommandLine): string =>
  'argv' in command ? command.argv.join(' ') : (command.script.trim().split('\n')[0] ?? '')

function whatOf(node: Node): string {
  switch (node.kind) {
    case 'run':
      return cleanLine(commandText(node.run))
    case 'agent':
      return cleanLine([node.agent['use'], node.agent['model']].filter((part) => typeof part === 'string').join(' '))
    case 'call':
      return node.call.name
    case 'fanout':
      return overText(node.fanout)
    case 'gate':
      return `${cleanLine(node.gate.question)} (${node.gate.choices.join(', ')})`
    case 'child':
      return node.child.file
    case 'wait':
      return 'for' in node.wait ? `for ${node.wait.for}` : `until ${node.wait.until}`
  }
}

function overText({ over, join, max_parallel: bound }: Fanout): string {
  const what =
    'each' in over
      ? `each of ${cleanLine(JSON.stringify(over.each))}`
      : 'count' in over
        ? `${over.count} times`
        : 'branches' in over
          ? Object.keys(over.branches).join(', ')
          : `matrix of ${Object.keys(over.matrix).join(' × ')}`
  const need =
    join.kind === 'at_least' ? `at least ${join.count}` : join.kind === 'quorum' ? `quorum ${join.share}` : join.kind
  return `${what}; join ${need}${bound === undefined ? '' : `, ${bound} at once`}`
}
