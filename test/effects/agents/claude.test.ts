// What Claude Code's output means, on transcripts that the real client (2.1.329) wrote against a scripted provider, and how
// it is started. The truth is what the provider's script said.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { claude } from '../../../src/effects/agents/claude.ts'
import type { AgentLaunch, ErrorClass } from '../../../src/effects/agents/adapter.ts'
import {
  adapterContract,
  agentRequest,
  linesOf,
  linearPrice,
  play,
  PLAYED_AT,
  replay,
  type Fixture,
  type RequestChanges,
  type Truth,
} from './contract.ts'

const FOLDER = path.join(import.meta.dirname, 'transcripts/claude')
const transcript = (name: string): string[] => linesOf(readFileSync(path.join(FOLDER, `${name}.jsonl`), 'utf8'))

const MODEL = 'claude-sonnet-4-5'
/** Usage of the first and of each later turn of the scripts. */
const FIRST = { input: 50, cache_read: 500, cache_write: 7, output: 35, reasoning: 5 }
const LATER = { input: 80, cache_read: 550, cache_write: 0, output: 12, reasoning: 0 }
const NOTHING = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 }
type Tokens = typeof FIRST

const sum = (...all: Tokens[]): Tokens => ({
  input: all.reduce((total, tokens) => total + tokens.input, 0),
  cache_read: all.reduce((total, tokens) => total + tokens.cache_read, 0),
  cache_write: all.reduce((total, tokens) => total + tokens.cache_write, 0),
  output: all.reduce((total, tokens) => total + tokens.output, 0),
  reasoning: all.reduce((total, tokens) => total + tokens.reasoning, 0),
})
/** List price of claude-sonnet-4-5. */
const listPrice = ({ input, cache_read, cache_write, output }: Tokens): number =>
  (input * 3 + cache_read * 0.3 + cache_write * 3.75 + output * 15) / 1_000_000

const spent = (turns: number, ...all: Tokens[]): Truth => ({
  turns,
  tokens: sum(...all),
  cost_usd: expect.closeTo(listPrice(sum(...all)), 9) as number,
  cost_source: 'reported',
  usage_complete: true,
  cli: 'claude',
  cli_version: '2.1.329',
  model: MODEL,
})
const OK = { status: 'ok', error_class: null, exit_code: 0 } as const
const NO_SPEND = { tokens: NOTHING, turns: 0, cost_usd: 0, usage_complete: true } as const
const failed = (error_class: ErrorClass, http_status: number | null, message: string, retries = 0): Truth => ({
  status: 'error',
  error_class,
  http_status,
  error_message: expect.stringContaining(message) as string,
  retries,
  exit_code: 1,
})

const fixture = (name: string, truth: Truth, exit: Fixture['exit'] = {}, request: RequestChanges = {}): Fixture => ({
  name,
  lines: transcript(name),
  truth,
  exit,
  request: { ...request, spec: { model: MODEL, ...request.spec } },
})
const EXIT_1 = { exitCode: 1 }
const SCHEMA = { type: 'object', properties: { verdict: { type: 'string' } } }

