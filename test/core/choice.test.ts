// Who does an attempt of an agent: first choice, fallback, escalation; which conversation it goes on with.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentSpec } from '../../src/core/agent.ts'
import { agentFor } from '../../src/core/choose-agent.ts'
import type { RunAttempt } from '../../src/core/commands.ts'
import { FAILURE_CODES } from '../../src/core/failure.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { attempts, killed, play, playUntil, results, visits, worldOf } from '../support/play.ts'
import type { Answer, World } from '../support/world.ts'

const agentNode = (more: string, beside = ''): string =>
  `nodes: [{ id: a, agent: { use: claude, model: small, prompt: p${more && `, ${more}`} }${beside && `, ${beside}`} }]`
const retry = 'retry: { max_attempts: 6, initial: 1s }'

/** `claude/small`, `codex fallback` … of each attempt in order. */
const who = (world: World): string[] =>
  world
    .events('attempt.started')
    .map(({ agent, model, chosen }) => `${agent}${model ? `/${model}` : ''}${chosen ? ` ${chosen}` : ''}`)

describe('escalation', () => {
  const escalate = 'escalate: { model: large, after: 2 }'

  test('given two failed attempts, the third is done by the stronger model', async () => {
    const specs: (AgentSpec | undefined)[] = []
    const world = await play(agentNode(escalate, retry), {
      a: (command) => (specs.push(command.agent), command.attempt < 4 ? 'boom' : 'ok'),
    })
    expect(who(world)).toEqual(['claude/small', 'claude/small', 'claude/large escalation', 'claude/large escalation'])
    expect(specs.map((spec) => spec?.model)).toEqual(['small', 'small', 'large', 'large'])
    expect(specs[2]).toMatchObject({ use: 'claude', prompt: 'p', permission: 'workspace' })
  })

  test('given an earlier visit that failed, its attempts count; those of a visit that succeeded do not', async () => {
    const loop = 'routes: [{ when: nodes.a.visits < 4, to: a }]'
    const world = await play(agentNode('escalate: { model: large, after: 3 }', `retry: 2, ${loop}`), {
      a: ({ id }) => (['a@1.1', 'a@2.1', 'a@2.2', 'a@3.1'].includes(id) ? 'boom' : 'ok'),
    })
    expect(attempts(world)).toEqual(['a@1.1', 'a@1.2', 'a@2.1', 'a@2.2', 'a@3.1', 'a@3.2', 'a@4.1'])
    expect(who(world).map((each) => each.includes('large'))).toEqual([false, false, false, false, false, true, false])
  })

  test('a lost attempt is no failure', async () => {
    const world = await worldOf(agentNode('escalate: { model: large, after: 1 }', retry), {
      a: ({ attempt }) => (attempt === 1 ? undefined : attempt === 2 ? 'boom' : 'ok'),
    })
    const next = killed(world.create())
    next.tell({ type: 'resume' })
    expect(who(next.play())).toEqual(['claude/small', 'claude/small', 'claude/large escalation'])
  })
})

