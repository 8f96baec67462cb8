// DESIGN 3, Readiness: needs, when, skip reasons, allow_failure, on_failure.
import { describe, expect, test } from 'vitest'
import { cause, chain, play, playUntil, results, SIGINT, visits, worldOf } from '../support/play.ts'

describe('needs', () => {
  test('omitted, they mean the nearest node above in the same list that is not routed', async () => {
    const world = await play(`
nodes:
  - { id: a, run: x, routes: [{ when: 'false', to: r }] }
  - { id: r, routed: true, run: x }
  - { id: b, run: x }
  - { id: c, needs: [], run: x }`)
    expect(world.pipeline.nodes.map((node) => [node.id, node.needs])).toEqual([
      ['a', []],
      ['r', []],
      ['b', ['a']],
      ['c', []],
    ])
    expect(world.lines('node.started', 'node.finished')).toEqual([
      'node.started a',
      'node.started c',
      'node.finished a success',
      'node.started b',
      'node.finished c success',
      'node.finished b success',
    ])
  })

  test('a node starts when all its needs have a result, not before', async () => {
    const world = await play(
      'nodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [a, b], run: x }]',
      { a: [{ takes: 10 }], b: [{ takes: 500 }] },
    )
    expect(world.lines('node.started', 'node.finished').slice(-3)).toEqual([
      'node.finished b success',
      'node.started c',
      'node.finished c success',
    ])
  })

  test('max_parallel bounds attempts, first come first served', async () => {
    const world = await play(
      'max_parallel: 2\nnodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [], run: x }]',
      { a: [{ takes: 10 }], b: [{ takes: 5 }] },
    )
    expect(world.lines('attempt.started', 'attempt.finished')).toEqual([
      'attempt.started a@1.1',
      'attempt.started b@1.1',
      'attempt.finished b@1.1 success',
      'attempt.started c@1.1',
      'attempt.finished c@1.1 success',
      'attempt.finished a@1.1 success',
    ])
  })
})

