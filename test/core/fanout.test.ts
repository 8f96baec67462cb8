// DESIGN 3, Fan-out: branches and their keys, bounds, joins, failures, outputs and counts.
import { describe, expect, test } from 'vitest'
import { neededSuccesses } from '../../src/core/policy.ts'
import { summaryOf } from '../../src/core/summary.ts'
import { attempts, cause, chain, play, results, SIGINT, worldOf } from '../support/play.ts'
import { answers, pipelineOf, World } from '../support/world.ts'

const keys = (world: Awaited<ReturnType<typeof play>>, node = 'f'): string[] =>
  world.events('branch.started', node).map((event) => event.branch.key)

describe('branches and keys', () => {
  const cases: readonly [over: string, keys: readonly string[]][] = [
    ['count: 3', ['0', '1', '2']],
    ['each: [api, "web site", "ü/x"]', ['api', 'web-site', 'u-x']],
    ['each: [1, true, x]', ['1', 'true', 'x']],
    ['each: [{ name: a }, [1], null]', ['0', '1', '2']],
    ['each: [a, a, b, a]', ['a', 'a-1', 'b', 'a-3']],
    ['each: [a-1, a, a]', ['a-1', 'a', 'a-2']],
    ['each: ["..", "/", ""]', ['0', '1', '2']],
    [`each: ["${'x'.repeat(80)}", "${'x'.repeat(81)}"]`, ['x'.repeat(64), `${'x'.repeat(62)}-1`]],
    ['each: [{ name: a }, { name: b }], as: task, key: "${{ task.name }}"', ['a', 'b']],
    ['each: [{ name: a }, { name: b }], key: "k-${{ item.name }}"', ['k-a', 'k-b']],
    ['matrix: { os: [linux, mac], node: [22, 24] }', ['linux-22', 'linux-24', 'mac-22', 'mac-24']],
    [
      'matrix: { os: [linux, mac], node: [22, 24], exclude: [{ os: mac, node: 22 }] }',
      ['linux-22', 'linux-24', 'mac-24'],
    ],
    ['matrix: { os: [linux], include: [{ os: windows }] }', ['linux', 'windows']],
    ['matrix: { os: [linux, mac], include: [{ os: mac, extra: yes }] }', ['linux', 'mac-yes']],
  ]
  test.each(cases)('%s', async (over, expected) => {
    const world = await play(`nodes: [{ id: f, fanout: { ${over}, nodes: [{ id: s, run: x }] } }]`)
    expect(keys(world)).toEqual(expected)
    expect(attempts(world)).toEqual(expected.map((key) => `f:${key}/s@1.1`))
    expect(world.finished).toMatchObject({ result: 'success', totals: { branches: expected.length } })
    for (const key of keys(world)) expect(key).toMatch(/^[A-Za-z0-9._-]{1,64}$/)
  })

  test('`branches` have a lane each', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { branches: { api: [{ id: a, run: x }], web: [{ id: b, run: x }, { id: c, run: x }] } } }]',
    )
    expect(attempts(world)).toEqual(['f:api/a@1.1', 'f:web/b@1.1', 'f:web/c@1.1'])
    expect(world.events('branch.started').map((event) => event.branch)).toEqual([
      { key: 'api', index: 0 },
      { key: 'web', index: 1 },
    ])
  })

  test('a list may come from a param or from outputs', async () => {
    const world = await play(
      `
params: { tasks: { type: array, default: [p, q] } }
nodes:
  - { id: f, fanout: { each: '\${{ params.tasks }}', nodes: [{ id: s, run: x }] } }
  - { id: a, run: x }
  - { id: g, fanout: { each: '\${{ nodes.a.outputs.list }}', nodes: [{ id: s, run: x }] } }
  - { id: h, fanout: { count: '\${{ nodes.a.outputs.n }}', nodes: [{ id: s, run: x }] } }`,
      { a: [{ outputs: { list: ['u'], n: 2 } }] },
    )
    expect([keys(world, 'f'), keys(world, 'g'), keys(world, 'h')]).toEqual([['p', 'q'], ['u'], ['0', '1']])
  })

  test.each([
    ["each: '${{ nodes.a.outputs.list }}'", 'each has to be a list'],
    ["count: '${{ nodes.a.outputs.n }}'", 'whole number'],
  ])('%s of the wrong type is config_invalid', async (over, said) => {
    const world = await play(`nodes: [{ id: a, run: x }, { id: f, fanout: { ${over}, nodes: [{ id: s, run: x }] } }]`, {
      a: [{ outputs: { list: 'text', n: -1 } }],
    })
    expect(world.finished).toMatchObject({
      result: 'error',
      failure: { code: 'config_invalid', message: expect.stringContaining(said) },
    })
  })

  test('item, the name given by `as`, branch and outer names are visible inside, also in nested scopes', async () => {
    const seen: unknown[] = []
    await play(
      `
nodes:
  - id: f
    fanout:
      each: [a, b]
      as: outer
      nodes:
        - id: g
          fanout: { count: 2, as: inner, nodes: [{ id: s, run: ['echo', '\${{ outer }}', '\${{ inner }}', '\${{ item }}', '\${{ branch.key }}', '\${{ branch.index }}'] }] }`,
      { s: (command) => (seen.push([command.id, command.inputs, command.item, command.place.branch]), 'ok') },
    )
    expect(seen[3]).toEqual([
      'f:b/g:1/s@1.1',
      { outer: 'b', inner: 1, item: 1, 'branch.key': '1', 'branch.index': 1 },
      1,
      { key: '1', index: 1 },
    ])
  })

  test('nodes are looked up in the own scope, then outward', async () => {
    const world = await play(
      `
nodes:
  - { id: a, run: x }
  - id: f
    fanout: { count: 1, nodes: [{ id: b, run: x }, { id: c, run: ['echo', '\${{ nodes.a.label }}', '\${{ nodes.b.label }}', '\${{ nodes.z.label }}'] }] }
  - { id: z, run: x }`,
      { a: [{ label: 'outer' }], b: [{ label: 'inner' }] },
    )
    expect(world.events('attempt.started', 'f:0/c')[0]!.inputs).toEqual({
      'nodes.a.label': 'outer',
      'nodes.b.label': 'inner',
      'nodes.z.label': null,
    })
  })
})