describe('fallback', () => {
  const both = 'fallback: [{ use: codex }, { model: tiny }]'

  test.each(['rate_limited', 'provider_unavailable', 'network'])(
    'given %s without a retry policy, the next one takes over at once',
    async (code) => {
      const world = await play(agentNode(both), { a: [code, code, 'ok'] })
      expect(who(world)).toEqual(['claude/small', 'codex fallback', 'claude/tiny fallback'])
      expect(world.finished.result).toBe('success')
      expect(world.events('retry.scheduled').map((event) => [event.delay_ms, event.max, event.fallback])).toEqual([
        [0, 2, true],
        [0, 3, true],
      ])
      expect(world.events('attempt.started').map((event) => event.max)).toEqual([1, 2, 3])
    },
  )

  test('past the last one the failure stands', async () => {
    const world = await play(agentNode(both), { a: () => 'network' })
    expect(attempts(world)).toHaveLength(3)
    expect(world.finished.failure?.code).toBe('network')
    expect(world.events('node.finished')[0]).toMatchObject({ retry_count: 2 })
  })

  test('uses no attempt of the retry policy, and stays for the rest of the visit', async () => {
    const world = await play(agentNode('fallback: [{ use: codex }]', 'retry: { max_attempts: 3, initial: 1s }'), {
      a: ['boom', 'rate_limited', 'boom', 'boom', 'ok'],
    })
    expect(who(world)).toEqual(['claude/small', 'claude/small', 'codex fallback', 'codex fallback'])
    expect(world.events('retry.scheduled').map((event) => event.fallback ?? false)).toEqual([false, true, false])
    expect(world.finished.result).toBe('failure')
  })

  test.each(['auth_failed', 'boom', 'timed_out'])('%s calls for nobody else', async (code) => {
    expect(attempts(await play(agentNode(both), { a: () => code }))).toHaveLength(1)
  })

  test('an agent is told who is left after it', async () => {
    const left: (number | undefined)[] = []
    await play(agentNode(both), { a: (command) => (left.push(command.agent?.fallback.length), 'rate_limited') })
    expect(left).toEqual([2, 1, 0])
  })

  test('a new visit begins with the first choice; a used-up budget starts nobody', async () => {
    const world = await play(agentNode('fallback: [{ use: codex }]', 'routes: [{ when: nodes.a.visits < 2, to: a }]'), {
      a: ['network', 'ok'],
    })
    expect(visits(world)).toEqual(['a@1', 'a@2'])
    expect(who(world)).toEqual(['claude/small', 'codex fallback', 'claude/small', 'codex fallback'])
    const poor = await play(`budget: { attempts: 1 }\n${agentNode('fallback: [{ use: codex }]')}`, { a: ['network'] })
    expect(attempts(poor)).toHaveLength(1)
    expect(poor.finished.failure?.code).toBe('budget_exhausted')
  })

  test('the place among the fallbacks is kept over a crash', async () => {
    const world = await worldOf(agentNode(both), { a: ({ attempt }) => (attempt === 2 ? undefined : 'rate_limited') })
    const next = killed(playUntil(world.create(), 'attempt.started a@1.2'))
    next.tell({ type: 'resume' })
    expect(who(next.play())).toEqual(['claude/small', 'codex fallback', 'codex fallback', 'claude/tiny fallback'])
  })
})

describe('who it is', () => {
  const spec = { use: 'claude', model: 'm', args: ['--x'], prompt: 'p', fallback: [] } as unknown as AgentSpec

  test('nothing of the first choice is left when another agent takes over', () => {
    const other = { use: 'api', args: [], provider: 'openai' } as const
    expect(agentFor({ ...spec, fallback: [other] }, ['network'])).toMatchObject({
      spec: { use: 'api', args: [], provider: 'openai', model: undefined, prompt: 'p' },
    })
  })

  test('is always one of those that are named; without failures the first', () => {
    const fallback = [
      { use: 'codex', args: [] },
      { use: 'gemini', args: [] },
    ] as const
    const full: AgentSpec = { ...spec, fallback, escalate: { use: 'api', args: [], after: 2 } }
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...FAILURE_CODES), { maxLength: 8 }), (failures) => {
        const { spec: got, chosen } = agentFor(full, failures)
        if (failures.length === 0) expect(got.use).toBe('claude')
        expect(
          { claude: undefined, codex: 'fallback', gemini: 'fallback', api: 'escalation' }[got.use as 'claude'],
        ).toBe(chosen)
        expect(got.fallback.length + Number(got.use === 'codex')).toBeLessThanOrEqual(2)
      }),
    )
  })

  test('the model is on record with its expressions filled', async () => {
    const world = await play(
      'params: { m: { type: string, default: large } }\nnodes: [{ id: a, agent: { use: codex, model: "${{ params.m }}", prompt: p } }, { id: b, run: x }]',
    )
    expect(who(world)).toEqual(['codex/large', 'undefined'])
  })
})

