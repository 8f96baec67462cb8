// From file to model: implicit needs, defaults, presets, conditions, commands, embedded files.
import { describe, expect, test } from 'vitest'
import type { FanoutNode, Node } from '../../src/core/pipeline.ts'
import { hashPipeline } from '../../src/pipeline/hash.ts'
import { parsePipelineFile } from '../../src/pipeline/load.ts'
import { folder, parsed, problemsOf } from './files.ts'

async function nodesOf(nodes: string, head = ''): Promise<{ [id: string]: Node }> {
  const { pipeline } = await parsed(`name: p\n${head}\nnodes:\n${nodes.replaceAll(/^/gm, '  ')}\n`)
  return Object.fromEntries(pipeline.nodes.map((node) => [node.id, node]))
}

test('a minimal pipeline has every default written out', async () => {
  const { pipeline, warnings } = await parsed('name: p\nnodes: [{ id: a, run: echo hi }]\n')
  const hooks = { on_success: [], on_failure: [], on_finish: [], on_retry: [] }
  expect(warnings).toEqual([])
  expect(pipeline).toEqual({
    name: 'p',
    params: {},
    secrets: [],
    env: {},
    breaker: { limit: 3 },
    max_parallel: 8,
    on_failure: 'continue',
    hooks,
    nodes: [
      {
        id: 'a',
        kind: 'run',
        run: { shell: 'sh', script: 'echo hi', bindings: [] },
        needs: [],
        routes: [],
        routed: false,
        retry: { max_attempts: 1, initial_ms: 0, factor: 1, max_ms: 60_000, jitter: 0.5 },
        timeout_ms: 3_600_000,
        grace_ms: 5_000,
        checks: [],
        env: {},
        secrets: [],
        hooks,
        goal_gate: false,
        allow_failure: false,
        max_visits: 20,
        leave_running: false,
        expressions: [],
      },
    ],
  })
})

test('implicit needs: the nearest node above that is not routed', async () => {
  const nodes = await nodesOf(`
- { id: a, run: x }
- { id: r, run: x, routed: true, routes: [{ to: a }] }
- { id: b, run: x, routes: [{ when: label == "again", to: r }] }
- { id: c, run: x, needs: [] }
- { id: d, fanout: { count: 2, nodes: [{ id: x, run: x }, { id: y, run: x }] } }
- { id: e, run: x, needs: [a, b, a] }`)
  expect(Object.values(nodes).map((node) => [node.id, node.needs])).toEqual([
    ['a', []],
    ['r', []],
    ['b', ['a']],
    ['c', []],
    ['d', ['c']],
    ['e', ['a', 'b']],
  ])
  expect((nodes['d'] as FanoutNode).fanout.nodes.map((node) => node.needs)).toEqual([[], ['x']])
})

test('when: success() is put before it unless it asks for a status', async () => {
  const nodes = await nodesOf(
    `
- { id: a, run: x, when: params.go || params.now }
- { id: b, run: x, when: '\${{ failure() }}' }
- { id: c, run: x, when: nodes.a.label == "always()" }
- { id: d, run: x, when: true }
- { id: e, run: x, when: "true // because" }`,
    'params: { go: { type: boolean }, now: { type: boolean } }',
  )
  expect(Object.values(nodes).map((node) => node.when)).toEqual([
    { expression: 'success() && (params.go || params.now)', calls: ['success'] },
    { expression: 'failure()', calls: ['failure'] },
    { expression: 'success() && (nodes.a.label == "always()")', calls: ['success'] },
    { expression: 'success() && (true)', calls: ['success'] },
    { expression: 'success() && (true // because\n)', calls: ['success'] },
  ])
})

describe('retry and durations', () => {
  test.each<[string, object]>([
    ['none', { max_attempts: 1 }],
    ['standard', { max_attempts: 5, initial_ms: 200, factor: 2, max_ms: 60_000, jitter: 0.5 }],
    ['aggressive', { max_attempts: 5, initial_ms: 500, factor: 2 }],
    ['linear', { max_attempts: 3, initial_ms: 500, factor: 1 }],
    ['patient', { max_attempts: 3, initial_ms: 2_000, factor: 3 }],
    ['4', { max_attempts: 4, initial_ms: 200, factor: 2 }],
    [
      '{ max_attempts: 3, initial: 5s, factor: 3, max: 1m, jitter: 0, on: [transient] }',
      { max_attempts: 3, initial_ms: 5_000, factor: 3, max_ms: 60_000, jitter: 0, on: ['transient'] },
    ],
    ['{ max_attempts: 2 }', { max_attempts: 2, initial_ms: 200, factor: 2, max_ms: 60_000, jitter: 0.5 }],
  ])('%s', async (retry, expected) =>
    expect((await nodesOf(`- { id: a, run: x, retry: ${retry} }`))['a']!.retry).toMatchObject(expected),
  )

  test('defaults reach the kinds with attempts only', async () => {
    const nodes = await nodesOf(
      `
- { id: a, run: x }
- { id: b, agent: { use: claude, prompt: p }, timeout: 2h, stall_timeout: off }
- { id: c, agent: { use: claude, prompt: p }, retry: none }
- { id: d, gate: { question: q, timeout: 1d, default: reject } }
- { id: e, wait: { for: 5m }, timeout: 10m }`,
      'defaults: { timeout: 30m, retry: linear, env: { A: b } }',
    )
    expect(
      Object.values(nodes).map((node) => [node.timeout_ms, node.stall_timeout_ms, node.retry.max_attempts]),
    ).toEqual([
      [1_800_000, undefined, 3],
      [7_200_000, undefined, 3],
      [1_800_000, 600_000, 1],
      [undefined, undefined, 1],
      [600_000, undefined, 1],
    ])
    expect(nodes['d']).toMatchObject({
      gate: {
        question: 'q',
        choices: ['approve', 'reject'],
        reject: ['reject'],
        timeout_ms: 86_400_000,
        default: 'reject',
      },
    })
    expect((await parsed('name: p\ndefaults: { env: { A: b } }\nnodes: [{ id: a, run: x }]')).pipeline.env).toEqual({
      A: 'b',
    })
  })
})

