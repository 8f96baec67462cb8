// DESIGN 3, Routes: loops, end, fail, supersede, reset, visit limits and escalation.
import { describe, expect, test } from 'vitest'
import { attempts, cause, chain, play, results, visits } from '../support/play.ts'
import { checkInvariants } from '../support/invariants.ts'

const review = `
nodes:
  - { id: build, run: x }
  - { id: review, run: x, decision: [approve, rework], routes: [{ when: 'label == "rework"', to: fix }] }
  - { id: fix, routed: true, run: x, routes: [{ to: review }] }
  - { id: ship, needs: [review], run: x }`

describe('loops', () => {
  test('a route enters its target as its next visit; dependents wait for the visit that takes none', async () => {
    const world = await play(review, {
      review: (command) => ({ label: command.id === 'review@3.1' ? 'approve' : 'rework' }),
    })
    expect(visits(world)).toEqual(['build@1', 'review@1', 'fix@1', 'review@2', 'fix@2', 'review@3', 'ship@1'])
    expect(world.lines('route.taken')).toEqual([
      'route.taken review',
      'route.taken fix',
      'route.taken review',
      'route.taken fix',
    ])
    expect(world.events('node.started', 'review').map((event) => event.via)).toEqual(['needs', 'route', 'route'])
    expect(world.finished).toMatchObject({ result: 'success', children: { total: 4, failed: 0 } })
  })

  test('the first route whose `when` holds is taken; label, result and failure are visible', async () => {
    const world = await play(
      `
nodes:
  - { id: a, run: x, routes: [{ when: 'label == "no"', to: r1 }, { when: 'failure.code == "exit_nonzero" && result == "failure"', to: r2 }, { to: r3 }] }
  - { id: r1, routed: true, run: x }
  - { id: r2, routed: true, run: x }
  - { id: r3, routed: true, run: x }`,
      { a: ['boom'] },
    )
    expect(world.events('route.taken').map((event) => [event.index, event.to])).toEqual([[1, 'r2']])
    expect(results(world)).toMatchObject({ r1: 'skip: not_reached', r2: 'success', r3: 'skip: not_reached' })
    expect(world.finished.result, 'a routed failure does not fail the run').toBe('success')
  })

  test('no matching route: success releases dependents, failure fails the node', async () => {
    const nodes = `nodes: [{ id: a, run: x, routes: [{ when: 'false', to: r }] }, { id: r, routed: true, run: x }, { id: b, needs: [a], run: x }]`
    expect(results(await play(nodes))).toEqual({ a: 'success', r: 'skip: not_reached', b: 'success' })
    expect(results(await play(nodes, { a: ['boom'] }))).toEqual({
      a: 'failure',
      r: 'skip: not_reached',
      b: 'skip: upstream_failed',
    })
  })

  test('a visit that takes a route releases no dependents: they are never reached', async () => {
    const world = await play(
      `nodes: [{ id: a, run: x, routes: [{ when: 'result == "success"', to: r }] }, { id: r, routed: true, run: x }, { id: b, needs: [a], run: x }, { id: c, run: x, when: failure() }]`,
    )
    expect(results(world)).toMatchObject({ a: 'success', r: 'success', b: 'skip: not_reached' })
    expect(world.finished.result).toBe('success')
  })

  test('a route to itself', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x, routes: [{ when: "nodes.a.visits < 3", to: a }] }, { id: b, needs: [a], run: x }]',
    )
    expect(visits(world)).toEqual(['a@1', 'a@2', 'a@3', 'b@1'])
  })

  test('the target is entered without its needs and without its `when`', async () => {
    const world = await play(
      `
nodes:
  - { id: slow, needs: [], run: x }
  - { id: a, needs: [], run: x, routes: [{ when: 'result == "success"', to: b }] }
  - { id: b, needs: [slow], run: x, when: 'false' }`,
      { slow: [{ takes: 100 }] },
    )
    expect(world.lines('node.started', 'node.finished').indexOf('node.started b')).toBeLessThan(
      world.lines('node.started', 'node.finished').indexOf('node.finished slow success'),
    )
    expect(results(world)['b']).toBe('success')
  })

  test('a route whose `when` cannot be evaluated is config_invalid of the node', async () => {
    const world = await play("nodes: [{ id: a, run: x, routes: [{ when: 'nodes.a.outputs.n > 1', to: end }] }]")
    expect(world.finished).toMatchObject({
      result: 'error',
      failure: { code: 'config_invalid', message: expect.stringContaining('route of node a') },
    })
  })

  test('`next` of the outcome names the route', async () => {
    const nodes = `nodes: [{ id: a, run: x, routes: [{ when: 'false', to: r1 }, { when: 'false', to: r2 }] }, { id: r1, routed: true, run: x }, { id: r2, routed: true, run: x }]`
    expect(results(await play(nodes, { a: [{ next: 'r2' }] }))).toMatchObject({
      r1: 'skip: not_reached',
      r2: 'success',
    })
    const wrong = await play(nodes, { a: [{ next: 'nowhere' }] })
    expect(wrong.finished.failure).toMatchObject({
      code: 'invalid_output',
      message: expect.stringContaining('nowhere'),
    })
  })
})

