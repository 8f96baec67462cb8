// Limits of a provider that name their end, money that must be measurable, reservations: with a client that runs into them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AgentRequest } from '../../../src/effects/agents/adapter.ts'
import { resumesAt } from '../../../src/effects/agents/limits.ts'
import { maskOf, ofType, until } from '../support.ts'
import { AGENT_SPEC, agentBench, FAKE, fakeAdapter, type Line } from './support.ts'

const tokens = { input: 100, cache_read: 0, cache_write: 0, output: 50 }
const session: Line = { type: 'session', id: 'conversation-1' }
const totals: Line = { type: 'totals', totals: { ...tokens, cost_usd: 0.01 } }
const call: Line = { type: 'call', id: 'c1', endedAt: 0, tokens, usd: 0.01 }
const limited = (resetsAt?: number): Line => ({
  verdict: {
    status: 'limit',
    errorClass: 'rate_limit',
    message: 'Usage limit reached for key sesame-open-now',
    usageComplete: true,
    ...(resetsAt !== undefined && { resetsAt }),
  },
})

/** A client that meets a limit at its first start and works at its second. */
function limitedOnce(requests: AgentRequest[]) {
  return fakeAdapter({
    requests,
    launch: ({ launch }) =>
      launch === 1
        ? {}
        : {
            file: 'sh',
            args: ['-c', `cat > /dev/null; echo '${JSON.stringify(call)}'; echo '{"type":"result","text":"done"}'`],
          },
  })
}

describe('a limit with a known end', () => {
  test('is waited for in the same attempt, which then goes on with its conversation', async () => {
    const requests: AgentRequest[] = []
    const { run } = agentBench(limitedOnce(requests), { mask: maskOf('sesame-open-now') })
    const lines = [session, call, totals, limited(Date.now() - 60_000)]
    const { outcome, waits, record, observed, file } = await run(lines, { node: { timeout_ms: 30_000 } })
    expect(outcome).toMatchObject({ usage: { input: 200 }, cost: { usd: 0.02 }, session: { id: 'conversation-1' } })
    expect(outcome.failure).toBeUndefined()
    expect(waits).toMatchObject([
      { failure: { code: 'rate_limited', source: 'provider', message: 'claude: Usage limit reached for key ***' } },
    ])
    expect(requests).toMatchObject([
      { launch: 1, session: undefined },
      { launch: 2, session: { id: 'conversation-1', agent: 'claude', totals: { cost_usd: 0.01 } } },
    ])
    expect(requests[1]!.prompt).toMatch(/^The limit that stopped you is over[^]*Do it\.\n$/)
    expect(requests[1]!.newSessionId).not.toBe(requests[0]!.newSessionId)
    expect(record()).toMatchObject({ status: 'ok', final_text: 'done', turns: 2 })
    // Ids begin anew with a launch: these are two requests.
    const calls = ofType(observed, 'model.called')
    expect(calls.map((event) => event.response_id)).toEqual(['c1', 'c1#2'])
    expect(new Set(calls.map((event) => event.span_id)).size).toBe(2)
    expect(file('transcript.ndjson')).toContain('"done"')
  })

  test('is what the attempt fails with when it may not wait', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, waits } = await run([session, limited(Date.now() + 3_600_000)], { mayWait: false })
    expect(waits).toHaveLength(1)
    expect(outcome.failure).toMatchObject({ code: 'rate_limited', details: { error_class: 'rate_limit' } })
  })

  test('a cancel ends the wait', async () => {
    const { start } = agentBench(fakeAdapter())
    const started = start([session, call, limited(Date.now() + 3_600_000)])
    await until(() => started.waits.length === 1)
    started.running.stop({ code: 'canceled', message: 'canceled by SIGINT', now: false })
    const { outcome, record } = await started.done
    expect(outcome).toMatchObject({
      failure: { code: 'canceled' },
      cost: { usd: 0.01 },
      session: { id: 'conversation-1' },
    })
    expect(record()).toMatchObject({ status: 'limit', error_class: 'rate_limit' })
  })

  test('is not waited for while there is another agent to ask', async () => {
    const { run } = agentBench(fakeAdapter())
    const fallback = [{ use: 'codex' as const, args: [] }]
    const { outcome, waits } = await run([limited(Date.now())], { spec: { fallback } })
    expect(waits).toEqual([])
    expect(outcome.failure?.code).toBe('rate_limited')
  })

  test('without a reset time it is a failure like any other', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, waits } = await run([limited()])
    expect(waits).toEqual([])
    expect(outcome.failure?.code).toBe('rate_limited')
  })

  test('a reset time counts for limits only, and one that has passed means soon', () => {
    const at = { usageComplete: true, resetsAt: 5_000 }
    expect(resumesAt({ status: 'limit', ...at }, false, 0)).toBe(5_000)
    expect(resumesAt({ status: 'error', errorClass: 'overloaded', ...at }, false, 90_000)).toBe(91_000)
    expect(resumesAt({ status: 'limit', ...at }, true, 0)).toBeUndefined()
    expect(resumesAt({ status: 'error', errorClass: 'auth', ...at }, false, 0)).toBeUndefined()
    expect(resumesAt({ status: 'limit', usageComplete: true, resetsAt: Number.NaN }, false, 0)).toBeUndefined()
  })
})

const left = { attempt: { left: { usd: 1 } } }

