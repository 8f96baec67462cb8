// The adapter of OpenCode on what 1.18.33 really wrote: each case of docs/agents/opencode.md, with its log on stderr. Machine
// paths are replaced in the transcripts, stack traces left out.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLaunch } from '../../../src/effects/agents/adapter.ts'
import { opencode } from '../../../src/effects/agents/opencode.ts'
import {
  adapterContract,
  agentRequest,
  linesOf,
  PLAYED_AT,
  replay,
  type Fixture,
  type Played,
  type RequestChanges,
} from './contract.ts'

const FOLDER = path.join(import.meta.dirname, 'transcripts/opencode')
const linesIn = (name: string): string[] => {
  const file = path.join(FOLDER, name)
  return existsSync(file) ? linesOf(readFileSync(file, 'utf8')) : []
}
const MODEL = { spec: { model: 'p/m' } }
const FAILED = { exitCode: 1 }

const fixture = (name: string, truth: Fixture['truth'], more: Partial<Fixture> = {}): Fixture => ({
  name,
  lines: linesIn(`${name}.jsonl`),
  stderr: linesIn(`${name}.stderr.txt`),
  request: MODEL,
  truth,
  ...more,
})
const played = (name: string, more: Partial<Fixture> = {}): Played => replay(opencode, fixture(name, {}, more))

/** What the provider counted. */
const TWO = { input: 130, cache_read: 1_050, cache_write: 0, output: 47, reasoning: 5 }
const ONE = { input: 50, cache_read: 500, cache_write: 0, output: 35, reasoning: 5 }
const NONE = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 }

adapterContract(opencode, [
  fixture('tool', {
    cli: 'opencode',
    model: 'p/m',
    turns: 2,
    tokens: TWO,
    cost_usd: 0.000329,
    cost_source: 'reported',
    final_text: 'It printed hi.',
    tool_calls: [{ name: 'bash', ok: true, exit_code: 0, output_tail: 'hi\nerr\n' }],
    status: 'ok',
    usage_complete: true,
  }),
  fixture('failing-command', { status: 'ok', tokens: TWO, tool_calls: [{ name: 'bash', ok: false, exit_code: 3 }] }),
  fixture('many-tools', { status: 'ok', tokens: TWO, tool_calls_total: 3 }),
  fixture(
    'no-price',
    { status: 'ok', tokens: TWO, cost_usd: null, cost_source: 'unknown' },
    {
      request: { spec: { model: 'unpriced/m' } },
    },
  ),
  fixture('rejected', { status: 'denied', error_class: 'denied', tokens: ONE, usage_complete: true }),
  fixture('length', { status: 'error', error_class: 'output_limit', tokens: ONE }),
  fixture('content-filter', { status: 'error', error_class: 'content_filter', tokens: ONE }, { exit: FAILED }),
  fixture('http-429', { status: 'error', error_class: 'rate_limit', http_status: 429, retries: 5 }, { exit: FAILED }),
  fixture('malformed-stream', { status: 'error', error_class: 'stream', usage_complete: false }, { exit: FAILED }),
  fixture(
    'endless-tools',
    { status: 'limit', error_class: 'max_turns', turns: 3, cost_usd: 0.00051, usage_complete: false },
    { request: { spec: { model: 'p/m', max_turns: 3 } }, exit: { signal: 'SIGKILL', ended: 'limit' } },
  ),
])