describe('re-entry', () => {
  test('everything downstream is reset: its earlier results no longer count', async () => {
    const world = await play(
      `
nodes:
  - { id: a, run: x }
  - { id: b, run: x }
  - { id: c, run: x, allow_failure: false, routes: [{ when: 'nodes.c.visits < 2', to: a }] }
  - { id: d, needs: [b], run: x }`,
      { d: (command) => (command.id === 'd@1.1' ? 'boom' : 'ok'), c: [{ takes: 10 }] },
    )
    expect(visits(world)).toEqual(['a@1', 'b@1', 'c@1', 'd@1', 'a@2', 'b@2', 'c@2', 'd@2'])
    expect(results(world)).toEqual({ a: 'success', b: 'success', c: 'success', d: 'success' })
    expect(world.finished, 'the failure of d@1 does not count any more').toMatchObject({
      result: 'success',
      children: { total: 4, failed: 0 },
    })
  })

  test('what still runs downstream is canceled first (superseded)', async () => {
    const world = await play(
      `
nodes:
  - { id: a, run: x }
  - { id: slow, needs: [a], run: x }
  - { id: b, needs: [a], run: x, routes: [{ when: 'nodes.b.visits < 2', to: a }] }`,
      { b: [{ takes: 10 }], slow: (command) => ({ takes: command.id === 'slow@1.1' ? 60_000 : 20 }) },
    )
    expect(world.lines('node.started', 'node.finished', 'route.taken')).toEqual([
      'node.started a',
      'node.finished a success',
      'node.started slow',
      'node.started b',
      'node.finished b success',
      'route.taken b',
      'node.finished slow cancellation',
      'node.started a',
      'node.finished a success',
      'node.started slow',
      'node.started b',
      'node.finished b success',
      'node.finished slow success',
    ])
    expect(world.events('node.finished', 'slow')[0]!.failure).toMatchObject({ code: 'superseded', class: 'human' })
    expect(world.finished.result).toBe('success')
  })

  test('what runs upstream or beside goes on', async () => {
    const world = await play(
      `
nodes:
  - { id: beside, needs: [], run: x }
  - { id: a, needs: [], run: x }
  - { id: b, needs: [a], run: x, routes: [{ when: 'nodes.b.visits < 2', to: a }] }`,
      { beside: [{ takes: 1_000 }] },
    )
    expect(visits(world).filter((id) => id.startsWith('beside'))).toEqual(['beside@1'])
    expect(results(world)['beside']).toBe('success')
  })

  test('a target that runs already is not entered again, and that is recorded', async () => {
    const world = await play(
      `
nodes:
  - { id: a, needs: [], run: x, routes: [{ when: 'result == "success"', to: fix }] }
  - { id: b, needs: [], run: x, routes: [{ when: 'result == "success"', to: fix }] }
  - { id: fix, routed: true, run: x }`,
      { fix: [{ takes: 100 }], b: [{ takes: 50 }] },
    )
    expect(visits(world)).toEqual(['a@1', 'b@1', 'fix@1'])
    expect(world.events('route.ignored')).toMatchObject([{ node: 'b', to: 'fix', reason: 'fix is running already' }])
    expect(world.finished.result).toBe('success')
  })

  test('two routes at once, one target downstream of the other: both are entered, one after the other', async () => {
    const world = await play(
      `budget: { tokens: 10 }
nodes:
  - { id: a, run: x, routes: [{ when: 'failure == null', to: t }], max_visits: 2 }
  - { id: c, needs: [], wait: { for: 1h }, routes: [{ to: a }] }
  - { id: t, needs: [a], run: x }`,
      { a: [{ usage: { input: 60, cache_read: 0, cache_write: 0, output: 0 } }] },
    )
    expect(world.lines('route.taken')).toEqual(['route.taken a', 'route.taken c'])
    expect(visits(world)).toEqual(['a@1', 'c@1', 't@1', 'a@2'])
    checkInvariants(world.entries, world.pipeline)
  })
  test('a fan-out that is entered again shows its visit in the paths inside', async () => {
    const world = await play(`
nodes:
  - { id: f, fanout: { each: [api], nodes: [{ id: build, run: x }] } }
  - { id: again, run: x, routes: [{ when: 'nodes.again.visits < 2', to: f }] }`)
    expect(attempts(world)).toEqual(['f:api/build@1.1', 'again@1.1', 'f@2:api/build@1.1', 'again@2.1'])
  })
})

