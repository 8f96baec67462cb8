// OpenCode as a node, the real client against a scripted provider: whatever the provider does, status, tokens and cost are
// what it knows to be true, limits hold, and no process is left. It waits long before it gives a request up: what it does
// then is in its transcripts (test/effects/agents).
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/cli.ts'
import { AgentRun, type AgentNode } from './support/agent-run.ts'
import { clientFolder } from './support/clients.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'
import { CANARY, processesOf, type Session } from './support/session.ts'

const MODEL = 'p/m'
const USAGE = { input: 50, output: 30, cacheRead: 500, reasoning: 5 }
const PRICE = { input: 1, cache_read: 0.1, output: 2 }
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
  cli: 'opencode',
  cli_version: '1.18.33',
  model: MODEL,
  status: 'ok',
  cost_source: 'reported',
  usage_complete: true,
}

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })
const say = (text: string, more: Partial<Turn> = {}): Turn => ({ text, usage: USAGE, ...more })
const failing = (status: number, body?: unknown): Turn => ({ error: { status, message: 'no', body } })

/** What a user of it has: a provider with a price, one without, and a rule that asks. */
const configOf = (session: Session, key: string): string => {
  const options = { baseURL: `${session.provider.url}/k/${key}/v1`, apiKey: CANARY.key }
  const limit = { context: 200_000, output: 8_192 }
  const npm = '@ai-sdk/openai-compatible'
  return JSON.stringify({
    permission: { bash: { 'rm *': 'ask' } },
    provider: {
      p: { npm, name: 'P', options, models: { m: { limit, cost: PRICE } } },
      free: { npm, name: 'Free', options, models: { m: { limit } } },
    },
  })
}

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
    agent: { use: 'opencode', model: MODEL, home: 'isolated' },
    env: (session, id) => ({
      OPENCODE_CONFIG_CONTENT: configOf(session, id),
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    }),
  })
  home = work.session.env['HOME']!
  return work
}
async function run(scenario: Scenario, nodes?: readonly AgentNode[], keys = {}): Promise<AgentRun> {
  await open(scenario)
  await work.run(nodes, keys)
  // The agents' home is the run's own.
  home = path.join(work.directory, 'homes/opencode')
  return work
}

test('tools: a command, one that fails, a file; what they used and cost, and spans', async () => {
  const write: Turn = { tools: [{ name: 'write', args: { path: 'made.txt', content: 'new' } }], usage: USAGE }
  await run({ turns: [shell('echo "$((40 + 2))"'), shell('exit 3'), write, say('All is well.')] })
  expect(work.record()).toMatchObject({
    ...OK,
    ...spent(4),
    final_text: 'All is well.',
    tool_calls: [
      { name: 'bash', ok: true, exit_code: 0, output_tail: '42\n' },
      { name: 'bash', ok: false, exit_code: 3 },
      { name: 'write', ok: true },
    ],
  })
  expect(existsSync(path.join(work.session.cwd, 'made.txt'))).toBe(true)
  expect(work.final().totals.cost_usd).toBeCloseTo(4 * USD, 9)
  const spans = work.session.receiver.spans.filter((span) => span.service === 'spanwright')
  const [agent] = spans.filter((span) => span.name === 'invoke_agent opencode')
  const inner = spans.filter((span) => /^(?:chat|execute_tool) /.test(span.name))
  expect(inner).toHaveLength(7)
  expect(new Set(inner.map((span) => span.parentSpanId))).toEqual(new Set([agent!.spanId]))
  // Its own thousand spans stay at home.
  expect(work.session.receiver.spans.filter((span) => span.service !== 'spanwright')).toEqual([])
})