describe('errors of the provider', () => {
  test.each([
    { name: 'http-400', errorClass: 'bad_request', httpStatus: 400, retries: 0 },
    { name: 'http-401', errorClass: 'auth', httpStatus: 401, retries: 0 },
    { name: 'http-403', errorClass: 'auth', httpStatus: 403, retries: 0 },
    { name: 'http-404', errorClass: 'not_found', httpStatus: 404, retries: 0 },
    { name: 'http-429', errorClass: 'rate_limit', httpStatus: 429, retries: 5 },
    { name: 'http-500', errorClass: 'server', httpStatus: 500, retries: 5 },
    { name: 'http-503', errorClass: 'server', httpStatus: 503, retries: 5 },
    { name: 'quota', errorClass: 'quota', httpStatus: 429, retries: 5 },
    { name: 'refused', errorClass: 'network', httpStatus: null, retries: 5 },
  ])('$name is $errorClass', ({ name, errorClass, httpStatus, retries }) => {
    expect(played(name, { exit: FAILED }).record).toMatchObject({
      status: 'error',
      error_class: errorClass,
      http_status: httpStatus,
      retries,
      tokens: NONE,
      usage_complete: true,
    })
  })

  test.each(['cut-stream', 'malformed-stream'])('%s has cost what nobody tells', (name) => {
    const { record } = played(name, { exit: FAILED })
    expect(record).toMatchObject({ status: 'error', error_class: 'stream', usage_complete: false })
    expect(record.retries).toBeGreaterThan(1)
  })

  test('a Retry-After says when the limit ends', () => {
    const error = (retryAfter: string): string =>
      JSON.stringify({
        type: 'error',
        timestamp: PLAYED_AT,
        error: {
          name: 'APIError',
          data: { message: 'slow down', statusCode: 429, responseHeaders: { 'retry-after': retryAfter } },
        },
      })
    const resetsAt = (retryAfter: string): number | undefined =>
      played('http-429', { lines: [error(retryAfter)], exit: FAILED }).verdict.resetsAt
    expect(resetsAt('90')).toBe(PLAYED_AT + 90_000)
    expect(resetsAt(new Date(PLAYED_AT + 60_000).toUTCString())).toBe(PLAYED_AT + 60_000)
    expect(resetsAt('soon')).toBeUndefined()
  })

  test('a request that was tried again and then answered is a success with a retry', () => {
    expect(played('retry-then-ok').record).toMatchObject({
      status: 'ok',
      retries: 1,
      tokens: ONE,
      usage_complete: true,
    })
  })

  test('a conversation that stays too long is ended, and the summary of it is no end', () => {
    const { events, record } = played('overflow', { exit: { signal: 'SIGKILL', ended: 'limit' } })
    expect(events.filter(({ type }) => type === 'limit')).toEqual([{ type: 'limit', errorClass: 'context_length' }])
    expect(record).toMatchObject({ status: 'error', error_class: 'context_length', usage_complete: false })
    const summary = linesIn('overflow.jsonl').findIndex((line) => line.includes('"synthetic":true'))
    const cut = { lines: linesIn('overflow.jsonl').slice(0, summary + 1) }
    expect(played('overflow', cut).record).not.toMatchObject({ status: 'ok' })
  })
})

describe('starts that come to nothing', () => {
  test.each([
    ['unknown-model', 'not_found', 'Model not found: p/nope'],
    ['bad-flag', 'usage', 'does not know one of its arguments'],
    ['unknown-session', 'usage', 'Session not found'],
    ['bad-config', 'usage', 'Configuration is invalid'],
  ])('%s is %s', (name, errorClass, message) => {
    expect(played(name, { exit: FAILED }).record).toMatchObject({
      status: 'error',
      error_class: errorClass,
      error_message: expect.stringContaining(message) as string,
      tokens: NONE,
      usage_complete: true,
    })
  })
})

describe('ends', () => {
  test.each(['sigterm-model', 'sigterm-tool', 'stalled-stream'])('%s is a kill', (name) => {
    for (const exit of [{ signal: 'SIGKILL' }, { signal: 'SIGTERM', ended: 'timeout' } as const]) {
      expect(played(name, { exit }).record).toMatchObject({ status: 'killed', usage_complete: false })
    }
  })

  test('without the end of a last step an exit code of 0 says nothing', () => {
    const lines = linesIn('tool.jsonl').slice(0, 4)
    expect(played('tool', { lines }).record).toMatchObject({
      status: 'error',
      error_class: 'truncated_output',
      tokens: ONE,
      usage_complete: false,
    })
  })

  test('a rejected permission is a denial that names the tool', () => {
    expect(played('rejected').record.error_message).toContain('bash')
  })

  test('a result counts, however the process was ended after it', () => {
    for (const exit of [{ signal: 'SIGKILL', ended: 'result' } as const, { signal: 'SIGTERM' }])
      expect(played('tool', { exit }).record).toMatchObject({ status: 'ok', usage_complete: true })
  })
})

