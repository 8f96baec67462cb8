// DESIGN 3, Budgets: what is counted, when it is announced, what is ended and what still runs.
import { describe, expect, test } from 'vitest'
import { attempts, chain, killed, play, playUntil, results, worldOf, type Answer } from '../support/play.ts'
import { START } from '../support/world.ts'

const spent = (input: number, usd?: number | null): Answer => ({
  takes: 10,
  usage: { input, cache_read: 0, cache_write: 0, output: 0 },
  ...(usd !== undefined && { cost: { usd, source: usd === null ? ('unknown' as const) : ('reported' as const) } }),
})
const three =
  'nodes: [{ id: a, run: x }, { id: b, run: x }, { id: c, run: x, when: always(), hooks: { on_finish: [{ name: h, run: x }] } }]'

describe('enforced', () => {
  test('tokens: warned once at 80 %, exceeded at 100 %, nothing new starts', async () => {
    const world = await play(`budget: { tokens: 100 }\n${three}`, { a: [spent(85)], b: [spent(20)] })
    expect(world.lines('budget.warned', 'budget.exceeded')).toEqual(['budget.warned', 'budget.exceeded'])
    expect(world.events('budget.warned')[0]).toMatchObject({ scope: '', budget: 'tokens', used: 85, limit: 100 })
    expect(world.events('budget.exceeded')[0]).toMatchObject({
      mode: 'enforce',
      used: 105,
      failure: { code: 'budget_exhausted', message: 'The budget of the run is used up: 105 tokens of 100 tokens' },
    })
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1'])
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'budget_exhausted' }, resumable: true })
    expect(
      world.events('hook.started').map((event) => event.name),
      'hooks still run',
    ).toEqual(['h'])
  })

  test('usd, by what was reported; unknown cost is unpriced, never 0', async () => {
    const world = await play(`budget: { usd: 1 }\n${three}`, {
      a: [spent(1, 0.7)],
      b: [spent(1, null)],
      c: [spent(1, 0.4)],
    })
    expect(world.events('budget.exceeded')[0]).toMatchObject({ budget: 'usd', limit: 1 })
    expect(world.finished.totals).toMatchObject({ cost_usd: expect.closeTo(1.1), cost_unpriced: 1 })
    expect(world.events('budget.exceeded')[0]!.failure.message).toContain('$1.10 of $1.00')
  })

  test('tokens are input (fresh and cached) and output; reasoning is part of output', async () => {
    const world = await play(`budget: { tokens: 10000 }\n${three}`, {
      a: [{ usage: { input: 1, cache_read: 20, cache_write: 300, output: 4_000, reasoning: 3_000 } }],
    })
    expect([...world.state.budgets.values()][0]!.tokens).toBe(4_321)
    expect(world.finished.totals.tokens).toMatchObject({
      input: 1,
      cache_read: 20,
      cache_write: 300,
      output: 4_000,
      reasoning: 3_000,
    })
  })

  test('spending during an attempt ends that attempt with budget_exhausted', async () => {
    const world = (
      await worldOf(`budget: { tokens: 100 }\n${three}`, (command) =>
        command.kind === 'attempt' ? { takes: 60_000 } : {},
      )
    ).create()
    world.tell({
      type: 'attempt.usage',
      attempt_id: 'a@1.1',
      usage: { input: 50, cache_read: 0, cache_write: 0, output: 0 },
    })
    world.tell({
      type: 'attempt.usage',
      attempt_id: 'a@1.1',
      usage: { input: 150, cache_read: 0, cache_write: 0, output: 0 },
    })
    world.play()
    expect(world.now - START).toBeLessThan(1_000)
    expect(world.events('attempt.finished')[0]).toMatchObject({
      attempt_id: 'a@1.1',
      result: 'failure',
      failure: { code: 'budget_exhausted' },
    })
    expect([...world.state.budgets.values()][0]!.tokens, 'absolute, not a sum of reports').toBe(150)
  })

  test('attempts: only new ones are stopped, what runs goes on', async () => {
    const world = await play(
      'budget: { attempts: 2 }\nnodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }, { id: c, needs: [a], run: x }]',
      { a: [{ takes: 5 }], b: [{ takes: 500 }] },
    )
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1'])
    expect(results(world)).toEqual({ a: 'success', b: 'success', c: 'failure' })
    expect(world.events('budget.exceeded')[0]).toMatchObject({ budget: 'attempts', used: 2, limit: 2 })
  })

  test('attempts that are just enough exceed nothing', async () => {
    const world = await play('budget: { attempts: 2 }\nnodes: [{ id: a, run: x }, { id: b, run: x }]')
    expect(world.finished.result).toBe('success')
    expect(world.events('budget.exceeded')).toEqual([])
  })

  test('a retry that would not fit is not made: the failure stands', async () => {
    const world = await play(
      'budget: { attempts: 1 }\nnodes: [{ id: a, run: x, retry: { max_attempts: 3, initial: 1s } }]',
      { a: () => 'boom' },
    )
    expect(attempts(world)).toEqual(['a@1.1'])
    expect(chain(world.finished.failure)).toEqual(['budget_exhausted', 'exit_nonzero'])
  })

  test('time: attempts are ended when it is up', async () => {
    const world = await play(`budget: { time: 10s }\n${three}`, { a: [{ takes: 4_000 }], b: [{ takes: 60_000 }] })
    expect(world.now - START).toBe(10_000)
    expect(world.lines('budget.warned', 'budget.exceeded')).toEqual(['budget.warned', 'budget.exceeded'])
    expect(results(world)).toMatchObject({ a: 'success', b: 'failure' })
  })

  test('time: waits and retry delays count, gates do not, also inside fan-outs', async () => {
    const world = await worldOf(
      'budget: { time: 1h }\nnodes: [{ id: g, gate: { question: q } }, { id: f, fanout: { count: 1, nodes: [{ id: i, gate: { question: q } }] } }, { id: w, wait: { for: 30m } }, { id: a, run: x, retry: { max_attempts: 2, initial: 20m, max: 20m, jitter: 0 } }, { id: z, run: x }]',
      { a: ['boom', 'ok'], z: [{ takes: 20 * 60_000 }] },
    )
    world.create().play()
    world.now += 7_200_000
    world.tell({ type: 'gate.answer', node: 'g', choice: 'approve', by: { kind: 'user' } })
    world.now += 7_200_000
    world.tell({ type: 'gate.answer', node: 'f:0/i', choice: 'approve', by: { kind: 'user' } })
    const before = world.now
    world.play()
    expect(world.finished.failure?.code).toBe('budget_exhausted')
    expect(world.now - before).toBe(3_600_000)
  })

  test('a gate beside work does not stop the clock', async () => {
    const world = await play(
      'budget: { time: 10s }\nnodes: [{ id: g, needs: [], gate: { question: q } }, { id: a, needs: [], run: x }]',
      { a: [{ takes: 60_000 }] },
    )
    expect(world.now - START).toBe(10_000)
    expect(results(world)['a']).toBe('failure')
  })

  test('of a node: nothing new starts in it, others go on', async () => {
    const world = await play(
      'nodes: [{ id: f, budget: { tokens: 30 }, allow_failure: true, fanout: { count: 5, max_parallel: 1, nodes: [{ id: s, run: x }] } }, { id: z, run: x }]',
      { s: [spent(20)], z: [spent(100)] },
    )
    expect(attempts(world)).toEqual(['f:0/s@1.1', 'f:1/s@1.1', 'z@1.1'])
    expect(world.events('budget.exceeded')).toMatchObject([{ scope: 'f', used: 40, limit: 30 }])
    expect(chain(world.events('node.finished', 'f')[0]!.failure)[0]).toBe('budget_exhausted')
    expect(world.events('node.finished', 'f')[0]!.children).toMatchObject({ total: 5, skipped: 3 })
  })

  test('of a node with attempts: over its retries and visits', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x, budget: { attempts: 3 }, retry: { max_attempts: 2, initial: 1s }, routes: [{ when: "failure != null && nodes.a.visits < 3", to: a }] }]',
      { a: () => 'boom' },
    )
    expect(attempts(world)).toEqual(['a@1.1', 'a@1.2', 'a@2.1'])
  })
})