const fixtures: readonly Fixture[] = [
  fixture('success-text', { ...OK, ...spent(1, FIRST), final_text: 'All done.' }),
  fixture('tools', {
    ...OK,
    ...spent(3, FIRST, LATER, LATER),
    final_text: 'It ran.',
    tool_calls: [
      { name: 'Bash', input: { command: 'echo hi; exit 3' }, ok: false, exit_code: 3, output_tail: 'Exit code 3\nhi' },
      { name: 'Bash', input: { command: 'echo fine' }, ok: true, exit_code: null, output_tail: 'fine' },
    ],
  }),
  fixture('parallel-tools', { ...OK, ...spent(2, FIRST, LATER), tool_calls: [{ ok: true }, { ok: true }] }),
  fixture('subagent', {
    ...OK,
    ...spent(4, FIRST, LATER, FIRST, LATER),
    final_text: 'Main is done.',
    tool_calls: [
      { name: 'Agent', ok: true },
      { name: 'Bash', ok: true, output_tail: 'sub' },
    ],
  }),
  // Two results: the second one, brought by the agent in the background, is the last word.
  fixture('subagent-background', { ...OK, ...spent(4, FIRST, LATER, FIRST, LATER), final_text: 'Now it is done.' }),
  fixture('retry-then-ok', {
    ...OK,
    ...spent(1, { ...NOTHING, input: 90, output: 8 }),
    retries: 2,
    final_text: 'Recovered.',
  }),
  fixture('resumed', { ...OK, ...spent(1, LATER), final_text: 'Second.' }, {}, { session: { id: 'x' } }),
  fixture(
    'structured',
    { ...OK, ...spent(1, FIRST), structured: { verdict: 'good' } },
    {},
    { spec: { output_schema: SCHEMA } },
  ),
  fixture(
    'structured-absent',
    {
      ...OK,
      ...spent(2, FIRST, FIRST),
      structured: null,
      warnings: ['it gave no structured answer although one was asked for'],
    },
    {},
    { spec: { output_schema: SCHEMA } },
  ),
  fixture(
    'unknown-model',
    {
      ...OK,
      tokens: FIRST,
      model: 'kimi-k3',
      cost_usd: expect.closeTo(linearPrice('kimi-k3', FIRST)!, 9) as number,
      cost_source: 'computed',
    },
    {},
    { spec: { model: 'kimi-k3' } },
  ),

  fixture('error-400', { ...failed('bad_request', 400, 'messages: bad'), ...NO_SPEND }, EXIT_1),
  fixture('error-context', { ...failed('context_length', 400, 'Prompt is too long'), ...NO_SPEND }, EXIT_1),
  fixture('error-credit', { ...failed('quota', 400, 'Credit balance'), ...NO_SPEND, status: 'limit' }, EXIT_1),
  fixture('error-401', { ...failed('auth', 401, 'Invalid API key', 2), ...NO_SPEND }, EXIT_1),
  fixture('no-key', { ...failed('auth', null, 'Not logged in'), ...NO_SPEND }, EXIT_1),
  fixture('error-403', { ...failed('auth', 403, '403 forbidden'), ...NO_SPEND }, EXIT_1),
  fixture('error-404', { ...failed('not_found', 404, 'It may not exist'), ...NO_SPEND }, EXIT_1),
  fixture('error-413', { ...failed('context_length', 413, 'too large'), ...NO_SPEND }, EXIT_1),
  fixture(
    'error-429',
    { ...failed('rate_limit', 429, 'Number of request tokens', 2), ...NO_SPEND, status: 'limit' },
    EXIT_1,
  ),
  fixture('error-429-wait', { ...failed('rate_limit', 429, 'Slow down', 1), ...NO_SPEND, status: 'limit' }, EXIT_1),
  fixture('error-429-plan', { ...failed('rate_limit', 429, '5-hour limit'), ...NO_SPEND, status: 'limit' }, EXIT_1),
  fixture(
    'error-429-text',
    { ...failed('rate_limit', 429, 'Usage limit reached', 2), ...NO_SPEND, status: 'limit' },
    EXIT_1,
  ),
  fixture('error-500', { ...failed('server', 500, 'boom', 2), ...NO_SPEND }, EXIT_1),
  fixture('error-529', { ...failed('overloaded', 529, 'Overloaded', 2), ...NO_SPEND }, EXIT_1),
  fixture('error-refused', { ...failed('network', null, 'Connection refused', 2), ...NO_SPEND }, EXIT_1),

  // What a broken answer costs is nowhere told.
  fixture(
    'stream-cut',
    { ...failed('stream', null, 'Connection dropped', 2), turns: 3, usage_complete: false },
    EXIT_1,
  ),
  fixture('stream-cut-then-ok', { ...OK, turns: 2, final_text: 'Whole.', usage_complete: false }),
  fixture('stream-cut-fallback', { ...OK, turns: 4, final_text: 'Whole.', usage_complete: false }),
  fixture('stream-malformed', { ...failed('stream', null, 'JSON Parse error'), usage_complete: false }, EXIT_1),
  fixture('stream-error', { ...failed('overloaded', 500, 'Overloaded', 1), usage_complete: false }, EXIT_1),
  fixture('stream-stalled', { status: 'killed', turns: 1, usage_complete: false }, { exitCode: 143, ended: 'stall' }),
  fixture(
    'max-tokens',
    { ...failed('output_limit', null, 'output token maximum'), ...spent(4, FIRST, FIRST, FIRST, FIRST) },
    EXIT_1,
  ),
  fixture('refusal', { ...failed('content_filter', null, "can't help with this"), ...spent(2, FIRST, FIRST) }, EXIT_1),

  fixture(
    'max-turns',
    { ...failed('max_turns', null, 'number of turns (2)'), ...spent(2, FIRST, FIRST), status: 'limit' },
    EXIT_1,
  ),
  fixture(
    'budget',
    {
      ...failed('budget', null, 'maximum budget ($0.2)'),
      ...spent(2, { ...FIRST, output: 10_005 }, { ...FIRST, output: 10_005 }),
      status: 'limit',
    },
    EXIT_1,
  ),
  fixture('resume-unknown', failed('usage', null, 'No conversation found'), EXIT_1, { session: { id: 'x' } }),

  fixture(
    'sigterm-waiting',
    { status: 'killed', exit_code: 143, tokens: FIRST, usage_complete: false },
    { exitCode: 143, ended: 'timeout' },
  ),
  fixture(
    'sigterm-tool',
    { status: 'killed', tokens: FIRST, tool_calls: [{ ok: false, exit_code: 137 }] },
    { exitCode: 143 },
  ),
  fixture(
    'sigkill-tool',
    { status: 'killed', signal: 'SIGKILL', tokens: FIRST, tool_calls: [{ ok: null }] },
    { signal: 'SIGKILL' },
  ),
  fixture('sigint-tool', { ...spent(1, FIRST), status: 'killed', exit_code: 0 }),
  fixture('sigint-waiting', {
    status: 'error',
    error_class: 'truncated_output',
    exit_code: 0,
    tokens: FIRST,
    usage_complete: false,
  }),

  fixture('denied', {
    ...spent(2, FIRST, LATER),
    status: 'denied',
    error_class: 'denied',
    exit_code: 0,
    error_message: expect.stringContaining('not allowed to use Bash') as string,
    warnings: [expect.stringContaining('Bash was not allowed') as string],
  }),
  fixture('denied-tool', { ...spent(2, FIRST, LATER), status: 'denied', error_class: 'denied' }),
  // It went on with what it was allowed.
  fixture('denied-partly', {
    ...OK,
    ...spent(2, FIRST, LATER),
    tool_calls: [{ ok: true }, { ok: false }, { ok: true }],
    warnings: ['Write was not allowed: Path is outside allowed working directories'],
  }),
  fixture('allowed-list', {
    ...OK,
    ...spent(3, FIRST, LATER, LATER),
    tool_calls: [{ ok: false }, { ok: true }, { ok: true }],
  }),

  // Started by others without the provider's own events: sums come at the end, what broke is not seen.
  fixture('plain-tools', { ...OK, ...spent(3, FIRST, LATER, LATER), final_text: 'It ran.' }),
  fixture('plain-subagent-background', {
    ...OK,
    ...spent(4, FIRST, LATER, FIRST, LATER),
    final_text: 'Now it is done.',
  }),
  fixture('plain-stream-cut', { ...failed('stream', null, 'Connection dropped', 2), usage_complete: false }, EXIT_1),
  fixture('plain-stream-cut-fallback', { ...OK, final_text: 'Whole.', retries: 2, usage_complete: false }),
  fixture('plain-stream-malformed', { ...failed('stream', null, 'JSON Parse error'), usage_complete: false }, EXIT_1),
  fixture(
    'plain-sigterm-tool',
    { status: 'killed', turns: 1, tokens: { input: 50, cache_read: 500 }, usage_complete: false },
    { exitCode: 143 },
  ),
]

