// Owns: random pipelines for the simulation: every node kind, loops, nested fan-outs, gates, hooks, checks, budgets.
// From one seed comes one pipeline, for ever.
import { randomAgent, randomMoney } from './random-agents.ts'

/** mulberry32: small, seeded, good enough to explore. */
export function randomOf(seed: number): Random {
  let a = seed >>> 0
  const next = (): number => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    chance: (p) => next() < p,
    int: (max) => Math.floor(next() * max),
    pick: (list) => list[Math.floor(next() * list.length)]!,
  }
}
export interface Random {
  next(): number
  chance(p: number): boolean
  /** 0 … max-1 */
  int(max: number): number
  pick<T>(list: readonly T[]): T
}

type Value = { [key: string]: unknown }

/** A pipeline and the child pipelines beside it, by file name. */
export function randomPipelines(r: Random): { pipeline: Value; files: { [name: string]: Value } } {
  const children = r.int(3)
  const files: { [name: string]: Value } = {}
  for (let i = 0; i < children; i++) files[`child${i}.yaml`] = randomPipeline(r, { children: i })
  return { pipeline: randomPipeline(r, { children }), files }
}

/** Agents everywhere, with money to spend. */
export function agentPipelines(r: Random): { pipeline: Value; files: { [name: string]: Value } } {
  const files: { [name: string]: Value } = { 'child0.yaml': randomPipeline(r, { children: 0, agents: true }) }
  return {
    pipeline: {
      ...randomPipeline(r, { children: 1, agents: true }),
      ...(r.chance(0.6) && { budget: randomMoney(r) }),
      ...(r.chance(0.5) && { summaries: { agent: { use: 'claude', model: 'small' } } }),
    },
    files,
  }
}

/** A fan-out that mostly fails fast: a lane that may fail beside lanes of child pipelines and of anything. */
export function failFastPipelines(r: Random): { pipeline: Value; files: { [name: string]: Value } } {
  const files: { [name: string]: Value } = {
    'child0.yaml': randomPipeline(r, { children: 0 }),
    'child1.yaml': randomPipeline(r, { children: 1 }),
  }
  const lanes = {
    step: [{ id: 'step', run: 'true' }],
    child: [
      { id: 'child', ...(r.chance(0.3) && { budget: randomBudget(r) }), child: { file: `child${r.int(2)}.yaml` } },
      ...(r.chance(0.5) ? [{ id: 'after', run: 'true' }] : []),
    ],
    any: randomNodes(r, { depth: 1, prefix: 'any_', children: 2 }),
  }
  const on_failure = r.pick(['fail_fast', 'fail_fast', 'fail_fast', 'ignore'])
  const inner = { id: 'lanes', fanout: { branches: lanes, on_failure } }
  const node = r.chance(0.5) ? inner : { id: 'outer', fanout: { count: 2, on_failure: 'ignore', nodes: [inner] } }
  return { pipeline: { name: 'simulated', max_parallel: 2 + r.int(4), nodes: [node] }, files }
}

interface Shape {
  /** How many child files it may call: those before it. */
  readonly children: number
  readonly agents?: boolean
}

function randomPipeline(r: Random, shape: Shape): Value {
  return {
    name: 'simulated',
    max_parallel: 1 + r.int(4),
    ...(r.chance(0.3) && { on_failure: 'fail_fast' }),
    ...(r.chance(0.2) && { breaker: { limit: 1 + r.int(3) } }),
    ...(r.chance(0.25) && { hooks: { on_success: ['true'], on_failure: ['true'], on_finish: ['true'] } }),
    ...(r.chance(0.2) && { budget: randomBudget(r) }),
    nodes: randomNodes(r, { ...shape, depth: 0, prefix: '' }),
  }
}

function randomBudget(r: Random): Value {
  return r.pick([
    { attempts: 1 + r.int(8) },
    { time: `${1 + r.int(60)}s` },
    { tokens: 100 + r.int(2_000) },
    { tokens: 500, mode: 'audit' },
  ])
}