const REPEAT = 'repeat-last'
const OVERFLOW = {
  error: { message: "This model's maximum context length is 8 tokens.", code: 'context_length_exceeded' },
}
/** What the provider does, then `status`, `error_class`, failure code and exit code (null: we end it). */
const ERRORS: Readonly<Record<string, readonly [Turn, string, string, string, number | null]>> = {
  'bad-request': [failing(400), 'error', 'bad_request', 'config_invalid', 1],
  unauthorized: [failing(401), 'error', 'auth', 'auth_failed', 1],
  forbidden: [failing(403), 'error', 'auth', 'auth_failed', 1],
  'no-model': [failing(404), 'error', 'not_found', 'config_invalid', 1],
  'too-long': [failing(400, OVERFLOW), 'error', 'context_length', 'context_overflow', null],
  length: [say('Half of it', { stop: 'length' }), 'error', 'output_limit', 'agent_failed', 0],
  unsafe: [say('No.', { stop: 'safety' }), 'error', 'content_filter', 'agent_failed', 1],
  asking: [shell('rm note.txt'), 'denied', 'denied', 'agent_failed', 0],
}

test('every way in which a provider refuses or fails', async () => {
  const keys = Object.fromEntries(
    Object.entries(ERRORS).map(([id, [turn]]) => [id, { turns: [turn], after: REPEAT }] as const),
  )
  const nodes: AgentNode[] = Object.keys(ERRORS).map((id) => ({ id, keys: { needs: [] } }))
  nodes.push(
    { id: 'unknown-model', agent: { model: 'p/nope' }, keys: { needs: [] } },
    { id: 'no-flag', agent: { args: ['--no-such-flag'] }, keys: { needs: [] } },
    { id: 'no-session', agent: { session: 'ses_e03bb3950ffegrvmFgrAHz4Dze' }, keys: { needs: [] } },
  )
  await run({ keys }, nodes, { max_parallel: 3 })
  for (const [id, [, status, error_class, code, exit_code]] of Object.entries(ERRORS)) {
    expect({ id, ...work.record(id) }).toMatchObject({ id, status, error_class, exit_code })
    expect([id, work.codes(id)]).toEqual([id, [code]])
  }
  expect([work.record('unknown-model').error_class, work.codes('unknown-model')]).toEqual([
    'not_found',
    ['config_invalid'],
  ])
  for (const id of ['no-flag', 'no-session'])
    expect([id, work.record(id).error_class, work.codes(id)]).toEqual([id, 'usage', ['config_invalid']])
  for (const id of ['length', 'unsafe', 'asking'])
    expect(work.record(id)).toMatchObject({ ...spent(1), usage_complete: true })
})

test('subagents, a request that it tries again, a model without a price, a conversation that goes on', async () => {
  const task = { description: 'look', prompt: 'Look.', subagent_type: 'general' }
  const keys = {
    looking: { turns: [{ tools: [{ name: 'task', args: task }], usage: USAGE }, say('Found.'), say('Done.')] },
    trying: { turns: [failing(503), say('Well.')] },
    unpriced: { turns: [say('Well.')] },
    again: { turns: [shell('echo hi'), say('Done?'), shell('touch made.txt'), say('Done.')] },
  }
  const needs: string[] = []
  const retry = { max_attempts: 2, initial: '10ms' }
  await run({ keys }, [
    { id: 'looking' },
    { id: 'trying', keys: { needs } },
    { id: 'unpriced', agent: { model: 'free/m' }, keys: { needs } },
    {
      id: 'again',
      agent: { session: 'continue' },
      keys: { needs, retry, checks: [{ name: 'there', run: 'test -e made.txt' }] },
    },
  ])
  expect(work.requests('looking')).toHaveLength(3)
  expect(work.record('looking')).toMatchObject({ ...OK, ...spent(3), final_text: 'Done.' })
  expect(work.record('trying')).toMatchObject({ ...OK, ...spent(1), retries: 1 })
  expect(work.record('unpriced')).toMatchObject({ cost_usd: null, cost_source: 'unknown', usage_complete: true })
  expect(work.codes('again')).toEqual(['check_failed', undefined])
  expect(work.record('again', '1.2').session_id).toBe(work.record('again').session_id)
  for (const attempt of ['1.1', '1.2']) expect(work.record('again', attempt)).toMatchObject({ ...OK, ...spent(2) })
})