adapterContract(claude, fixtures)

describe('what claude tells besides', () => {
  const fixtureOf = (name: string): Fixture => fixtures.find((candidate) => candidate.name === name)!

  test.each([
    ['error-429-plan', '2026-11-21T17:28:41.000Z'],
    ['error-429-text', '2026-11-22T05:00:00.000Z'],
  ])('%s: when the limit ends', (name, time) => {
    expect(new Date(replay(claude, fixtureOf(name)).verdict.resetsAt ?? 0).toISOString()).toBe(time)
  })

  test('a wait that the provider asked for counts from the last refusal', () => {
    const { verdict } = replay(claude, fixtureOf('error-429-wait'))
    const refused = fixtureOf('error-429-wait').lines.map((line) => JSON.parse(line) as { timestamp?: string })
    const at = Date.parse(refused.find(({ timestamp }) => timestamp !== undefined)!.timestamp!)
    expect(verdict.resetsAt! - at).toBeGreaterThan(12_000)
    expect(verdict.resetsAt! - at).toBeLessThan(20_000)
  })

  test('a limit without a named end has none', () => {
    expect(replay(claude, fixtureOf('error-429')).verdict.resetsAt).toBeUndefined()
  })

  test('requests one by one, those of subagents marked, refused ones with their error', () => {
    const calls = (name: string): unknown[] =>
      replay(claude, fixtureOf(name)).events.flatMap((event) =>
        event.type === 'call' ? [[event.subagent ?? false, event.tokens?.output, event.error?.errorClass]] : [],
      )
    expect(calls('subagent')).toEqual([
      [false, 35, undefined],
      [true, undefined, undefined],
      [true, undefined, undefined],
      [false, 12, undefined],
    ])
    expect(calls('retry-then-ok')).toEqual([
      [false, undefined, 'server'],
      [false, undefined, 'rate_limit'],
      [false, 8, undefined],
    ])
    expect(calls('error-529')).toHaveLength(3)
  })

  test('spend is known request by request, before the result', () => {
    const { lines } = fixtureOf('tools')
    const before = lines.filter((line) => !line.includes('"type":"result"'))
    expect(play(claude, before, { signal: 'SIGKILL' }, { spec: { model: MODEL } })).toMatchObject({
      tokens: sum(FIRST, LATER, LATER),
      turns: 3,
      usage_complete: false,
      cost_source: 'computed',
    })
  })

  test('what subagents used is seen before the result as a lower bound', () => {
    const { lines } = fixtureOf('subagent')
    const before = lines.filter((line) => !line.includes('"type":"result"'))
    const record = play(claude, before, { signal: 'SIGKILL' }, { spec: { model: MODEL } })
    expect(record.tokens).toMatchObject({ input: 260, cache_read: 2_100, cache_write: 14 })
    expect(record.tokens.output).toBeLessThan(94)
    expect(record.usage_complete).toBe(false)
  })

  test('a resumed conversation: what the client sums over all of it goes on', () => {
    const totals = (name: string): unknown =>
      replay(claude, { lines: transcript(name) }).events.findLast((event) => event.type === 'totals')
    expect(totals('resumed-first')).toMatchObject({
      totals: { ...FIRST, cost_usd: expect.closeTo(listPrice(FIRST), 9) as number },
    })
    expect(totals('resumed')).toMatchObject({ totals: sum(FIRST, LATER) })
  })

  test('without sums of its own a result is the difference to what was known before', () => {
    const lines = transcript('resumed').map((line) => {
      const { model_usage_since_last_result: _, ...event } = JSON.parse(line) as Record<string, unknown>
      return JSON.stringify(event)
    })
    const known = play(claude, lines, {}, { spec: { model: MODEL }, session: { id: 'x', totals: FIRST } })
    expect(known).toMatchObject({ tokens: LATER, usage_complete: true })
    const unknown = play(claude, lines, {}, { spec: { model: MODEL }, session: { id: 'x' } })
    expect(unknown).toMatchObject({ tokens: LATER, usage_complete: false })
  })

  test('the result is told once the agents in the background are done', () => {
    const lines = transcript('subagent-background')
    const isEnd = (line: string): boolean => line.includes('"background_tasks_changed","tasks":[]')
    const { verdict, events } = replay(claude, { lines: lines.filter((line) => !isEnd(line)) })
    // Not before the end of the process.
    expect(events.findIndex((event) => event.type === 'result')).toBe(events.length - 1)
    expect(verdict).toMatchObject({ status: 'ok', usageComplete: false })
  })

  test('a result that the process outlived counts, and so does one before a kill', () => {
    const { lines } = fixtureOf('success-text')
    expect(play(claude, lines, { signal: 'SIGKILL', ended: 'result' })).toMatchObject({
      status: 'ok',
      usage_complete: true,
    })
    expect(play(claude, lines, { exitCode: 7 })).toMatchObject({ status: 'ok' })
  })

  test('a last line without its end counts', () => {
    const { lines } = fixtureOf('success-text')
    expect(play(claude, lines.slice(0, -1), { rest: lines.at(-1)! })).toMatchObject({
      status: 'ok',
      ...spent(1, FIRST),
    })
  })

  test.each([
    ["error: unknown option '--no-such-flag'", 'usage'],
    ['Error: Session ID 88f6eda0 is already in use.', 'usage'],
    ['--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons', 'usage'],
    ['Segmentation fault', 'unknown'],
  ])('nothing but stderr: %s', (stderr, errorClass) => {
    const record = play(claude, [], { exitCode: 1, stderr: `${stderr}\n` })
    expect(record).toMatchObject({ status: 'error', error_class: errorClass, error_message: stderr })
    expect(record.usage_complete).toBe(errorClass === 'usage')
  })

  test('a model that it does not know is said once', () => {
    const stderr = [
      '[claude-code:unrecognized_model] {"model":"kimi-k3","query_source":"sdk"}',
      'Warning: something else',
    ]
    const { record } = replay(claude, { lines: transcript('unknown-model'), stderr: [...stderr, ...stderr] })
    expect(record.warnings).toEqual([
      'Claude Code does not know the model kimi-k3: its own cost is a guess and not used',
    ])
  })

  test('times are the client’s own', () => {
    const { record } = replay(claude, fixtureOf('tools'))
    expect(record.tool_calls[0]!.started_at > new Date(PLAYED_AT).toISOString()).toBe(true)
    expect(record.tool_calls[0]!.ended_at! >= record.tool_calls[0]!.started_at).toBe(true)
  })
})

