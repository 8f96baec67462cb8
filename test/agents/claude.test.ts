// Claude Code as a node, the real client against a scripted provider: whatever the provider does, status, tokens and cost
// are what it knows to be true, limits hold, and no process is left.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startCli, temporaryDirectory } from '../support/cli.ts'
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
  test('it tries again by itself: that is seen', async () => {
    await run({ turns: [failing(429, 'slow', { 'retry-after': '1' }), say('Well.')] })
    expect(work.record()).toMatchObject({ ...OK, ...spent(1), retries: 1 })
    expect(work.requests()).toHaveLength(2)
    expect(work.events('model.called').map((event) => event['error'] !== undefined)).toEqual([true, false])
  })

  test('a rate limit, then ok: the second attempt', async () => {
    await run({ turns: [failing(429), failing(429), say('Well.')] }, [
      { keys: { retry: { max_attempts: 2, initial: '10ms' } } },
    ])
    expect(work.codes()).toEqual(['rate_limited', undefined])
    expect(work.record('work', '1.2')).toMatchObject({ ...OK, ...spent(1) })
  })

  test('a limit of the plan is waited for, then the conversation goes on', async () => {
    const resets = String(Math.floor(Date.now() / 1_000) + 4)
    const limited = failing(429, 'limit', {
      'retry-after': '1800',
      'anthropic-ratelimit-unified-status': 'rejected',
      'anthropic-ratelimit-unified-reset': resets,
      'anthropic-ratelimit-unified-representative-claim': 'five_hour',
      'anthropic-ratelimit-unified-5h-reset': resets,
    })
    await open({ turns: [shell('echo hi'), limited, say('Well.')] })
    await work.run([{}], {}, { env: { ANTHROPIC_API_KEY: undefined, CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-x' } })
    expect(work.events('attempt.waiting')).toMatchObject([{ failure: { code: 'rate_limited' } }])
    expect(work.codes()).toEqual([undefined])
    expect(work.record()).toMatchObject({ ...OK, ...spent(2), final_text: 'Well.' })
  })

  test('turns', async () => {
    await run({ turns: [shell('echo again')], after: REPEAT }, [{ agent: { max_turns: 3 } }])
    expect(work.requests()).toHaveLength(3)
    expect(work.record()).toMatchObject({
      ...spent(3),
      status: 'limit',
      error_class: 'max_turns',
      usage_complete: true,
    })
    expect(work.codes()).toEqual(['turn_limit'])
  })

  test('endless tools that bring nothing new', async () => {
    await run({ turns: [shell('echo again')], after: REPEAT }, [{ agent: { stalls: { repeats: 4 } } }])
    expect(work.codes()).toEqual(['stalled'])
    expect(work.events('stall.detected')).toHaveLength(1)
  })

  test('money: it spends one request more than it has', async () => {
    const dear = { ...shell('echo again'), usage: { ...USAGE, output: 9_995 } }
    await run({ turns: [dear], after: REPEAT }, [{}], { budget: { usd: 0.2 } })
    const one = USD + (9_965 * 15) / 1e6
    expect(work.requests().length).toBeLessThanOrEqual(3)
    expect(work.codes()).toEqual(['budget_exhausted'])
    expect(work.final().totals.cost_usd).toBeGreaterThan(0.2)
    expect(work.final().totals.cost_usd).toBeLessThan(0.2 + one + 1e-9)
  })
})

describe('it is ended', () => {
  test.each([
    ['at its timeout', { timeout: '4s' }, 'timed_out'],
    ['when it is silent', { stall_timeout: '3s' }, 'stalled'],
  ])('waiting for a provider that never answers, %s', async (_, keys, code) => {
    await run({ turns: [shell('echo hi'), { hang: true }] }, [{ keys }])
    expect(work.record()).toMatchObject({ ...spent(1), status: 'killed', usage_complete: false })
    expect(work.codes()).toEqual([code])
  })

  test('in a stream that falls silent: a lower bound of what it cost', async () => {
    await run({ turns: [say('Half of a longer text', { stall: true })] }, [{ keys: { stall_timeout: '3s' } }])
    expect(work.record()).toMatchObject({
      status: 'killed',
      usage_complete: false,
      tokens: { input: 50, cache_read: 500 },
    })
    expect(work.codes()).toEqual(['stalled'])
  })

  test('before it said anything', async () => {
    await open({ turns: [say('never')] })
    await work.run(
      [{ agent: { program: program('exec sleep 600'), stalls: { start: '1s' } } }],
      {},
      { args: ['--skip-preflight'] },
    )
    expect(work.codes()).toEqual(['stalled'])
    expect(work.requests()).toEqual([])
  })

  test('in a tool, with what the tool left running', async () => {
    await run({ turns: [shell('nohup sleep 600 & sleep 600')] }, [{ keys: { timeout: '4s' } }])
    expect(work.record()).toMatchObject({ ...spent(1), status: 'killed' })
    expect(work.codes()).toEqual(['timed_out'])
  })

  test('by its own tool, with SIGKILL', async () => {
    await run({ turns: [shell('nohup sleep 600 & kill -9 $PPID; sleep 600')] })
    expect(work.record()).toMatchObject({ ...spent(1), status: 'killed', signal: 'SIGKILL', usage_complete: false })
    expect(work.codes()).toEqual(['signaled'])
  })

  test('by a cancel of the run', async () => {
    await open({ turns: [shell('echo begun > begun.txt; sleep 600')] })
    const { cwd, env } = work.session
    writeFileSync(path.join(cwd, 'pipeline.yaml'), work.pipeline([{}]))
    const cli = startCli(['run', 'pipeline.yaml', '--ui', 'plain'], { cwd, env })
    await until(() => existsSync(path.join(cwd, 'begun.txt')))
    cli.kill('SIGINT')
    expect((await cli.ended).exitCode).toBe(130)
    expect(work.record()).toMatchObject({ ...spent(1), status: 'killed' })
  })

  test('after its result: the result counts', async () => {
    await open({ turns: [say('All is well.')] })
    const lingers = program('claude "$@"; sleep 600')
    await work.run([{ agent: { program: lingers, stalls: { linger: '500ms' } } }], {}, { args: ['--skip-preflight'] })
    expect(work.record()).toMatchObject({ ...OK, ...spent(1), final_text: 'All is well.' })
    expect(work.codes()).toEqual([undefined])
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
function program(script: string): string {
  const file = path.join(work.session.cwd, 'client.sh')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that within 30 s')
}
