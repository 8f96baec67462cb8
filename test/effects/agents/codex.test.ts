// The codex adapter on what `codex exec` 0.169.0 really wrote: each case of its table, its rollout files beside its stream,
// conversations that go on, arguments. Machine paths are replaced in the transcripts, nothing else.
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { AgentEvent, AgentExit } from '../../../src/effects/agents/adapter.ts'
import { codex } from '../../../src/effects/agents/codex.ts'
import type { AgentRecord } from '../../../src/effects/agents/record.ts'
import {
  adapterContract,
  agentRequest,
  linesOf,
  replay,
  type Fixture,
  type Played,
  type RequestChanges,
} from './contract.ts'

const FOLDER = path.join(import.meta.dirname, 'transcripts/codex')
const linesIn = (name: string): string[] => linesOf(readFileSync(path.join(FOLDER, `${name}.jsonl`), 'utf8'))
const lines = (name: string): string[] => linesIn(name)
const rollout = (name: string): string[] => linesIn(`${name}.rollout`)
const FAILED = { exitCode: 1 }

const fixture = (name: string, truth: Fixture['truth'], more: Partial<Fixture> = {}): Fixture => ({
  name,
  lines: lines(name),
  side: rollout(name),
  truth,
  ...more,
})

const none = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 }

adapterContract(codex, [
  fixture('tools', {
    cli: 'codex',
    cli_version: '0.169.0',
    model: 'gpt-5.5',
    turns: 5,
    tokens: { input: 320, cache_read: 2_730, cache_write: 0, output: 111, reasoning: 8 },
    cost_source: 'computed',
    status: 'ok',
    final_text: 'Done.',
    tool_calls_total: 4,
    usage_complete: true,
  }),
  fixture('bad-request', { status: 'error', error_class: 'bad_request' }, { exit: FAILED }),
  fixture('stream-cut', { status: 'error', error_class: 'stream', usage_complete: false }, { exit: FAILED }),
  fixture('output-limit', { status: 'error', error_class: 'output_limit', turns: 1 }, { exit: FAILED }),
  fixture('retried', { status: 'ok', retries: 1, turns: 1, tokens: { ...none, input: 10, output: 3 } }),
  fixture('killed-in-tool', { status: 'killed', usage_complete: true }, { exit: { signal: 'SIGTERM' } }),
  fixture('code-mode', { status: 'ok', turns: 5, usage_complete: true }),
  fixture('mcp', { status: 'ok', turns: 3, usage_complete: true }),
  { name: 'tools without a rollout', lines: lines('tools'), truth: { status: 'ok', usage_complete: true } },
])

const played = (name: string, exit: Partial<AgentExit> = {}, request: RequestChanges = {}): Played =>
  replay(codex, { lines: lines(name), side: rollout(name), exit, request })
const record = (...given: Parameters<typeof played>): AgentRecord => played(...given).record

