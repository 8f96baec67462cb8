// What an attempt is told when it starts: what is left to spend, how often the same failure came, what happened around it.
import { describe, expect, test } from 'vitest'
import type { RunAttempt } from '../../src/core/commands.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { killed, play, worldOf, type Answer } from '../support/play.ts'

type Told = { readonly [K in keyof RunAttempt]?: unknown }
type Say = (command: RunAttempt) => Answer | string

/** Answers as `say` does and keeps one field of every command. */
function keep<K extends keyof RunAttempt>(field: K, say: Say = () => 'ok'): { told: Told[K][]; a: Say } {
  const told: Told[K][] = []
  return { told, a: (command) => (told.push(command[field]), say(command)) }
}
const tokens = (input: number): Answer => ({ usage: { input, cache_read: 0, cache_write: 0, output: 0 } })

describe('what is left', () => {
  test('is the smallest of the enforced budgets around it', async () => {
    const { told, a } = keep('left')
    await play(
      'budget: { usd: 5, tokens: 1000, attempts: 9, time: 1h }\nnodes: [{ id: z, run: x }, { id: a, run: x, budget: { tokens: 800, usd: 7 } }]',
      { a, z: [{ ...tokens(100), cost: { usd: 1.5, source: 'reported' }, takes: 60_000 }] },
    )
    expect(told).toEqual([{ usd: 3.5, tokens: 800, attempts: 7, time_ms: 3_540_000 }])
  })

  test('audited budgets, and no budget, leave everything', async () => {
    const { told, a } = keep('left')
    await play('budget: { usd: 5, mode: audit }\nnodes: [{ id: a, run: x }]', { a })
    expect(told).toEqual([{}])
  })
})

describe('what has no price', () => {
  const cost = (usd: number | null, unpriced?: boolean): Answer => ({
    ...tokens(10),
    cost: { usd, source: 'computed', ...(unpriced && { unpriced }) },
  })

  test.each([
    ['a price', cost(0.5), { cost_usd: 0.5, cost_unpriced: 0 }],
    ['none', cost(null), { cost_usd: 0, cost_unpriced: 1 }],
    ['one for a part only', cost(0.5, true), { cost_usd: 0.5, cost_unpriced: 1 }],
  ])('usage with %s', async (_, answer, totals) => {
    const world = await play('nodes: [{ id: a, run: x }]', { a: [answer] })
    expect(world.finished.totals).toMatchObject(totals)
  })

  test('what was known of the cost stays when the end says nothing of it', async () => {
    const world = (await worldOf('nodes: [{ id: a, run: x }]', { a: [{ ...cost(null), takes: 9 }] })).create()
    const usage = { input: 10, cache_read: 0, cache_write: 0, output: 0 }
    world.tell({ type: 'attempt.usage', attempt_id: 'a@1.1', usage, cost: { usd: 0.5, source: 'computed' } })
    expect(world.play().finished.totals).toMatchObject({ cost_usd: 0.5, cost_unpriced: 1 })
  })
})

describe('the same failure', () => {
  const nodes =
    'nodes: [{ id: a, run: x, retry: { max_attempts: 3, initial: 1s }, routes: [{ when: nodes.a.visits < 2, to: a }] }]'

  test('is counted in a row, over visits', async () => {
    const { told, a } = keep('same_failure', () => 'boom 7')
    await play(nodes, { a })
    expect(told).toEqual([undefined, 1, 2, 3, 4, 5])
  })

  test('another one begins a new row, a success ends it', async () => {
    const { told, a } = keep('same_failure', ({ id }) => (id === 'a@1.2' ? 'other' : id === 'a@1.3' ? 'ok' : 'boom'))
    await play(nodes, { a })
    expect(told).toEqual([undefined, 1, 1, undefined, 1, 2])
  })

  test('a lost attempt breaks no row', async () => {
    const { told, a } = keep('same_failure', () => 'boom')
    const world = await worldOf(nodes, (command) =>
      command.kind === 'attempt' && command.id === 'a@1.2'
        ? undefined
        : command.kind === 'attempt'
          ? said(a(command))
          : {},
    )
    world.create().play()
    const next = killed(world)
    next.tell({ type: 'resume' })
    next.play()
    expect(told.slice(0, 3)).toEqual([undefined, 1, 2])
  })
  const said = (answer: Answer | string): Answer => (typeof answer === 'string' ? { fail: answer } : answer)
})

