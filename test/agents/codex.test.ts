// Codex as a node, with the real client against a scripted provider: whatever the provider does, status, tokens and cost
// are what it knows to be true, limits hold, and no process is left.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentRecord } from '../../src/effects/agents/record.ts'
import type { CliResult } from '../support/cli.ts'
import { clientFolder } from './support/clients.ts'
import { openSession, processesOf, type Session } from './support/session.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'

const MODEL = 'gpt-5.5'
/** USD per million tokens. */
const PRICE = { input: 2, output: 10, cache_read: 0.2 }
const USAGE = { input: 100, output: 20, cacheRead: 1_000, reasoning: 5 }
/** What one such request costs. */
const USD =
  (USAGE.input * PRICE.input + USAGE.cacheRead * PRICE.cache_read + (USAGE.output + USAGE.reasoning) * PRICE.output) /
  1e6

let session: Session
beforeAll(() => void clientFolder())
afterEach(async () => {
  const left = process.platform === 'linux' ? processesOf(session.env['HOME']!) : []
  await session.close()
  expect(left).toEqual([])
})

interface Node {
  readonly id?: string
  /** More keys of `agent:`. */
  readonly agent?: Readonly<Record<string, unknown>> & { readonly args?: readonly string[] }
  /** More keys of the node. */
  readonly keys?: Readonly<Record<string, unknown>>
}

/** YAML is a superset of JSON. Each node has its own place in the script: the key of its id. */
function pipelineOf(nodes: readonly Node[], keys: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    name: 'codex',
    prices: { [MODEL]: PRICE },
    ...keys,
    nodes: nodes.map(({ id = 'work', agent, keys: own }) => ({
      id,
      needs: [],
      agent: {
        use: 'codex',
        model: MODEL,
        permission: 'full',
        prompt: 'Do what is to be done.',
        ...agent,
        args: ['-c', 'model_provider=p', '-c', providerOf(id), ...(agent?.args ?? [])],
      },
      ...own,
    })),
  })
}

const providerOf = (key: string): string =>
  `model_providers.p={name="p",base_url="${session.provider.url}/k/${key}/v1",env_key="STUB_KEY",wire_api="responses",request_max_retries=1,stream_max_retries=1}`

const NOBODY = 'model_providers.p={name="p",base_url="http://127.0.0.1:9/v1",env_key="STUB_KEY",wire_api="responses"}'

async function run(scenario: Scenario, nodes: readonly Node[] = [{}], keys = {}): Promise<CliResult> {
  session = await openSession(scenario)
  return session.run(pipelineOf(nodes, keys))
}

const runDirectory = (): string => {
  const runs = path.join(session.cwd, '.spanwright/runs')
  return path.join(runs, readdirSync(runs)[0]!)
}
const read = (...names: readonly string[]): string => readFileSync(path.join(runDirectory(), ...names), 'utf8')
const agentOf = (node = 'work', attempt = '1.1'): AgentRecord =>
  JSON.parse(read('attempts', node, attempt, 'agent.json'))

interface Told {
  readonly type: string
  readonly [field: string]: unknown
}
const events = (type: string): Told[] =>
  read('journal.ndjson')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { event: Told }).event)
    .filter((event) => event.type === type)

interface Failure {
  readonly code: string
  readonly message: string
}
/** How the attempts of a node ended. */
const endsOf = (node = 'work'): (Failure | undefined)[] =>
  events('attempt.finished')
    .filter((event) => event['node'] === node)
    .map((event) => event['failure'] as Failure | undefined)

/** Requests that reached the provider. */
const requestsOf = (key = 'work'): number => session.provider.requests.filter((request) => request.key === key).length

/** As many requests with USAGE each. */
const spent = (requests: number) => ({
  turns: requests,
  tokens: {
    input: USAGE.input * requests,
    cache_read: USAGE.cacheRead * requests,
    cache_write: 0,
    output: (USAGE.output + USAGE.reasoning) * requests,
    reasoning: USAGE.reasoning * requests,
  },
})

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })
const say = (text: string): Turn => ({ text, usage: USAGE })
const failing = (status: number, message = 'no'): Turn => ({ error: { status, message } })

