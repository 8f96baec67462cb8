// Decisions that need a person: the node opens a gate on its own path, the answer starts its next attempt.
import { describe, expect, test } from 'vitest'
import type { RunAttempt } from '../../src/core/commands.ts'
import { attempts, killed, play, playUntil, results, SIGINT, visits, worldOf } from '../support/play.ts'
import { START, type Answer, type World } from '../support/world.ts'

const asks: Answer = { label: 'needs_input', questions: [{ id: 'q1', question: 'Which database?' }] }
const node = (more = ''): string =>
  `{ id: a, agent: { use: claude, prompt: p }, decision: [continue, blocked, needs_input]${more && `, ${more}`} }`
const nodes = (more = ''): string => `nodes: [${node(more)}, { id: z, run: x }]`
/** The first attempt asks, the others go on. */
const once = ({ attempt }: RunAttempt): Answer => (attempt === 1 ? asks : { label: 'continue' })
const answer = (world: World, choice = 'answer', comment?: string): unknown =>
  world.tell({
    type: 'gate.answer',
    node: 'a',
    choice,
    by: { kind: 'user' },
    ...(comment !== undefined && { comment }),
  })

describe('the question', () => {
  test('given needs_input, a gate is open on the path of the node, and nothing goes on', async () => {
    const world = await play(nodes(), { a: once })
    expect(world.events('gate.opened')).toEqual([
      {
        type: 'gate.opened',
        node: 'a',
        visit: 1,
        question: 'Which database?',
        choices: ['answer', 'reject'],
        reject: ['reject'],
        questions: asks.questions,
      },
    ])
    expect(world.state.phase).toBe('running')
    expect(world.state.slots.used).toBe(0)
    expect(visits(world)).toEqual(['a@1'])
    expect([...world.state.gates.keys()]).toEqual(['a'])
  })

  const options = ['postgres', 'sqlite', 'postgres'].map((value) => ({ label: value, value }))
  test.each<[string, Answer, string, string[]]>([
    ['one with options', { questions: [{ id: 'q', question: 'Q?', options }] }, 'Q?', ['postgres', 'sqlite']],
    [
      'several',
      {
        questions: [
          { id: 'q', question: 'Q?', options },
          { id: 'r', question: 'R?' },
        ],
      },
      'Q?\nR?',
      ['answer', 'reject'],
    ],
    ['none, but notes', { notes: 'which one?' }, 'which one?', ['answer', 'reject']],
    ['nothing at all', {}, 'a needs input', ['answer', 'reject']],
  ])('of %s', async (_, said, question, choices) => {
    const world = await play(nodes(), { a: [{ label: 'needs_input', ...said }] })
    expect(world.events('gate.opened')).toMatchObject([{ question, choices }])
  })

  test('is bounded', async () => {
    const question = { id: 'q', question: 'x'.repeat(10_000), options }
    const world = await play(nodes(), {
      a: [{ label: 'needs_input', questions: Array.from({ length: 500 }, () => question) }],
    })
    expect(JSON.stringify(world.events('gate.opened')[0]).length).toBeLessThan(64 * 1024)
  })

  test('comes before checks; those run after the attempt that went on', async () => {
    const world = await play(nodes('checks: [{ name: c, run: x }]'), { a: once })
    expect(world.lines('check.started')).toEqual([])
    answer(world)
    world.play()
    expect(world.lines('check.started', 'attempt.started')).toEqual([
      'attempt.started a@1.1',
      'attempt.started a@1.2',
      'check.started a@1.2 c',
      'attempt.started z@1.1',
    ])
  })

  test('a route that takes the label wins', async () => {
    const world = await play(
      `nodes: [${node('routes: [{ when: label == "needs_input", to: human }]')}, { id: human, routed: true, run: x }]`,
      { a: once },
    )
    expect(world.events('gate.opened')).toEqual([])
    expect(visits(world)).toEqual(['a@1', 'human@1'])
    expect(world.finished.result).toBe('success')
  })

  test.each([
    ['without a decision', '{ id: a, agent: { use: claude, prompt: p } }', 'success'],
    ['not among its labels', '{ id: a, agent: { use: claude, prompt: p }, decision: [continue] }', 'failure'],
  ])('the label %s asks nobody', async (_, text, result) => {
    const world = await play(`nodes: [${text}]`, { a: () => asks })
    expect(world.events('gate.opened')).toEqual([])
    expect(world.finished.result).toBe(result)
  })

  test('blocked stays a failure, resolved is a success', async () => {
    const text = 'nodes: [{ id: a, run: x, decision: [resolved, blocked] }]'
    expect((await play(text, { a: [{ label: 'resolved' }] })).finished.result).toBe('success')
    expect((await play(text, { a: [{ label: 'blocked' }] })).finished.result).toBe('failure')
  })
})