// Side by side, as most of it is waiting. Four of them take seconds to start: silence counts from the start on.
test('it is ended: in a stream that falls silent, in a tool, at its turns, in a circle, by a cancel of the run', async () => {
  const keys = {
    silent: { turns: [say('Half of a longer text', { stall: true })] },
    // It ignores that, and so does what its tool left running.
    'stuck-tool': { turns: [shell('echo first'), shell('nohup sleep 600 & sleep 600')] },
    turns: { turns: [shell('date +%N')], after: REPEAT } as const,
    circle: { turns: [shell('echo again')], after: REPEAT } as const,
    busy: { turns: [shell('echo begun > begun.txt; sleep 600')] },
  }
  await open({ keys })
  const cli = work.start([
    { id: 'silent', keys: { needs: [], stall_timeout: '40s' } },
    { id: 'stuck-tool', keys: { needs: [], stall_timeout: '40s', grace: '1s' } },
    { id: 'turns', agent: { max_turns: 3 }, keys: { needs: [] } },
    { id: 'circle', agent: { stalls: { repeats: 4 } }, keys: { needs: [] } },
    { id: 'busy', keys: { needs: ['turns', 'circle'], when: 'failure()', grace: '1s' } },
  ])
  const ended = (): number => work.events('attempt.finished').length
  await until(() => existsSync(path.join(work.session.cwd, 'begun.txt')) && ended() === 4)
  cli.kill('SIGINT')
  expect((await cli.ended).exitCode).toBe(130)
  home = path.join(work.directory, 'homes/opencode')

  expect(Object.keys(keys).map((id) => [id, ...work.codes(id)])).toEqual([
    ['silent', 'stalled'],
    ['stuck-tool', 'stalled'],
    ['turns', 'turn_limit'],
    ['circle', 'stalled'],
    ['busy', 'canceled'],
  ])
  const killed = { status: 'killed', usage_complete: false }
  expect(work.record('silent')).toMatchObject({ ...killed, signal: 'SIGTERM' })
  expect(work.record('stuck-tool')).toMatchObject({ ...spent(1), ...killed })
  expect(work.record('busy')).toMatchObject(killed)
  expect(work.record('turns')).toMatchObject({ ...spent(3), status: 'limit', error_class: 'max_turns' })
  expect(work.requests('turns').length - 3).toBeLessThanOrEqual(1)
})

test('permissions and structured answers', async () => {
  const outside = path.join(temporaryDirectory(), 'outside.txt')
  const write = (file: string): Turn => ({
    tools: [{ name: 'write', args: { filePath: file, content: 'x' } }],
    usage: USAGE,
  })
  const command = (text: string): Turn => ({
    tools: [{ name: 'bash', args: { command: text, description: 'x' } }],
    usage: USAGE,
  })
  const keys = {
    read: { turns: [command('touch read.txt'), write('read.txt'), say('I may not.')] },
    workspace: { turns: [write('inside.txt'), write(outside), say('```json\n{"answer": 42}\n```')] },
    listed: { turns: [command('touch listed.txt'), command('git --version'), say('Done.')] },
    full: { turns: [write(`${outside}.full`), say('Done.')] },
  }
  const output_schema = { type: 'object', properties: { answer: { type: 'integer' } }, required: ['answer'] }
  const needs: string[] = []
  await run({ keys }, [
    { id: 'read', agent: { permission: 'read' }, keys: { allow_failure: true } },
    { id: 'workspace', agent: { output_schema }, keys: { needs } },
    { id: 'listed', agent: { denied_tools: ['bash'], allowed_tools: ['bash(git *)'] }, keys: { needs } },
    { id: 'full', agent: { permission: 'full' }, keys: { needs } },
  ])
  const files = readdirSync(work.session.cwd)
  expect(files).toContain('inside.txt')
  expect(files).not.toContain('read.txt')
  expect(files).not.toContain('listed.txt')
  expect([existsSync(outside), existsSync(`${outside}.full`)]).toEqual([false, true])
  expect(work.record('read')).toMatchObject({ status: 'denied', tool_calls: [{ ok: false }, { ok: false }] })
  expect(work.codes('read')).toEqual(['agent_failed'])
  expect(work.record('workspace')).toMatchObject({
    structured: { answer: 42 },
    tool_calls: [{ ok: true }, { ok: false }],
  })
  expect(work.record('full')).toMatchObject({ ...OK, tool_calls: [{ ok: true }] })
})

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 150_000; Date.now() < deadline;) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that within 150 s')
}