test('an answer: what it said, used and cost', async () => {
  const { exitCode, stderr } = await run({ turns: [say('All is well.')] })
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
  expect(agentOf()).toMatchObject({
    cli: 'codex',
    cli_version: '0.169.0',
    model: MODEL,
    status: 'ok',
    final_text: 'All is well.',
    cost_source: 'computed',
    usage_complete: true,
    ...spent(1),
  })
  expect(agentOf().cost_usd).toBeCloseTo(USD, 10)
  expect(JSON.parse(read('final.json'))).toMatchObject({
    result: 'success',
    totals: { tokens: { input: 100, cache_read: 1_000, output: 25 } },
  })
})

test('tools: a command, one that fails, a file; each request is on record', async () => {
  const write: Turn = { tools: [{ name: 'write', args: { path: 'made.txt', content: 'new\n' } }], usage: USAGE }
  const { exitCode } = await run({ turns: [shell('echo "$((40 + 2))"'), shell('exit 3'), write, say('Done.')] })
  expect(exitCode).toBe(0)
  expect(readFileSync(path.join(session.cwd, 'made.txt'), 'utf8')).toBe('new\n')
  const record = agentOf()
  expect(record).toMatchObject({ status: 'ok', usage_complete: true, ...spent(4) })
  expect(record.cost_usd).toBeCloseTo(4 * USD, 10)
  expect(record.tool_calls).toMatchObject([
    { name: 'shell', ok: true, exit_code: 0, output_tail: '42\n' },
    { name: 'shell', ok: false, exit_code: 3 },
    { name: 'apply_patch', ok: true },
  ])
  const calls = events('model.called')
  expect(calls.map(({ model }) => model)).toEqual(Array(4).fill(MODEL))
  expect(requestsOf()).toBe(4)
})

test('in the workspace it may write where it works and report where it is told, nowhere else', async () => {
  // Temporary directories are open to it, so outside is elsewhere.
  const outside = '/spanwright-was-here.txt'
  const command = `echo ok > inside.txt; echo '{"outputs": {"said": "so"}}' > "$SPANWRIGHT_OUTCOME"; echo no > ${outside}`
  const { exitCode } = await run({ turns: [shell(command), say('Done.')] }, [{ agent: { permission: 'workspace' } }])
  expect(exitCode).toBe(0)
  expect(readdirSync(session.cwd)).toContain('inside.txt')
  expect(existsSync(outside)).toBe(false)
  expect(JSON.parse(read('attempts', 'work', '1.1', 'outcome.json'))).toMatchObject({ outputs: { said: 'so' } })
  // Refused: no item in its stream, but on record.
  expect(agentOf().tool_calls).toMatchObject([{ name: 'shell', ok: false, exit_code: 1 }])
})

/** A node for each; `status`, `error_class`, failure code. */
const ERRORS: Readonly<Record<string, readonly [Turn, string, string, string]>> = {
  'bad-request': [failing(400, 'bad things'), 'error', 'bad_request', 'config_invalid'],
  unauthorized: [failing(401), 'error', 'auth', 'auth_failed'],
  forbidden: [failing(403), 'error', 'auth', 'auth_failed'],
  'no-model': [failing(404), 'error', 'not_found', 'config_invalid'],
  'too-many': [failing(429), 'limit', 'rate_limit', 'rate_limited'],
  quota: [
    {
      error: {
        status: 429,
        body: { error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'no money' } },
      },
    },
    'limit',
    'quota',
    'rate_limited',
  ],
  broken: [failing(500), 'error', 'server', 'provider_unavailable'],
  gateway: [failing(502), 'error', 'server', 'provider_unavailable'],
  overloaded: [failing(529, 'overloaded'), 'error', 'overloaded', 'rate_limited'],
  'cut-off': [{ text: 'Half of it', truncate: true }, 'error', 'stream', 'provider_unavailable'],
  malformed: [{ text: 'Half of it', malformed: true }, 'error', 'stream', 'provider_unavailable'],
  'too-long': [
    { error: { status: 400, body: { error: { code: 'context_length_exceeded', message: 'too long' } } } },
    'error',
    'context_length',
    'context_overflow',
  ],
  failed: [
    { text: 'Half', streamError: { type: 'server_error', code: 'server_error', message: 'boom' } },
    'error',
    'stream',
    'provider_unavailable',
  ],
  length: [{ text: 'Half of it', stop: 'length' }, 'error', 'output_limit', 'agent_failed'],
  filtered: [{ text: 'Half of it', stop: 'safety' }, 'error', 'content_filter', 'agent_failed'],
}

