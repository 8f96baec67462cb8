// DESIGN 3: an attempt that waits for a limit: bounded, without a slot, without time of a budget, over cancels and crashes.
import { describe, expect, test } from 'vitest'
import { attempts, killed, playUntil, SIGINT, worldOf } from '../support/play.ts'
import { START } from '../support/world.ts'

describe('waiting for a limit', () => {
  const nodes = (retry = ''): string =>
    `max_parallel: 1\nnodes: [{ id: a, needs: [], run: x${retry} }, { id: b, needs: [], run: x }]`
  const limit = { code: 'rate_limited', message: 'limit until noon', source: 'provider' } as const
  const waiting = (id: string, resumesAt: number): Parameters<Awaited<ReturnType<typeof worldOf>>['tell']>[0] => ({
    type: 'attempt.waiting',
    attempt_id: id,
    resumes_at: resumesAt,
    failure: limit,
  })

  test('it holds no slot; the same attempt goes on when the limit is over', async () => {
    const world = (
      await worldOf(nodes(), (command) => (command.kind === 'attempt' && command.node.id === 'a' ? undefined : {}))
    ).create()
    expect(world.tell(waiting('a@1.1', world.now + 3_600_000))).toBeUndefined()
    expect(attempts(world), 'b has the slot').toEqual(['a@1.1', 'b@1.1'])
    world.play()
    expect(world.lines('attempt.waiting', 'timer.fired')).toEqual(['attempt.waiting a@1.1', 'timer.fired a@1.1'])
    expect(world.now).toBe(START + 3_600_000)
    expect(world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.1', outcome: { duration_ms: 5 } })).toBeUndefined()
    expect(world.play().finished).toMatchObject({ result: 'success', totals: { attempts: 2, retries: 0 } })
  })

  test('at most 3 times and 24 h in all per visit; after that it is refused', async () => {
    const world = (
      await worldOf(nodes(), (command) => (command.kind === 'attempt' && command.node.id === 'a' ? undefined : {}))
    ).create()
    expect(world.tell(waiting('a@1.1', world.now + 25 * 3_600_000))).toMatchObject({ refused: 'invalid' })
    for (let i = 1; i <= 3; i++) {
      expect(world.tell(waiting('a@1.1', world.now + 3_600_000))).toBeUndefined()
      world.play((w) => w.events('timer.fired').length === i)
    }
    expect(world.tell(waiting('a@1.1', world.now + 1))).toMatchObject({
      refused: 'invalid',
      message: expect.stringContaining('3 times'),
    })
    world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.1', outcome: { failure: limit, duration_ms: 5 } })
    expect(world.play().finished.failure).toMatchObject({ code: 'rate_limited', message: 'limit until noon' })
  })

  test("the bound is the visit's, over its attempts", async () => {
    const world = (
      await worldOf(nodes(', retry: { max_attempts: 2, initial: 1s }'), (command) =>
        command.kind === 'attempt' && command.node.id === 'a' ? undefined : {},
      )
    ).create()
    world.tell(waiting('a@1.1', world.now + 20 * 3_600_000))
    world.play((w) => w.events('timer.fired').length === 1)
    world.tell({
      type: 'attempt.outcome',
      attempt_id: 'a@1.1',
      outcome: { failure: { code: 'network', message: 'gone', source: 'provider' }, duration_ms: 5 },
    })
    world.play((w) => attempts(w).includes('a@1.2'))
    expect(world.tell(waiting('a@1.2', world.now + 5 * 3_600_000))).toMatchObject({ refused: 'invalid' })
    expect(world.tell(waiting('a@1.2', world.now + 3 * 3_600_000))).toBeUndefined()
  })

  test('the process ends meanwhile: the attempt is lost, its successor starts at resumes_at, the clock stands still', async () => {
    const world = (
      await worldOf(`budget: { time: 1h }\n${nodes()}`, (command) =>
        command.kind === 'attempt' && command.id === 'a@1.1' ? undefined : {},
      )
    ).create()
    world.tell(waiting('a@1.1', START + 7_200_000))
    const next = killed(world)
    next.now += 60_000
    next.tell({ type: 'resume' })
    next.play()
    expect(next.lines('attempt.lost', 'attempt.started')).toEqual([
      'attempt.started a@1.1',
      'attempt.started b@1.1',
      'attempt.lost a@1.1',
      'attempt.lost b@1.1',
      'attempt.started b@1.2',
      'attempt.started a@1.2',
    ])
    expect(
      Date.parse(
        next.entries.find(({ event }) => event.type === 'attempt.started' && event.attempt_id === 'a@1.2')!.at,
      ),
    ).toBe(START + 7_200_000)
    expect(next.finished.result).toBe('success')
    expect(next.events('budget.exceeded')).toEqual([])
  })

  test('a cancel ends the wait', async () => {
    const world = (
      await worldOf(nodes(), (command) => (command.kind === 'attempt' && command.node.id === 'a' ? undefined : {}))
    ).create()
    world.tell(waiting('a@1.1', world.now + 3_600_000))
    world.tell(SIGINT)
    world.play()
    expect(world.finished.result).toBe('cancellation')
    expect(world.now).toBeLessThan(START + 1_000)
  })

  test('after it the attempt counts as work again', async () => {
    const world = (
      await worldOf(`budget: { time: 1h }\n${nodes()}`, (command) =>
        command.kind === 'attempt' && command.node.id === 'a' ? undefined : {},
      )
    ).create()
    world.tell(waiting('a@1.1', START + 7_200_000))
    playUntil(world, 'run.finished')
    expect(world.now - START).toBe(7_200_000 + 3_600_000)
    expect(world.finished.failure?.code).toBe('budget_exhausted')
    expect(world.events('timer.fired').map((event) => event.timer)).toEqual(['limit', 'budget', 'budget'])
  })

  test('canceled and resumed meanwhile, the next attempt waits on, and the clock stands still', async () => {
    const world = (
      await worldOf(`budget: { time: 1h }\n${nodes()}`, (command) =>
        command.kind === 'attempt' && command.id === 'a@1.1' ? undefined : {},
      )
    ).create()
    world.tell(waiting('a@1.1', START + 7_200_000))
    world.tell(SIGINT)
    world.play()
    expect(world.finished.result).toBe('cancellation')
    world.now += 60_000
    world.tell({ type: 'resume' })
    expect(world.play().finished.result).toBe('success')
    expect(world.now).toBe(START + 7_200_000)
    expect(world.events('budget.exceeded')).toEqual([])
  })

  test('a time budget that others use up ends it', async () => {
    const world = await worldOf(`budget: { time: 1h }\nmax_parallel: 2\n${nodes().split('\n')[1]}`, () => undefined)
    world.create().tell(waiting('a@1.1', START + 7_200_000))
    world.play()
    expect(world.now - START).toBe(3_600_000)
    expect(world.events('attempt.finished').map((event) => event.failure?.code)).toEqual([
      'budget_exhausted',
      'budget_exhausted',
    ])
  })
})