describe('tool calls', () => {
  test('commands, failing ones too, and changed files', () => {
    const { tool_calls: calls } = record('file-change')
    expect(calls.map(({ name, ok, exit_code }) => ({ name, ok, exit_code }))).toEqual([
      { name: 'shell', ok: true, exit_code: 0 },
      { name: 'shell', ok: false, exit_code: 3 },
      { name: 'apply_patch', ok: true, exit_code: null },
    ])
    expect(calls[0]).toMatchObject({
      input: { command: "/bin/bash -lc 'echo hi; echo err >&2'" },
      output_tail: 'hi\nerr\n',
    })
    expect(calls[2]?.input).toEqual({ changes: [{ path: '/workspace/made.txt', kind: 'add' }] })
  })

  test('what the sandbox refused is in the rollout only', () => {
    expect(record('refused').tool_calls).toMatchObject([
      { input: { command: "/bin/bash -lc 'echo x > inside.txt; false'" }, ok: false, exit_code: 1, output_tail: '' },
      {
        input: { command: 'echo x > /etc/zzz' },
        ok: false,
        exit_code: 1,
        output_tail: expect.stringMatching('^/bin/bash: line 1: .*Read-only'),
      },
    ])
    expect(record('read-only').tool_calls.map(({ ok }) => ok)).toEqual([false, false])
    expect(record('bad-patch').tool_calls).toMatchObject([
      { ok: false, output_tail: expect.stringMatching('verification failed') },
    ])
  })

  test('tools that a script of the model calls', () => {
    const { tool_calls: calls, ...told } = record('code-mode')
    expect(told).toMatchObject({ model: 'gpt-6.1-sol', turns: 5, usage_complete: true })
    expect(calls.map(({ name, exit_code }) => [name, exit_code])).toEqual([
      ['shell', 0],
      ['apply_patch', null],
      ['shell', 3],
      ['shell', 1],
    ])
  })

  test('tools of MCP servers, their errors', () => {
    expect(record('mcp').tool_calls).toMatchObject([
      { name: 'notes.look_up', input: { q: 'a' }, ok: true, output_tail: 'found a' },
      { name: 'notes.look_up', input: { q: 'bad' }, ok: false, output_tail: 'no such note' },
    ])
  })

  test('a model that it does not know is a warning', () => {
    expect(record('file-change')).toMatchObject({
      status: 'ok',
      model: 'gpt-5',
      warnings: [expect.stringMatching('^Model metadata for `gpt-5` not found')],
    })
  })

  test('errors in its log are warnings, without their time and once', () => {
    const line = '2026-11-21T16:42:43.480201Z ERROR codex_core::tools::router: error=patch rejected'
    const { warnings } = replay(codex, { lines: lines('success'), stderr: [line, line, 'WARNING: no aliases'] }).record
    expect(warnings).toEqual(['codex_core::tools::router: error=patch rejected'])
  })
})

describe('requests', () => {
  test('each with model, times, text and tokens', () => {
    const calls = played('tools').events.filter((event) => event.type === 'call')
    expect(calls).toHaveLength(5)
    expect(calls[0]).toEqual({
      type: 'call',
      id: 'resp_000001stub3i1',
      model: 'gpt-5.5',
      startedAt: expect.any(Number),
      endedAt: Date.parse('2026-11-21T16:43:10.366Z'),
      tokens: { input: 50, cache_read: 500, cache_write: 0, output: 35, reasoning: 5 },
      text: 'I run it.',
    })
    for (const [index, call] of calls.entries()) {
      expect(call.startedAt).toBeLessThan(call.endedAt)
      if (index > 0) expect(call.startedAt).toBeGreaterThanOrEqual(calls[index - 1]!.endedAt)
    }
  })

  test('requests of subagents count, from their own files', () => {
    const { events, request, reader } = reading(lines('subagent'))
    const threads = lines('subagent')
      .join()
      .match(/"receiver_thread_ids":\["([^"]+)"\]/)![1]!
    const told = [
      ...rollout('subagent').flatMap((line) => reader.side!(line, 0, '/h/rollout-x-main.jsonl')),
      ...linesIn('subagent.subagent').flatMap((line) => reader.side!(line, 0, `/h/rollout-x-${threads}.jsonl`)),
    ]
    const calls = told.filter((event) => event.type === 'call')
    expect(calls.map(({ tokens, subagent }) => [tokens?.input, subagent])).toEqual([
      [60, undefined],
      [80, undefined],
      [70, undefined],
      [1_000, true],
    ])
    expect(events.length).toBeGreaterThan(0)
    expect(request.session).toBeUndefined()
    const { events: last, verdict } = reader.end({ exitCode: 0, stderr: '', rest: '' }, 0)
    expect(verdict).toEqual({ status: 'ok', usageComplete: true })
    expect(last).toEqual([])
  })

  test('a subagent whose file is not there is not counted, and that is said', () => {
    expect(record('subagent')).toMatchObject({ status: 'ok', usage_complete: false })
  })

  test('what a request under way has cost when it is killed is not known', () => {
    expect(record('killed-waiting', { signal: 'SIGTERM' })).toMatchObject({
      status: 'killed',
      tokens: { ...none, input: 60, output: 10 },
      usage_complete: false,
    })
    expect(record('killed-in-tool', { signal: 'SIGTERM' })).toMatchObject({
      status: 'killed',
      error_message: 'codex was ended by SIGTERM before its turn was complete',
      tokens: { ...none, input: 60, output: 10 },
      usage_complete: true,
    })
  })
})