describe('bounds', () => {
  test('max_parallel of the fan-out bounds branches, not attempts', async () => {
    const world = await play('nodes: [{ id: f, fanout: { count: 4, max_parallel: 2, nodes: [{ id: s, run: x }] } }]', {
      s: [{ takes: 10 }],
    })
    let open = 0
    let most = 0
    for (const { event } of world.entries) {
      if (event.type === 'branch.started') most = Math.max(most, ++open)
      if (event.type === 'branch.finished') open--
    }
    expect(most).toBe(2)
  })
  test('without it all branches may be open; only attempts hold slots', async () => {
    const world = await play(
      'max_parallel: 2\nnodes: [{ id: f, fanout: { count: 6, nodes: [{ id: w, wait: { for: 10s } }] } }]',
    )
    expect(world.now - Date.parse(world.entries[0]!.at)).toBe(10_000)
  })
})

describe('joins', () => {
  /** Answers of the branches in order → result and code; `left` = branches that never started. */
  const cases: readonly [
    join: string,
    on: string,
    answers: readonly string[],
    result: string,
    code: string | undefined,
  ][] = [
    ['all', 'continue', ['ok', 'ok'], 'success', undefined],
    ['all', 'continue', ['ok', 'boom'], 'failure', 'branch_failed'],
    ['all', 'continue', ['boom', 'network'], 'error', 'branch_failed'],
    ['all', 'continue', ['timed_out', 'ok'], 'timeout', 'branch_failed'],
    ['all', 'continue', ['skip', 'ok'], 'success', undefined],
    ['all', 'continue', ['skip', 'skip'], 'skip', undefined],
    ['all', 'continue', [], 'success', undefined],
    ['all', 'ignore', ['ok', 'boom'], 'success', undefined],
    ['all', 'ignore', ['boom', 'boom'], 'failure', 'join_unsatisfied'],
    ['all', 'ignore', ['boom', 'skip'], 'failure', 'join_unsatisfied'],
    ['all', 'ignore', [], 'success', undefined],
    ['any', 'continue', ['boom', 'ok'], 'success', undefined],
    ['any', 'continue', ['boom', 'boom'], 'failure', 'join_unsatisfied'],
    ['any', 'continue', ['skip', 'skip'], 'failure', 'join_unsatisfied'],
    ['any', 'continue', [], 'failure', 'join_unsatisfied'],
    ['{ at_least: 2 }', 'continue', ['ok', 'boom', 'ok'], 'success', undefined],
    ['{ at_least: 2 }', 'continue', ['ok', 'boom', 'boom'], 'failure', 'join_unsatisfied'],
    ['{ quorum: 0.5 }', 'continue', ['ok', 'boom'], 'success', undefined],
    ['{ quorum: 0.6 }', 'continue', ['ok', 'boom'], 'failure', 'join_unsatisfied'],
    ['{ quorum: 0.5 }', 'continue', [], 'failure', 'join_unsatisfied'],
    ['any', 'ignore', ['boom', 'boom'], 'failure', 'join_unsatisfied'],
    ['any', 'continue', ['network', 'boom'], 'error', 'join_unsatisfied'],
  ]
  test.each(cases)('%s, on_failure %s, branches %j: %s', async (...each) => {
    const [join, on, answers, result, code] = each
    const world = await play(
      `params: { list: { type: array, default: [] } }
nodes: [{ id: f, fanout: { each: '\${{ params.list }}', join: ${join}, on_failure: ${on}, nodes: [{ id: s, run: x }] } }]`,
      { s: (command) => (command.item === 'skip' ? { skipped: true } : (command.item as string)) },
      { params: { list: [...answers] } },
    )
    expect(world.events('node.finished', 'f')[0]!.result).toBe(result)
    expect(world.finished.result).toBe(result)
    expect(world.finished.failure?.code).toBe(code)
    const first = answers.find((answer) => answer !== 'ok' && answer !== 'skip')
    if (code && first) expect(chain(world.finished.failure).at(-1)).toBe(first === 'boom' ? 'exit_nonzero' : first)
  })

  test.each([
    [0.6, 5, 3],
    [0.5, 3, 2],
    [1, 7, 7],
    [0.1, 10, 1],
    [0.3, 10, 3],
    [0.7, 10, 7],
    [1 / 3, 3, 1],
    [0.29, 100, 29],
  ])('quorum %f of %i needs %i', (share, total, needed) => {
    expect(neededSuccesses({ kind: 'quorum', share }, total)).toBe(needed)
  })

  test('all: branch_failed names the branches; causes hold the first by journal order, word for word', async () => {
    const world = await play('nodes: [{ id: f, fanout: { each: [a, b, c, d], nodes: [{ id: s, run: x }] } }]', {
      s: (command) =>
        command.item === 'a'
          ? 'ok'
          : { takes: command.item === 'c' ? 1 : 20, fail: `${command.item as string} broke: "quoted" \n 2nd line` },
    })
    const { failure } = world.finished
    expect(failure).toMatchObject({
      code: 'branch_failed',
      message: '3 of 4 branches of f failed: b, c, d',
      details: { branches: ['b', 'c', 'd'], failed: 3, total: 4 },
    })
    expect(cause(failure)).toBe('c broke: "quoted" \n 2nd line')
    expect(failure!.signature).toBe(failure!.causes![0]!.signature)
  })

  test('more than five failed branches: the rest is counted', async () => {
    const world = await play('nodes: [{ id: f, fanout: { count: 8, nodes: [{ id: s, run: x }] } }]', {
      s: () => 'boom',
    })
    expect(world.finished.failure!.message).toBe('8 of 8 branches of f failed: 0, 1, 2, 3, 4 and 3 more')
  })

  test.each(['any', '{ at_least: 1 }', '{ quorum: 0.3 }'])(
    '%s satisfied: the rest is canceled, the fan-out succeeds',
    async (join) => {
      const world = await play(
        `nodes: [{ id: f, fanout: { count: 3, join: ${join}, nodes: [{ id: s, run: x }] } }, { id: z, run: x }]`,
        { s: (command) => ({ takes: command.item === 1 ? 5 : 3_600_000 }) },
      )
      expect(world.events('branch.finished').map((event) => [event.branch.index, event.result])).toEqual([
        [1, 'success'],
        [0, 'cancellation'],
        [2, 'cancellation'],
      ])
      expect(world.events('branch.finished')[1]!.failure).toMatchObject({
        code: 'canceled',
        message: expect.stringContaining('its join is satisfied'),
      })
      expect(results(world)).toMatchObject({ f: 'success', z: 'success' })
      expect(world.finished.result).toBe('success')
      expect(world.now - Date.parse(world.entries[0]!.at)).toBeLessThan(1_000)
    },
  )

  test('unreachable: the rest is canceled at once', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 3, join: { at_least: 2 }, nodes: [{ id: s, run: x }] } }]',
      { s: (command) => (command.item === 0 ? { takes: 3_600_000 } : 'boom') },
    )
    expect(world.events('branch.finished').map((event) => event.result)).toEqual(['failure', 'failure', 'cancellation'])
    expect(world.finished.failure).toMatchObject({
      code: 'join_unsatisfied',
      message: 'f needed 2 of 3 branches to succeed; 0 did',
    })
    expect(cause(world.finished.failure)).toBe('boom')
  })

  test('a join that more branches need than there are is unsatisfied before any starts', async () => {
    const world = await play(
      "params: { n: { type: integer, default: 2 } }\nnodes: [{ id: f, fanout: { count: '${{ params.n }}', join: { at_least: 5 }, nodes: [{ id: s, run: x }] } }]",
    )
    expect(world.finished.failure?.code).toBe('join_unsatisfied')
    expect(attempts(world)).toEqual([])
  })

  test('fail_fast: the first failure cancels the others; those that never started count as skipped and have no span', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 5, max_parallel: 2, on_failure: fail_fast, nodes: [{ id: s, run: x }] } }]',
      { s: (command) => (command.item === 0 ? { takes: 5, fail: 'boom' } : { takes: 3_600_000 }) },
    )
    expect(world.events('branch.finished').map((event) => [event.branch.index, event.result])).toEqual([
      [0, 'failure'],
      [1, 'cancellation'],
    ])
    expect(world.events('branch.started')).toHaveLength(2)
    expect(world.events('node.finished', 'f')[0]).toMatchObject({
      result: 'failure',
      children: { total: 5, failed: 1, retried: 0, skipped: 3 },
      failure: { code: 'branch_failed' },
    })
    expect(cause(world.finished.failure)).toBe('boom')
  })

  test('continue: the others go on', async () => {
    const world = await play('nodes: [{ id: f, fanout: { count: 3, nodes: [{ id: s, run: x }] } }]', {
      s: (command) => (command.item === 0 ? 'boom' : { takes: 50 }),
    })
    expect(world.events('branch.finished').map((event) => event.result)).toEqual(['failure', 'success', 'success'])
  })

  test('ignore: failed branches stay in the counts', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 3, on_failure: ignore, nodes: [{ id: s, run: x, retry: { max_attempts: 2, initial: 1s } }] } }]',
      { s: (command) => (command.item === 0 ? 'boom' : command.item === 1 && command.attempt === 1 ? 'boom' : 'ok') },
    )
    expect(world.events('node.finished', 'f')[0]).toMatchObject({
      result: 'success',
      children: { total: 3, failed: 1, retried: 2, skipped: 0 },
      rollup: { attempts: 5, retries: 2 },
    })
    expect(world.finished.result).toBe('success')
  })

  test('allow_failure on the fan-out tolerates it', async () => {
    const world = await play(
      'nodes: [{ id: f, allow_failure: true, fanout: { count: 1, nodes: [{ id: s, run: x }] } }, { id: z, run: x }]',
      { s: () => 'boom' },
    )
    expect(results(world)).toMatchObject({ f: 'failure', z: 'success' })
    expect(world.finished.result).toBe('success')
  })

  test('a canceled run: branches that ran are canceled, the others never start', async () => {
    const world = await worldOf(
      'nodes: [{ id: f, fanout: { count: 4, max_parallel: 2, nodes: [{ id: s, run: x }] } }]',
      { s: [{ takes: 1_000 }] },
    )
    world.create().tell(SIGINT)
    world.play()
    expect(world.events('branch.finished').map((event) => event.result)).toEqual(['cancellation', 'cancellation'])
    expect(world.finished).toMatchObject({ result: 'cancellation', failure: { code: 'canceled' } })
  })
})

