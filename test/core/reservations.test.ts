// Budgets before the money is spent: what an attempt may reserve, what gives it back, that nothing is counted twice.
import { describe, expect, test } from 'vitest'
import type { Usage } from '../../src/core/outcome.ts'
import { killed, playUntil, SIGINT, worldOf } from '../support/play.ts'
import { START, type World } from '../support/world.ts'

const ids = ['f:0/a@1.1', 'f:1/a@1.1', 'f:2/a@1.1', 'f:3/a@1.1', 'f:4/a@1.1'] as const
const agents = 'nodes: [{ id: f, fanout: { count: 5, nodes: [{ id: a, agent: { use: api, model: m, prompt: p } }] } }]'

/** Five agents under a budget; they do nothing by themselves. */
async function five(budget: string): Promise<World> {
  return (await worldOf(`budget: ${budget}\n${agents}`, () => undefined)).create()
}
const ask = (world: World, id: string, amount: { usd?: number; tokens?: number }): string | undefined =>
  world.tell({ type: 'attempt.reserve', attempt_id: id, ...amount })?.message
const usage = (input: number): Usage => ({ input, cache_read: 0, cache_write: 0, output: 0 })
const spend = (world: World, id: string, usd: number): void =>
  void world.tell({ type: 'attempt.usage', attempt_id: id, usage: usage(10), cost: { usd, source: 'computed' } })
const run = (world: World): { usd: number; held: number } => {
  const { usd, reserved } = world.state.budgets.get('')!
  return { usd, held: reserved.usd }
}
const [first, second, third, fourth, fifth] = ids

describe('a reservation', () => {
  test('given calls that fit, all are let through; one that does not is refused and says why', async () => {
    const world = await five('{ usd: 1 }')
    for (const id of [first, second, third, fourth]) expect(ask(world, id, { usd: 0.25 })).toBeUndefined()
    expect(ask(world, fifth, { usd: 0.25 })).toBe(
      'The budget of the run has $0.00 left besides what calls under way may cost; this one may cost $0.25',
    )
    expect(world.events('budget.reserved')).toHaveLength(4)
    expect(world.events('budget.exceeded')).toEqual([])
  })

  test('what it paid for is spent, no longer reserved; then there is room again', async () => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 0.8 })
    spend(world, first, 0.2)
    expect(run(world)).toEqual({ usd: 0.2, held: expect.closeTo(0.6) })
    expect(ask(world, second, { usd: 0.5 })).toBeDefined()
    expect(ask(world, first, { usd: 0 })).toBeUndefined()
    expect(run(world)).toEqual({ usd: 0.2, held: 0 })
    expect(ask(world, second, { usd: 0.5 })).toBeUndefined()
  })

  test('is absolute: it is for all calls of the attempt under way', async () => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 0.3 })
    ask(world, first, { usd: 0.6 })
    expect(run(world).held).toBeCloseTo(0.6)
    expect(ask(world, first, { usd: 1.1 })).toBeDefined()
    expect(run(world).held, 'a refusal takes nothing').toBeCloseTo(0.6)
  })

  test('a call that costs more than was reserved leaves nothing of it', async () => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 0.1 })
    spend(world, first, 0.4)
    expect(run(world)).toEqual({ usd: 0.4, held: 0 })
  })

  test('counts for the budgets of the nodes around it as well, and for tokens', async () => {
    const nodes = 'nodes: [{ id: f, budget: { tokens: 100 }, fanout: { count: 2, nodes: [{ id: a, run: x }] } }]'
    const world = (await worldOf(`budget: { tokens: 500 }\n${nodes}`, () => undefined)).create()
    expect(ask(world, first, { tokens: 60 })).toBeUndefined()
    expect(ask(world, second, { tokens: 60 })).toMatch(/^The budget of f has 40 tokens left/)
    expect(world.state.budgets.get('')!.reserved.tokens).toBe(60)
  })

  test('an audited budget refuses nothing', async () => {
    const world = await five('{ usd: 1, mode: audit }')
    for (const id of ids) expect(ask(world, id, { usd: 5 })).toBeUndefined()
  })

  test('is told to attempts that start later', async () => {
    const left: unknown[] = []
    const world = await worldOf(`budget: { usd: 1 }\nmax_parallel: 1\n${agents}`, (command) =>
      command.kind === 'attempt' ? (left.push(command.left.usd), left.length === 1 ? undefined : {}) : {},
    )
    world.create()
    ask(world, first, { usd: 0.4 })
    world.tell({
      type: 'attempt.waiting',
      attempt_id: first,
      resumes_at: START + 1_000,
      failure: { code: 'rate_limited', message: 'wait', source: 'provider' },
    })
    expect(left, 'the wait gave it back').toEqual([1, 1])
    ask(world, second, { usd: 0.4 })
    playUntil(world, 'attempt.started f:2/a@1.1')
    expect(left[2], 'so did the end').toBe(1)
  })
})

