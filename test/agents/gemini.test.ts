// Gemini CLI as a node, the real client against a scripted provider: whatever the provider does, status, tokens and cost are
// what it knows to be true, limits hold, and no process is left.
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/cli.ts'
import { AgentRun, type AgentNode } from './support/agent-run.ts'
import { clientFolder } from './support/clients.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'
import { CANARY, processesOf } from './support/session.ts'

const MODEL = 'gemini-2.5-pro'
const USAGE = { input: 50, output: 30, cacheRead: 500, reasoning: 5 }
const prices = { [MODEL]: { input: 1, cache_read: 0.1, output: 2 } }
const USD = (50 + 500 * 0.1 + 35 * 2) / 1e6

/** As many requests with USAGE each. */
const spent = (requests: number) => ({
  turns: requests,
  tokens: {
    input: 50 * requests,
    cache_read: 500 * requests,
    cache_write: 0,
    output: 35 * requests,
    reasoning: 5 * requests,
  },
  cost_usd: expect.closeTo(USD * requests, 9) as number,
})
const OK = {
  cli: 'gemini',
  cli_version: '0.61.0',
  model: MODEL,
  status: 'ok',
  cost_source: 'computed',
  usage_complete: true,
}

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })
const say = (text: string, more: Partial<Turn> = {}): Turn => ({ text, usage: USAGE, ...more })
const failing = (status: number, message = 'no', body?: unknown): Turn => ({ error: { status, message, body } })

let work: AgentRun
let home: string
beforeAll(() => void clientFolder())
afterEach(async () => {
  const left = process.platform === 'linux' ? processesOf(home) : []
  await work.session.close()
  expect(left).toEqual([])
})

async function open(scenario: Scenario): Promise<AgentRun> {
  work = await AgentRun.open(scenario, {
    agent: { use: 'gemini', model: MODEL, home: 'isolated' },
    env: (session, id) => ({ GOOGLE_GEMINI_BASE_URL: `${session.provider.url}/k/${id}`, GEMINI_API_KEY: CANARY.key }),
  })
  home = work.session.env['HOME']!
  return work
}
async function run(scenario: Scenario, nodes?: readonly AgentNode[], keys = {}): Promise<AgentRun> {
  await open(scenario)
  await work.run(nodes, { prices, ...keys })
  // The agents' home is the run's own.
  home = path.join(work.directory, 'homes/gemini')
  return work
}

test('tools: a command, one that fails, a file; what they used and cost, and spans', async () => {
  const write: Turn = { tools: [{ name: 'write', args: { path: 'made.txt', content: 'new' } }], usage: USAGE }
  await run({ turns: [shell('expr 40 + 2'), shell('exit 3'), write, say('All is well.')] })
  expect(work.record()).toMatchObject({
    ...OK,
    ...spent(4),
    final_text: 'All is well.',
    tool_calls: [
      { name: 'run_shell_command', ok: true, exit_code: 0, output_tail: '42' },
      { name: 'run_shell_command', ok: false, exit_code: 3 },
      { name: 'write_file', ok: true },
    ],
  })
  expect(existsSync(path.join(work.session.cwd, 'made.txt'))).toBe(true)
  expect(work.codes()).toEqual([undefined])
  expect(work.final().totals.cost_usd).toBeCloseTo(4 * USD, 9)
  expect(work.events('model.called')).toHaveLength(4)
  const spans = work.session.receiver.spans.filter((span) => span.service === 'spanwright')
  const [agent] = spans.filter((span) => span.name === 'invoke_agent gemini')
  const inner = spans.filter((span) => /^(?:chat|execute_tool) /.test(span.name))
  expect(inner).toHaveLength(7)
  expect(new Set(inner.map((span) => span.parentSpanId))).toEqual(new Set([agent!.spanId]))
  // Its telemetry went to a file of ours and nowhere else, and is gone.
  expect(work.session.receiver.spans.filter((span) => span.service === 'gemini-cli')).toEqual([])
  expect(readdirSync(path.join(work.directory, 'attempts/work/1.1')).join(' ')).not.toContain('telemetry')
})