describe('an enforced budget in dollars', () => {
  test('is not spent on a model whose price nobody knows', async () => {
    const { run, bench } = agentBench(fakeAdapter({ reportsCost: false }))
    const { outcome } = await run([call], {
      ...left,
      spec: { model: 'mystery-1' },
      fake: { COUNT: join(bench.cwd, 'count') },
    })
    expect(outcome.failure).toMatchObject({ code: 'config_invalid', details: { model: 'mystery-1' } })
    expect(outcome.failure?.message).toMatch(/cannot be measured.*mystery-1.*`prices:`.*`mode: audit`/)
    expect(() => readFileSync(join(bench.cwd, 'count'))).toThrow('ENOENT')
  })

  test('the pipeline may give the price', async () => {
    const { run } = agentBench(fakeAdapter({ reportsCost: false }), {
      prices: { 'mystery-1': { input: 10, output: 20 } },
    })
    const priced: Line = { type: 'call', endedAt: 0, tokens }
    const { outcome, observed } = await run([priced, { type: 'result' }], { ...left, spec: { model: 'mystery-1' } })
    expect(outcome).toMatchObject({ cost: { usd: 0.002, source: 'computed' } })
    expect(ofType(observed, 'model.called')).toMatchObject([{ cost: { usd: 0.002, source: 'computed' } }])
  })

  test('the first request to a model without a price ends the attempt', async () => {
    const { run } = agentBench(fakeAdapter())
    const unpriced: Line = { type: 'call', endedAt: 0, model: 'mystery-2', tokens }
    const { outcome } = await run([session, unpriced], { ...left, fake: { HANG: 'end' } })
    expect(outcome.failure).toMatchObject({ code: 'config_invalid' })
    expect(outcome.failure?.message).toContain('mystery-2')
    expect(outcome.cost).toEqual({ usd: null, source: 'unknown' })
  })

  test('without one an unknown price is only unknown', async () => {
    const { run } = agentBench(fakeAdapter({ reportsCost: false }))
    const { outcome } = await run([{ type: 'call', endedAt: 0, tokens }, { type: 'result' }], {
      spec: { model: 'mystery-1' },
    })
    expect(outcome.failure).toBeUndefined()
    expect(outcome.cost).toEqual({ usd: null, source: 'unknown' })
  })
})

describe('a client that asks before it spends', () => {
  const script = `read -r first; echo '{"type":"reserve","id":"r1","usd":0.5}'; read -r answer; printf '{"type":"result","text":"%s"}\\n' "$(printf '%s' "$answer" | tr -d '"')"`
  const adapter = fakeAdapter({
    launch: ({ prompt }) => ({ file: 'sh', args: ['-c', script], stdin: prompt, dialogue: true }),
  })

  test('is told that it may', async () => {
    const { record, reserved } = await agentBench(adapter).run([])
    expect(reserved).toEqual([{ usd: 0.5 }])
    expect(record().final_text).toBe('{type:grant,id:r1}')
  })

  test('or why not', async () => {
    const { record } = await agentBench(adapter).run([], { reserve: 'the budget is used up' })
    expect(record().final_text).toBe('{type:refuse,id:r1,reason:the budget is used up}')
  })
})

describe('a client that spends without asking', () => {
  const tool = { type: 'tool.started', id: 't1', name: 'shell', input: {}, at: 0 } as const
  const done = (id: string): Line => ({ type: 'tool.finished', id, ok: true, output: '', at: 0 })
  const priced: Line = { type: 'call', endedAt: 0, tokens, usd: 0.25 }

  test('reserves what its last request cost when that asks for tools, and ends when it does not fit', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, reserved } = await run([session, { ...priced, finishReason: 'tool_use' }, tool], {
      ...left,
      reserve: 'The budget of the run has $0.10 left',
      fake: { HANG: 'end' },
    })
    expect(reserved).toEqual([{ usd: 0.25, unasked: true }])
    expect(outcome.failure).toMatchObject({ code: 'budget_exhausted', message: 'The budget of the run has $0.10 left' })
    expect(outcome.cost).toEqual({ usd: 0.25, source: 'reported' })
  })

  test('once for each request, whichever comes first, the tool or what the request cost', async () => {
    const { run } = agentBench(fakeAdapter())
    const lines: Line[] = [
      session,
      tool,
      priced,
      { ...tool, id: 't2' },
      done('t1'),
      done('t2'),
      priced,
      { type: 'result' },
    ]
    expect((await run(lines, left)).reserved).toEqual([{ usd: 0.25, unasked: true }])
  })

  test('nothing before its end, or without a budget', async () => {
    const { run } = agentBench(fakeAdapter())
    expect((await run([session, priced, { type: 'result' }], left)).reserved).toEqual([])
    expect((await run([session, priced, tool, done('t1'), { type: 'result' }])).reserved).toEqual([])
  })
})

test('a limit that a client does not keep by itself ends it', async () => {
  const lines: Line[] = [
    session,
    { verdict: { status: 'limit', errorClass: 'max_turns' } },
    { type: 'limit', errorClass: 'max_turns' },
  ]
  const { outcome } = await agentBench(fakeAdapter()).run(lines, {
    fake: { HANG: 'end' },
    spec: { ...AGENT_SPEC, program: FAKE },
  })
  expect(outcome.failure).toMatchObject({ code: 'turn_limit', message: 'claude: it reached its limit of turns' })
})
