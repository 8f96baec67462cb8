// The adapter of Gemini CLI on what 0.61.0 really wrote: each case of docs/agents/gemini.md, with the two files beside its
// stream. Machine paths are replaced in the transcripts, stack traces and unread parts of the telemetry left out.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { AgentLaunch } from '../../../src/effects/agents/adapter.ts'
import { gemini } from '../../../src/effects/agents/gemini.ts'
import {
  adapterContract,
  agentRequest,
  linesOf,
  PLAYED_AT,
  replay,
  SIDE_FILE,
  type Fixture,
  type Played,
  type RequestChanges,
} from './contract.ts'

const FOLDER = path.join(import.meta.dirname, 'transcripts/gemini')
const textOf = (name: string): string => {
  const file = path.join(FOLDER, name)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
const lines = (name: string): string[] => linesOf(textOf(`${name}.jsonl`))
const side = (name: string): string[] => linesOf(textOf(`${name}.side.txt`))
const stderr = (name: string): string[] => linesOf(textOf(`${name}.stderr.txt`))

const fixture = (name: string, truth: Fixture['truth'], more: Partial<Fixture> = {}): Fixture => ({
  name,
  lines: lines(name),
  side: side(name),
  stderr: stderr(name),
  truth,
  ...more,
})
const played = (name: string, more: Partial<Fixture> = {}): Played => replay(gemini, fixture(name, {}, more))

/** What the provider counted. */
const TWO = { input: 130, cache_read: 1_050, cache_write: 0, output: 47, reasoning: 5 }
const ONE = { input: 50, cache_read: 500, cache_write: 0, output: 35, reasoning: 5 }
const NONE = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 }

adapterContract(gemini, [
  fixture('tool', {
    cli: 'gemini',
    session_id: '11111111-2222-4333-8444-555555555555',
    model: 'gemini-2.5-pro',
    turns: 2,
    tokens: TWO,
    cost_source: 'computed',
    final_text: 'It printed hi.',
    tool_calls: [{ name: 'run_shell_command', ok: true, exit_code: 0, output_tail: 'hi\nerr' }],
    status: 'ok',
    usage_complete: true,
  }),
  fixture('failing-command', {
    status: 'ok',
    tokens: TWO,
    tool_calls: [{ ok: false, exit_code: 3, output_tail: 'out\nbad' }],
  }),
  fixture('subagent', { status: 'ok', turns: 3, tokens: { ...TWO, input: 140, output: 50 }, usage_complete: true }),
  fixture('http-400', { status: 'error', error_class: 'bad_request', tokens: NONE }, { exit: { exitCode: 144 } }),
  fixture('loop', { status: 'error', error_class: 'loop', usage_complete: false }),
  fixture('max-tokens', { status: 'error', error_class: 'output_limit', tokens: ONE }),
  fixture(
    'turn-limit',
    { status: 'limit', error_class: 'max_turns', turns: 3, tool_calls_total: 3 },
    { exit: { exitCode: 53 } },
  ),
  fixture('no-finish-reason', { status: 'error', error_class: 'stream', usage_complete: false }),
  fixture(
    'sigterm-tool',
    { status: 'killed', turns: 1, tokens: ONE, usage_complete: false },
    { exit: { ended: 'stop' } },
  ),
  {
    name: 'tool without files beside it',
    lines: lines('tool'),
    truth: { turns: 2, tokens: TWO, usage_complete: true },
  },
])