describe('end and fail', () => {
  const nodes = (to: string): string => `
nodes:
  - { id: slow, needs: [], run: x }
  - { id: a, needs: [], run: x, routes: [{ when: 'result != "skip"', to: ${to} }] }
  - { id: b, needs: [a], run: x }
  - { id: clean, needs: [slow], run: x, when: always() }`
  test('`end` cancels what runs in the scope and rolls it up', async () => {
    const world = await play(nodes('end'), { slow: [{ takes: 60_000 }] })
    expect(results(world)).toEqual({ slow: 'cancellation', a: 'success', b: 'skip: not_reached', clean: 'success' })
    expect(world.finished.result).toBe('success')
    expect(world.now - Date.parse(world.entries[0]!.at)).toBeLessThan(1_000)
  })
  test('`end` after a failure is a handled failure', async () => {
    expect((await play(nodes('end'), { a: ['boom'] })).finished.result).toBe('success')
  })
  test('failures of others still count at `end`', async () => {
    const world = await play(nodes('end'), { slow: ['network'], a: [{ takes: 10 }] })
    expect(world.finished).toMatchObject({ result: 'error', failure: { code: 'network' } })
  })
  test("`fail` fails the scope with the node's reason", async () => {
    const world = await play(nodes('fail'), { slow: [{ takes: 60_000 }], a: ['boom'] })
    expect(results(world)['slow']).toBe('cancellation')
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'exit_nonzero', message: 'boom' } })
  })
  test('`fail` by a success fails it too, with a reason that names the node', async () => {
    const world = await play(nodes('fail'), { slow: [{ takes: 60_000 }], a: [{ label: 'hopeless' }] })
    expect(world.finished.result).toBe('failure')
    expect(world.finished.failure!.message).toMatch(/a took its route to `fail` \(label `hopeless`\)/)
  })
  test('inside a branch they end the branch only', async () => {
    const world = await play(`
nodes:
  - id: f
    fanout: { each: [one, two], nodes: [{ id: a, run: x, routes: [{ when: 'item == "one"', to: end }, { when: 'item == "two"', to: fail }] }, { id: b, needs: [a], run: x }] }`)
    expect(world.events('branch.finished').map((event) => [event.branch.key, event.result])).toEqual([
      ['one', 'success'],
      ['two', 'failure'],
    ])
  })
})

describe('max_visits', () => {
  const loop = (max: string, more = ''): string => `
nodes:
  - { id: a, run: x, ${max} routes: [{ when: 'failure == null || failure.code != "visit_limit"', to: b }${more}] }
  - { id: b, routed: true, run: x, max_visits: 100, routes: [{ to: a }] }
  - { id: human, ${more ? 'routed: true' : "needs: [], when: 'false'"}, run: x }`
  test('counts every entry; past it: failure visit_limit', async () => {
    const world = await play(loop('max_visits: 3,'))
    expect(attempts(world).filter((id) => id.startsWith('a@'))).toEqual(['a@1.1', 'a@2.1', 'a@3.1'])
    expect(world.finished).toMatchObject({
      result: 'failure',
      failure: { code: 'visit_limit', class: 'deterministic', source: 'scheduler' },
    })
    expect(world.finished.failure!.message).toMatch(/a was entered 3 times.*max_visits: 3/)
  })
  test('default 20', async () => {
    const world = await play(loop(''))
    expect(attempts(world).filter((id) => id.startsWith('a@'))).toHaveLength(20)
  })
  test('then only a route is considered whose target cannot lead back', async () => {
    const world = await play(loop('max_visits: 2,', ', { to: b }, { to: human }'))
    expect(visits(world)).toEqual(['a@1', 'b@1', 'a@2', 'b@2', 'a@3', 'human@1'])
    expect(world.finished.result, 'the escalation handled it').toBe('success')
  })
})