test('a rollout that is cut or holds anything is no reason to claim more than is known', () => {
  const [stream, whole] = [lines('tools'), rollout('tools')]
  const anything = fc.oneof(fc.string(), fc.json(), fc.constant('{"type":"token_usage_record","payload":{"usage":7}}'))
  fc.assert(
    fc.property(fc.nat(whole.length), fc.array(fc.tuple(fc.nat(whole.length), anything)), (kept, noise) => {
      const side = whole.slice(0, kept)
      for (const [index, line] of noise) side.splice(index, 0, line)
      for (const exit of [{ exitCode: 0 }, { signal: 'SIGKILL' }]) {
        // All of its stream: the sum at its end is the truth. Without its end: only a whole rollout is.
        const { tokens, usage_complete } = replay(codex, { lines: stream, side, exit }).record
        if (usage_complete) expect(tokens).toEqual(record('tools').tokens)
        const cut = replay(codex, { lines: stream.slice(0, -1), side, exit }).record
        expect(cut.status).not.toBe('ok')
        expect(cut.tokens.input).toBeLessThanOrEqual(tokens.input)
      }
    }),
    { numRuns: 50 },
  )
})

describe('limit of turns', () => {
  const limits = (events: readonly AgentEvent[]): number => events.filter(({ type }) => type === 'limit').length

  test.each([
    [4, 1],
    [5, 0],
    [6, 0],
  ])('%i turns of a conversation with five requests', (max_turns, expected) => {
    const { side, turnless } = { side: rollout('tools'), turnless: lines('tools').slice(0, -1) }
    const played = replay(codex, { lines: turnless, side, request: { spec: { max_turns } } })
    expect(limits(played.events)).toBe(expected)
  })

  test('the end says which limit it was', () => {
    const request = { spec: { max_turns: 1 } }
    const exit = { signal: 'SIGTERM', ended: 'limit' } as const
    expect(record('killed-in-tool', exit, request)).toMatchObject({
      status: 'limit',
      error_class: 'max_turns',
      error_message: 'codex was ended at its limit of 1 turns',
    })
  })

  test('without a rollout rounds of tools are counted', () => {
    const turns = (max_turns: number) =>
      replay(codex, { lines: lines('tools'), request: { spec: { max_turns } } }).events
    expect(limits(turns(3))).toBe(1)
    expect(limits(turns(4))).toBe(0)
  })
})

/** What `turn.failed` comes to. `complete` = nothing of an answer was lost. */
const FAILURES: Readonly<
  Record<
    string,
    readonly [status: string, errorClass: string, httpStatus: number | null, message: string, complete: boolean]
  >
> = {
  'bad-request': ['error', 'bad_request', 400, 'bad things', true],
  '401': ['error', 'auth', 401, 'unexpected status 401 Unauthorized: no such key', true],
  '403': ['error', 'auth', 403, 'unexpected status 403', true],
  '404': ['error', 'not_found', 404, 'unexpected status 404', true],
  '429': ['limit', 'rate_limit', 429, 'exceeded retry limit, last status: 429', true],
  '429-not-retried': ['limit', 'rate_limit', 429, 'exceeded retry limit', true],
  quota: ['limit', 'quota', 429, 'Quota exceeded', true],
  'usage-limit': ['limit', 'rate_limit', 429, 'You’ve hit your usage limit', true],
  '500': ['error', 'server', 500, 'We’re currently experiencing high demand', true],
  '502': ['error', 'server', 502, 'unexpected status 502', true],
  '503': ['error', 'overloaded', 503, 'unexpected status 503', true],
  '529': ['error', 'overloaded', 529, 'unexpected status 529', true],
  'stream-cut': ['error', 'stream', null, 'stream disconnected before completion: Transport error', false],
  'stream-malformed': ['error', 'stream', null, 'stream disconnected before completion: stream closed', false],
  'stream-failed': ['error', 'stream', null, 'stream disconnected before completion: busy now', false],
  'stream-rate-limit': ['limit', 'rate_limit', 429, 'rate limit exceeded', true],
  'context-length': ['error', 'context_length', null, 'Codex ran out of room', true],
  'context-length-stream': ['error', 'context_length', null, 'Codex ran out of room', true],
  'output-limit': ['error', 'output_limit', null, 'Incomplete response returned, reason: max_output_tokens', true],
  'content-filter': ['error', 'content_filter', null, 'stream disconnected before completion: Incomplete', false],
  'missing-key': ['error', 'auth', null, 'Missing environment variable: `STUB_KEY`', true],
}