describe('a budget smaller than one call', () => {
  test('one goes through while nothing is reserved and something is left', async () => {
    const world = await five('{ usd: 1 }')
    expect(ask(world, first, { usd: 3 })).toBeUndefined()
    for (const id of ids.slice(1)) expect(ask(world, id, { usd: 0.01 })).toBeDefined()
  })

  test('none of a client that makes its calls without asking: the one under way is that one', async () => {
    const world = await five('{ usd: 1 }')
    const unasked = (usd: number): unknown =>
      world.tell({ type: 'attempt.reserve', attempt_id: first, usd, unasked: true })
    for (const id of ids.slice(1)) spend(world, id, 0.001)
    expect(unasked(3)).toMatchObject({ refused: 'conflict' })
    expect(unasked(0.9)).toBeUndefined()
  })

  test('those of others that began and have told nothing yet are counted as large as this one', async () => {
    const world = await five('{ usd: 1 }')
    const unasked = (id: string, usd: number): unknown =>
      world.tell({ type: 'attempt.reserve', attempt_id: id, usd, unasked: true })
    spend(world, first, 0.15)
    expect(unasked(first, 0.15)).toBeUndefined()
    spend(world, second, 0.15)
    expect(unasked(second, 0.15)).toMatchObject({ refused: 'conflict' })
    for (const id of [third, fourth, fifth]) spend(world, id, 0.01)
    expect(unasked(second, 0.15)).toBeUndefined()
  })

  test('used up, nothing goes through, and the agents are ended with budget_exhausted', async () => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 3 })
    spend(world, first, 2.5)
    expect(ask(world, second, { usd: 0.1 })).toMatch(/used up/)
    world.play()
    expect(world.events('attempt.finished').map((event) => event.failure?.code)).toEqual(
      ids.map(() => 'budget_exhausted'),
    )
    expect(world.finished).toMatchObject({ result: 'failure', resumable: true, totals: { cost_usd: 2.5 } })
  })

  test('five agents that ask before each call spend at most the budget and one call each', async () => {
    const world = await five('{ usd: 1 }')
    const spent = new Map<string, number>(ids.map((id) => [id, 0]))
    for (let turn = 0; turn < 40; turn++) {
      const granted = ids.filter((id) => ask(world, id, { usd: 0.13 }) === undefined)
      for (const id of granted) {
        spent.set(id, spent.get(id)! + 0.11)
        spend(world, id, spent.get(id)!)
        ask(world, id, { usd: 0 })
      }
    }
    expect(run(world).usd).toBeGreaterThanOrEqual(1 - 0.13)
    expect(run(world).usd).toBeLessThanOrEqual(1 + 0.11)
  })
})

describe('given back', () => {
  test.each([
    [
      'at the end',
      (world: World) => world.tell({ type: 'attempt.outcome', attempt_id: first, outcome: { duration_ms: 1 } }),
    ],
    ['by a cancel', (world: World) => (world.tell(SIGINT), world.play(), undefined)],
  ])('%s', async (_, end) => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 0.7 })
    end(world)
    expect(run(world).held).toBe(0)
    expect(ask(world, first, { usd: 0.1 })).toMatch(/has ended/)
  })

  test('when checks begin', async () => {
    const nodes = 'nodes: [{ id: a, agent: { use: api, model: m, prompt: p }, checks: [{ name: c, run: x }] }]'
    const world = (await worldOf(`budget: { usd: 1 }\n${nodes}`, () => undefined)).create()
    ask(world, 'a@1.1', { usd: 0.7 })
    world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.1', outcome: { duration_ms: 1 } })
    expect(world.lines('check.started')).toHaveLength(1)
    expect(run(world).held).toBe(0)
  })

  test('by a crash, which loses nothing of what was spent', async () => {
    const world = await five('{ usd: 1 }')
    ask(world, first, { usd: 0.7 })
    spend(world, first, 0.3)
    const next = killed(world)
    expect(run(next)).toEqual({ usd: 0.3, held: 0 })
    next.tell({ type: 'resume' })
    expect(ask(next, 'f:0/a@1.2', { usd: 0.7 })).toBeUndefined()
    expect(run(next)).toEqual({ usd: 0.3, held: 0.7 })
  })

  test('an attempt that is being ended gets no more', async () => {
    const world = await five('{ usd: 1 }')
    world.live.clear()
    world.tell(SIGINT)
    expect(ask(world, first, { usd: 0.1 })).toMatch(/SIGINT/)
    expect(ask(world, first, { usd: 0 })).toBeUndefined()
  })
})