describe('what a budget is', () => {
  const enforced = { mode: 'enforce' }

  test('is on record with the run, and with every start of a node that has one', async () => {
    const world = (
      await worldOf(
        'budget: { usd: 2, time: 1m }\nnodes: [{ id: a, run: x, budget: { attempts: 3 } }, { id: b, run: x }]',
        {
          a: [{ takes: 1_000 }],
        },
      )
    ).create()
    const next = killed(world)
    next.tell({ type: 'resume' })
    next.play()
    expect(next.events('run.created')[0]!.budget).toEqual({ usd: 2, time_ms: 60_000, ...enforced })
    expect(next.events('run.resumed')[0]!.budget).toEqual({ usd: 2, time_ms: 60_000, ...enforced })
    const starts = next.events('node.started').map((event) => [event.node, event.continues !== undefined, event.budget])
    expect(starts).toEqual([
      ['a', false, { attempts: 3, ...enforced }],
      ['a', true, { attempts: 3, ...enforced }],
      ['b', false, undefined],
    ])
  })
})

describe('audit', () => {
  test('is announced like the other mode and stops nothing', async () => {
    const world = await play(`budget: { tokens: 100, attempts: 1, mode: audit }\n${three}`, {
      a: [spent(85)],
      b: [spent(20)],
    })
    expect(
      world
        .events('budget.warned')
        .map((event) => event.budget)
        .sort(),
    ).toEqual(['attempts', 'tokens'])
    expect(
      world
        .events('budget.exceeded')
        .map((event) => `${event.budget} ${event.mode}`)
        .sort(),
    ).toEqual(['attempts audit', 'tokens audit'])
    expect(attempts(world)).toHaveLength(3)
    expect(world.finished.result).toBe('success')
  })
})