describe('the answer', () => {
  test('starts the next attempt of the same visit, told, without using a retry', async () => {
    const told: unknown[] = []
    const world = await play(nodes('retry: none'), {
      a: (command) => (told.push(command.answers), command.attempt < 3 ? asks : { label: 'continue' }),
    })
    answer(world, 'answer', 'postgres')
    answer(world.play(), 'answer', 'yes')
    world.play()
    expect(attempts(world)).toEqual(['a@1.1', 'a@1.2', 'a@1.3', 'z@1.1'])
    expect(told).toEqual([
      undefined,
      { question: 'Which database?', choice: 'answer', comment: 'postgres' },
      { question: 'Which database?', choice: 'answer', comment: 'yes' },
    ])
    expect(world.events('attempt.started', 'a').map((event) => event.max)).toEqual([1, 2, 3])
    expect(world.events('retry.scheduled')).toEqual([])
    expect(world.events('node.finished', 'a')[0]).toMatchObject({
      result: 'success',
      label: 'continue',
      retry_count: 0,
    })
    expect(world.finished.result).toBe('success')
  })

  test('holds for the attempts after it: a retry, and the successor of a lost one', async () => {
    const told: unknown[] = []
    const world = await worldOf(nodes('retry: { max_attempts: 2, initial: 1s }'), {
      a: (command) => {
        told.push(command.answers?.choice)
        return [asks, { fail: 'boom' }, undefined, { label: 'continue' }][command.attempt - 1]
      },
    })
    answer(world.create().play())
    playUntil(world, 'attempt.started a@1.3')
    const next = killed(world)
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(told).toEqual([undefined, 'answer', 'answer', 'answer'])
    expect(next.events('attempt.started', 'a').map((event) => event.max)).toEqual([2, 3, 3, 4])
  })

  test('reject fails the node as gate_rejected', async () => {
    const world = await play(nodes(), { a: once })
    answer(world, 'reject')
    expect(world.play().finished).toMatchObject({ result: 'failure', failure: { code: 'gate_rejected' } })
    expect(attempts(world)).toEqual(['a@1.1'])
    expect(results(world)['z']).toBe('skip: upstream_failed')
  })

  test('one that is no choice is refused', async () => {
    const world = await play(nodes(), { a: once })
    expect(answer(world, 'maybe')).toMatchObject({ refused: 'invalid' })
  })

  test('a retry by hand begins without it', async () => {
    const told: unknown[] = []
    const again = await play(nodes(), {
      a: (command) => (
        told.push(command.answers?.choice),
        command.id === 'a@1.1' ? asks : command.id === 'a@1.2' ? 'boom' : { label: 'continue' }
      ),
    })
    answer(again)
    again.play().tell({ type: 'retry', reset_count: false, mode: 'clean' })
    expect(again.play().finished.result).toBe('success')
    expect(told.slice(-3)).toEqual([undefined, 'answer', undefined])
  })
})

