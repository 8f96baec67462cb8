// Owns: the rules about one node or one part of the head that need more than the shape: kinds and what goes with them,
// gates, fan-outs, secrets, params. Must not: look at how nodes hang together (rules-graph.ts does).
import { keySlug } from '../core/ids.ts'
import type { Json } from '../core/json.ts'
import { ATTEMPT_KINDS, type NodeKind } from '../core/pipeline.ts'
import { CEL_KEYWORDS, isCelName } from './cel.ts'
import { didYouMean } from './diagnostic.ts'
import { asList, asRaw, asStrings, scopesOf, type Outline, type OutlineNode, type Raw, type Report } from './outline.ts'
import { isOfType } from './params.ts'
import { checkAgent, checkSummaries } from './rules-agent.ts'
import { checkChecks } from './rules-check.ts'
import { checkJsonSchema } from './rules-json-schema.ts'
import { KIND_KEYS } from './schema-node.ts'

/** Variables that expressions always see; `as` cannot take their names. */
export const EXPRESSION_VARIABLES = [
  'params',
  'env',
  'run',
  'nodes',
  'branch',
  'item',
  'result',
  'label',
  'failure',
] as const

/** Runs all rules about single nodes and about the head of the file. `typescript` = functions are possible. */
export function checkNodes(outline: Outline, report: Report, typescript: boolean): void {
  checkParams(outline.raw, report)
  checkSummaries(outline.raw, report)
  const secrets = asStrings(outline.raw['secrets'])
  for (const scope of scopesOf(outline.root)) {
    for (const node of scope.nodes) {
      checkKind(node, report, typescript)
      checkAttemptKeys(node, report)
      checkSecrets(node, secrets, report)
      checkDecision(node, report)
      if (node.kind === 'gate') checkGate(node, report)
      if (node.kind === 'fanout') checkFanout(node, report)
      if (node.kind === 'agent') checkAgent(node, outline, report)
      checkChecks(node, report)
      checkOutputs(node, report)
      if (node.kind === 'wait') checkOne(node, 'wait', ['for', 'until'], report)
    }
  }
}

function checkParams(raw: Raw, report: Report): void {
  for (const [name, value] of Object.entries(asRaw(raw['params']))) {
    const param = asRaw(value)
    const type = param['type']
    if (typeof type !== 'string') continue
    const allowed = param['enum']
    const path = ['params', name]
    for (const [index, item] of asList(allowed).entries()) {
      if (!isOfType(item as Json, type))
        report.error('wrong-value', [...path, 'enum', index], `\`${name}\` is declared as ${type}, this value is not`)
    }
    const given = param['default']
    if (given === undefined) continue
    if (!isOfType(given as Json, type)) {
      report.error('wrong-value', [...path, 'default'], `the default of \`${name}\` is not of its type (${type})`)
    } else if (Array.isArray(allowed) && !allowed.some((item) => JSON.stringify(item) === JSON.stringify(given))) {
      report.error('wrong-value', [...path, 'default'], `the default of \`${name}\` is not in its enum`)
    }
  }
}

function checkKind(node: OutlineNode, report: Report, typescript: boolean): void {
  const kinds = KIND_KEYS.filter((key) => node.raw[key] !== undefined)
  if (kinds.length === 0) {
    report.error(
      'node-kind',
      node.path,
      `node \`${node.id}\` does nothing`,
      `give it exactly one of ${KIND_KEYS.filter((key) => typescript || key !== 'call').join(', ')}`,
    )
  } else if (kinds.length > 1) {
    report.error(
      'node-kind',
      [...node.path, kinds[1]!],
      `node \`${node.id}\` has ${kinds.length} kinds: ${kinds.join(', ')}`,
      'a node has exactly one; split it',
    )
  }
  if (node.raw['call'] !== undefined && !typescript) {
    report.error(
      'call-function',
      [...node.path, 'call'],
      'only a TypeScript pipeline can call functions',
      "write the pipeline in TypeScript: call('id', async (ctx) => …)",
    )
  }
}

const hasAttempts = (kind: NodeKind): boolean => ATTEMPT_KINDS.includes(kind)

function checkAttemptKeys(node: OutlineNode, report: Report): void {
  if (!node.kind || hasAttempts(node.kind)) return
  for (const key of ['retry', 'stall_timeout']) {
    if (node.raw[key] === undefined) continue
    const fix = node.kind === 'fanout' ? 'put it on the nodes inside' : 'remove it'
    report.error(
      'no-attempts',
      [...node.path, key],
      `\`${key}\` is for run, agent and call nodes; a ${node.kind} node has no attempts`,
      fix,
    )
  }
}

function checkSecrets(node: OutlineNode, declared: readonly string[], report: Report): void {
  for (const [index, name] of asList(node.raw['secrets']).entries()) {
    if (typeof name !== 'string' || declared.includes(name)) continue
    const meant = didYouMean(name, declared)
    const fix = meant ? undefined : `add it to \`secrets\` at the top: [${[...declared, name].join(', ')}]`
    report.error(
      'secret-undeclared',
      [...node.path, 'secrets', index],
      `secret \`${name}\` is not declared${meant}`,
      fix,
    )
  }
}