describe('what happened around it', () => {
  const loop =
    'nodes: [{ id: plan, run: x }, { id: a, agent: { use: claude, prompt: p } }, { id: review, run: x, decision: [approve, rework], routes: [{ when: label == "rework" && nodes.review.visits < 4, to: a }] }]'

  test('is told in a later visit, each node once with its latest state, oldest first', async () => {
    const { told, a } = keep('history', ({ id }) => ({ notes: `did ${id}` }))
    await play(loop, { a, review: ({ id }) => ({ label: 'rework', notes: `look at ${id}` }) })
    const line = (node: string, visit: number, notes: string): object => ({ node, visit, result: 'success', notes })
    const plan = { node: 'plan', visit: 1, result: 'success' }
    expect(told.slice(0, 3)).toEqual([
      undefined,
      [plan, line('a', 1, 'did a@1.1'), { ...line('review', 1, 'look at review@1.1'), label: 'rework' }],
      [plan, line('a', 2, 'did a@2.1'), { ...line('review', 2, 'look at review@2.1'), label: 'rework' }],
    ])
  })

  test('a failure is told in short; only agents are told', async () => {
    const agent = keep('history')
    const command = keep('history')
    const again = 'routes: [{ when: nodes.a.visits < 2, to: a }]'
    const text = (node: string): string =>
      `nodes: [{ id: a, ${node} }, { id: b, run: x, routes: [{ when: nodes.b.visits < 2, to: a }] }]`
    await play(text('agent: { use: claude, prompt: p }'), { a: agent.a, b: () => 'x'.repeat(2_000) })
    expect(agent.told[1]).toMatchObject(
      [{ node: 'a' }, { node: 'b', result: 'failure', failure: /^exit_nonzero: x+…$/ }].map((line) => ({
        ...line,
        ...('failure' in line && { failure: expect.stringMatching(line.failure) }),
      })),
    )
    expect((agent.told[1] as { failure?: string }[])[1]!.failure!.length).toBeLessThanOrEqual(300)
    await play(`nodes: [{ id: a, run: x, ${again} }]`, { a: command.a })
    expect(command.told).toEqual([undefined, undefined])
  })

  test('inside a branch that is entered again it reaches outward, not past a child pipeline', async () => {
    const { told, a } = keep('history')
    await play(
      'nodes: [{ id: plan, run: x }, { id: f, fanout: { each: [k], nodes: [{ id: a, agent: { use: claude, prompt: p } }] }, routes: [{ when: nodes.f.visits < 2, to: f }] }]',
      { a },
    )
    expect(told).toEqual([
      undefined,
      [
        { node: 'plan', visit: 1, result: 'success' },
        { node: 'f', visit: 1, result: 'success' },
      ],
    ])
  })

  test('is bounded', async () => {
    const { told, a } = keep('history')
    const many = Array.from({ length: LIMITS.historyLines + 5 }, (_, i) => `{ id: n${i}, run: x }`).join(', ')
    await play(
      `nodes: [${many}, { id: a, agent: { use: claude, prompt: p }, routes: [{ when: nodes.a.visits < 2, to: a }] }]`,
      { a },
    )
    const nodes = (told[1] as { node: string }[]).map((line) => line.node)
    expect(nodes).toHaveLength(LIMITS.historyLines)
    expect(nodes.slice(-2)).toEqual([`n${LIMITS.historyLines + 4}`, 'a'])
  })
})