describe('when', () => {
  const cases: readonly [when: string, first: string, expected: string][] = [
    ['', 'boom', 'skip: upstream_failed'],
    ['true', 'boom', 'skip: upstream_failed'],
    ['true', 'ok', 'success'],
    ['false', 'ok', 'skip: when_false'],
    ['always()', 'boom', 'success'],
    ['always() && false', 'boom', 'skip: when_false'],
    ['failure()', 'boom', 'success'],
    ['failure()', 'timed_out', 'success'],
    ['failure()', 'network', 'success'],
    ['failure()', 'ok', 'skip: when_false'],
    ['success()', 'boom', 'skip: upstream_failed'],
    ['!success()', 'boom', 'success'],
    ['!success()', 'ok', 'skip: when_false'],
    ['success() || nodes.a.failure.code == "exit_nonzero"', 'boom', 'success'],
    ['success() || failure()', 'boom', 'success'],
    ['canceled()', 'boom', 'skip: when_false'],
    ['nodes.a.outputs.missing == 1', 'boom', 'skip: upstream_failed'],
    ['nodes.a.outputs.missing == 1', 'ok', 'error'],
  ]
  test.each(cases)('`%s` after %s: %s', async (when, first, expected) => {
    const world = await play(`nodes: [{ id: a, run: x }, { id: b, run: x${when && `, when: '${when}'`} }]`, {
      a: [first],
    })
    expect(results(world)['b']).toBe(expected)
    if (expected === 'error')
      expect(world.events('node.finished', 'b')[0]!.failure).toMatchObject({
        code: 'config_invalid',
        source: 'scheduler',
      })
    if (expected === 'skip: upstream_failed') expect(cause(world.events('node.skipped', 'b')[0]!.failure)).toBe(first)
  })

  test('status functions look at all ancestors, not only at the nearest', async () => {
    const world = await play(
      `
nodes:
  - { id: a, run: x }
  - { id: b, run: x, when: always() }
  - { id: c, run: x }
  - { id: d, run: x, when: failure() }
  - { id: e, needs: [], run: x }`,
      { a: ['boom'] },
    )
    expect(results(world)).toEqual({
      a: 'failure',
      b: 'success',
      c: 'skip: upstream_failed',
      d: 'success',
      e: 'success',
    })
  })

  test('a skip because of a failure is a failure for those after it', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x }, { id: b, run: x }, { id: c, run: x, when: failure() }, { id: d, run: x }]',
      { a: ['boom'] },
    )
    expect(results(world)).toEqual({
      a: 'failure',
      b: 'skip: upstream_failed',
      c: 'success',
      d: 'skip: upstream_failed',
    })
    expect(chain(world.events('node.skipped', 'd')[0]!.failure)).toEqual(['upstream_failed', 'exit_nonzero'])
  })

  test('a skip because of a cancellation is no failure for those after it', async () => {
    const world = await play(
      'on_failure: fail_fast\nnodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [b], run: x }, { id: d, needs: [c], run: x, when: "always() && failure()" }, { id: e, needs: [c], run: x, when: "canceled()" }]',
      { a: [{ takes: 5, fail: 'boom' }], b: [{ takes: 50 }] },
    )
    expect(results(world)).toEqual({
      a: 'failure',
      b: 'cancellation',
      c: 'skip: not_reached',
      d: 'skip: when_false',
      e: 'success',
    })
  })

  test('a need skipped by its own when counts as passed', async () => {
    const world = await play("nodes: [{ id: a, run: x }, { id: b, run: x, when: 'false' }, { id: c, run: x }]")
    expect(results(world)).toEqual({ a: 'success', b: 'skip: when_false', c: 'success' })
    expect(world.finished.result).toBe('success')
  })

  test('a `when` that cannot be evaluated fails its node and, with it, what depends on it', async () => {
    const world = await play(
      "nodes: [{ id: a, run: x }, { id: b, run: x, when: 'nodes.a.outputs.n > 1' }, { id: c, run: x }]",
    )
    expect(results(world)).toEqual({ a: 'success', b: 'error', c: 'skip: upstream_failed' })
    expect(world.finished).toMatchObject({ result: 'error', failure: { code: 'config_invalid' } })
    expect(world.finished.failure!.message).toContain('when of node b')
  })

  test('all skipped is a skip', async () => {
    const world = await play("nodes: [{ id: a, run: x, when: 'false' }, { id: b, run: x, when: 'false' }]")
    expect(world.finished.result).toBe('skip')
  })
})

describe('allow_failure', () => {
  test.each([
    ['boom', 'failure'],
    ['network', 'error'],
    ['timed_out', 'timeout'],
  ])('tolerates %s: the node keeps its result, dependents run, the run succeeds', async (fail, result) => {
    const world = await play('nodes: [{ id: a, run: x, allow_failure: true }, { id: b, run: x }]', { a: [fail] })
    expect(results(world)).toEqual({ a: result, b: 'success' })
    expect(world.finished).toMatchObject({ result: 'success', children: { total: 2, failed: 1 } })
    expect(world.events('node.finished', 'a')[0]).toMatchObject({
      tolerated: true,
      failure: { message: fail === 'boom' ? 'boom' : expect.any(String) },
    })
  })

  test('does not tolerate a cancellation', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x, allow_failure: true }, { id: b, run: x }]', {
      a: [{ takes: 1_000 }],
    })
    world.create().tell(SIGINT)
    expect(results(world.play())['a']).toBe('cancellation')
    expect(world.finished.result).toBe('cancellation')
    expect(visits(world)).toEqual(['a@1'])
  })

  test('`failure()` does not see it', async () => {
    const world = await play('nodes: [{ id: a, run: x, allow_failure: true }, { id: b, run: x, when: failure() }]', {
      a: ['boom'],
    })
    expect(results(world)['b']).toBe('skip: when_false')
  })
})