test('every way in which a provider refuses or fails', async () => {
  const keys = Object.fromEntries(
    Object.entries(ERRORS).map(([key, [turn]]) => [key, { turns: [turn], after: 'repeat-last' as const }]),
  )
  const nodes: Node[] = Object.keys(ERRORS).map((id) => ({ id }))
  nodes.push(
    { id: 'no-flag', agent: { args: ['--no-such-flag'] } },
    { id: 'bad-config', agent: { args: ['-c', 'model_providers.p.wire_api="chat"'] } },
    { id: 'no-thread', agent: { session: '01a1fefb-577b-7783-8024-5e7f2efbf8ff' } },
  )
  await run({ keys }, nodes, { max_parallel: 3 })
  for (const [id, [, status, error_class, code]] of Object.entries(ERRORS)) {
    expect({ id, ...agentOf(id) }).toMatchObject({ id, status, error_class, exit_code: 1 })
    expect([id, endsOf(id)[0]?.code]).toEqual([id, code])
  }
  const others = ['no-flag', 'bad-config', 'no-thread'].map((id) => {
    const { error_class, exit_code } = agentOf(id)
    return [id, error_class, exit_code, endsOf(id)[0]?.code]
  })
  expect(others).toEqual([
    ['no-flag', 'usage', 2, 'config_invalid'],
    ['bad-config', 'usage', 1, 'config_invalid'],
    ['no-thread', 'not_found', 1, 'config_invalid'],
  ])
  // Only one of them made the provider count tokens that Codex tells of.
  expect(agentOf('length')).toMatchObject({ turns: 1, usage_complete: true })
  expect(agentOf('filtered')).toMatchObject({ usage_complete: false })
})

describe('it is ended', () => {
  test.each([
    ['SIGTERM', { status: 'killed', signal: 'SIGTERM', usage_complete: true }, 'signaled'],
    // Nothing tells that from a crash.
    ['SIGINT', { status: 'error', signal: null, exit_code: 1, usage_complete: false }, 'agent_crashed'],
  ] as const)('by %s from outside: what it used is known', async (signal, end, code) => {
    session = await openSession({ turns: [shell('sleep 60')] })
    const cli = session.start(pipelineOf([{}]))
    const pid = await until(() => (requestsOf() === 1 && toolRuns() ? clientProcess() : undefined))
    process.kill(pid, signal)
    expect((await cli.ended).exitCode).not.toBe(0)
    expect(agentOf()).toMatchObject({ ...end, ...spent(1) })
    expect(endsOf()).toMatchObject([{ code }])
  })

  test('by the user: nothing is left of it', async () => {
    session = await openSession({ turns: [shell('sleep 60')] })
    const cli = session.start(pipelineOf([{}]))
    await until(() => toolRuns() || undefined)
    cli.kill('SIGINT')
    await cli.ended
    expect(agentOf()).toMatchObject({ status: 'killed', usage_complete: true, ...spent(1) })
    expect(endsOf()).toMatchObject([{ code: 'canceled' }])
  })

  // At once, as most of it is waiting. Each has time enough for its first request on a busy machine.
  test('by its limits: whatever it hangs in, and at its limit of turns though it has none itself', async () => {
    const keys = {
      unanswered: { turns: [shell('echo hi'), { hang: true }] },
      silent: { turns: [shell('echo hi'), { hang: true }] },
      stalled: { turns: [{ text: 'Half of a text', stall: true }] },
      'stuck-tool': { turns: [shell('sleep 600')] },
      turns: { turns: [shell('sleep 2')], after: 'repeat-last' as const },
    }
    const nodes: Node[] = [
      { id: 'unanswered', keys: { timeout: '10s' } },
      { id: 'silent', keys: { stall_timeout: '8s' } },
      { id: 'stalled', keys: { stall_timeout: '8s' } },
      { id: 'stuck-tool', keys: { timeout: '10s' } },
      { id: 'turns', agent: { max_turns: 3 } },
      // It waits for the network, for ever.
      { id: 'no-provider', agent: { args: ['-c', NOBODY] }, keys: { timeout: '10s' } },
    ]
    await run({ keys }, nodes)
    const ended = { status: 'killed', usage_complete: false, ...spent(1) }
    expect([agentOf('unanswered'), endsOf('unanswered')]).toMatchObject([ended, [{ code: 'timed_out' }]])
    expect([agentOf('silent'), endsOf('silent')]).toMatchObject([ended, [{ code: 'stalled' }]])
    expect([agentOf('stalled'), endsOf('stalled')]).toMatchObject([{ ...ended, ...spent(0) }, [{ code: 'stalled' }]])
    expect([agentOf('stuck-tool'), endsOf('stuck-tool')]).toMatchObject([
      { ...ended, usage_complete: true },
      [{ code: 'timed_out' }],
    ])
    expect([agentOf('no-provider'), endsOf('no-provider')]).toMatchObject([
      { status: 'killed', ...spent(0) },
      [{ code: 'timed_out' }],
    ])
    expect(requestsOf('turns')).toBe(3)
    expect([agentOf('turns'), endsOf('turns')]).toMatchObject([
      { status: 'limit', error_class: 'max_turns', usage_complete: true, ...spent(3) },
      [{ code: 'turn_limit' }],
    ])
    expect(agentOf('turns').cost_usd).toBeCloseTo(3 * USD, 10)
  })

  test('when the budget has no room for another request', async () => {
    await run({ turns: [shell('sleep 2')], after: 'repeat-last' }, [{}], { budget: { usd: 2.5 * USD } })
    // The third may be on its way when the client is ended.
    expect([2, 3]).toContain(requestsOf())
    expect(agentOf().status).toBe('killed')
    expect(endsOf()).toMatchObject([{ code: 'budget_exhausted' }])
    const { totals } = JSON.parse(read('final.json')) as { totals: { cost_usd: number } }
    expect(totals.cost_usd).toBeGreaterThan(1.5 * USD)
    expect(totals.cost_usd).toBeLessThanOrEqual(requestsOf() * USD + 1e-9)
  })
})