test('commands, checks, hooks', async () => {
  const { a } = await nodesOf(
    `
- id: a
  shell: bash
  run: echo "\${{ params.x }}" \${{ params.x }}
  cwd: dir/\${{ params.y }}
  env: { V: "\${{ params.z }}" }
  checks: [{ run: [npm, test], required: false, level: L2, timeout: 5m }, { name: lint, run: 'echo \${{ label }}' }]
  hooks: { on_success: [echo ok, [env], { name: n, run: x, timeout: 5s }], on_retry: [r] }`,
    'params: { x: { type: string }, y: { type: string }, z: { type: string } }',
  )
  expect(a).toMatchObject({
    run: {
      shell: 'bash',
      script: 'echo "${SPANWRIGHT_X1}" "${SPANWRIGHT_X1}"',
      bindings: [{ name: 'SPANWRIGHT_X1', expression: 'params.x' }],
    },
    expressions: ['params.x', 'params.z', 'params.y'],
    checks: [
      { name: 'npm test', run: { argv: ['npm', 'test'] }, required: false, level: 'L2', timeout_ms: 300_000 },
      {
        name: 'lint',
        run: { shell: 'bash', bindings: [{ expression: 'label' }] },
        required: true,
        level: 'L1',
        timeout_ms: 600_000,
      },
    ],
    hooks: {
      on_success: [
        { name: 'echo ok', timeout_ms: 60_000, run: { shell: 'bash', script: 'echo ok' } },
        { name: 'env', run: { argv: ['env'] } },
        { name: 'n', timeout_ms: 5_000 },
      ],
      on_retry: [{ name: 'r' }],
      on_failure: [],
      on_finish: [],
    },
  })
})

test('fan-outs', async () => {
  const nodes = await nodesOf(
    `
- { id: a, fanout: { each: '\${{ params.tasks }}', as: task, key: '\${{ task }}', join: { quorum: 0.6 }, nodes: [{ id: x, run: 'echo \${{ task }}' }] } }
- { id: b, fanout: { matrix: { os: [l, m], node: '\${{ params.tasks }}', include: [{ os: w }] }, workspace: worktree, nodes: [{ id: x, run: x }] } }
- { id: c, fanout: { branches: { left: [{ id: x, run: x }], right: [{ id: x, run: x }, { id: y, run: x }] }, join: { at_least: 2 } } }
- { id: d, fanout: { count: '\${{ size(params.tasks) }}', join: any, nodes: [{ id: x, run: x }] } }`,
    'params: { tasks: { type: array } }',
  )
  expect(nodes['a']).toMatchObject({
    expressions: ['params.tasks'],
    fanout: {
      over: { each: '${{ params.tasks }}' },
      key: '${{ task }}',
      join: { kind: 'quorum', share: 0.6 },
      on_failure: 'continue',
      workspace: 'shared',
      merge: 'none',
    },
  })
  expect(nodes['b']).toMatchObject({
    fanout: {
      over: { matrix: { os: ['l', 'm'], node: '${{ params.tasks }}' }, include: [{ os: 'w' }], exclude: [] },
      merge: 'all',
    },
  })
  expect(nodes['c']).toMatchObject({
    fanout: {
      join: { kind: 'at_least', count: 2 },
      nodes: [],
      over: { branches: { left: [{ id: 'x' }], right: [{ id: 'x' }, { id: 'y', needs: ['x'] }] } },
    },
  })
  expect(nodes['d']).toMatchObject({
    fanout: { over: { count: '${{ size(params.tasks) }}' }, join: { kind: 'any' } },
    expressions: ['size(params.tasks)'],
  })
})

