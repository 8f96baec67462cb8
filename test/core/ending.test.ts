// DESIGN 5, Ending for sure: cancel, force, resume after a cancel and after a kill, manual retry.
import { describe, expect, test } from 'vitest'
import { summaryOf } from '../../src/core/summary.ts'
import { pending } from '../../src/core/pending.ts'
import {
  attempts,
  cause,
  chain,
  killed,
  play,
  playUntil,
  results,
  SECOND_SIGINT,
  SIGINT,
  visits,
  worldOf,
} from '../support/play.ts'
import { START, World } from '../support/world.ts'
import { checkInvariants } from '../support/invariants.ts'

const FORCE = { type: 'cancel', by: { kind: 'user', user: 'ada' }, force: true } as const

describe('cancel', () => {
  const nodes = `
nodes:
  - { id: a, run: x }
  - { id: b, run: x, retry: 3 }
  - { id: tidy, run: x, when: always() }
  - { id: told, needs: [b], run: x, when: canceled() }
  - { id: sorry, needs: [b], run: x, when: failure() }`
  test('no new attempts; what runs ends as a cancellation; only always() and canceled() still start', async () => {
    const world = await worldOf(nodes, { a: [{ takes: 1_000 }] })
    world.create().tell(SIGINT)
    world.play()
    expect(results(world)).toEqual({ a: 'cancellation', tidy: 'success', told: 'success' })
    expect(attempts(world)).toEqual(['a@1.1', 'tidy@1.1', 'told@1.1'])
    expect(world.finished).toMatchObject({
      result: 'cancellation',
      failure: { code: 'canceled', source: 'user', message: 'Canceled by SIGINT' },
      resumable: true,
    })
    expect(world.events('node.started', 'tidy')[0]!.cleanup).toBe(true)
    checkInvariants(world.entries, world.pipeline)
  })
  test('clean-up nodes have 60 s in all', async () => {
    const world = await worldOf(nodes, { a: [{ takes: 1_000 }], tidy: [{ takes: 3_600_000 }] })
    world.create().tell(SIGINT)
    world.play()
    expect(world.now - START).toBe(60_000)
    expect(results(world)).toMatchObject({ tidy: 'cancellation' })
  })
  test('a canceled attempt is not retried, a retry delay ends', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x, retry: { max_attempts: 3, initial: 1h, max: 1h } }]', {
      a: ['boom', 'ok'],
    })
    playUntil(world.create(), 'retry.scheduled').tell(SIGINT)
    world.play()
    expect(attempts(world)).toEqual(['a@1.1'])
    expect(world.finished).toMatchObject({ result: 'cancellation' })
    expect(world.now - START).toBeLessThan(1_000)
  })
  test('the second signal is "now": nothing is cleaned up, the result is the same', async () => {
    const world = await worldOf(nodes, { a: () => ({ takes: 1_000 }), tidy: [{ takes: 30_000 }] })
    world.create().tell(SIGINT)
    playUntil(world, 'attempt.started tidy')
    expect(world.tell(SECOND_SIGINT)).toBeUndefined()
    world.play()
    expect(world.now - START).toBeLessThan(1_000)
    expect(world.finished).toMatchObject({ result: 'cancellation', failure: { code: 'canceled' } })
  })
  test('commands are told to stop, and to stop now', async () => {
    const world = (await worldOf(nodes)).create()
    const stops: unknown[] = []
    const seen = (): void => void stops.push((pending(world.state).get('a@1.1') as { stop?: unknown }).stop)
    seen()
    world.tell(SIGINT)
    seen()
    world.tell(SECOND_SIGINT)
    seen()
    expect(stops[0]).toBeUndefined()
    expect(stops.slice(1)).toMatchObject([
      { code: 'canceled', now: false },
      { code: 'canceled', now: true },
    ])
  })
  test('forced by somebody: failure `forced`, not resumable', async () => {
    const world = await worldOf(nodes, { a: [{ takes: 1_000 }] })
    world.create().tell(FORCE)
    world.play()
    expect(world.finished).toMatchObject({
      result: 'failure',
      failure: { code: 'forced', class: 'human' },
      resumable: false,
    })
    expect(attempts(world)).toEqual(['a@1.1'])
  })
  test('a second plain cancel is refused, as is one of an ended run', async () => {
    const world = await worldOf(nodes, { a: [{ takes: 1_000 }] })
    world.create().tell(SIGINT)
    expect(world.tell(SIGINT)).toMatchObject({ refused: 'conflict' })
    world.play()
    expect(world.tell(SIGINT)).toMatchObject({ refused: 'conflict' })
  })
  test('what had failed before stays told beside the cancellation', async () => {
    const world = await worldOf('nodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }]', {
      a: ['boom'],
      b: [{ takes: 1_000 }],
    })
    playUntil(world.create(), 'node.finished a').tell(SIGINT)
    expect(world.play().finished).toMatchObject({ result: 'cancellation', resumable: true })
    expect(cause(world.finished.failure)).toBe('boom')
  })
  test('a run whose nodes all ended well in spite of it is a success', async () => {
    const world = (await worldOf('nodes: [{ id: a, run: x }]', () => undefined)).create()
    world.tell(SIGINT)
    world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.1', outcome: { duration_ms: 1 } })
    world.tell({ type: 'sweep.outcome' })
    expect(world.state.result ?? 'success').toBe('success')
  })
})