describe('conversations', () => {
  const totals = { input: 10, cache_read: 0, cache_write: 0, output: 5 }

  /** The session each attempt got. */
  function told(): {
    readonly sessions: unknown[]
    readonly answer: (of: (c: RunAttempt) => Answer) => (c: RunAttempt) => Answer
  } {
    const sessions: unknown[] = []
    return { sessions, answer: (of) => (command) => (sessions.push(command.session), of(command)) }
  }

  test('continue: a later attempt goes on with that of the one before, totals included', async () => {
    const { sessions, answer } = told()
    await play(agentNode('session: continue', `${retry}, routes: [{ when: nodes.a.visits < 2, to: a }]`), {
      a: answer(({ attempt }) => ({ session: { id: 's1', totals }, ...(attempt === 1 && { fail: 'boom' }) })),
    })
    const s1 = { id: 's1', agent: 'claude', totals }
    expect(sessions).toEqual([undefined, s1, s1, s1])
  })

  test('new: every attempt begins one', async () => {
    const { sessions, answer } = told()
    await play(agentNode('', retry), { a: answer(() => ({ session: { id: 's1' }, fail: 'boom' })) })
    expect(sessions).toEqual(Array.from({ length: 6 }, () => undefined))
  })

  test('an expression names that of another node; null begins one', async () => {
    const { sessions, answer } = told()
    const world = await play(
      'nodes: [{ id: a, agent: { use: claude, prompt: p } }, { id: b, agent: { use: claude, prompt: p, session: "${{ nodes.a.session }}" } }, { id: c, agent: { use: claude, prompt: p, session: "${{ nodes.d.session }}" } }, { id: d, run: x }, { id: e, when: nodes.a.session == "s1" && nodes.d.session == null, run: x }]',
      { a: [{ session: { id: 's1', totals } }], b: answer(() => ({})), c: answer(() => ({})) },
    )
    expect(sessions).toEqual([{ id: 's1', agent: 'claude', totals }, undefined])
    expect(results(world)['e']).toBe('success')
  })

  test('another agent does not go on with it', async () => {
    const { sessions, answer } = told()
    await play(agentNode('session: continue, fallback: [{ use: codex }, { model: tiny }]'), {
      a: answer(({ attempt }) => ({ session: { id: `s${attempt}` }, fail: 'network' })),
    })
    expect(sessions).toEqual([undefined, undefined, undefined])
  })

  test('is known from the progress of an attempt that was lost, and after checks', async () => {
    const { sessions, answer } = told()
    const world = await worldOf(agentNode('session: continue', 'checks: [{ name: c, run: x }], retry: 2'), (command) =>
      command.kind === 'check'
        ? { fail: 'boom' }
        : command.kind !== 'attempt'
          ? {}
          : command.attempt === 1
            ? undefined
            : answer(() => ({ session: { id: 's2', totals } }))(command),
    )
    world.create()
    const identity = { node: 'a', visit: 1, attempt: 1, attempt_id: 'a@1.1' }
    world.tell({
      type: 'attempt.observed',
      attempt_id: 'a@1.1',
      event: { type: 'attempt.progressed', ...identity, session: { id: 's1' } },
    })
    const next = killed(world)
    next.tell({ type: 'resume' })
    next.play()
    expect(sessions).toEqual([
      { id: 's1', agent: 'claude' },
      { id: 's2', agent: 'claude', totals },
    ])
    expect(next.events('attempt.finished').map((event) => event.session?.id)).toEqual(['s2', 's2'])
  })

  test('no more are remembered than the limit', async () => {
    const world = await worldOf(agentNode(''), () => undefined)
    world.create()
    const identity = { node: 'a', visit: 1, attempt: 1, attempt_id: 'a@1.1' }
    for (let i = 0; i < LIMITS.sessions + 3; i++)
      world.tell({
        type: 'attempt.observed',
        attempt_id: 'a@1.1',
        event: { type: 'attempt.progressed', ...identity, session: { id: `s${i}` } },
      })
    expect([...world.state.sessions.keys()].slice(0, 1)).toEqual(['s3'])
    expect(world.state.sessions.size).toBe(LIMITS.sessions)
  })
})