test('prompt files and child pipelines are embedded, relative to the file that names them', async () => {
  const { pipeline } = await parsed(
    'name: p\nnodes:\n  - { id: a, agent: { use: claude, prompt_file: prompts/a.md } }\n  - { id: b, child: { file: sub/child.yaml, params: { n: "${{ 1 + 2 }}" } } }\n',
    {
      'prompts/a.md': 'Do ${{ run.id }}',
      'sub/child.yaml':
        'name: child\nparams: { n: { type: integer } }\noutputs: { m: "${{ nodes.c.label }}" }\nnodes: [{ id: c, agent: { use: codex, prompt_file: c.md } }]\n',
      'sub/c.md': 'inner',
    },
  )
  expect(pipeline.nodes[0]).toMatchObject({
    agent: { use: 'claude', prompt: 'Do ${{ run.id }}' },
    expressions: ['run.id'],
  })
  expect(pipeline.nodes[1]).toMatchObject({
    child: {
      file: 'sub/child.yaml',
      params: { n: '${{ 1 + 2 }}' },
      pipeline: { name: 'child', outputs: { m: '${{ nodes.c.label }}' }, nodes: [{ agent: { prompt: 'inner' } }] },
    },
    expressions: ['1 + 2'],
  })
})

describe('child pipelines', () => {
  const child =
    'name: child\nparams: { n: { type: integer }, m: { type: string, default: x } }\nnodes: [{ id: c, run: x, retires: 1 }]\n'
  test('their problems are told with their own place, and so are wrong params', async () => {
    expect(
      await problemsOf('name: p\nnodes:\n  - id: a\n    child: { file: sub/c.yaml, params: { mm: 1, m: 2 } }\n', {
        'sub/c.yaml': child,
      }),
    ).toEqual([
      'p.yaml:4:12 child-params sub/c.yaml needs param `n`; add params: { n: … }',
      'p.yaml:4:46 child-params sub/c.yaml has no param `mm`, did you mean `m`?',
      'p.yaml:4:52 child-params param `m` of sub/c.yaml is declared as string, this value is not',
      'sub/c.yaml:3:26 unknown-key unknown key `retires`, did you mean `retry`?',
    ])
  })
  test('nest 8 deep and no deeper, and never in a circle', async () => {
    const chain = (depth: number) =>
      Object.fromEntries(
        Array.from({ length: depth }, (_, i) => [
          i === 0 ? 'p.yaml' : `c${i}.yaml`,
          `name: p\nnodes: [{ id: a, ${i === depth - 1 ? 'run: x' : `child: { file: c${i + 1}.yaml }`} }]\n`,
        ]),
      )
    const parse = async (files: { [name: string]: string }) => parsePipelineFile('p.yaml', { cwd: await folder(files) })
    await expect(parse(chain(9))).resolves.toBeDefined()
    await expect(parse(chain(10))).rejects.toThrow('child-depth child pipelines nest deeper than 8 levels')
    const circle = {
      'p.yaml': 'name: p\nnodes: [{ id: a, child: { file: q.yaml } }]\n',
      'q.yaml': 'name: q\nnodes: [{ id: a, child: { file: p.yaml } }]\n',
    }
    await expect(parse(circle)).rejects.toThrow('q.yaml:2:33')
    await expect(parse(circle)).rejects.toThrow('child-cycle child pipelines go in a circle: p.yaml → q.yaml → p.yaml')
  })
})

test('anchors and x- keys are free; user data keeps its own', async () => {
  const { pipeline } = await parsed(`
x-base: &base { timeout: 5m, x-note: mine }
name: p
x-anything: { goes: [here] }
params: { p: { type: object, default: { x-kept: 1 } } }
nodes:
  - { <<: *base, id: a, run: x }
  - { id: b, run: x, x-note: 1, outputs: { o: { type: string, x-kept: true } } }
`)
  expect(pipeline.params['p']!.default).toEqual({ 'x-kept': 1 })
  expect(pipeline.nodes).toMatchObject([{ timeout_ms: 300_000 }, { outputs: { o: { 'x-kept': true } } }])
  expect(JSON.stringify(pipeline)).not.toContain('x-note')
})

test('the hash is the meaning, not the text', async () => {
  const a = await parsed('name: p\nnodes: [{ id: a, run: x, timeout: 1h }]\n')
  const b = await parsed('# other text\nnodes:\n  - run: x\n    id: a\nname: p\n')
  const c = await parsed('name: p\nnodes: [{ id: a, run: y }]\n')
  expect(a.hash).toMatch(/^[0-9a-f]{64}$/)
  expect(b.hash).toBe(a.hash)
  expect(c.hash).not.toBe(a.hash)
  expect(hashPipeline(JSON.parse(JSON.stringify(a.pipeline)))).toBe(a.hash)
})

test('files that are not there, and syntaxes that are not', async () => {
  const cwd = await folder({ 'p.dot': 'digraph {}', 'dir/x': '' })
  await expect(parsePipelineFile('no.yaml', { cwd })).rejects.toMatchObject({
    code: 'pipeline.not_found',
    exitCode: 2,
    message: expect.stringContaining('pipeline file no.yaml does not exist'),
  })
  await expect(parsePipelineFile('dir', { cwd })).rejects.toMatchObject({ code: 'pipeline.not_found' })
  await expect(parsePipelineFile('p.dot', { cwd })).rejects.toThrow(
    'p.dot:1:1 syntax-unsupported DOT pipelines are not in this version',
  )
})