function checkDecision(node: OutlineNode, report: Report): void {
  const labels = node.raw['decision']
  if (labels === undefined) return
  const path = [...node.path, 'decision']
  if (node.kind && !hasAttempts(node.kind)) {
    const fix = node.kind === 'gate' ? 'a gate has `choices`' : 'remove it'
    report.error(
      'no-attempts',
      path,
      `\`decision\` is for run, agent and call nodes; a ${node.kind} node reports no label`,
      fix,
    )
  }
  checkRepeated(labels, path, report)
}

function checkRepeated(labels: unknown, path: readonly PropertyKey[], report: Report): void {
  for (const [index, label] of asStrings(labels).entries()) {
    if (asStrings(labels).indexOf(label) < index)
      report.error('wrong-value', [...path, index], `\`${label}\` is listed twice`)
  }
}

function checkGate(node: OutlineNode, report: Report): void {
  const gate = asRaw(node.raw['gate'])
  const path = [...node.path, 'gate']
  const choices = gate['choices'] === undefined ? ['approve', 'reject'] : asStrings(gate['choices'])
  checkRepeated(gate['choices'], [...path, 'choices'], report)
  const unknown = (choice: string): string =>
    `\`${choice}\` is none of the choices (${choices.join(', ')})${didYouMean(choice, choices)}`
  const fallback = gate['default']
  if (typeof fallback === 'string' && !choices.includes(fallback))
    report.error('choice-unknown', [...path, 'default'], unknown(fallback))
  if (fallback !== undefined && gate['timeout'] === undefined) {
    report.warning(
      'gate-default',
      [...path, 'default'],
      'the default is never used: the gate waits for ever',
      'add `timeout` to the gate',
    )
  }
  for (const [index, choice] of asList(gate['reject']).entries()) {
    if (typeof choice === 'string' && !choices.includes(choice))
      report.error('choice-unknown', [...path, 'reject', index], unknown(choice))
  }
}

function checkOutputs(node: OutlineNode, report: Report): void {
  for (const [name, schema] of Object.entries(asRaw(node.raw['outputs'])))
    checkJsonSchema(schema, [...node.path, 'outputs', name], report)
}

function checkOne(node: OutlineNode, kind: string, keys: readonly string[], report: Report): void {
  const given = keys.filter((key) => asRaw(node.raw[kind])[key] !== undefined)
  if (given.length === 1) return
  const found = given.length === 0 ? 'none' : given.join(' and ')
  report.error(
    'wrong-value',
    [...node.path, kind],
    `\`${kind}\` needs exactly one of ${keys.join(', ')}; found ${found}`,
  )
}

function checkFanout(node: OutlineNode, report: Report): void {
  checkOne(node, 'fanout', ['each', 'branches', 'matrix', 'count'], report)
  const fanout = asRaw(node.raw['fanout'])
  const path = [...node.path, 'fanout']
  const named = fanout['branches'] !== undefined
  if (named && fanout['nodes'] !== undefined) {
    report.error('wrong-value', [...path, 'nodes'], 'branches have their nodes in `branches`', 'remove `nodes`')
  } else if (!named && asList(fanout['nodes']).length === 0) {
    report.error('missing-key', path, 'a fan-out needs `nodes`: what each branch does', 'add nodes: [ … ]')
  }
  for (const [key, nodes] of Object.entries(asRaw(fanout['branches']))) {
    if (keySlug(key) !== key)
      report.error(
        'bad-id',
        [...path, 'branches', key],
        `branch \`${key}\`: keys hold letters, digits, . _ and - only (at most 64)`,
      )
    if (Array.isArray(nodes) && nodes.length === 0)
      report.error('wrong-value', [...path, 'branches', key], `branch \`${key}\` has no nodes`)
  }
  if (fanout['key'] !== undefined && fanout['each'] === undefined) {
    report.error('wrong-value', [...path, 'key'], '`key` names the branches of `each`', 'remove it')
  }
  if (fanout['merge'] !== undefined && fanout['merge'] !== 'none' && fanout['workspace'] !== 'worktree') {
    report.error(
      'wrong-value',
      [...path, 'merge'],
      '`merge` needs `workspace: worktree`: in a shared workspace there is nothing to merge',
    )
  }
  checkAxes(fanout['matrix'], [...path, 'matrix'], report)
  checkAs(fanout['as'], [...path, 'as'], report)
}

function checkAxes(matrix: unknown, path: readonly PropertyKey[], report: Report): void {
  if (matrix === undefined) return
  const raw = asRaw(matrix)
  const axes = Object.keys(raw).filter((axis) => axis !== 'include' && axis !== 'exclude')
  if (axes.length === 0 && asList(raw['include']).length === 0 && typeof raw['include'] !== 'string') {
    report.error('wrong-value', path, 'a matrix needs at least one axis', 'add one, like os: [linux, macos]')
  }
}

function checkAs(name: unknown, path: readonly PropertyKey[], report: Report): void {
  if (typeof name !== 'string') return
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || CEL_KEYWORDS.has(name)) {
    report.error(
      'bad-id',
      path,
      `\`as: ${name}\` cannot be read in expressions`,
      'use letters, digits and _, and no CEL keyword',
    )
  } else if (name !== 'item' && ((EXPRESSION_VARIABLES as readonly string[]).includes(name) || isCelName(name))) {
    report.error(
      'bad-id',
      path,
      `\`as: ${name}\` would hide what expressions already call \`${name}\``,
      'choose another name',
    )
  }
}