describe('failures', () => {
  test.each(Object.entries(FAILURES))('%s', (name, [status, errorClass, httpStatus, message, complete]) => {
    expect(record(name, FAILED)).toMatchObject({
      status,
      error_class: errorClass,
      http_status: httpStatus,
      error_message: expect.stringContaining(message),
      usage_complete: complete,
      exit_code: 1,
    })
  })

  test('its own retries are seen, with what the provider said', () => {
    const { events, record: told } = played('401', FAILED)
    expect(told.retries).toBe(1)
    expect(events.filter(({ type }) => type === 'retry')).toMatchObject([
      { httpStatus: 401, errorClass: 'auth', message: expect.stringMatching('^unexpected status 401') },
    ])
  })

  test('no network: it would wait for ever', () => {
    const { events, verdict } = played('network', { signal: 'SIGTERM', ended: 'limit' })
    const retries = events.filter(({ type }) => type === 'retry')
    expect(retries).toHaveLength(5)
    for (const retry of retries) expect(retry).toMatchObject({ errorClass: 'network' })
    expect(events.filter(({ type }) => type === 'limit')).toEqual([{ type: 'limit', errorClass: 'network' }])
    expect(verdict).toMatchObject({ status: 'error', errorClass: 'network', usageComplete: false })
    expect(record('network', { signal: 'SIGTERM', ended: 'stall' })).toMatchObject({ status: 'killed' })
  })

  test.each([
    [
      2,
      "error: unexpected argument '--nonsense' found\n\n  tip: to pass\n\nFor more information, try '--help'.",
      'usage',
      "unexpected argument '--nonsense' found",
    ],
    [
      1,
      'Error loading config.toml: unknown variant `nonsense`, expected one of `read-only`\nin `sandbox_mode`\n',
      'usage',
      'unknown variant `nonsense`',
    ],
    [
      1,
      'Error: thread/resume: thread/resume failed: no rollout found for thread id 01a1 (code -32600)',
      'not_found',
      'no rollout found',
    ],
    [
      1,
      'Error finding codex home: CODEX_HOME points to "/none", but that path does not exist',
      'usage',
      'CODEX_HOME points to',
    ],
    [101, "thread 'main' panicked at src/main.rs", 'truncated_output', 'panicked'],
  ])('exit %i before it began', (exitCode, stderr, error_class, message) => {
    expect(replay(codex, { lines: [], stderr: stderr.split('\n'), exit: { exitCode } }).record).toMatchObject({
      status: 'error',
      error_class,
      error_message: expect.stringContaining(message),
      usage_complete: error_class !== 'truncated_output',
    })
  })

  test('exit 0 without an end is no success', () => {
    expect(replay(codex, { lines: lines('success').slice(0, -1) }).record).toMatchObject({
      status: 'error',
      error_class: 'truncated_output',
      usage_complete: false,
    })
  })

  test('an end of its turn without an end of its line counts', () => {
    const turn = lines('success')
    expect(replay(codex, { lines: turn.slice(0, -1), exit: { rest: turn.at(-1)! } }).record).toMatchObject({
      status: 'ok',
      final_text: 'fine',
      usage_complete: true,
    })
  })

  test('ended after its turn was complete it has succeeded', () => {
    expect(record('success', { signal: 'SIGTERM', ended: 'result' })).toMatchObject({ status: 'ok', error_class: null })
    expect(record('success', FAILED)).toMatchObject({
      status: 'ok',
      warnings: [expect.stringMatching('exited with 1')],
    })
  })
})

describe('when a limit ends', () => {
  const resetsAt = (name: string): number | undefined => played(name, FAILED).verdict.resetsAt

  test('by the text', () => {
    const at = lines('stream-rate-limit').length - 1
    expect(resetsAt('stream-rate-limit')).toBe(Date.UTC(2026, 0, 1) + at * 10 + 1_500)
    expect(resetsAt('429')).toBeUndefined()
  })

  test('to the second by the rollout', () => {
    expect(resetsAt('usage-limit')).toBe(1_795_287_424_000)
  })

  test('by a time of day: that minute is over', () => {
    const text = lines('usage-limit')
    const { resetsAt: end } = replay(codex, { lines: text, exit: FAILED }).verdict
    expect([new Date(end!).getHours(), new Date(end!).getMinutes()]).toEqual([18, 58])
  })
})