describe('resume after a cancel', () => {
  test('goes on where it stood: finished work is not redone, canceled attempts count as lost and are retried', async () => {
    const world = await worldOf(
      `
nodes:
  - { id: a, run: x }
  - { id: b, run: x, retry: { max_attempts: 2, initial: 1s } }
  - { id: tidy, run: x, when: always() }
  - { id: odd, run: x, when: 'always() && nodes.b.result == "success"' }`,
      { b: (command) => (command.attempt === 1 ? { takes: 1_000 } : command.attempt === 2 ? 'boom' : 'ok') },
    )
    playUntil(world.create(), 'attempt.started b').tell(SIGINT)
    world.play()
    expect(results(world)).toMatchObject({ a: 'success', b: 'cancellation', tidy: 'success', odd: 'skip: when_false' })
    expect(world.tell({ type: 'resume' })).toBeUndefined()
    world.play()
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1', 'tidy@1.1', 'b@1.2', 'b@1.3', 'tidy@2.1', 'odd@2.1'])
    expect(
      world.events('attempt.started', 'b').map((event) => event.max),
      'max grows with what was lost',
    ).toEqual([2, 3, 3])
    expect(world.finished).toMatchObject({ result: 'success', execution: 2 })
    checkInvariants(world.entries, world.pipeline)
  })
  test('a run that ended otherwise is not resumable', async () => {
    for (const [answer, code] of [
      ['boom', 'failure'],
      ['ok', 'success'],
    ] as const) {
      const world = await play('nodes: [{ id: a, run: x }]', { a: [answer] })
      expect(world.finished).toMatchObject({ result: code, resumable: false })
      expect(world.tell({ type: 'resume' })).toMatchObject({ refused: 'conflict' })
    }
    const running = (await worldOf('nodes: [{ id: a, run: x }]', () => undefined)).create()
    expect(running.tell({ type: 'resume' })).toMatchObject({ refused: 'conflict' })
  })
  test('a new execution has a run span below the first, new spans for what is open, none for what is finished', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x }, { id: b, run: x }]', {
      b: (command) => (command.attempt === 1 ? { takes: 1_000 } : 'ok'),
    })
    playUntil(world.create(), 'attempt.started b').tell(SIGINT)
    world.play().tell({ type: 'resume' })
    world.play()
    const [created] = world.events('run.created')
    const [resumed] = world.events('run.resumed')
    expect(resumed).toMatchObject({ execution: 2, parent_span_id: created!.span_id, links: [created!.span_id] })
    const [first, second] = world.events('node.started', 'b')
    expect(second).toMatchObject({
      visit: 1,
      via: 'resume',
      continues: first!.span_id,
      parent_span_id: resumed!.span_id,
    })
    expect(second!.span_id).not.toBe(first!.span_id)
    expect(world.events('node.started', 'a')).toHaveLength(1)
  })
})