test('five at once spend at most one request each above the budget', async () => {
  const usd = 7.5 * USD
  const ids = ['a', 'b', 'c', 'd', 'e']
  await run(
    { turns: [shell('sleep 2')], after: 'repeat-last' },
    ids.map((id) => ({ id })),
    { budget: { usd }, max_parallel: ids.length },
  )
  const requests = ids.reduce((sum, id) => sum + requestsOf(id), 0)
  const { totals } = JSON.parse(read('final.json')) as { totals: { cost_usd: number } }
  expect(requests * USD).toBeGreaterThanOrEqual(ids.length * USD)
  expect(requests * USD).toBeLessThanOrEqual(usd + ids.length * USD)
  // What a client was asking when it was ended is served, and not told any more.
  expect(totals.cost_usd).toBeLessThanOrEqual(requests * USD + 1e-9)
  expect(totals.cost_usd).toBeGreaterThanOrEqual((requests - ids.length) * USD)
  for (const id of ids) expect(endsOf(id)).toMatchObject([{ code: 'budget_exhausted' }])
})

test('what its subagents used is counted with it', async () => {
  // The subagent's request comes while the other tool runs.
  const spawn: Turn = {
    tools: [
      { name: 'spawn_agent', args: { message: 'Look.', agent_type: 'default' } },
      { name: 'shell', args: { command: 'sleep 3' } },
    ],
    usage: USAGE,
  }
  // A model that Codex does not know: it is offered the tools of subagents.
  const { exitCode } = await run({ turns: [spawn, say('Looked.'), say('Done.')] }, [{ agent: { model: 'gpt-5' } }])
  expect(exitCode).toBe(0)
  expect(requestsOf()).toBe(3)
  expect(agentOf()).toMatchObject({ status: 'ok', final_text: 'Done.', usage_complete: true, ...spent(3) })
  expect(agentOf().tool_calls.map(({ name, ok }) => [name, ok])).toEqual([
    ['spawn_agent', true],
    ['shell', true],
  ])
})