describe('the breaker', () => {
  const loop = (more = '', top = ''): string => `${top}
nodes:
  - { id: a, run: x, routes: [{ when: 'failure != null', to: fix }${more}] }
  - { id: fix, routed: true, run: x, routes: [{ to: a }] }
  - { id: human, ${more ? 'routed: true' : "needs: [], when: 'false'"}, run: x }`
  test('equal signatures open it at the limit, with the original cause', async () => {
    const world = await play(loop(), {
      a: (command) => `test ${command.place.visit}7 failed in /tmp/x${command.place.visit}9a/y`,
    })
    expect(attempts(world).filter((id) => id.startsWith('a@'))).toHaveLength(3)
    expect(world.events('signature.counted').map((event) => event.count)).toEqual([1, 2, 3])
    expect(world.lines('breaker.opened')).toEqual(['breaker.opened a'])
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'breaker_open', class: 'breaker' } })
    expect(cause(world.finished.failure)).toBe('test 37 failed in /tmp/x39a/y')
  })
  test("its limit is the pipeline's", async () => {
    const world = await play(loop('', 'breaker: { limit: 2 }'), { a: () => 'boom' })
    expect(attempts(world).filter((id) => id.startsWith('a@'))).toHaveLength(2)
  })
  test('different causes do not open it', async () => {
    const words = ['alpha', 'beta', 'gamma', 'delta']
    const world = await play(loop(), {
      a: (command) =>
        words[command.place.visit - 1] === undefined ? 'ok' : `no module ${words[command.place.visit - 1]}`,
    })
    expect(world.events('breaker.opened')).toEqual([])
    expect(world.finished.result).toBe('success')
  })
  test('equal ones need not follow each other', async () => {
    const world = await play(loop(), {
      a: (command) => (command.place.visit % 2 === 0 ? 'boom' : `other ${'abcdefgh'[command.place.visit]}x`),
    })
    expect(world.events('breaker.opened')).toMatchObject([{ visit: 6, count: 3 }])
  })
  test('escalation only to a target that cannot lead back', async () => {
    const world = await play(loop(', { to: human }'), { a: () => 'boom' })
    expect(visits(world).slice(-2)).toEqual(['a@3', 'human@1'])
    expect(chain(world.events('node.finished', 'a').at(-1)!.failure)).toEqual(['breaker_open', 'exit_nonzero'])
    expect(world.finished.result).toBe('success')
  })
  test('counts visits, not attempts', async () => {
    const world = await play(
      loop().replace('id: a, run: x,', 'id: a, run: x, retry: { max_attempts: 2, initial: 1s },'),
      { a: () => 'boom' },
    )
    expect(attempts(world).filter((id) => id.startsWith('a@'))).toHaveLength(6)
    expect(world.events('signature.counted')).toHaveLength(3)
  })
  test('each branch key counts for itself, over re-entered fan-outs', async () => {
    const world = await play(
      `
nodes:
  - { id: f, fanout: { each: [x, y], on_failure: continue, nodes: [{ id: a, run: x }] }, allow_failure: true, routes: [{ when: 'nodes.f.visits < 3', to: f }] }`,
      { a: (command) => (command.id.includes(':x/') ? 'boom' : 'ok') },
    )
    expect(
      world
        .events('signature.counted')
        .filter((event) => event.path === 'f:x/a')
        .map((event) => event.count),
    ).toEqual([1, 2, 3])
    expect(world.events('breaker.opened').map((event) => event.path)).toContain('f:x/a')
    expect(
      chain(
        world
          .events('branch.finished')
          .filter((event) => event.result !== 'success')
          .at(-1)!.failure,
      ),
    ).toEqual(['breaker_open', 'exit_nonzero'])
    const branches = await play(`nodes: [{ id: f, fanout: { count: 5, nodes: [{ id: a, run: x }] } }]`, {
      a: () => 'boom',
    })
    expect(branches.events('breaker.opened'), 'five keys, one failure each').toEqual([])
  })
  test.each(['canceled', 'superseded', 'forced', 'gate_rejected', 'budget_exhausted', 'breaker_open', 'worker_lost'])(
    '%s does not count',
    async (code) => {
      const world = await play('breaker: { limit: 1 }\nnodes: [{ id: a, run: x }]', { a: [code] })
      expect(world.lines('signature.counted', 'breaker.opened')).toEqual([])
    },
  )
  test('neither does a fan-out whose branches failed for such a reason', async () => {
    const world = await play(
      'breaker: { limit: 1 }\nnodes: [{ id: f, fanout: { count: 1, nodes: [{ id: g, gate: { question: q, timeout: 1s, default: reject } }] } }]',
    )
    expect(chain(world.finished.failure)).toEqual(['branch_failed', 'gate_rejected'])
    expect(world.lines('signature.counted', 'breaker.opened')).toEqual([])
  })
})