describe('what it said and did', () => {
  test('an answer after nothing but a denied tool is no work', () => {
    expect(played('denied-tool').record).toMatchObject({
      status: 'denied',
      error_class: 'denied',
      tool_calls: [{ name: 'bash', ok: false }],
    })
    expect(played('read-only').record).toMatchObject({ status: 'denied', tool_calls: [{ name: 'Write', ok: false }] })
    expect(played('outside').record).toMatchObject({
      status: 'denied',
      tool_calls: [{ name: 'write', ok: false }],
      warnings: ['it was not allowed to use write'],
    })
    expect(played('full').record).toMatchObject({ status: 'ok', tool_calls: [{ name: 'write', ok: true }] })
  })

  test('reported cost counts when the client has a price, else it is computed', () => {
    expect(played('no-price').record).toMatchObject({ cost_source: 'computed' })
    expect(played('anthropic', { request: { spec: { model: 'anthropic/claude-sonnet-4-5' } } }).record).toMatchObject({
      cost_usd: 0.00143625,
      cost_source: 'reported',
      tokens: { ...TWO, cache_write: 7 },
    })
  })

  test('a conversation that goes on counts what it uses now', () => {
    expect(played('resumed').record).toMatchObject({ status: 'ok', turns: 2, tokens: TWO })
  })

  test('a structured answer is the last JSON block', () => {
    const spec = { model: 'p/m', output_schema: { type: 'object' } }
    expect(played('schema', { request: { spec } }).record.structured).toEqual({ answer: 42 })
  })
})

describe('subagents', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'spanwright-opencode-'))
  const child = /"metadata":\{[^}]*"sessionId":"(ses_\w+)"/.exec(linesIn('subagent.jsonl').join('\n'))?.[1]
  const request: RequestChanges = { ...MODEL, home }
  const message = (id: string, data: object): [string, string] => [id, JSON.stringify(data)]
  const answer = { role: 'assistant', modelID: 'm', providerID: 'p', tokens: { input: 10, output: 3 }, cost: 0.000016 }

  beforeAll(() => {
    const folder = path.join(home, '.local/share/opencode')
    mkdirSync(folder, { recursive: true })
    const database = new DatabaseSync(path.join(folder, 'opencode.db'))
    database.exec(
      'CREATE TABLE session (id TEXT, parent_id TEXT); CREATE TABLE message (id TEXT, session_id TEXT, data TEXT)',
    )
    const insert = database.prepare('INSERT INTO message (id, session_id, data) VALUES (?, ?, ?)')
    insert.run('msg_1', child!, message('', { role: 'user' })[1])
    insert.run('msg_2', child!, message('', { ...answer, time: { created: 1, completed: 2 } })[1])
    insert.run('msg_3', 'ses_grandchild', message('', { ...answer, time: { created: 1, completed: 2 } })[1])
    database.prepare('INSERT INTO session (id, parent_id) VALUES (?, ?)').run('ses_grandchild', child!)
    database.close()
  })
  afterAll(() => rmSync(home, { recursive: true, force: true }))

  test('what they spent is in the database of the client', () => {
    const { record, events } = played('subagent', { request })
    expect(record).toMatchObject({
      turns: 4,
      tokens: { ...TWO, input: 150, output: 53 },
      cost_source: 'reported',
      usage_complete: true,
    })
    expect(record.cost_usd).toBeCloseTo(0.000329 + 2 * 0.000016, 9)
    expect(events.filter((event) => event.type === 'call' && event.subagent)).toHaveLength(2)
  })

  test('in an isolated home each conversation has its own database, and is found again in it', () => {
    const isolated = { home, isolated: true, spec: { use: 'opencode' as const } }
    const databaseFor = (session?: string): string | undefined => {
      const launched = opencode.launch(
        agentRequest({ ...isolated, ...(session !== undefined && { session: { id: session } }) }),
      )
      return 'problem' in launched ? launched.problem : launched.env['OPENCODE_DB']
    }
    const own = path.join(home, '.local/share/opencode/opencode-11111111-2222-4333-8444-555555555555.db')
    expect(databaseFor()).toBe(own)
    expect(databaseFor('ses_grandchild')).toBe(path.join(home, '.local/share/opencode/opencode.db'))
    expect(databaseFor('ses_unknown')).toBe(own)
  })

  test('without it the record says that it does not know all', () => {
    const { record } = played('subagent', { request: { ...MODEL, home: '/nowhere' } })
    expect(record).toMatchObject({ status: 'ok', tokens: TWO, usage_complete: false })
  })
})

