// Summaries of failures: when a model is asked, that it changes nothing but what is known and spent.
import { describe, expect, test } from 'vitest'
import type { RunSummary } from '../../src/core/commands.ts'
import { summaryOf } from '../../src/core/summary.ts'
import { attempts, killed, play, playUntil, results, SIGINT, worldOf } from '../support/play.ts'
import type { Answer, Script, World } from '../support/world.ts'

const summaries = 'summaries: { agent: { use: claude, model: small } }'
const retry = 'retry: { max_attempts: 3, initial: 1s }'
const pipeline = (more = retry, before = summaries): string => `${before}\nnodes: [{ id: a, run: x, ${more} }]`

/** Attempts of `a` fail as `fails` says; summaries answer with `gives`. */
const failing =
  (fails: readonly (Answer | string)[], gives: Answer | undefined = { notes: ' It broke. ' }): Script =>
  (command) => {
    if (command.kind === 'summary') return gives
    if (command.kind !== 'attempt') return {}
    const answer = fails[Math.min(command.attempt, fails.length) - 1]!
    return typeof answer === 'string' ? (answer === 'ok' ? {} : { fail: answer }) : answer
  }
const asked = (world: World): string[] => world.lines('summary.started', 'failure.summarized', 'summary.failed')
const done = ['summary.started a', 'failure.summarized a']
const long: Answer = {
  failure: { code: 'exit_nonzero', message: 'boom', source: 'command', details: { stderr_tail: 'x'.repeat(1_001) } },
}

describe('a model is asked', () => {
  test('given different failures, before the visit ends, with all of them', async () => {
    const commands: RunSummary[] = []
    const script = failing(['first reason', 'second reason', 'second reason'])
    const world = await play(pipeline(), (command, w) => {
      if (command.kind === 'summary') commands.push(command)
      return script(command, w)
    })
    expect(asked(world)).toEqual(done)
    expect(world.events('failure.summarized')[0]).toMatchObject({ node: 'a', visit: 1, text: 'It broke.' })
    expect(world.lines().slice(-4)).toEqual([
      'failure.summarized a',
      'node.finished a failure',
      'run.concluded failure',
      'run.finished failure',
    ])
    expect(commands).toMatchObject([
      {
        id: 'a@1#summary',
        agent: { use: 'claude', model: 'small' },
        failures: [{ message: 'first reason' }, { message: 'second reason' }, { message: 'second reason' }],
      },
    ])
    expect(world.finished.failure).toMatchObject({ code: 'exit_nonzero', message: 'second reason' })
    expect(summaryOf(world.state).nodes[0]).toMatchObject({ summary: 'It broke.' })
  })

  test.each<[string, Answer]>([
    ['tail', long],
    ['message', { fail: 'y'.repeat(1_200) }],
    [
      'reason of a check',
      {
        fail: 'check_failed',
        failure: {
          code: 'check_failed',
          message: 'c',
          source: 'check',
          causes: [{ ...long.failure!, class: 'deterministic', signature: 's' } as never],
        },
      },
    ],
  ])('given a long %s', async (_, answer) => {
    expect(asked(await play(pipeline(''), failing([answer])))).toEqual(done)
  })

  test('before hooks', async () => {
    const world = await play(pipeline(`${retry}, hooks: { on_failure: [x] }`), failing(['one', 'two']))
    expect(world.lines('failure.summarized', 'hook.started')).toEqual([
      'failure.summarized a',
      'hook.started a x failure',
    ])
  })
})