describe('errors of the provider', () => {
  test.each([
    { name: 'http-400', exitCode: 144, errorClass: 'bad_request', httpStatus: 400, retries: 0 },
    { name: 'http-401', exitCode: 145, errorClass: 'auth', httpStatus: 401, retries: 0 },
    { name: 'http-403', exitCode: 147, errorClass: 'auth', httpStatus: 403, retries: 0 },
    { name: 'http-404', exitCode: 1, errorClass: 'not_found', httpStatus: 404, retries: 0 },
    { name: 'http-429', exitCode: 173, errorClass: 'rate_limit', httpStatus: 429, retries: 2 },
    { name: 'http-500', exitCode: 244, errorClass: 'server', httpStatus: 500, retries: 2 },
    { name: 'http-503', exitCode: 247, errorClass: 'server', httpStatus: 503, retries: 2 },
    { name: 'quota-day', exitCode: 173, errorClass: 'quota', httpStatus: 429, retries: 0 },
    { name: 'rate-limit-reset', exitCode: 173, errorClass: 'rate_limit', httpStatus: 429, retries: 2 },
    { name: 'context-length', exitCode: 144, errorClass: 'context_length', httpStatus: 400, retries: 0 },
    { name: 'bad-key', exitCode: 144, errorClass: 'auth', httpStatus: 400, retries: 0 },
  ])('$name with exit code $exitCode is $errorClass', ({ name, exitCode, errorClass, httpStatus, retries }) => {
    const { record } = played(name, { exit: { exitCode } })
    expect(record).toMatchObject({
      status: 'error',
      error_class: errorClass,
      http_status: httpStatus,
      retries,
      tokens: NONE,
      usage_complete: true,
    })
    expect(record.error_message).not.toMatch(/API Error|\{/)
  })

  test('a reset time in the message is told', () => {
    const { verdict, events } = played('rate-limit-reset', { exit: { exitCode: 173 } })
    expect(verdict.resetsAt).toBeGreaterThan(PLAYED_AT + 1_500)
    expect(verdict.resetsAt).toBeLessThan(PLAYED_AT + 1_500 + 60_000)
    expect(events.filter(({ type }) => type === 'retry')).toHaveLength(2)
  })

  test.each([
    ['cut-stream', 'stream', false],
    ['malformed-stream', 'stream', false],
    ['refused', 'network', true],
  ])('%s is %s', (name, errorClass, complete) => {
    expect(played(name, { exit: { exitCode: 1 } }).record).toMatchObject({
      status: 'error',
      error_class: errorClass,
      usage_complete: complete,
    })
  })

  test('a request that was tried again and then answered is a success with a retry', () => {
    const { record, events } = played('retry-then-ok')
    expect(record).toMatchObject({ status: 'ok', retries: 1, turns: 1, tokens: ONE })
    expect(events.find((event) => event.type === 'call' && event.error)).toMatchObject({
      error: { errorClass: 'overloaded' },
    })
  })
})

describe('results that call themselves a success', () => {
  test.each([
    ['loop', 'loop'],
    ['max-tokens', 'output_limit'],
    ['safety', 'content_filter'],
  ])('%s is %s', (name, errorClass) => {
    expect(played(name).record).toMatchObject({ status: 'error', error_class: errorClass })
  })

  test('an exit code after a result that is none of ours makes it an error', () => {
    expect(played('success', { exit: { exitCode: 1 } }).record).toMatchObject({
      status: 'error',
      error_class: 'unknown',
    })
    expect(played('success', { exit: { exitCode: 1, ended: 'result' } }).record).toMatchObject({ status: 'ok' })
  })
})

describe('ends without a result', () => {
  test.each([
    ['auth-missing', 41, 'auth', 'Invalid auth method selected.'],
    ['auth-setting-missing', 41, 'auth', 'Invalid auth method selected.'],
    ['unknown-session', 42, 'usage', 'Error resuming session'],
    ['untrusted', 55, 'usage', 'not running in a trusted directory'],
    ['bad-flag', 1, 'usage', 'Unknown arguments: such-flag'],
  ])('%s (%i) is %s', (name, exitCode, errorClass, message) => {
    expect(played(name, { exit: { exitCode } }).record).toMatchObject({
      status: 'error',
      error_class: errorClass,
      error_message: expect.stringContaining(message) as string,
      usage_complete: true,
    })
  })

  test.each(['hang', 'stalled-stream', 'sigterm-tool'])('%s: exit 0 after SIGTERM is a kill, or cut off', (name) => {
    expect(played(name, { exit: { exitCode: 0, ended: 'timeout' } }).record).toMatchObject({ status: 'killed' })
    expect(played(name).record).toMatchObject({
      status: 'error',
      error_class: 'truncated_output',
      usage_complete: false,
    })
  })
})

describe('what it said and did', () => {
  test('an answer that was asked for again is there once', () => {
    const streamed = lines('doubled-text').map((line) => (JSON.parse(line) as { content?: string }).content ?? '')
    expect(streamed.join('')).toContain('A broken beginningA whole answer.')
    expect(played('doubled-text').record.final_text).toBe('A whole answer.')
  })

  test('each request is a call with its model, tokens and end', () => {
    const calls = played('tool').events.filter((event) => event.type === 'call')
    expect(calls).toMatchObject([
      { model: 'gemini-2.5-pro', finishReason: 'stop', tokens: ONE },
      { model: 'gemini-2.5-pro', finishReason: 'stop', tokens: { input: 80, cache_read: 550, output: 12 } },
    ])
    for (const call of calls) expect(call.startedAt).toBeLessThanOrEqual(call.endedAt)
  })

  test('the request that chooses a model counts and is not the main one', () => {
    const { record } = played('auto-model', { request: { spec: { model: undefined } } })
    expect(record).toMatchObject({ model: 'gemini-3.8-flash', turns: 3, tokens: { ...TWO, input: 230, output: 67 } })
    expect(Object.keys(record.models).toSorted()).toEqual(['gemini-3.5-flash-lite', 'gemini-3.8-flash'])
  })

  test('tools in one turn, one of which fails', () => {
    const { record } = played('many-tools')
    expect(record.tool_calls).toMatchObject([
      { name: 'run_shell_command', ok: true, exit_code: 0 },
      { name: 'read_file', ok: true, exit_code: null },
      { name: 'read_file', ok: false, output_tail: 'File not found.' },
    ])
  })

  test('an answer after nothing but a tool that is not offered is no work', () => {
    expect(played('read-only').record).toMatchObject({
      status: 'denied',
      error_class: 'denied',
      tool_calls: [{ ok: false }],
      warnings: ['it was not allowed to use run_shell_command'],
    })
  })

  test('a conversation that goes on counts what it uses now', () => {
    expect(played('resumed').record).toMatchObject({ status: 'ok', turns: 2, tokens: TWO, tool_calls_total: 1 })
  })

  test('what a client writes to the same file that was started as a command does not count', () => {
    const other = side('tool').map((line) => line.replace('11111111-2222', '99999999-2222'))
    const { record } = played('tool', { side: [...side('tool'), ...other] })
    expect(record.tokens).toEqual(TWO)
  })

  test('results of commands wait for their exit code, but not for ever', () => {
    const reader = gemini.reader(agentRequest({ spec: { use: 'gemini' } }))
    const [init, , text, use, result, next] = lines('failing-command').toSpliced(2, 0, '')
    const types = (events: readonly { type: string }[]): string[] => events.map(({ type }) => type)
    for (const line of [init!, text!, use!]) reader.stdout(line, PLAYED_AT)
    expect(types(reader.stdout(result!, PLAYED_AT))).not.toContain('tool.finished')
    const [kept] = side('failing-command').filter((line) => line.includes('toolCalls'))
    expect(reader.side!(kept!, PLAYED_AT + 100, SIDE_FILE)).toMatchObject([{ type: 'tool.finished', exitCode: 3 }])
    const late = gemini.reader(agentRequest({ spec: { use: 'gemini' } }))
    for (const line of [init!, use!, result!]) late.stdout(line, PLAYED_AT)
    expect(late.stdout(next!, PLAYED_AT + 1_000)[0]).toMatchObject({ type: 'tool.finished', ok: true })
  })

  test('a structured answer is the last JSON block', () => {
    const spec = { output_schema: { type: 'object' } }
    expect(played('schema', { request: { spec } }).record.structured).toEqual({ answer: 42 })
    expect(played('schema').record.structured).toBeNull()
  })

  test('turns are counted, and it is ended when they are used up', () => {
    const request = { spec: { max_turns: 2 } }
    const { events, record } = played('turn-limit', { request, exit: { ended: 'limit' } })
    const limit = events.findIndex(({ type }) => type === 'limit')
    expect(events.slice(0, limit).filter(({ type }) => type === 'tool.started')).toHaveLength(2)
    expect(record).toMatchObject({ status: 'limit', error_class: 'max_turns', usage_complete: false })
  })
})

describe('launch', () => {
  const launch = (changes: RequestChanges = {}): AgentLaunch => {
    const launched = gemini.launch(agentRequest({ ...changes, spec: { use: 'gemini', ...changes.spec } }))
    if ('problem' in launched) throw new Error(launched.problem)
    return launched
  }
  const file = (launched: AgentLaunch, name: string): string | undefined =>
    launched.files?.find((one) => one.path.endsWith(name))?.text

  test('a prompt of any length goes to its standard input; the conversation has a given id', () => {
    const { args, stdin, files, env } = launch({ prompt: 'x'.repeat(300_000) })
    expect(stdin).toHaveLength(300_000)
    expect(args.join(' ')).toBe(
      '--output-format stream-json --approval-mode yolo --skip-trust --session-id 11111111-2222-4333-8444-555555555555',
    )
    expect(files).toEqual([])
    expect(env).toMatchObject({ GEMINI_CLI_NO_RELAUNCH: 'true', GEMINI_TELEMETRY_LOG_PROMPTS: 'false' })
  })

  test('model, conversation to go on with, more arguments', () => {
    const { args } = launch({ session: { id: 'abc' }, spec: { model: 'gemini-2.5-pro', args: ['--debug'] } })
    expect(args.slice(5)).toEqual(['--model', 'gemini-2.5-pro', '--resume', 'abc', '--debug'])
  })

  test('settings are written into an isolated home only', () => {
    const launched = launch({
      isolated: true,
      home: '/run/homes/gemini',
      env: { GEMINI_API_KEY: 'k' },
    })
    expect(launched.files?.map((one) => one.path)).toEqual(['/run/homes/gemini/.gemini/settings.json'])
    expect(JSON.parse(file(launched, 'settings.json')!)).toMatchObject({
      security: { auth: { selectedType: 'gemini-api-key' } },
      privacy: { usageStatisticsEnabled: false },
    })
  })

  test('permission levels and tools are rules', () => {
    const read = launch({ spec: { permission: 'read', allowed_tools: ['run_shell_command(git log:*)'] } })
    expect(read.args).toContain('default')
    const policy = file(read, 'gemini-policy.toml')!
    expect(policy).toContain('toolName = "write_file"\ndecision = "deny"\npriority = 900')
    expect(policy).toContain(
      'toolName = "run_shell_command"\ncommandPrefix = "git log"\ndecision = "allow"\npriority = 950',
    )
    expect(read.args.join(' ')).toContain('--policy /run/attempt/gemini-policy.toml')
    expect(file(launch({ spec: { denied_tools: ['web_fetch'] } }), 'gemini-policy.toml')).toBe(
      '[[rule]]\ntoolName = "web_fetch"\ndecision = "deny"\npriority = 990\n',
    )
  })

  test("telemetry of the user's own is left alone, that of a run around this one is not", () => {
    const user = launch({ env: { GEMINI_TELEMETRY_ENABLED: 'true' } })
    expect(user.env).not.toHaveProperty('GEMINI_TELEMETRY_OUTFILE')
    const nested = { GEMINI_TELEMETRY_ENABLED: 'true', GEMINI_TELEMETRY_OUTFILE: '/outer/gemini-telemetry-1.log' }
    expect(launch({ env: nested }).env['GEMINI_TELEMETRY_OUTFILE']).toBe('/run/attempt/gemini-telemetry-1.log')
  })

  test('the form of a structured answer is in the prompt', () => {
    expect(launch({ spec: { output_schema: { type: 'object' } } }).stdin).toContain(
      '```json\n{\n  "type": "object"\n}\n```',
    )
  })
})

describe('on disk', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spanwright-gemini-'))
  const write = (file: string, text: string): string => {
    const target = path.join(folder, file)
    mkdirSync(path.dirname(target), { recursive: true })
    writeFileSync(target, text)
    return target
  }
  afterEach(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  })

  test('the conversation is found among those of all projects, its telemetry is gone afterwards', () => {
    const request = agentRequest({ home: folder, attemptDir: folder, spec: { use: 'gemini' } })
    const launched = gemini.launch(request)
    if ('problem' in launched) throw new Error(launched.problem)
    const telemetry = path.join(folder, 'gemini-telemetry-1.log')
    expect(launched.side!()).toEqual([telemetry])
    write('.gemini/tmp/other/chats/session-2026-11-21T16-41-99999999.jsonl', '')
    const chat = write('.gemini/tmp/project/chats/session-2026-11-21T16-41-11111111.jsonl', '')
    write('gemini-telemetry-1.log', '{')
    expect(launched.side!()).toEqual([telemetry, chat])
    gemini.reader(request).end({ exitCode: 0, stderr: '', rest: '' }, PLAYED_AT)
    expect(existsSync(telemetry)).toBe(false)
  })

  test('credentials that are missing for sure are named', () => {
    const problem = (env: Record<string, string>, home: 'user' | 'isolated' = 'user'): string | undefined =>
      gemini.credentialProblem(agentRequest({ spec: { home } }).spec, env, folder)
    // Keys may be in a file of the project.
    vi.spyOn(process, 'cwd').mockReturnValue(path.join(folder, 'project'))
    expect(problem({})).toContain('set GEMINI_API_KEY')
    expect(problem({ GEMINI_API_KEY: 'k' })).toBeUndefined()
    expect(problem({}, 'isolated')).toContain('isolated home')
    expect(problem({ GEMINI_API_KEY: 'k', GOOGLE_GEMINI_BASE_URL: 'http://gateway' })).toContain('selectedType')
    write('.gemini/settings.json', '{\n  // mine\n  "security": {"auth": {"selectedType": "oauth-personal"}}\n}')
    expect(problem({ GEMINI_API_KEY: 'k', GOOGLE_GEMINI_BASE_URL: 'http://gateway' })).toBeUndefined()
    rmSync(path.join(folder, '.gemini/settings.json'))
    write('.gemini/.env', 'GEMINI_API_KEY=k')
    expect(problem({})).toBeUndefined()
  })
})

test('its version', () => {
  expect(gemini.parseVersion('0.61.0\n')).toBe('0.61.0')
  expect(gemini.parseVersion('')).toBeUndefined()
})