function randomNodes(r: Random, shape: Shape & { readonly depth: number; readonly prefix: string }): Value[] {
  const { depth, prefix } = shape
  const count = 1 + r.int(depth === 0 ? 6 : 3)
  const ids = Array.from({ length: count }, (_, i) => `${prefix}n${i}`)
  return ids.map((id, i) => randomNode(r, { ...shape, id, ids, i }))
}

interface Site extends Shape {
  readonly id: string
  readonly ids: readonly string[]
  readonly i: number
  readonly depth: number
}

function randomNode(r: Random, site: Site): Value {
  const { ids, i } = site
  const before = ids.slice(0, i)
  const node: Value = { id: site.id, ...randomKind(r, site) }
  const hasAttempts = 'run' in node || 'agent' in node
  if (r.chance(0.5)) node['needs'] = before.filter(() => r.chance(0.4))
  if (r.chance(0.25) && before.length > 0)
    node['when'] = r.pick([
      'always()',
      'failure()',
      'success() || canceled()',
      'canceled()',
      `nodes.${r.pick(before)}.result == "success"`,
      'false',
    ])
  if (hasAttempts && r.chance(0.5))
    node['retry'] = { max_attempts: 1 + r.int(3), initial: '1s', ...(r.chance(0.2) && { on: ['timeout'] }) }
  if ('run' in node && r.chance(0.15)) node['decision'] = ['approve', 'rework', 'fail']
  if ((hasAttempts || 'fanout' in node || 'child' in node) && r.chance(0.25))
    node['checks'] = [
      { name: 'one', run: 'true', required: r.chance(0.7) },
      { name: 'zero', run: 'true', level: 'L0' },
    ]
  if (r.chance(0.2))
    node['hooks'] = {
      on_success: ['true'],
      on_failure: ['true'],
      ...(hasAttempts && { on_retry: ['true'] }),
      on_finish: ['true'],
    }
  if (r.chance(0.15)) node['allow_failure'] = true
  if (r.chance(0.1)) node['goal_gate'] = true
  if (r.chance(0.1)) node['budget'] = site.agents ? randomMoney(r) : randomBudget(r)
  if (hasAttempts && r.chance(0.1)) node['leave_running'] = true
  if (r.chance(0.3)) {
    node['routes'] = [
      {
        when: r.pick([
          'failure != null',
          'result == "failure"',
          'true',
          `nodes.${site.id}.visits < 2`,
          'label == "rework" || label == "fail"',
        ]),
        to: r.pick([...ids, 'end', 'fail']),
      },
    ]
    node['max_visits'] = 1 + r.int(3)
  }
  return node
}

function randomKind(r: Random, { depth, id, ids, i, children, agents = false }: Site): Value {
  const kind = r.int(depth < 2 ? 10 : 6)
  if (agents && kind < 6) return { ...randomAgent(r, ids.slice(0, i)), timeout: '10s' }
  if (kind < 5) return { run: 'true', timeout: '10s' }
  if (kind === 5) return { wait: { for: `${1 + r.int(30)}s` } }
  if (kind === 6)
    return {
      gate: {
        question: 'Go on?',
        choices: ['approve', 'reject'],
        ...(r.chance(0.6) && { timeout: `${1 + r.int(60)}s` }),
        ...(r.chance(0.5) && { default: r.pick(['approve', 'reject']) }),
      },
    }
  if (children > 0 && r.chance(0.4))
    return { ...(r.chance(0.2) && { timeout: `${1 + r.int(20)}s` }), child: { file: `child${r.int(children)}.yaml` } }
  return {
    ...(r.chance(0.2) && { timeout: `${1 + r.int(20)}s` }),
    fanout: {
      ...r.pick([
        { count: r.int(5) },
        { each: ['a', 'b', 'b'] },
        { each: [] },
        { matrix: { os: ['x', 'y'], v: [1, 2] } },
      ]),
      ...(r.chance(0.4) && { max_parallel: 1 + r.int(2) }),
      join: r.pick(['all', 'all', 'any', { at_least: 1 }, { quorum: 0.5 }]),
      on_failure: r.pick(['continue', 'continue', 'fail_fast', 'ignore']),
      nodes: randomNodes(r, { depth: depth + 1, prefix: `${id}_`, children, agents }),
    },
  }
}