describe('nobody is asked', () => {
  test.each<[string, string, Script]>([
    ['given one short reason', pipeline(), failing(['boom'])],
    ['without the key', pipeline(retry, ''), failing(['one', 'two'])],
    ['given a success in the end', pipeline(), failing(['one', 'two', 'ok'])],
    [
      'when a route takes the failure',
      pipeline(`${retry}, routes: [{ when: failure != null, to: end }]`),
      failing(['one', 'two']),
    ],
    ['given a skip', `${summaries}\nnodes: [{ id: a, run: x, when: "false" }]`, failing(['one'])],
    [
      'for what only holds others',
      `${summaries}\nnodes: [{ id: f, fanout: { count: 2, nodes: [{ id: a, run: x }] } }]`,
      failing(['one']),
    ],
  ])('%s', async (_, text, script) => {
    expect(asked(await play(text, script))).toEqual([])
  })

  test('after a cancel', async () => {
    const world = await worldOf(pipeline(), failing(['one', 'two', { takes: 5_000 }]))
    playUntil(world.create(), 'attempt.started a@1.3').tell(SIGINT)
    expect(asked(world.play())).toEqual([])
  })

  test('when the attempt fails by itself while the run is canceled', async () => {
    const world = await worldOf(pipeline(), failing(['one', 'two', { takes: 5_000 }]))
    playUntil(world.create(), 'attempt.started a@1.3')
    world.tell(SIGINT)
    world.live.clear()
    const failure = { code: 'exit_nonzero', message: 'three', source: 'command' } as const
    world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.3', outcome: { failure, duration_ms: 1 } })
    expect(results(world)).toEqual({ a: 'failure' })
    expect(asked(world)).toEqual([])
  })

  test('when its last attempt used up the budget', async () => {
    const last: Answer = { fail: 'three', cost: { usd: 2, source: 'reported' } }
    const world = await play(pipeline(retry, `${summaries}\nbudget: { usd: 1 }`), failing(['one', 'two', last]))
    expect(world.events('node.finished')[0]!.failure?.message).toBe('three')
    expect(asked(world)).toEqual([])
  })

  test('when there is no attempt left to make', async () => {
    const world = await play(pipeline(retry, `${summaries}\nbudget: { attempts: 2 }`), failing(['one', 'two']))
    expect(world.finished.failure?.code).toBe('budget_exhausted')
    expect(asked(world)).toEqual([])
  })
})

describe('what comes of it', () => {
  const usage = { input: 30, cache_read: 0, cache_write: 0, output: 10 }
  const cost = { usd: 0.25, source: 'computed' } as const

  test.each([
    ['a text', { notes: 'text', usage, cost }, done],
    ['no text', { usage, cost }, ['summary.started a', 'summary.failed a']],
    ['a failure', { notes: 'half', fail: 'network', usage, cost }, ['summary.started a', 'summary.failed a']],
  ])('%s: its spend counts for the node, the run and the budgets', async (_, gives, lines) => {
    const world = await play(pipeline(retry, `${summaries}\nbudget: { usd: 1 }`), failing(['one', 'two'], gives))
    expect(asked(world)).toEqual(lines)
    expect(world.events('node.finished')[0]!.rollup).toMatchObject({
      cost_usd: 0.25,
      tokens: { input: 30, output: 10 },
    })
    expect(world.finished.totals).toMatchObject({ cost_usd: 0.25 })
    expect(world.state.budgets.get('')).toMatchObject({ usd: 0.25, tokens: 40 })
    expect(results(world)).toEqual({ a: 'failure' })
  })

  test('one that uses up the budget changes no result', async () => {
    const world = await play(
      `${summaries}\nbudget: { usd: 0.2 }\nnodes: [{ id: a, run: x, ${retry} }, { id: b, needs: [], wait: { for: 1h } }]`,
      failing(['one', 'two'], { notes: 'text', cost }),
    )
    expect(world.events('node.finished', 'a')[0]!.failure).toMatchObject({ message: 'two' })
    expect(world.events('budget.exceeded')).toHaveLength(1)
  })

  test('a second outcome is stale', async () => {
    const world = await play(pipeline(), failing(['one', 'two']))
    expect(world.tell({ type: 'summary.outcome', id: 'a@1#summary', text: 'x' })).toMatchObject({ refused: 'stale' })
  })

  test('a cancel ends it; the failure stands', async () => {
    const world = await worldOf(pipeline(), (command, w) =>
      command.kind === 'summary' ? undefined : failing(['one', 'two'])(command, w),
    )
    playUntil(world.create(), 'summary.started').tell(SIGINT)
    expect(asked(world.play())).toEqual(['summary.started a', 'summary.failed a'])
    expect(results(world)).toEqual({ a: 'failure' })
  })

  test('a crash: it is asked for again, no attempt is', async () => {
    const world = await worldOf(pipeline(), failing(['one', 'two']))
    const next = killed(playUntil(world.create(), 'summary.started'))
    next.tell({ type: 'resume' })
    expect(asked(next.play())).toEqual(['summary.started a', ...done])
    expect(attempts(next)).toHaveLength(3)
  })
})
