// Claude Code as a node, the real client against a scripted provider: whatever the provider does, status, tokens and cost
// are what it knows to be true, limits hold, and no process is left.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/cli.ts'
import { AgentRun, type AgentNode } from './support/agent-run.ts'
import { clientFolder } from './support/clients.ts'
import type { ReceivedSpan } from './support/otlp-receiver.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'
import { processesOf } from './support/session.ts'

const MODEL = 'claude-sonnet-4-5'
const USAGE = { input: 50, output: 30, cacheRead: 500, cacheWrite: 7, reasoning: 5 }
/** List price of one such request. */
const USD = (50 * 3 + 500 * 0.3 + 7 * 3.75 + 35 * 15) / 1e6

/** As many requests with USAGE each. */
const spent = (requests: number, usd: number = USD * requests) => ({
  turns: requests,
  tokens: {
    input: 50 * requests,
    cache_read: 500 * requests,
    cache_write: 7 * requests,
    output: 35 * requests,
    reasoning: 5 * requests,
  },
  cost_usd: expect.closeTo(usd, 9) as number,
})
const OK = { cli: 'claude', cli_version: '2.1.329', model: MODEL, status: 'ok', usage_complete: true }
const NOTHING = { turns: 0, tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 } }

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })
const say = (text: string, more: Partial<Turn> = {}): Turn => ({ text, usage: USAGE, ...more })
const failing = (status: number, message = 'no', headers: Record<string, string> = {}): Turn => ({
  error: { status, message, headers },
})

let work: AgentRun
beforeAll(() => void clientFolder())
afterEach(async () => {
  const left = process.platform === 'linux' ? processesOf(work.session.env['HOME']!) : []
  await work.session.close()
  expect(left).toEqual([])
})

async function open(scenario: Scenario): Promise<AgentRun> {
  work = await AgentRun.open(scenario, {
    agent: { use: 'claude', model: MODEL, permission: 'full' },
    env: (session, id) => ({ ANTHROPIC_BASE_URL: `${session.provider.url}/k/${id}` }),
  })
  return work
}
async function run(scenario: Scenario, nodes?: readonly AgentNode[], keys = {}): Promise<AgentRun> {
  await open(scenario)
  await work.run(nodes, keys)
  return work
}

const spansOf = (name: string): ReceivedSpan[] =>
  work.session.receiver.spans.filter((span) => span.service === 'spanwright' && span.name === name)

test('an answer: what it said, used and cost, and a span for the request', async () => {
  await run({ turns: [say('All is well.')] })
  expect(work.record()).toMatchObject({ ...OK, ...spent(1), final_text: 'All is well.', cost_source: 'reported' })
  expect(work.final()).toMatchObject({ result: 'success' })
  expect(work.final().totals).toMatchObject({
    tokens: { input: 50, output: 35 },
    cost_usd: expect.closeTo(USD, 9) as number,
  })
  const [agent] = spansOf('invoke_agent claude')
  const [attempt] = spansOf('work attempt')
  const [chat] = spansOf(`chat ${MODEL}`)
  expect(agent).toMatchObject({ parentSpanId: attempt!.spanId, traceId: attempt!.traceId })
  expect(chat).toMatchObject({ parentSpanId: agent!.spanId, traceId: agent!.traceId })
  expect(chat!.attrs).toMatchObject({ 'gen_ai.usage.input_tokens': 557, 'gen_ai.usage.output_tokens': 35 })
})