const homes: string[] = []
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true })
})

/** A reader that has read these lines of its stream. */
function reading(stream: readonly string[], changes: RequestChanges = {}) {
  const request = agentRequest({ ...changes, spec: { use: 'codex', ...changes.spec } })
  const reader = codex.reader(request)
  return { request, reader, events: stream.flatMap((line) => reader.stdout(line, 0)) }
}

describe('a conversation that goes on', () => {
  const [began] = lines('first-turn')
  const { thread_id: id } = JSON.parse(began!) as { thread_id: string }
  const LATER = { input: 140, cache_read: 570, cache_write: 0, output: 22, reasoning: 0 }

  /** With the rollout of the first turn in its home; the second one is written while the reader is there. */
  function resumed(totals?: NonNullable<RequestChanges['session']>['totals'], withFile = true) {
    const home = mkdtempSync(path.join(tmpdir(), 'spanwright-codex-'))
    homes.push(home)
    const folder = path.join(home, '.codex/sessions/2026/11/21')
    const file = path.join(folder, `rollout-2026-11-21T16-40-47-${id}.jsonl`)
    const before = rollout('first-turn')
    if (withFile) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(file, before.map((line) => `${line}\n`).join(''))
    }
    const { request, reader, events } = reading([], { home, session: { id, totals } })
    const launch = codex.launch(request)
    if (!('side' in launch)) throw new Error('it has no rollout')
    const told = [...events]
    const aside = (): void => {
      for (const line of withFile ? linesOf(readFileSync(file, 'utf8')).slice(read) : []) {
        read++
        told.push(...reader.side!(line, 0, file))
      }
    }
    // The file of a conversation that goes on is there before the client says a word.
    let read = 0
    expect(launch.side!()).toEqual(withFile ? [file] : [])
    aside()
    for (const line of lines('resumed')) told.push(...reader.stdout(line, 0))
    const after = rollout('resumed').slice(before.length)
    if (withFile) appendFileSync(file, after.map((line) => `${line}\n`).join(''))
    aside()
    const end = reader.end({ exitCode: 0, stderr: '', rest: '' }, 0)
    return { told: [...told, ...end.events], verdict: end.verdict, launch }
  }

  test('only what is new counts: by the requests in its rollout', () => {
    const { told, verdict, launch } = resumed()
    const calls = told.filter((event) => event.type === 'call')
    expect(calls.map(({ tokens }) => tokens?.input)).toEqual([60, 80])
    expect(told.filter(({ type }) => type === 'spent')).toEqual([])
    expect(verdict).toEqual({ status: 'ok', usageComplete: true })
    expect(told.findLast((event) => event.type === 'totals')?.totals).toMatchObject({ input: 190, cache_read: 1_070 })
    expect(launch.args.slice(-3)).toEqual(['resume', id, '-'])
  })

  test('without a rollout by what it had used before', () => {
    const { told, verdict } = resumed({ input: 50, cache_read: 500, cache_write: 0, output: 35, reasoning: 5 }, false)
    expect(told.findLast((event) => event.type === 'spent')).toMatchObject({ tokens: LATER })
    expect(verdict.usageComplete).toBe(true)
  })

  test('without either it is not known', () => {
    const { told, verdict } = resumed(undefined, false)
    expect(told.filter(({ type }) => type === 'spent')).toEqual([])
    expect(verdict).toEqual({ status: 'ok', usageComplete: false })
  })
})

test('the last message is the answer, also when lines have changed places', () => {
  const turn = lines('tools')
  for (const order of [turn.toReversed(), [...turn.slice(-1), ...turn.slice(0, -1)]])
    expect(replay(codex, { lines: order }).record).toMatchObject({ status: 'ok', final_text: 'Done.' })
})

test('a structured answer', () => {
  const spec = { output_schema: { type: 'object' } }
  expect(record('structured', {}, { spec })).toMatchObject({ structured: { answer: 42 }, final_text: '{"answer":42}' })
  expect(record('structured').structured).toBeNull()
})
