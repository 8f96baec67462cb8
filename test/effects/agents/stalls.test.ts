// How an agent gets stuck, told apart: each with a real process that does it.
import { describe, expect, test } from 'vitest'
import type { AgentSpec, Stalls } from '../../../src/core/agent.ts'
import { ofType, until } from '../support.ts'
import { AGENT_SPEC, agentBench, fakeAdapter, type AgentOptions, type Line } from './support.ts'

const stalls = (more: Partial<Stalls>): Partial<AgentSpec> => ({ stalls: { ...AGENT_SPEC.stalls, ...more } })
const AT = Date.UTC(2026, 0, 1)
const told: Line = { type: 'session', id: 's' }

/** The same tool call, or one after another that differ. */
const tools = (count: number, differ: 'no' | 'input' | 'output', ok = true): Line[] =>
  Array.from({ length: count }, (_, i): Line[] => [
    {
      type: 'tool.started',
      id: `t${i}`,
      name: 'Bash',
      input: { command: differ === 'input' ? `ls ${i}` : 'ls' },
      at: AT,
    },
    {
      type: 'tool.finished',
      id: `t${i}`,
      ok,
      output: differ === 'output' ? `out ${i}` : 'same',
      ...(!ok && { error: 'no such file' }),
      at: AT,
    },
  ]).flat()