test('tools: a command, one that fails, a file; they nest, and so does what they run', async () => {
  const write: Turn = { tools: [{ name: 'write', args: { path: 'made.txt', content: 'new\n' } }], usage: USAGE }
  await run({
    turns: [shell('echo "$((40 + 2))"; echo "$TRACEPARENT" > traceparent.txt'), shell('exit 3'), write, say('Done.')],
  })
  const { cwd } = work.session
  expect(readFileSync(path.join(cwd, 'made.txt'), 'utf8')).toBe('new\n')
  expect(work.record()).toMatchObject({
    ...OK,
    ...spent(4),
    tool_calls: [
      { name: 'Bash', ok: true, output_tail: '42' },
      { name: 'Bash', ok: false, exit_code: 3 },
      { name: 'Write', ok: true },
    ],
  })
  const [agent] = spansOf('invoke_agent claude')
  const inner = [...spansOf(`chat ${MODEL}`), ...spansOf('execute_tool Bash'), ...spansOf('execute_tool Write')]
  expect(inner).toHaveLength(7)
  expect(new Set(inner.map((span) => span.parentSpanId))).toEqual(new Set([agent!.spanId]))
  expect(readFileSync(path.join(cwd, 'traceparent.txt'), 'utf8')).toContain(`${agent!.traceId}-${agent!.spanId}`)
})

test('subagents: what they used is counted, their requests are seen', async () => {
  const agent = { description: 'look', prompt: 'Look.', subagent_type: 'general-purpose', run_in_background: false }
  const turns: Turn[] = [
    { tools: [{ name: 'Agent', args: agent }], usage: USAGE },
    shell('echo sub'),
    say('Found.'),
    say('Done.'),
  ]
  await run({ turns })
  expect(work.requests()).toHaveLength(4)
  expect(work.record()).toMatchObject({ ...OK, ...spent(4), final_text: 'Done.' })
  expect(work.events('model.called')).toHaveLength(4)
  expect(work.final().totals.cost_usd).toBeCloseTo(4 * USD, 9)
})

const REPEAT = 'repeat-last'
/** What the provider does, then `status`, `error_class` and failure code. */
const ERRORS: Readonly<Record<string, readonly [Turn, string, string, string]>> = {
  'bad-request': [failing(400, 'bad things'), 'error', 'bad_request', 'config_invalid'],
  unauthorized: [failing(401), 'error', 'auth', 'auth_failed'],
  forbidden: [failing(403), 'error', 'auth', 'auth_failed'],
  'no-model': [failing(404), 'error', 'not_found', 'config_invalid'],
  'too-large': [failing(413), 'error', 'context_length', 'context_overflow'],
  'too-long': [failing(400, 'prompt is too long: 9 tokens > 8 maximum'), 'error', 'context_length', 'context_overflow'],
  'too-many': [failing(429), 'limit', 'rate_limit', 'rate_limited'],
  'no-credit': [failing(400, 'Your credit balance is too low'), 'limit', 'quota', 'rate_limited'],
  broken: [failing(500), 'error', 'server', 'provider_unavailable'],
  overloaded: [{ error: { status: 529, type: 'overloaded_error' } }, 'error', 'overloaded', 'rate_limited'],
  'cut-off': [say('Half of it and a bit more', { truncate: true }), 'error', 'stream', 'provider_unavailable'],
  malformed: [say('Half of it', { malformed: true }), 'error', 'stream', 'provider_unavailable'],
  length: [say('Half of it', { stop: 'length' }), 'error', 'output_limit', 'agent_failed'],
  refused: [say('No.', { stop: 'refusal' }), 'error', 'content_filter', 'agent_failed'],
}