describe('how claude is started', () => {
  const launched = (changes: RequestChanges = {}): AgentLaunch => {
    const launch = claude.launch(agentRequest(changes))
    if ('problem' in launch) throw new Error(launch.problem)
    return launch
  }
  /** What follows a flag, up to the next one. */
  const valuesOf = (flag: string, changes: RequestChanges = {}): readonly string[] | undefined => {
    const { args } = launched(changes)
    if (!args.includes(flag)) return undefined
    const rest = args.slice(args.indexOf(flag) + 1)
    const next = rest.findIndex((argument) => argument.startsWith('--'))
    return next < 0 ? rest : rest.slice(0, next)
  }
  const ENV = { IS_SANDBOX: '1' }

  test('the prompt goes to its standard input, the answer comes as a stream of events', () => {
    const launch = launched({ prompt: 'word '.repeat(200_000) })
    expect(launch).toMatchObject({ file: 'claude', stdin: 'word '.repeat(200_000) })
    expect(launch.args.slice(0, 5)).toEqual([
      '--print',
      '--output-format',
      'stream-json',
      '--verbose',
      '--include-partial-messages',
    ])
  })

  test('a new conversation has our id, an old one is gone on with', () => {
    expect(valuesOf('--session-id')).toEqual(['11111111-2222-4333-8444-555555555555'])
    expect(valuesOf('--resume', { session: { id: 'abc' } })).toEqual(['abc'])
    expect(valuesOf('--session-id', { session: { id: 'abc' } })).toBeUndefined()
  })

  test('permissions', () => {
    expect(valuesOf('--permission-mode', { spec: { permission: 'read' } })).toEqual(['dontAsk'])
    expect(valuesOf('--disallowedTools', { spec: { permission: 'read', denied_tools: ['WebFetch', 'Edit'] } })).toEqual(
      ['Edit', 'Write', 'NotebookEdit', 'WebFetch'],
    )
    expect(valuesOf('--permission-mode')).toEqual(['acceptEdits'])
    expect(valuesOf('--allowedTools')).toContain('Bash')
    expect(valuesOf('--disallowedTools')).toBeUndefined()
    expect(valuesOf('--permission-mode', { env: ENV, spec: { permission: 'full' } })).toEqual(['bypassPermissions'])
    const listed = { spec: { permission: 'read', allowed_tools: ['Bash(git *)', 'Edit(docs/**)'] } } as const
    expect(valuesOf('--permission-mode', listed)).toEqual(['dontAsk'])
    expect(valuesOf('--allowedTools', listed)).toEqual(['Bash(git *)', 'Edit(docs/**)'])
    expect(valuesOf('--disallowedTools', listed)).toEqual(['Write', 'NotebookEdit'])
    const besides = { spec: { allowed_tools: ['mcp__issues__list'] } }
    expect(valuesOf('--permission-mode', besides)).toEqual(['acceptEdits'])
    expect(valuesOf('--allowedTools', besides)).toEqual(['Bash', 'WebFetch', 'WebSearch', 'mcp__issues__list'])
    expect(valuesOf('--allowedTools', { spec: { permission: 'read', allowed_tools: [] } })).toBeUndefined()
  })

  test.runIf(process.getuid?.() === 0)('full permission as root is refused with what to do', () => {
    expect(claude.launch(agentRequest({ spec: { permission: 'full' } }))).toMatchObject({
      problem: expect.stringContaining('IS_SANDBOX=1') as string,
    })
  })

  test('limits: turns, and what the budget leaves where the client knows the price', () => {
    expect(valuesOf('--max-turns', { spec: { max_turns: 7 } })).toEqual(['7'])
    expect(valuesOf('--max-budget-usd', { usdLeft: 1.25 })).toEqual(['1.25'])
    expect(valuesOf('--max-budget-usd', { usdLeft: 0 })).toEqual(['0.0001'])
    expect(valuesOf('--max-budget-usd', { usdLeft: 1, spec: { model: 'claude-opus-4-5' } })).toEqual(['1'])
    expect(valuesOf('--max-budget-usd', { usdLeft: 1, spec: { model: 'kimi-k3' } })).toBeUndefined()
    expect(valuesOf('--max-budget-usd', { usdLeft: 1, env: { ANTHROPIC_MODEL: 'glm-4.6' } })).toBeUndefined()
    expect(valuesOf('--max-budget-usd')).toBeUndefined()
  })

  test('schema, model and the user’s own arguments, these last', () => {
    const changes = { spec: { output_schema: SCHEMA, model: MODEL, args: ['--effort', 'low'], program: '/opt/claude' } }
    expect(valuesOf('--json-schema', changes)).toEqual([JSON.stringify(SCHEMA)])
    expect(valuesOf('--model', changes)).toEqual([MODEL])
    expect(launched(changes).args.slice(-2)).toEqual(['--effort', 'low'])
    expect(launched(changes).file).toBe('/opt/claude')
  })

  test('its environment: what the user set stays', () => {
    expect(launched().env).toEqual({
      CLAUDE_CODE_MAX_RETRIES: '3',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_PROPAGATE_TRACEPARENT: '1',
    })
    const own = { CLAUDE_CODE_MAX_RETRIES: '9', CLAUDE_CODE_PROPAGATE_TRACEPARENT: '0' }
    expect(launched({ env: own }).env).toEqual({ CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' })
    expect(launched({ isolated: true, home: '/run/home' }).env['CLAUDE_CONFIG_DIR']).toBe('/run/home/.claude')
  })

  test('a prompt that is empty is refused', () => {
    expect(claude.launch(agentRequest({ prompt: ' \n' }))).toHaveProperty('problem')
  })
})