describe('meanwhile', () => {
  test('others have the slot, and no time budget counts it', async () => {
    const world = await worldOf(
      `max_parallel: 1\nbudget: { time: 1h }\nnodes: [${node()}, { id: b, needs: [], run: x }, { id: z, needs: [a, b], run: x }]`,
      { a: once, b: [{ takes: 60_000 }] },
    )
    world.create().play()
    expect(results(world)).toEqual({ b: 'success' })
    world.now += 7_200_000
    answer(world)
    expect(world.play().finished.result).toBe('success')
    expect(world.events('budget.warned')).toEqual([])
  })

  test('after the answer time counts again', async () => {
    const world = await worldOf(`budget: { time: 1h }\n${nodes()}`, {
      a: ({ attempt }) => (attempt === 1 ? asks : { takes: 9_000_000, label: 'continue' }),
    })
    world.create().play().now += 7_200_000
    answer(world)
    expect(world.play().finished.failure?.code).toBe('budget_exhausted')
    expect(world.now - START).toBeLessThan(7_200_000 + 3_600_000 + 10)
  })

  test.each(['tokens: 100', 'attempts: 2'])('a budget (%s) that others use up ends it', async (budget) => {
    const usage = { input: 200, cache_read: 0, cache_write: 0, output: 0 }
    const world = await play(
      `budget: { ${budget} }\nnodes: [${node()}, { id: b, needs: [], run: x }, { id: c, needs: [b], run: x }]`,
      { a: once, b: [{ takes: 1_000, usage }] },
    )
    expect(world.finished).toMatchObject({ failure: { code: 'budget_exhausted' }, resumable: true })
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1'])
    const again = world.crashed()
    again.tell({ type: 'resume' })
    expect(again.play().state, 'nobody is asked for nothing').toMatchObject({ phase: 'ended', gates: new Map() })
    const raised = world.crashed()
    Object.assign(raised.state.budgets.get('')!, { limits: { attempts: 9, mode: 'enforce' } })
    raised.tell({ type: 'resume' })
    answer(raised.play())
    expect(raised.play().finished.result).toBe('success')
    expect(attempts(raised).filter((id) => id.startsWith('a'))).toEqual(['a@1.1', 'a@1.2'])
  })

  test('no question is opened under a budget that is used up', async () => {
    const world = await play(
      `budget: { attempts: 2 }\nnodes: [${node()}, { id: b, needs: [], run: x }, { id: c, needs: [b], run: x }]`,
      { a: [{ ...asks, takes: 1_000 }] },
    )
    expect(world.events('gate.opened')).toEqual([])
    expect(world.events('node.finished', 'a')[0]!.failure?.code).toBe('budget_exhausted')
  })

  test('a cancel ends it; a resume asks again and nothing is done twice', async () => {
    const world = await play(nodes('retry: none'), { a: once })
    world.tell(SIGINT)
    expect(world.play().finished).toMatchObject({ result: 'cancellation', resumable: true })
    world.tell({ type: 'resume' })
    world.play()
    expect(attempts(world)).toEqual(['a@1.1'])
    expect(world.state.gates.size).toBe(1)
    expect(world.events('gate.opened')).toHaveLength(1)
    answer(world)
    expect(world.play().finished.result).toBe('success')
    expect(attempts(world)).toEqual(['a@1.1', 'a@1.2', 'z@1.1'])
    expect(world.events('attempt.started', 'a').map((event) => event.max)).toEqual([1, 2])
  })

  test('a crash changes nothing: the question is open again', async () => {
    const next = killed(await play(`budget: { time: 1h }\n${nodes()}`, { a: once }))
    next.tell({ type: 'resume' })
    next.play().now += 7_200_000
    expect(attempts(next)).toEqual(['a@1.1'])
    answer(next)
    expect(next.play().finished.result).toBe('success')
    expect(attempts(next)).toEqual(['a@1.1', 'a@1.2', 'z@1.1'])
  })

  test('answered, then killed before the next attempt: it starts, told', async () => {
    const told: unknown[] = []
    const world = await play(nodes(), { a: (command) => (told.push(command.answers?.choice), once(command)) })
    answer(world)
    const at = world.entries.findIndex(({ event }) => event.type === 'gate.answered')
    const next = killed(world, at + 1)
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(attempts(next)).toEqual(['a@1.1', 'a@1.2', 'z@1.1'])
    expect(told).toEqual([undefined, 'answer', 'answer'])
  })

  test('a crash and a cancel between the report and the question lose neither', async () => {
    const world = await play(nodes(), { a: once })
    const at = world.entries.findIndex(({ event }) => event.type === 'gate.opened')
    const crashed = killed(world, at)
    crashed.tell({ type: 'resume' })
    crashed.play()
    expect(crashed.events('gate.opened')).toHaveLength(1)
    const canceled = world.crashed(at)
    canceled.tell(SIGINT)
    expect(canceled.play().finished.result).toBe('cancellation')
    canceled.tell({ type: 'resume' })
    canceled.play()
    expect(canceled.events('gate.opened')).toHaveLength(1)
    answer(canceled)
    expect(canceled.play().finished.result).toBe('success')
    expect(attempts(canceled)).toEqual(['a@1.1', 'a@1.2', 'z@1.1'])
  })

  test('a branch that is canceled by a join stops asking', async () => {
    const world = await play(`nodes: [{ id: f, fanout: { each: [x, y], join: any, nodes: [${node()}] } }]`, (command) =>
      command.kind !== 'attempt' ? {} : command.item === 'x' ? asks : { label: 'continue', takes: 1_000 },
    )
    expect(world.finished.result).toBe('success')
    expect(world.state.gates.size).toBe(0)
    expect(results(world)['f:x/a']).toBe('cancellation')
  })
})