test('subagents are counted, and requests that it tries again are seen', async () => {
  const look: Turn = {
    tools: [{ name: 'invoke_agent', args: { agent_name: 'codebase_investigator', prompt: 'Look.' } }],
    usage: USAGE,
  }
  const report = { SummaryOfFindings: 'x', ExplorationTrace: [], RelevantLocations: [] }
  const found: Turn = { tools: [{ name: 'complete_task', args: { report } }], usage: USAGE }
  const keys = { looking: { turns: [look, found, say('Done.')] }, trying: { turns: [failing(503), say('Well.')] } }
  await run({ keys }, [{ id: 'looking' }, { id: 'trying', keys: { needs: [] } }])
  expect(work.requests('looking')).toHaveLength(3)
  expect(work.record('looking')).toMatchObject({ ...OK, ...spent(3), final_text: 'Done.' })
  expect(work.record('trying')).toMatchObject({ ...OK, ...spent(1), retries: 1 })
  const calls = work.events('model.called').filter((event) => event['node'] === 'trying')
  expect(calls.map((event) => event['error'] !== undefined)).toEqual([true, false])
})

const REPEAT = 'repeat-last'
/** What the provider does, then `status`, `error_class`, failure code and exit code (HTTP status & 255). */
const ERRORS: Readonly<Record<string, readonly [Turn, string, string, string, number]>> = {
  'bad-request': [failing(400, 'bad things'), 'error', 'bad_request', 'config_invalid', 144],
  unauthorized: [failing(401), 'error', 'auth', 'auth_failed', 145],
  forbidden: [failing(403), 'error', 'auth', 'auth_failed', 147],
  'no-model': [failing(404), 'error', 'not_found', 'config_invalid', 1],
  'too-long': [
    failing(400, 'The input token count (9) exceeds the maximum number of tokens allowed (8).'),
    'error',
    'context_length',
    'context_overflow',
    144,
  ],
  'cut-off': [say('Half of it and a bit more', { truncate: true }), 'error', 'stream', 'provider_unavailable', 1],
  unfinished: [say('Half of it and a bit more', { unfinished: true }), 'error', 'stream', 'provider_unavailable', 0],
  malformed: [say('Half of it', { malformed: true }), 'error', 'stream', 'provider_unavailable', 1],
  length: [say('Half of it', { stop: 'length' }), 'error', 'output_limit', 'agent_failed', 0],
  unsafe: [say('No.', { stop: 'safety' }), 'error', 'content_filter', 'agent_failed', 0],
  circle: [shell('echo again'), 'error', 'loop', 'stalled', 0],
  'too-many': [failing(429), 'error', 'rate_limit', 'rate_limited', 173],
  broken: [failing(500), 'error', 'server', 'provider_unavailable', 244],
}

test('every way in which a provider refuses or fails', async () => {
  const keys = Object.fromEntries(
    Object.entries(ERRORS).map(([id, [turn]]) => [id, { turns: [turn], after: REPEAT }] as const),
  )
  const needs: string[] = []
  // Those that wait before they try again begin first.
  const ids = Object.keys(ERRORS).toReversed()
  const nodes: AgentNode[] = [
    { id: 'no-provider', keys: { needs, env: { GOOGLE_GEMINI_BASE_URL: 'http://127.0.0.1:9' } } },
    ...ids.map((id) => ({ id, keys: { needs } })),
    { id: 'no-flag', agent: { args: ['--no-such-flag'] }, keys: { needs } },
    { id: 'no-session', agent: { session: '01a1fefb-577b-4783-8024-5e7f2efbf8ff' }, keys: { needs } },
  ]
  await run({ keys }, nodes, { max_parallel: 4 })
  for (const [id, [, status, error_class, code, exit_code]] of Object.entries(ERRORS)) {
    expect({ id, ...work.record(id) }).toMatchObject({ id, status, error_class, exit_code })
    expect([id, work.codes(id)]).toEqual([id, [code]])
  }
  const others = ['no-provider', 'no-flag', 'no-session'].map((id) => {
    const { error_class, exit_code } = work.record(id)
    return [id, error_class, exit_code, ...work.codes(id)]
  })
  expect(others).toEqual([
    ['no-provider', 'network', 1, 'network'],
    ['no-flag', 'usage', 1, 'config_invalid'],
    ['no-session', 'usage', 42, 'config_invalid'],
  ])
  expect(work.record('too-many')).toMatchObject({ http_status: 429, retries: 2, usage_complete: true })
  expect(work.requests('too-many')).toHaveLength(3)
  for (const id of ['length', 'unsafe']) expect(work.record(id)).toMatchObject({ ...spent(1), usage_complete: true })
  for (const id of ['cut-off', 'circle']) expect(work.record(id).usage_complete).toBe(false)
})