describe('on_failure', () => {
  const nodes =
    'nodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [b], run: x }, { id: d, needs: [a], run: x, when: failure() }]'
  const script = { a: [{ takes: 5, fail: 'boom' }], b: [{ takes: 50 }] }
  test('continue: what does not depend on the failed node goes on; the roll-up is unchanged', async () => {
    const world = await play(`on_failure: continue\n${nodes}`, script)
    expect(results(world)).toEqual({ a: 'failure', b: 'success', c: 'success', d: 'success' })
    expect(world.finished).toMatchObject({ result: 'failure', failure: { message: 'boom' } })
  })
  test('fail_fast: independent nodes are canceled, what reacts to the failure runs', async () => {
    const world = await play(`on_failure: fail_fast\n${nodes}`, script)
    expect(results(world)).toEqual({ a: 'failure', b: 'cancellation', c: 'skip: not_reached', d: 'success' })
    expect(world.finished).toMatchObject({ result: 'failure', failure: { message: 'boom' }, resumable: false })
  })
  test('fail_fast does not react to tolerated or routed failures', async () => {
    const world = await play(
      `on_failure: fail_fast
nodes:
  - { id: a, needs: [], run: x, allow_failure: true }
  - { id: b, needs: [], run: x, routes: [{ when: 'failure != null', to: r }] }
  - { id: r, routed: true, run: x }
  - { id: c, needs: [], run: x }`,
      { a: ['boom'], b: ['boom'], c: [{ takes: 50 }] },
    )
    expect(results(world)).toEqual({ a: 'failure', b: 'failure', r: 'success', c: 'success' })
    expect(world.finished.result).toBe('success')
  })
})

describe('result roll-up', () => {
  const cases: readonly [results: readonly string[], expected: string][] = [
    [['ok', 'ok'], 'success'],
    [['boom', 'network', 'timed_out'], 'error'],
    [['timed_out', 'boom'], 'failure'],
    [['ok', 'timed_out'], 'timeout'],
    [['timed_out', 'canceled'], 'timeout'],
    [['ok', 'canceled'], 'cancellation'],
    [['boom', 'auth_failed'], 'error'],
    [['forced', 'ok'], 'failure'],
    [['stalled'], 'timeout'],
    [['budget_exhausted', 'timed_out'], 'failure'],
    [['signaled', 'boom'], 'error'],
  ]
  test.each(cases)('%j is %s', async (answers, expected) => {
    const nodes = answers.map((_, i) => `{ id: n${i}, needs: [], run: x }`).join(', ')
    const world = await play(`nodes: [${nodes}]`, Object.fromEntries(answers.map((answer, i) => [`n${i}`, [answer]])))
    expect(world.finished.result).toBe(expected)
    if (expected !== 'success')
      expect(world.finished.failure).toEqual(
        world.events('node.finished').find((event) => event.result === expected)!.failure,
      )
  })

  test('a reported partial is a success that is marked', async () => {
    const world = await play('nodes: [{ id: a, run: x }]', { a: [{ partial: true }] })
    expect(world.events('node.finished')[0]).toMatchObject({ result: 'success', partial: true })
    expect(world.finished.result).toBe('success')
  })

  test('a reported skip is a skip, and its dependents run', async () => {
    const world = await play('nodes: [{ id: a, run: x }, { id: b, run: x }]', { a: [{ skipped: true }] })
    expect(results(world)).toEqual({ a: 'skip', b: 'success' })
  })

  test('counts stand beside the result', async () => {
    const world = await play(
      "nodes: [{ id: a, needs: [], run: x, retry: 2 }, { id: b, needs: [], run: x, when: 'false' }, { id: c, needs: [], run: x }]",
      { a: ['boom', 'ok'], c: ['boom'] },
    )
    expect(world.finished.children).toEqual({ total: 3, failed: 1, retried: 1, skipped: 1 })
    expect(world.finished.totals).toMatchObject({ attempts: 3, retries: 1, nodes: 3, branches: 0 })
  })
})