test('its own spans are below the agent’s when they are asked for', async () => {
  session = await openSession({ turns: [say('Done.')] })
  await session.run(pipelineOf([{}]), { env: { SPANWRIGHT_AGENT_TELEMETRY: 'on' } })
  const { spans } = session.receiver
  const agent = spans.find(({ name }) => name === 'invoke_agent codex')
  const own = spans.filter(({ service }) => service === 'codex_exec')
  expect(agent).toBeDefined()
  expect(own.length).toBeGreaterThan(0)
  expect(own.map(({ parentSpanId }) => parentSpanId)).toContain(agent?.spanId)
})

test('a missing key is told before anything starts, or by the client', async () => {
  session = await openSession({ turns: [say('Done.')] })
  const { exitCode, stderr } = await session.run(pipelineOf([{}]), { env: { STUB_KEY: undefined } })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('STUB_KEY')
  await session.run(pipelineOf([{}]), { env: { STUB_KEY: undefined }, args: ['--skip-preflight'] })
  expect(agentOf()).toMatchObject({ status: 'error', error_class: 'auth', exit_code: 1 })
  expect(endsOf()).toMatchObject([{ code: 'auth_failed' }])
  expect(requestsOf()).toBe(0)
})

describe('limits', () => {
  test('it tries again by itself: that is seen', async () => {
    const limited = { error: { status: 429, message: 'slow down', headers: { 'retry-after': '1' } } }
    const { exitCode } = await run({ turns: [limited, say('Well.')] })
    expect(exitCode).toBe(0)
    expect(agentOf()).toMatchObject({ status: 'ok', retries: 1, usage_complete: true, ...spent(1) })
    expect(requestsOf()).toBe(2)
  })

  test('a limit with an end is waited for, then the conversation goes on', async () => {
    const streamError = {
      type: 'rate_limit_exceeded',
      code: 'rate_limit_exceeded',
      message: 'Please try again in 1.5s.',
    }
    const limited = { text: 'Half', streamError }
    const { exitCode } = await run({ turns: [shell('echo hi'), limited, limited, say('Well.')] })
    expect(exitCode).toBe(0)
    expect(events('attempt.waiting')).toHaveLength(1)
    expect(agentOf()).toMatchObject({ status: 'ok', final_text: 'Well.', ...spent(2) })
    expect(agentOf().cost_usd).toBeCloseTo(2 * USD, 10)
  })
})

test('a later attempt goes on with the conversation: only what is new counts', async () => {
  const keys = { retry: { max_attempts: 2, initial: '10ms' }, checks: [{ name: 'there', run: 'test -e made.txt' }] }
  const turns = [shell('echo hi'), say('Done?'), shell('touch made.txt'), say('Done.')]
  const { exitCode } = await run({ turns }, [{ agent: { session: 'continue' }, keys }])
  expect(exitCode).toBe(0)
  expect(agentOf('work', '1.2').session_id).toBe(agentOf('work', '1.1').session_id)
  for (const attempt of ['1.1', '1.2']) {
    expect(agentOf('work', attempt)).toMatchObject({ status: 'ok', usage_complete: true, ...spent(2) })
    expect(agentOf('work', attempt).cost_usd).toBeCloseTo(2 * USD, 10)
  }
})

test('a structured answer becomes outputs', async () => {
  const output_schema = {
    type: 'object',
    properties: { answer: { type: 'integer' } },
    required: ['answer'],
    additionalProperties: false,
  }
  const { exitCode } = await run({ turns: [say('{"answer":42}')] }, [{ agent: { output_schema, home: 'isolated' } }])
  expect(exitCode).toBe(0)
  expect(agentOf().structured).toEqual({ answer: 42 })
  expect(events('attempt.finished')).toMatchObject([{ outputs: { answer: 42 } }])
  expect(readdirSync(session.env['HOME']!)).toEqual([])
})

/** Its process: the leader among those that have the session's home. */
function clientProcess(): number | undefined {
  return processesOf(session.env['HOME']!)
    .map(Number)
    .find((pid) => /codex\0exec\0/.test(commandLine(pid)))
}
const toolRuns = (): boolean =>
  processesOf(session.env['HOME']!).some((pid) => commandLine(Number(pid)).startsWith('sleep\0'))

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

async function until<T>(condition: () => T | undefined): Promise<T> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const value = condition()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that within 60 s')
}