test('a missing key is told before anything starts, or by the client', async () => {
  const nodes = [{ keys: { env: { GEMINI_API_KEY: '' } } }]
  await open({})
  const { exitCode, stderr } = await work.run(nodes, { prices })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('set GEMINI_API_KEY')
  await work.run(nodes, { prices }, { args: ['--skip-preflight'] })
  expect(work.record()).toMatchObject({ status: 'error', error_class: 'auth', exit_code: 41 })
  expect(work.codes()).toEqual(['auth_failed'])
  expect(work.requests()).toEqual([])
})

// Side by side, as most of it is waiting. Three of them take seconds to start: limits count from the start on.
test('it is ended: at its turns, unanswered, in a stream that falls silent, in a tool by a cancel of the run', async () => {
  const keys = {
    turns: { turns: [shell('date +%N')], after: REPEAT } as const,
    unanswered: { turns: [shell('echo hi'), { hang: true }] },
    silent: { turns: [say('Half of a longer text', { stall: true })] },
    // With what the tool left running.
    busy: { turns: [shell('nohup sleep 600 & echo begun > begun.txt; sleep 600')] },
  }
  await open({ keys })
  const nodes = [
    { id: 'turns', agent: { max_turns: 3 }, keys: { needs: [] } },
    { id: 'unanswered', keys: { needs: [], timeout: '25s' } },
    { id: 'silent', keys: { needs: [], stall_timeout: '20s' } },
    { id: 'busy', keys: { needs: ['turns'], when: 'failure()' } },
  ]
  const cli = work.start(nodes, { prices })
  const ended = (): number => work.events('attempt.finished').length
  await until(() => existsSync(path.join(work.session.cwd, 'begun.txt')) && ended() === 3)
  cli.kill('SIGINT')
  expect((await cli.ended).exitCode).toBe(130)
  home = path.join(work.directory, 'homes/gemini')

  expect(Object.keys(keys).map((id) => [id, ...work.codes(id)])).toEqual([
    ['turns', 'turn_limit'],
    ['unanswered', 'timed_out'],
    ['silent', 'stalled'],
    ['busy', 'canceled'],
  ])
  expect(work.record('turns')).toMatchObject({ status: 'limit', error_class: 'max_turns' })
  expect(work.requests('turns').length - 3).toBeLessThanOrEqual(1)
  const killed = { status: 'killed', usage_complete: false, exit_code: 0 }
  expect(work.record('unanswered')).toMatchObject({ ...spent(1), ...killed })
  expect(work.record('silent')).toMatchObject(killed)
  expect(work.record('busy')).toMatchObject({ ...spent(1), ...killed })
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

test('permissions and structured answers', async () => {
  const outside = path.join(temporaryDirectory(), 'outside.txt')
  const write = (file: string): Turn => ({
    tools: [{ name: 'write_file', args: { file_path: file, content: 'x' } }],
    usage: USAGE,
  })
  const command = (text: string): Turn => ({
    tools: [{ name: 'run_shell_command', args: { command: text } }],
    usage: USAGE,
  })
  const keys = {
    read: { turns: [command('touch read.txt'), write('read.txt'), say('I may not.')] },
    workspace: { turns: [write('inside.txt'), write(outside), say('```json\n{"answer": 42}\n```')] },
    listed: { turns: [command('touch listed.txt'), command('git --version'), say('Done.')] },
  }
  const output_schema = { type: 'object', properties: { answer: { type: 'integer' } }, required: ['answer'] }
  await run({ keys }, [
    { id: 'read', agent: { permission: 'read' }, keys: { allow_failure: true } },
    { id: 'workspace', agent: { output_schema }, keys: { needs: [] } },
    {
      id: 'listed',
      agent: { permission: 'read', allowed_tools: ['run_shell_command(git)'] },
      keys: { needs: [] },
    },
  ])
  const files = readdirSync(work.session.cwd)
  expect(files).toContain('inside.txt')
  expect(files).not.toContain('read.txt')
  expect(files).not.toContain('listed.txt')
  expect(existsSync(outside)).toBe(false)
  expect(work.record('read')).toMatchObject({ status: 'denied', tool_calls: [{ ok: false }, { ok: false }] })
  expect(work.codes('read')).toEqual(['agent_failed'])
  expect(work.record('workspace')).toMatchObject({
    structured: { answer: 42 },
    tool_calls: [{ ok: true }, { ok: false }],
  })
  expect(work.events('attempt.finished').find((event) => event['node'] === 'workspace')).toMatchObject({
    outputs: { answer: 42 },
  })
  expect(work.record('listed')).toMatchObject({ ...OK, tool_calls: [{ ok: false }, { ok: true }] })
})

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 150_000; Date.now() < deadline;) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that within 150 s')
}