describe('resume after a kill', () => {
  const nodes = 'nodes: [{ id: a, run: x }, { id: b, run: x, retry: { max_attempts: 2, initial: 60s, jitter: 0 } }]'
  test('I4: every open attempt is lost, the execution is interrupted; lost ones use no retry budget', async () => {
    const world = await worldOf(nodes, {
      b: (command) => (command.attempt <= 2 ? { takes: 1_000 } : command.attempt === 3 ? 'boom' : 'ok'),
    })
    let next = killed(playUntil(world.create(), 'attempt.started b'))
    expect(next.lines().slice(-2)).toEqual(['attempt.lost b@1.1', 'run.interrupted'])
    expect(next.state).toMatchObject({
      phase: 'interrupted',
      result: 'error',
      resumable: true,
      failure: { code: 'worker_lost' },
    })
    expect(summaryOf(next.state)).toMatchObject({
      result: 'error',
      failure: { code: 'worker_lost', message: 'the orchestrator was killed' },
      resumable: true,
    })
    next.tell({ type: 'resume' })
    next = killed(playUntil(next, 'attempt.started b@1.2'))
    next.tell({ type: 'resume' })
    next.play()
    expect(next.events('attempt.started', 'b').map((event) => [event.attempt, event.max])).toEqual([
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 4],
    ])
    expect(next.finished).toMatchObject({ result: 'success', execution: 3, totals: { attempts: 5, retries: 1 } })
    expect(next.events('node.finished', 'b')[0]!.retry_count, 'lost ones are no retries').toBe(1)
  })
  test('three lost in a row of one visit fail it', async () => {
    let world = (
      await worldOf(nodes, (command) => (command.kind === 'attempt' && command.node.id === 'b' ? undefined : {}))
    ).create()
    for (let i = 1; i <= 3; i++) {
      world = killed(playUntil(world, `attempt.started b@1.${i}`))
      world.tell({ type: 'resume' })
    }
    world.play()
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1', 'b@1.2', 'b@1.3'])
    expect(world.finished).toMatchObject({ result: 'error', failure: { code: 'worker_lost' } })
    expect(world.finished.failure!.message).toContain('3 times in a row')
  })
  test('an attempt that ends on its own begins the count anew', async () => {
    let world = (
      await worldOf(nodes.replace('max_attempts: 2', 'max_attempts: 9'), (command) =>
        command.kind !== 'attempt' || command.node.id === 'a'
          ? {}
          : command.attempt === 3
            ? { fail: 'boom' }
            : command.attempt > 5
              ? {}
              : { takes: 1_000 },
      )
    ).create()
    for (const i of [1, 2, 4, 5]) {
      world = killed(playUntil(world, `attempt.started b@1.${i}`))
      world.tell({ type: 'resume' })
    }
    expect(world.play().finished.result).toBe('success')
  })
  test('a retry delay is kept by due_at', async () => {
    const world = await worldOf(nodes, { b: ['boom', 'ok'] })
    const next = killed(playUntil(world.create(), 'retry.scheduled'))
    next.now += 10_000
    next.tell({ type: 'resume' })
    next.play()
    expect(
      Date.parse(
        next.entries.find(({ event }) => event.type === 'attempt.started' && event.attempt_id === 'b@1.2')!.at,
      ),
    ).toBe(Date.parse(next.events('retry.scheduled')[0]!.due_at))
  })
  test('signatures and retry counts are kept', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x, routes: [{ when: "failure != null", to: a }] }]', {
      a: () => ({ takes: 10, fail: 'boom' }),
    })
    const next = killed(playUntil(world.create(), 'attempt.started a@3'))
    next.tell({ type: 'resume' })
    next.play()
    expect(next.events('breaker.opened')).toMatchObject([{ count: 3 }])
    expect(attempts(next)).toEqual(['a@1.1', 'a@2.1', 'a@3.1', 'a@3.2'])
  })
  test('I1, I3: cut anywhere, the same journal gives the same state, and the run ends with nothing redone', async () => {
    const text = `
hooks: { on_finish: [{ name: e, run: x }] }
nodes:
  - { id: f, fanout: { count: 3, max_parallel: 2, nodes: [{ id: s, run: x, retry: { max_attempts: 2, initial: 1s }, checks: [{ name: c, run: x }] }] } }
  - { id: g, gate: { question: q, timeout: 10s, default: approve } }
  - { id: w, wait: { for: 5s } }
  - { id: z, run: x, routes: [{ when: 'nodes.z.visits < 2', to: f }] }`
    const whole = await play(text, {
      s: (command) => (command.attempt === 1 ? { takes: 100, fail: 'boom' } : { takes: 50 }),
    })
    for (let cut = 1; cut < whole.entries.length; cut++) {
      const next = killed(whole, cut)
      next.tell({ type: 'resume' })
      next.play()
      expect([cut, next.finished.result]).toEqual([cut, 'success'])
      checkInvariants(next.entries, next.pipeline)
      expect(summaryOf(new World(next.pipeline, next.script, next.entries).state)).toEqual(summaryOf(next.state))
      const done = new Set(
        whole.entries
          .slice(0, cut)
          .flatMap(({ event }) => (event.type === 'node.finished' ? [`${event.node}@${event.visit}`] : [])),
      )
      for (const id of attempts(next).slice(
        whole.entries.slice(0, cut).filter(({ event }) => event.type === 'attempt.started').length,
      ))
        expect(done.has(id.replace(/\.\d+$/, ''))).toBe(false)
    }
  })
  test('a leave_running node is visited again before anything downstream of it starts', async () => {
    const world = await worldOf(
      'nodes: [{ id: server, run: x, leave_running: true }, { id: a, run: x }, { id: b, run: x }]',
      { a: (command) => (command.attempt === 1 ? { takes: 1_000 } : 'ok') },
    )
    const next = killed(playUntil(world.create(), 'attempt.started a'))
    next.tell({ type: 'resume' })
    next.play()
    expect(attempts(next)).toEqual(['server@1.1', 'a@1.1', 'server@2.1', 'a@1.2', 'b@1.1'])
    expect(next.finished.result).toBe('success')
  })
  test('killed while it is being canceled, it goes on after a resume', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x }, { id: b, run: x }, { id: tidy, run: x, when: always() }]', {
      a: (command) => (command.attempt === 1 ? { takes: 1_000 } : 'ok'),
      tidy: [{ takes: 100 }],
    })
    world.create().tell(SIGINT)
    const next = killed(playUntil(world, 'attempt.started tidy'))
    expect(next.state).toMatchObject({ phase: 'interrupted', resumable: true })
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(results(next)).toEqual({ a: 'success', b: 'success', tidy: 'success' })
    checkInvariants(next.entries, next.pipeline)
  })
})