describe('stalls', () => {
  test('an agent that says nothing since its start is hung at start', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([], { spec: stalls({ start_ms: 150 }), fake: { HANG: 'start' } })
    expect(outcome.failure).toMatchObject({
      code: 'stalled',
      source: 'agent',
      message: 'claude hung at start (it said nothing for 150ms) and was ended',
      details: { stall: 'hung at start' },
    })
    expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'hung at start', action: 'end' }])
  })

  test('with `wait` a slow start is only put on record, once', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([told, { type: 'result', text: 'ok' }], {
      spec: stalls({ start_ms: 50, start: 'wait' }),
      fake: { DELAY_MS: '300' },
    })
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'hung at start', action: 'wait' }])
  })

  test('an agent that falls silent is ended for it', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([told], { node: { stall_timeout_ms: 800 }, fake: { HANG: 'end' } })
    expect(outcome.failure).toMatchObject({ code: 'stalled', details: { stall: 'silence', session_id: 's' } })
    expect(outcome.failure?.message).toMatch(/^claude wrote nothing for \d+ms and was ended$/)
    expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'silence', action: 'end' }])
  })

  test('with `wait` a silence is told once and anew after it spoke', async () => {
    const { start } = agentBench(fakeAdapter())
    const started = start([told, told, told], {
      node: { stall_timeout_ms: 100 },
      spec: stalls({ silence: 'wait' }),
      fake: { DELAY_MS: '400', HANG: 'end' },
    })
    await until(() => ofType(started.observed, 'stall.detected').length >= 3)
    started.running.stop({ code: 'canceled', message: 'enough', now: true })
    const { observed, outcome } = await started.done
    expect(outcome.failure?.code).toBe('canceled')
    for (const stall of ofType(observed, 'stall.detected'))
      expect(stall).toMatchObject({ reason: 'silence', action: 'wait' })
  })

  test('output keeps it from being silent, whatever it is', async () => {
    const { run } = agentBench(fakeAdapter())
    const noise = Array.from({ length: 12 }, () => 'no json')
    const { outcome, observed } = await run([told, ...noise, { type: 'result', text: 'ok' }], {
      node: { stall_timeout_ms: 1_000 },
      fake: { DELAY_MS: '100' },
    })
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'stall.detected')).toEqual([])
  })

  test('the same tool call with the same result again and again is no progress', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([told, ...tools(3, 'no')], {
      spec: stalls({ loop_repeats: 3 }),
      fake: { HANG: 'end' },
    })
    expect(outcome.failure).toMatchObject({
      code: 'stalled',
      message:
        'claude made no progress: it made the same tool call with the same result 3 times in a row and was ended',
      details: { stall: 'no progress', last_tool: { name: 'Bash' } },
    })
    expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'no progress', action: 'end' }])
  })

  test.each(['input', 'output'] as const)('a different %s each time is progress', async (differ) => {
    const { run } = agentBench(fakeAdapter())
    const lines: Line[] = [told, ...tools(5, differ), { type: 'result', text: 'ok' }]
    const { outcome } = await run(lines, { spec: stalls({ loop_repeats: 3 }) })
    expect(outcome.failure).toBeUndefined()
  })

  test('the same error of different calls is no progress either', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run([told, ...tools(4, 'input', false)], {
      spec: stalls({ loop_repeats: 4 }),
      fake: { HANG: 'end' },
    })
    expect(outcome.failure?.message).toBe(
      'claude made no progress: it got the same error 4 times in a row and was ended',
    )
  })

  test('a client that asks its provider again and again has twice the patience; refused credentials stay what they are', async () => {
    const { run } = agentBench(fakeAdapter())
    const retry = (errorClass: 'auth' | 'network') =>
      Array.from({ length: 6 }, (_, i): Line => ({ type: 'retry', message: `Reconnecting ${i}/5: 401`, errorClass }))
    const options: AgentOptions = { spec: stalls({ loop_repeats: 3 }), fake: { HANG: 'end' } }
    const network = await run([told, ...retry('network')], options)
    expect(network.outcome.failure).toMatchObject({ code: 'stalled', details: { error_class: 'network' } })
    const auth = await run([told, ...retry('auth')], { ...options, attempt: { attempt: 2, id: 'build@1.2' } })
    expect(auth.outcome.failure?.code).toBe('auth_failed')
    const few = await run([told, ...retry('auth').slice(1), { type: 'result', text: 'ok' }], {
      spec: stalls({ loop_repeats: 3 }),
      attempt: { attempt: 3, id: 'build@1.3' },
    })
    expect(few.outcome.failure).toBeUndefined()
    expect(few.record().retries).toBe(5)
  })

  test('with `wait` a circle is only put on record', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([told, ...tools(9, 'no'), { type: 'result', text: 'ok' }], {
      spec: stalls({ loop_repeats: 3, loop: 'wait' }),
    })
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'no progress', action: 'wait' }])
  })

  test.each(['', 'ignore', '0'])(
    'a result is final: a process that lives on after it is ended, and the result counts (TERM: %s)',
    async (term) => {
      const exits: unknown[] = []
      const { run } = agentBench(fakeAdapter({ exits: exits as never[] }))
      const { outcome, observed, record } = await run([told, { type: 'result', text: 'All done.' }], {
        spec: stalls({ linger_ms: 100 }),
        node: { grace_ms: 200 },
        fake: { HANG: 'end', ...(term && { TERM: term }) },
      })
      expect(outcome.failure).toBeUndefined()
      expect(record()).toMatchObject({ status: 'ok', final_text: 'All done.' })
      expect(exits).toMatchObject([{ ended: 'result' }])
      expect(ofType(observed, 'stall.detected')).toMatchObject([{ reason: 'result seen but alive', action: 'end' }])
    },
  )

  test('another answer after a result puts off its end', async () => {
    const { run } = agentBench(fakeAdapter())
    const later = Array.from({ length: 12 }, (_, i): Line => ({ type: 'text', text: `more ${i}` }))
    const lines: Line[] = [told, { type: 'result', text: 'first' }, ...later, { type: 'result', text: 'second' }]
    const { outcome, record } = await run(lines, { spec: stalls({ linger_ms: 1_000 }), fake: { DELAY_MS: '100' } })
    expect(outcome.failure).toBeUndefined()
    expect(record().final_text).toBe('second')
  })

  test('a timeout after the result is no failure', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, record } = await run([told, { type: 'result', text: 'ok' }], {
      node: { timeout_ms: 600 },
      fake: { HANG: 'end' },
    })
    expect(outcome.failure).toBeUndefined()
    expect(record().status).toBe('ok')
  })
})