describe('outputs and counts', () => {
  test('nodes.f.outputs.branches holds key, index, result, outputs by node and failure, in order of index', async () => {
    const world = await play(
      `
nodes:
  - { id: f, fanout: { each: [a, b], on_failure: ignore, nodes: [{ id: s, run: x }, { id: t, run: x }] } }
  - { id: z, run: ['echo', '\${{ nodes.f.outputs }}'] }`,
      { s: (command) => (command.item === 'a' ? { takes: 50, outputs: { n: 1 } } : 'boom') },
    )
    expect(world.events('attempt.started', 'z')[0]!.inputs['nodes.f.outputs']).toMatchObject({
      branches: [
        { key: 'a', index: 0, result: 'success', outputs: { s: { n: 1 } }, failure: null },
        { key: 'b', index: 1, result: 'failure', outputs: {}, failure: { code: 'exit_nonzero', message: 'boom' } },
      ],
      total: 2,
      succeeded: 1,
      failed: 1,
      skipped: 0,
    })
  })

  test("nested: the inner fan-out's outputs stand in the outer branch", async () => {
    const world = await play(
      `
nodes:
  - id: f
    fanout: { each: [a], nodes: [{ id: g, fanout: { count: 2, nodes: [{ id: s, run: x }] } }] }
  - { id: z, run: ['echo', '\${{ nodes.f.outputs.branches[0].outputs.g.branches[1].outputs.s.n }}'] }`,
      { s: (command) => ({ outputs: { n: Number(command.item) * 10 } }) },
    )
    expect(Object.values(world.events('attempt.started', 'z')[0]!.inputs)).toEqual([10])
    expect(world.finished.totals).toMatchObject({ branches: 3, attempts: 3 })
  })

  test('the original cause travels word for word through nested fan-outs to the run', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { each: [a], nodes: [{ id: g, fanout: { count: 1, nodes: [{ id: s, run: x }] } }] } }]',
      { s: () => 'Fehler: naïve "ü"' },
    )
    expect(chain(world.finished.failure)).toEqual(['branch_failed', 'branch_failed', 'exit_nonzero'])
    const original = world.events('attempt.finished')[0]!.failure
    for (const failure of [
      world.events('node.finished', 'f:a/g:0/s')[0]!.failure,
      world.events('branch.finished', 'f:a/g')[0]!.failure,
      world.events('node.finished', 'f:a/g')[0]!.failure!.causes![0],
      world.events('branch.finished', 'f')[0]!.failure!.causes![0],
      world.finished.failure!.causes![0]!.causes![0],
    ]) {
      expect(failure).toEqual(original)
    }
    expect(world.finished.failure!.signature).toBe(original!.signature)
  })

  test('after a join, links to the branch spans (at most 100, the rest counted)', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 120, nodes: [{ id: s, run: x }] } }, { id: z, run: x }]',
    )
    const started = world.events('node.started', 'z')[0]!
    expect(started.join_links).toEqual(
      world
        .events('branch.started')
        .slice(0, 100)
        .map((event) => event.span_id),
    )
    expect(started.join_links_omitted).toBe(20)
  })
})

test('final.json lists the nodes of branches that ended well, too, and a fan-out sums up their attempts', async () => {
  const text =
    'name: p\nnodes:\n  - id: f\n    fanout: { each: [a, b], nodes: [{ id: x, run: "true", retry: { max_attempts: 3, initial: 1s } }] }\n'
  const world = new World(await pipelineOf(text), answers({ x: ['once', 'twice', 'ok'] })).create().play()
  const { nodes, nodes_total } = summaryOf(world.state)
  expect(nodes.map(({ path, attempts, retries }) => [path, attempts, retries])).toEqual([
    ['f', 6, 4],
    ['f:a/x', 3, 2],
    ['f:b/x', 3, 2],
  ])
  expect(nodes_total).toBe(3)
})