describe('manual retry', () => {
  const retry = (node?: string, more: object = {}) =>
    ({ type: 'retry', ...(node !== undefined && { node }), reset_count: false, mode: 'clean', ...more }) as const
  const flaky =
    'nodes: [{ id: a, run: x }, { id: b, run: x, retry: { max_attempts: 3, initial: 1s } }, { id: c, run: x }, { id: d, needs: [a], run: x }]'
  test('default: all failed nodes; each starts its next visit in a new execution, what depended on it follows', async () => {
    const world = await play(flaky, { b: (command) => (command.place.visit === 1 ? 'boom' : 'ok') })
    expect(results(world)).toEqual({ a: 'success', b: 'failure', c: 'skip: upstream_failed', d: 'success' })
    expect(world.tell(retry())).toBeUndefined()
    world.play()
    expect(world.events('run.resumed')[0]).toMatchObject({
      execution: 2,
      retry: { nodes: ['b'], reset_count: false, mode: 'clean' },
    })
    expect(visits(world).filter((id) => !['a@1', 'b@1', 'd@1'].includes(id))).toEqual(['b@2', 'c@2'])
    expect(world.events('node.started', 'b').at(-1)!.via).toBe('retry')
    expect(world.finished).toMatchObject({ result: 'success', execution: 2 })
    checkInvariants(world.entries, world.pipeline)
  })
  test('the retry budget goes on; --reset-count begins anew', async () => {
    const goesOn = await play(flaky, { b: () => 'boom' })
    goesOn.tell(retry())
    goesOn.play()
    expect(attempts(goesOn).filter((id) => id.startsWith('b@2'))).toEqual(['b@2.1'])
    const anew = await play(flaky, { b: () => 'boom' })
    anew.tell(retry(undefined, { reset_count: true }))
    anew.play()
    expect(attempts(anew).filter((id) => id.startsWith('b@2'))).toEqual(['b@2.1', 'b@2.2', 'b@2.3'])
  })
  test('breaker counts go on; --reset-count begins anew', async () => {
    const one = 'breaker: { limit: 2 }\nnodes: [{ id: a, run: x }]'
    const world = await play(one, { a: () => 'boom' })
    world.tell(retry())
    world.play()
    expect(chain(world.finished.failure)).toEqual(['breaker_open', 'exit_nonzero'])
    const anew = await play(one, { a: () => 'boom' })
    anew.tell(retry(undefined, { reset_count: true }))
    expect(chain(anew.play().finished.failure)).toEqual(['exit_nonzero'])
  })
  test('inside a branch: only that branch runs again, and the fan-out is joined anew', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { each: [x, y, z], nodes: [{ id: a, run: x }, { id: b, run: x }] } }, { id: after, run: x }]',
      { b: (command) => (command.item === 'y' && command.place.visit === 1 ? 'boom' : 'ok') },
    )
    world.tell(retry('f:y/b'))
    world.play()
    expect(attempts(world).slice(6)).toEqual(['f:y/b@2.1', 'after@2.1'])
    expect(world.finished.result).toBe('success')
    expect(world.events('node.finished', 'f').at(-1)).toMatchObject({
      result: 'success',
      visit: 1,
      children: { total: 3, failed: 0 },
    })
    checkInvariants(world.entries, world.pipeline)
  })
  test('of a fan-out by name: all its branches run again', async () => {
    const world = await play('nodes: [{ id: f, fanout: { count: 2, nodes: [{ id: a, run: x }] } }]', {
      a: (command) => (command.id === 'f:0/a@1.1' ? 'boom' : 'ok'),
    })
    world.tell(retry('f'))
    world.play()
    expect(attempts(world)).toEqual(['f:0/a@1.1', 'f:1/a@1.1', 'f@2:0/a@1.1', 'f@2:1/a@1.1'])
    expect(world.finished.result).toBe('success')
  })
  test('branches that fail_fast canceled run after all', async () => {
    const world = await play(
      'nodes: [{ id: f, fanout: { count: 3, max_parallel: 2, on_failure: fail_fast, nodes: [{ id: a, run: x }] } }]',
      {
        a: (command) => (command.place.visit === 1 && command.item === 0 ? { takes: 5, fail: 'boom' } : { takes: 50 }),
      },
    )
    expect(world.events('branch.finished').map((event) => event.result)).toEqual(['failure', 'cancellation'])
    world.tell(retry())
    expect(world.play().finished.result).toBe('success')
    expect(results(world)).toMatchObject({ 'f:0/a': 'success', 'f:1/a': 'success', 'f:2/a': 'success', f: 'success' })
    checkInvariants(world.entries, world.pipeline)
  })
  test('what fail_fast canceled beside the failed node runs again too', async () => {
    const world = await play(
      'on_failure: fail_fast\nnodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [a, b], run: x }]',
      {
        a: (command) => (command.place.visit === 1 ? { takes: 5, fail: 'boom' } : 'ok'),
        b: (command) => (command.place.visit === 1 && command.attempt === 1 ? { takes: 500 } : 'ok'),
      },
    )
    world.tell(retry())
    expect(world.play().finished.result).toBe('success')
    expect(results(world)).toEqual({ a: 'success', b: 'success', c: 'success' })
  })
  test('a tolerated failure is not what made the run fail: it is left alone', async () => {
    const world = await play(
      'nodes: [{ id: lint, run: x, allow_failure: true }, { id: b, run: x }, { id: c, run: x }]',
      { lint: ['style'], c: (command) => (command.place.visit === 1 ? 'boom' : 'ok') },
    )
    world.tell(retry())
    world.play()
    expect(world.events('run.resumed')[0]!.retry!.nodes).toEqual(['c'])
    expect(visits(world).slice(3)).toEqual(['c@2'])
  })
  test("a hook that failed with the node's earlier visit does not fail the run any more", async () => {
    const world = await play('nodes: [{ id: a, run: x, hooks: { on_failure: [{ name: h, run: x }] } }]', (command) =>
      command.kind === 'hook' ? { fail: 'no network' } : command.place.visit === 1 ? { fail: 'boom' } : {},
    )
    expect(world.finished.hook_failures).toHaveLength(1)
    world.tell(retry())
    expect(world.play().finished).toMatchObject({ result: 'success', hook_failures: [] })
  })
  test('a visit id means its node; mode is told to the attempt', async () => {
    const world = await play('nodes: [{ id: a, run: x }]', {
      a: (command) => (command.place.visit === 1 ? 'boom' : 'ok'),
    })
    expect(world.tell(retry('a@1.1', { mode: 'continue' }))).toBeUndefined()
    expect(world.play().finished.result).toBe('success')
    expect(world.events('run.resumed')[0]!.retry!.mode).toBe('continue')
  })
  test.each([
    ['a node that did not fail', 'a', 'conflict'],
    ['an unknown node', 'zz', 'not_found'],
    ['one that never ran', 'r', 'conflict'],
  ])('%s is refused', async (_, node, refused) => {
    const world = await play(
      'nodes: [{ id: a, run: x, routes: [{ when: "false", to: r }] }, { id: b, run: x }, { id: r, routed: true, run: x }]',
      { b: ['boom'] },
    )
    const before = world.entries.length
    expect(world.tell(retry(node))).toMatchObject({ refused })
    expect(world.entries.length).toBe(before)
  })
  test('a run that runs, or has nothing that failed, is refused', async () => {
    const running = (await worldOf(flaky, () => undefined)).create()
    expect(running.tell(retry())).toMatchObject({ refused: 'conflict' })
    expect((await play(flaky)).tell(retry())).toMatchObject({
      refused: 'conflict',
      message: expect.stringContaining('no failed node'),
    })
  })
})