describe('over a resume', () => {
  test('spend is kept, lost attempts count', async () => {
    const world = (
      await worldOf(
        'budget: { tokens: 100, attempts: 3 }\nnodes: [{ id: a, run: x }, { id: b, run: x }, { id: c, run: x }]',
        (command) => (command.kind === 'attempt' && command.id === 'a@1.1' ? undefined : { ...spent(30) }),
      )
    ).create()
    world.tell({
      type: 'attempt.usage',
      attempt_id: 'a@1.1',
      usage: { input: 50, cache_read: 0, cache_write: 0, output: 0 },
    })
    const next = killed(world)
    next.tell({ type: 'resume' })
    next.play()
    expect(attempts(next), 'three attempts in all').toEqual(['a@1.1', 'a@1.2', 'b@1.1'])
    expect(next.finished.totals).toMatchObject({ attempts: 3, tokens: { input: 110 } })
    expect(next.finished.failure?.code).toBe('budget_exhausted')
  })

  test('time counts only while an execution is alive', async () => {
    const world = await worldOf('budget: { time: 10s }\nnodes: [{ id: a, run: x }, { id: b, run: x }]', {
      a: [{ takes: 4_000 }],
      b: [{ takes: 5_000 }],
    })
    world.create().now += 3_000
    const next = killed(world)
    next.now += 3_600_000
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
  })

  test('exhausted, a resume ends the same way without starting anything; with a larger budget it goes on', async () => {
    const world = await play('budget: { attempts: 1 }\nnodes: [{ id: a, run: x }, { id: b, run: x }]')
    expect(world.finished).toMatchObject({ failure: { code: 'budget_exhausted' }, resumable: true })
    world.tell({ type: 'resume' })
    world.play()
    expect(attempts(world)).toEqual(['a@1.1'])
    expect(world.finished).toMatchObject({ failure: { code: 'budget_exhausted' }, resumable: true })
    const raised = world.crashed()
    Object.assign(raised.state.budgets.get('')!, { limits: { attempts: 5, mode: 'enforce' } })
    raised.tell({ type: 'resume' })
    expect(raised.play().finished.result).toBe('success')
    expect(attempts(raised)).toEqual(['a@1.1', 'b@1.1'])
  })

  test('an attempt that the budget ended is tried again', async () => {
    const world = await worldOf(
      'budget: { time: 10s }\nnodes: [{ id: f, fanout: { each: [x, y], nodes: [{ id: a, run: x }] } }]',
      (command) => (command.kind === 'attempt' && command.item === 'y' ? { takes: 60_000 } : {}),
    )
    playUntil(world.create(), 'run.finished')
    expect(world.finished.resumable).toBe(true)
    const raised = world.crashed()
    Object.assign(raised.state.budgets.get('')!, { limits: { time_ms: 600_000, mode: 'enforce' } })
    raised.tell({ type: 'resume' })
    expect(raised.play().finished.result).toBe('success')
    expect(attempts(raised)).toEqual(['f:x/a@1.1', 'f:y/a@1.1', 'f:y/a@1.2'])
  })
})