test('every way in which a provider refuses or fails', async () => {
  const keys = Object.fromEntries(
    Object.entries(ERRORS).map(([id, [turn]]) => [id, { turns: [turn], after: REPEAT }] as const),
  )
  const nodes: AgentNode[] = Object.keys(ERRORS).map((id) => ({ id, keys: { needs: [] } }))
  nodes.push(
    { id: 'no-provider', keys: { needs: [], env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' } } },
    { id: 'no-flag', agent: { args: ['--no-such-flag'] }, keys: { needs: [] } },
    { id: 'no-session', agent: { session: '01a1fefb-577b-4783-8024-5e7f2efbf8ff' }, keys: { needs: [] } },
  )
  await run({ keys }, nodes, { max_parallel: 3 })
  for (const [id, [, status, error_class, code]] of Object.entries(ERRORS)) {
    expect({ id, ...work.record(id) }).toMatchObject({ id, status, error_class, exit_code: 1 })
    expect([id, work.codes(id)]).toEqual([id, [code]])
  }
  expect([work.record('no-provider').error_class, work.codes('no-provider')]).toEqual(['network', ['network']])
  expect([work.record('no-flag').error_class, work.codes('no-flag')]).toEqual(['usage', ['config_invalid']])
  expect([work.record('no-session').error_class, work.codes('no-session')]).toEqual(['usage', ['config_invalid']])
  for (const id of ['bad-request', 'unauthorized', 'too-many', 'broken', 'no-provider'])
    expect(work.record(id)).toMatchObject({ ...NOTHING, cost_usd: 0, usage_complete: true })
  expect(work.record('length')).toMatchObject({ ...spent(work.requests('length').length), usage_complete: true })
  expect(work.record('refused')).toMatchObject({ ...spent(work.requests('refused').length), usage_complete: true })
  expect(work.record('cut-off')).toMatchObject({ usage_complete: false })
})

describe('limits', () => {
  // Side by side, as most of it is waiting.
  test('it tries again by itself, an attempt follows, turns end, tools bring nothing new', async () => {
    const keys = {
      trying: { turns: [failing(429, 'slow', { 'retry-after': '1' }), say('Well.')] },
      twice: { turns: [failing(429), failing(429), say('Well.')] },
      turns: { turns: [shell('echo again')], after: REPEAT } as const,
      circle: { turns: [shell('echo again')], after: REPEAT } as const,
      money: { turns: [shell('echo again')], after: REPEAT } as const,
    }
    const needs: string[] = []
    await run({ keys }, [
      { id: 'trying', keys: { needs } },
      { id: 'twice', keys: { needs, retry: { max_attempts: 2, initial: '10ms' } } },
      { id: 'turns', agent: { max_turns: 3 }, keys: { needs } },
      { id: 'circle', agent: { stalls: { repeats: 4 } }, keys: { needs } },
      { id: 'money', agent: { args: ['--max-budget-usd', String(USD * 1.5)] }, keys: { needs } },
    ])
    expect(work.record('trying')).toMatchObject({ ...OK, ...spent(1), retries: 1 })
    expect(work.requests('trying')).toHaveLength(2)
    const calls = work.events('model.called').filter((event) => event['node'] === 'trying')
    expect(calls.map((event) => event['error'] !== undefined)).toEqual([true, false])

    expect(work.codes('twice')).toEqual(['rate_limited', undefined])
    expect(work.record('twice', '1.2')).toMatchObject({ ...OK, ...spent(1) })

    const limit = { status: 'limit', usage_complete: true, exit_code: 1 }
    expect(work.requests('turns')).toHaveLength(3)
    expect(work.record('turns')).toMatchObject({ ...limit, ...spent(3), error_class: 'max_turns' })
    expect(work.codes('turns')).toEqual(['turn_limit'])
    expect(work.record('money')).toMatchObject({ ...limit, ...spent(2), error_class: 'budget' })
    expect(work.codes('money')).toEqual(['budget_exhausted'])

    expect(work.codes('circle')).toEqual(['stalled'])
    expect(work.events('stall.detected').map((event) => event['node'])).toEqual(['circle'])
  })

  test('a limit of the plan is waited for, then the conversation goes on', async () => {
    // Counted from the answer on.
    const resets = (): string => String(Math.floor(Date.now() / 1_000) + 4)
    const headers = {
      'retry-after': '1800',
      'anthropic-ratelimit-unified-status': 'rejected',
      get 'anthropic-ratelimit-unified-reset'() {
        return resets()
      },
      'anthropic-ratelimit-unified-representative-claim': 'five_hour',
      get 'anthropic-ratelimit-unified-5h-reset'() {
        return resets()
      },
    }
    const limited: Turn = { error: { status: 429, message: 'limit', headers } }
    await open({ turns: [shell('echo hi'), limited, say('Well.')] })
    await work.run([{}], {}, { env: { ANTHROPIC_API_KEY: undefined, CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-x' } })
    expect(work.events('attempt.waiting')).toMatchObject([{ failure: { code: 'rate_limited' } }])
    expect(work.codes()).toEqual([undefined])
    expect(work.record()).toMatchObject({ ...OK, ...spent(2), final_text: 'Well.' })
  })

  test('a budget: it ends before a request that has no room, or with the one that was on its way', async () => {
    const dear = { ...shell('echo again'), usage: { ...USAGE, output: 9_995 } }
    await run({ turns: [dear], after: REPEAT }, [{}], { budget: { usd: 0.2 } })
    const one = USD + (9_965 * 15) / 1e6
    expect(work.requests().length).toBeLessThanOrEqual(2)
    expect(work.codes()).toEqual(['budget_exhausted'])
    expect(work.final().totals.cost_usd).toBeGreaterThan(one - 1e-9)
    expect(work.final().totals.cost_usd).toBeLessThan(0.2 + one + 1e-9)
  })
})

describe('it is ended', () => {
  // Side by side, as most of it is waiting. Each has time enough for its first request on a busy machine.
  test('by its limits, whatever it hangs in, and by its own tools', async () => {
    const keys = {
      unanswered: { turns: [shell('echo hi'), { hang: true }] },
      silent: { turns: [shell('echo hi'), { hang: true }] },
      stalled: { turns: [say('Half of a longer text', { stall: true })] },
      'stuck-tool': { turns: [shell('nohup sleep 600 & sleep 600')] },
      terminated: { turns: [shell('kill -TERM $PPID; sleep 600')] },
      interrupted: { turns: [shell('kill -INT $PPID; sleep 600')] },
      shot: { turns: [shell('nohup sleep 600 & kill -9 $PPID; sleep 600')] },
    }
    const limits: Readonly<Record<string, object>> = {
      unanswered: { timeout: '15s' },
      silent: { stall_timeout: '10s' },
      stalled: { stall_timeout: '10s' },
      'stuck-tool': { timeout: '15s' },
    }
    const nodes = Object.keys(keys).map((id) => ({ id, keys: { needs: [], ...limits[id] } }))
    await run({ keys }, nodes)
    expect(Object.keys(keys).map((id) => [id, ...work.codes(id)])).toEqual([
      ['unanswered', 'timed_out'],
      ['silent', 'stalled'],
      ['stalled', 'stalled'],
      ['stuck-tool', 'timed_out'],
      ['terminated', 'signaled'],
      ['interrupted', 'agent_crashed'],
      ['shot', 'signaled'],
    ])
    const killed = { status: 'killed', usage_complete: false }
    for (const id of ['unanswered', 'silent', 'shot']) expect(work.record(id)).toMatchObject({ ...spent(1), ...killed })
    for (const id of ['stuck-tool', 'terminated', 'interrupted'])
      expect(work.record(id)).toMatchObject({ ...spent(1), status: 'killed' })
    // A lower bound of what it cost.
    expect(work.record('stalled')).toMatchObject({ ...killed, tokens: { input: 50, cache_read: 500 } })
    expect(work.record('terminated').exit_code).toBe(143)
    expect(work.record('interrupted').exit_code).toBe(0)
    expect(work.record('shot').signal).toBe('SIGKILL')
  })

  test('before it said anything, and after its result: the result counts', async () => {
    await open({ keys: { mute: { turns: [say('never')] }, lingers: { turns: [say('All is well.')] } } })
    const mute = { program: program('mute.sh', 'exec sleep 600'), stalls: { start: '1s' } }
    const lingers = { program: program('lingers.sh', 'claude "$@"; sleep 600'), stalls: { linger: '500ms' } }
    const nodes = [
      { id: 'mute', agent: mute },
      { id: 'lingers', agent: lingers, keys: { needs: [] } },
    ]
    await work.run(nodes, {}, { args: ['--skip-preflight'] })
    expect(work.codes('mute')).toEqual(['stalled'])
    expect(work.requests('mute')).toEqual([])
    expect(work.record('lingers')).toMatchObject({ ...OK, ...spent(1), final_text: 'All is well.' })
    expect(work.codes('lingers')).toEqual([undefined])
  })

  test('by a cancel of the run', async () => {
    await open({ turns: [shell('echo begun > begun.txt; sleep 600')] })
    const cli = work.start()
    await until(() => existsSync(path.join(work.session.cwd, 'begun.txt')))
    cli.kill('SIGINT')
    expect((await cli.ended).exitCode).toBe(130)
    expect(work.record()).toMatchObject({ ...spent(1), status: 'killed' })
  })
})

test('a later attempt goes on with the conversation: only what is new counts', async () => {
  const keys = { retry: { max_attempts: 2, initial: '10ms' }, checks: [{ name: 'there', run: 'test -e made.txt' }] }
  const turns = [shell('echo hi'), say('Done?'), shell('touch made.txt'), say('Done.')]
  await run({ turns }, [{ agent: { session: 'continue' }, keys }])
  expect(work.codes()).toEqual(['check_failed', undefined])
  expect(work.record('work', '1.2').session_id).toBe(work.record('work', '1.1').session_id)
  for (const attempt of ['1.1', '1.2']) expect(work.record('work', attempt)).toMatchObject({ ...OK, ...spent(2) })
  expect(work.final().totals.cost_usd).toBeCloseTo(4 * USD, 9)
})

test('a structured answer becomes outputs; without one the attempt fails', async () => {
  const output_schema = { type: 'object', properties: { answer: { type: 'integer' } }, required: ['answer'] }
  const answer: Turn = { tools: [{ name: 'StructuredOutput', args: { answer: 42 } }], usage: USAGE }
  const keys = { told: { turns: [answer] }, untold: { turns: [say('No idea.')], after: REPEAT } as const }
  await run({ keys }, [
    { id: 'told', agent: { output_schema, home: 'isolated' } },
    { id: 'untold', agent: { output_schema }, keys: { needs: [] } },
  ])
  expect(work.record('told')).toMatchObject({ ...OK, ...spent(1), structured: { answer: 42 } })
  expect(work.events('attempt.finished').find((event) => event['node'] === 'told')).toMatchObject({
    outputs: { answer: 42 },
  })
  expect(work.codes('untold')).toEqual(['invalid_output'])
})

test('permissions: what it may not do it does not do', async () => {
  const outside = path.join(temporaryDirectory(), 'outside.txt')
  const write = (file: string): Turn => ({
    tools: [{ name: 'write', args: { path: file, content: 'x' } }],
    usage: USAGE,
  })
  const keys = {
    read: { turns: [shell('touch read.txt'), write('read.txt'), say('I may not.')] },
    workspace: { turns: [write('inside.txt'), write(outside), shell('touch shell.txt'), say('Done.')] },
    listed: { turns: [shell('touch listed.txt'), shell('git --version'), say('Done.')] },
  }
  await run({ keys }, [
    { id: 'read', agent: { permission: 'read' }, keys: { allow_failure: true } },
    { id: 'workspace', agent: { permission: 'workspace' }, keys: { needs: [] } },
    { id: 'listed', agent: { permission: 'read', allowed_tools: ['Bash(git *)'] }, keys: { needs: [] } },
  ])
  const files = readdirSync(work.session.cwd)
  expect(files).toEqual(expect.arrayContaining(['inside.txt', 'shell.txt']))
  expect(files).not.toContain('read.txt')
  expect(files).not.toContain('listed.txt')
  expect(existsSync(outside)).toBe(false)
  expect(work.record('read')).toMatchObject({ status: 'denied', error_class: 'denied' })
  expect(work.codes('read')).toEqual(['agent_failed'])
  expect(work.record('workspace')).toMatchObject({ ...OK, tool_calls: [{ ok: true }, { ok: false }, { ok: true }] })
  expect(work.record('listed')).toMatchObject({ ...OK, tool_calls: [{ ok: false }, { ok: true }] })
})

/** A program of the test's own in the place of the client. */
function program(name: string, script: string): string {
  const file = path.join(work.session.cwd, name)
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that within 60 s')
}