describe('launch', () => {
  const launch = (changes: RequestChanges = {}): AgentLaunch => {
    const launched = opencode.launch(agentRequest({ ...changes, spec: { use: 'opencode', ...changes.spec } }))
    if ('problem' in launched) throw new Error(launched.problem)
    return launched
  }
  const rules = (changes: RequestChanges): unknown => JSON.parse(launch(changes).env['OPENCODE_PERMISSION'] ?? 'null')

  test('a prompt of any length goes to its standard input', () => {
    const { args, stdin } = launch({ prompt: 'x'.repeat(300_000), spec: { model: 'p/m', args: ['--thinking'] } })
    expect(stdin).toHaveLength(300_000)
    expect(args.join(' ')).toBe(
      'run --format json --print-logs --log-level ERROR --model p/m --title spanwright --thinking',
    )
    expect(launch({ session: { id: 'ses_1' } }).args.slice(6)).toEqual(['--session', 'ses_1'])
  })

  test('permission levels are rules that leave nothing to be asked', () => {
    expect(rules({})).toMatchObject({ external_directory: 'deny', doom_loop: 'allow', read: { '*.env': 'deny' } })
    expect(rules({ spec: { permission: 'read' } })).toMatchObject({
      '*': 'deny',
      edit: 'deny',
      bash: 'deny',
      grep: 'allow',
    })
    expect(rules({ spec: { permission: 'full' } })).toMatchObject({ external_directory: 'allow' })
    expect(launch({ spec: { permission: 'full' } }).args).toContain('--auto')
  })

  test("named tools go before the level, the level before the user's own rules", () => {
    const spec = { allowed_tools: ['webfetch'], denied_tools: ['write', 'bash(git push*)'] }
    const env = { OPENCODE_PERMISSION: '{"bash":{"rm *":"deny"},"external_directory":"allow"}' }
    expect(rules({ spec, env })).toMatchObject({
      bash: { 'rm *': 'deny', 'git push*': 'deny' },
      external_directory: 'deny',
      webfetch: 'allow',
      edit: 'deny',
    })
  })

  test('it is told of no receiver, commands that it starts are', () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' }
    expect(launch({ env }).env).toMatchObject({
      OTEL_EXPORTER_OTLP_ENDPOINT: '',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:4318/v1/metrics',
    })
    expect(launch({ env: { ...env, SPANWRIGHT_AGENT_TELEMETRY: 'on' } }).env).not.toHaveProperty(
      'OTEL_EXPORTER_OTLP_ENDPOINT',
    )
    expect(launch().env).not.toHaveProperty('OTEL_EXPORTER_OTLP_ENDPOINT')
  })
})

test('its version', () => {
  expect(opencode.parseVersion('1.18.33\n')).toBe('1.18.33')
  expect(opencode.parseVersion('')).toBeUndefined()
})