describe('goal gates', () => {
  test.each([
    ['succeeded', 'ok', 'success', undefined],
    ['was tolerated', 'boom', 'failure', 'goal_gate_unmet'],
  ])('one that %s', async (_, answer, result, code) => {
    const world = await play('nodes: [{ id: a, run: x, goal_gate: true, allow_failure: true }, { id: b, run: x }]', {
      a: [answer],
    })
    expect(world.finished.result).toBe(result)
    expect(world.finished.failure?.code).toBe(code)
    if (code) expect(cause(world.finished.failure)).toBe('boom')
  })

  test('one that never ran fails its scope, also when a route ended it', async () => {
    const world = await play(
      `nodes: [{ id: a, run: x, routes: [{ when: 'result == "success"', to: end }] }, { id: b, run: x, goal_gate: true }]`,
    )
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'goal_gate_unmet' }, resumable: false })
    expect(world.finished.failure!.message).toContain('never ran')
  })

  test('a routed failure of it is judged by its latest visit', async () => {
    const world = await play(
      "nodes: [{ id: a, run: x, goal_gate: true, routes: [{ when: 'failure != null', to: fix }] }, { id: fix, routed: true, run: x, routes: [{ to: a }] }]",
      { a: (command) => (command.id === 'a@1.1' ? 'boom' : 'ok') },
    )
    expect(world.finished.result).toBe('success')
  })

  test('in a branch it fails the branch', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 2, nodes: [{ id: a, run: x, goal_gate: true, allow_failure: true }] } }]',
      { a: (command) => (command.id.startsWith('f:1') ? 'boom' : 'ok') },
    )
    expect(
      world.events('branch.finished').map((event) => [event.branch.key, event.result, event.failure?.code]),
    ).toEqual([
      ['0', 'success', undefined],
      ['1', 'failure', 'goal_gate_unmet'],
    ])
    expect(chain(world.finished.failure)).toEqual(['branch_failed', 'goal_gate_unmet', 'exit_nonzero'])
  })

  test('a cancel is a cancellation, not an unmet goal: the run can be resumed', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x }, { id: b, run: x, goal_gate: true }]', {
      a: [{ takes: 100 }],
    })
    playUntil(world.create(), 'attempt.started a').tell(SIGINT)
    expect(world.play().finished).toMatchObject({ result: 'cancellation', resumable: true })
  })

  test('left out by --only it is not judged', async () => {
    const world = await play('nodes: [{ id: a, run: x }, { id: b, run: x, goal_gate: true }]', {}, { only: 'a' })
    expect(world.finished.result).toBe('success')
  })
})

describe('--only and --from', () => {
  const nodes = 'nodes: [{ id: a, run: x }, { id: b, run: x }, { id: c, run: x }]'
  test('--only runs one node; the others are skipped as not reached', async () => {
    const world = await play(nodes, {}, { only: 'b' })
    expect(results(world)).toEqual({ a: 'skip: not_reached', b: 'success', c: 'skip: not_reached' })
    expect(world.finished.result).toBe('success')
  })
  test('--from runs a node and what it can lead to', async () => {
    const world = await play(nodes, {}, { from: 'b' })
    expect(results(world)).toEqual({ a: 'skip: not_reached', b: 'success', c: 'success' })
  })
  test('an unknown node is refused', async () => {
    const world = await worldOf(nodes)
    expect(
      world.tell({
        type: 'create',
        run_id: 'r',
        labels: {},
        pipeline_hash: '',
        params: {},
        max_parallel: 1,
        trace_id: '',
        only: 'zz',
      }),
    ).toMatchObject({ refused: 'not_found' })
    expect(world.entries).toEqual([])
  })
})
