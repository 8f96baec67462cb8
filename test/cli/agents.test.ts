// What people see of agents: while they work, in tables, in the record of one attempt, and what they ask.
import { describe, expect, test } from 'vitest'
import { renderAttempt } from '../../src/cli/attempt-text.ts'
import type { AttemptRecord } from '../../src/cli/commands/attempt-show.ts'
import { eventText } from '../../src/cli/live/event-text.ts'
import { renderLive } from '../../src/cli/live/render-live.ts'
import { agentJson, agentTable } from '../../src/cli/show-agents.ts'
import type { Event } from '../../src/core/events.ts'
import { attemptId } from '../../src/core/ids.ts'
import { toTimestamp } from '../../src/core/time.ts'
import { failureOf, pipelineOf, runNode, Told } from './view-entries.ts'

const look = { columns: 100, color: false, ascii: false }
const live = (told: Told, columns = 100): string[] =>
  renderLive(told.view, { ...look, columns, rows: 40, now: told.now, shortId: '01KH', keys: false })
const usage = (input: number, output: number, more = {}) => ({
  input,
  cache_read: 0,
  cache_write: 0,
  output,
  ...more,
})
const at = (node: string, attempt = 1) => ({ node, visit: 1, attempt, attempt_id: attemptId(node, 1, attempt) })

class AgentTold extends Told {
  agent(node: string, attempt = 1, more: object = {}): this {
    return this.add({
      type: 'attempt.started',
      ...at(node, attempt),
      kind: 'agent',
      agent: 'claude',
      model: 'claude-sonnet-5',
      max: 2,
      inputs: {},
      span_id: '03',
      agent_span_id: '04',
      ...more,
    })
  }
  progress(node: string, more: object, attempt = 1): this {
    return this.add({ type: 'attempt.progressed', ...at(node, attempt), ...more })
  }
  tool(node: string, id: string, tool: string): this {
    const started = { started_at: toTimestamp(this.now), span_id: '05', call_id: id, tool }
    return this.add({ type: 'tool.started', ...at(node), ...started })
  }
  toolEnded(node: string, id: string, tool: string): this {
    const ended = { ended_at: toTimestamp(this.now), span_id: '05', call_id: id, tool, ok: true }
    return this.add({ type: 'tool.finished', ...at(node), ...ended })
  }
}
const agentNode = (id: string): ReturnType<typeof runNode> =>
  ({ ...runNode(id), kind: 'agent', agent: { max_turns: 40 } }) as unknown as ReturnType<typeof runNode>
const begun = (): AgentTold => new AgentTold(pipelineOf('p', [agentNode('fix')])).start('fix', 'agent').agent('fix')
const rowOf = (told: Told, columns?: number): string => live(told, columns).find((line) => line.includes(' fix '))!

describe('an agent at work', () => {
  test('says who it is, what it does now, its turn, its tokens, its cost so far', () => {
    const told = begun().after(5)
    expect(rowOf(told, 120)).toContain('⠹ fix @1.1  1/2                claude·sonnet-5  thinking')
    told.progress('fix', { turn: 12, usage: usage(48_000, 2_000), cost: { usd: 0.38, source: 'computed' } })
    told.tool('fix', 'a', 'Bash')
    expect(rowOf(told, 120)).toMatch(/claude·sonnet-5 {2}Bash {2}turn 12 of 40 {2}↑48k ↓2k .* \$0\.38$/)
    told.tool('fix', 'b', 'Edit')
    expect(rowOf(told, 120)).toContain('Edit and 1 more')
    told.toolEnded('fix', 'b', 'Edit').toolEnded('fix', 'a', 'Bash')
    expect(rowOf(told, 120)).toContain('thinking')
    for (const columns of [100, 60]) expect(rowOf(told, columns).length).toBeLessThanOrEqual(columns)
  })

  test('is no longer thinking when its checks run', () => {
    const told = begun().add({ type: 'attempt.acted', ...at('fix'), duration_ms: 1 })
    told.add({
      type: 'check.started',
      ...at('fix'),
      name: 'tests',
      index: 0,
      level: 'L1',
      required: true,
      inputs: {},
      span_id: '06',
    })
    expect(rowOf(told)).toContain('claude·sonnet-5  check tests')
  })

  test('that waits for a limit says until when', () => {
    const told = begun()
    const failure = failureOf('rate_limited', 'slow down')
    told.add({ type: 'attempt.waiting', ...at('fix'), due_at: toTimestamp(told.now + 65_000), failure, wait: 1 })
    expect(rowOf(told)).toMatch(/◷ fix .*rate limit; goes on at \d\d:\d\d:\d\d, in 01:05/)
  })

  test('that is not the first choice says why', () => {
    const told = begun().ended('fix', { failure: failureOf('rate_limited', 'no') })
    told.agent('fix', 2, { agent: 'codex', model: 'gpt-6', chosen: 'fallback' })
    expect(rowOf(told)).toContain('codex·gpt-6 (fallback)  thinking')
  })
})

describe('show', () => {
  const told = begun().progress('fix', { session: { id: 'c-1' } })
  told.ended('fix', { failure: failureOf('rate_limited', 'no'), usd: 0.5 }).agent('fix', 2)
  const second = usage(3_000, 100, { turns: 4, model: 'claude-sonnet-5', cache_read: 2_000 })
  told.progress('fix', { usage: second, cost: { usd: null, source: 'unknown' }, session: { id: 'c-2' } }, 2)
  const node = told.view.root.nodes.get('fix')!

  test('lists agent, turns, tokens, cost with its source, session', () => {
    const table = (columns: number): string[] => agentTable(told.view, { look: { ...look, columns }, all: false })
    expect(table(120)).toEqual([
      '   NODE  AGENT            TURNS  TOKENS         COST  SOURCE          SESSION',
      '   fix   claude·sonnet-5      4  ↑7k R3k ↓300  $0.50  partly unknown  c-2',
    ])
    expect(table(100)[1]).toBe('   fix   claude·sonnet-5      4  ↑7k R3k ↓300  $0.50  partly unknown')
    expect(table(60)).toEqual([])
  })

  test('the same as JSON', () => {
    expect(agentJson(node)).toEqual({
      agent: 'claude',
      model: 'claude-sonnet-5',
      chosen: null,
      session: 'c-2',
      turns: 4,
      tokens: { input: 6_500, cache_read: 2_500, output: 300 },
      cost_source: 'partly unknown',
      summary_generated: null,
    })
    expect(node.spend).toMatchObject({ usd: 0.5, unpriced: 1 })
  })

  test('a step that is no agent is listed once it reports usage; a summary of failures is paid for, too', () => {
    const other = new Told(pipelineOf('p', [runNode('a'), runNode('b')])).ran('a', 1).ran('b', 1, 2)
    expect(agentTable(other.view, { look, all: false })[1]).toBe(
      '   b     run           ↑2k R500 ↓200  $2.00  reported',
    )
    const summary = { node: 'b', visit: 1, text: 'why', usage: usage(10, 5) }
    other.add({ type: 'failure.summarized', ...summary, cost: { usd: 0.25, source: 'computed' } })
    expect(other.view.root.spend).toMatchObject({ usd: 2.25, attempts: 2 })
    expect(agentJson(other.view.root.nodes.get('b')!)).toMatchObject({ summary_generated: 'why' })
  })
})

describe('attempt show', () => {
  const events = (...list: Event[]) => list.map((event) => ({ at: Date.parse('2026-11-21T10:00:00Z'), event }))
  const base: AttemptRecord = {
    id: 'fix@1.1',
    events: events({
      type: 'attempt.started',
      ...at('fix'),
      kind: 'agent',
      agent: 'claude',
      model: 'claude-sonnet-5',
      chosen: 'escalation',
      max: 3,
      inputs: {},
      span_id: '03',
    }),
    directory: '/store/runs/r/attempts/fix/1.1',
    command: undefined,
    verification: undefined,
    agent: undefined,
    changes: undefined,
    context: undefined,
    stdout: undefined,
    stderr: undefined,
    hasDiff: false,
  }
  const agentJsonFile = {
    cli: 'claude',
    cli_version: '2.1.329',
    session_id: 'c-1',
    model: 'claude-sonnet-5',
    models: {
      'claude-sonnet-5': { ...usage(1_000, 90), usd: 0.4 },
      'claude-haiku-4-5': { ...usage(50, 10), usd: null },
    },
    turns: 12,
    tool_calls: [
      {
        id: 't1',
        name: 'Bash',
        input: { command: 'npm test\u001b[31m' },
        ok: false,
        exit_code: 1,
        started_at: '2026-11-21T10:00:00Z',
        ended_at: '2026-11-21T10:00:02Z',
      },
      {
        id: 't2',
        name: 'Edit',
        input: { file_path: 'src/a.ts', old: 'x' },
        ok: true,
        ended_at: '2026-11-21T10:00:03Z',
      },
      { id: 't3', name: 'Bash', input: 'sleep 9', ok: null, exit_code: null, started_at: null, ended_at: null },
    ],
    tool_calls_total: 3,
    tokens: usage(1_050, 100, { reasoning: 20 }),
    cost_usd: 0.4,
    cost_source: 'computed',
    final_text: 'I tried.\nIt did not work.',
    status: 'error',
    error_class: 'rate_limit',
    error_message: 'slow down',
    http_status: 429,
    retries: 2,
    warnings: ['an unknown version'],
    usage_complete: false,
    of_a_later_version: true,
  }

  test('client, conversation, models, spend, how it ended, tools, last words', () => {
    const text = renderAttempt({ ...base, agent: agentJsonFile }, look)
    expect(text.slice(1, -2)).toEqual([
      ' agent     claude 2.1.329   claude-sonnet-5   (escalation)   session c-1',
      ' spend     12 turns, 1k in, 100 out (20 reasoning), $0.40 computed',
      '             claude-sonnet-5: 1k in, 90 out, $0.40 computed',
      '             claude-haiku-4-5: 50 in, 10 out, unpriced',
      '           not all of it: the client ended before it told everything',
      ' status    error rate_limit, HTTP 429: slow down; the client tried 2 requests again by itself',
      ' warnings  an unknown version',
      ' tools     3 calls, 1 failed',
      '           ✕ Bash           exit 1       2.0s  npm test',
      '           ✓ Edit                              src/a.ts',
      '           ⊘ Bash                      no end  sleep 9',
      ' said      I tried.',
      '           It did not work.',
    ])
  })

  test('what a client printed is told by its size: it is not for people', () => {
    const stdout = { text: '{"type":"system"}\n', size: 12_700 }
    const text = renderAttempt({ ...base, agent: agentJsonFile, stdout, stderr: { text: 'oops\n', size: 5 } }, look)
    expect(text).toContain(' stdout   12.7 kB, as the client wrote it: --output shows it')
    expect(text).toContain('   oops')
    expect(text.join()).not.toContain('system')
  })

  test('of many tool calls those that failed and the last ones', () => {
    const calls = Array.from({ length: 200 }, (_, index) => ({ name: `tool-${index}`, ok: index !== 3, input: {} }))
    const text = renderAttempt(
      { ...base, agent: { ...agentJsonFile, tool_calls: calls, tool_calls_total: 2_500 } },
      look,
    )
    const shown = text.filter((line) => /tool-\d+/.test(line))
    expect(shown).toHaveLength(20)
    expect(shown[0]).toContain('tool-3 ')
    expect(shown.at(-1)).toContain('tool-199')
    expect(text).toContainEqual(expect.stringContaining('and 2480 more in agent.json'))
  })

  test('one whose client tells no usage has no line about it', () => {
    const silent = { cli: 'command', turns: 0, tokens: usage(0, 0), cost_usd: null, final_text: 'hm', status: 'ok' }
    const text = renderAttempt({ ...base, agent: silent }, look)
    expect(text.slice(1, 3)).toEqual([' agent     command   claude-sonnet-5   (escalation)', ' said      hm'])
  })

  test('while it runs: what the journal tells', () => {
    const told = { usage: usage(500, 7, { turns: 2 }), cost: { usd: 0.01, source: 'computed' as const } }
    const progress: Event = { type: 'attempt.progressed', ...at('fix'), ...told, session: { id: 'c-9' } }
    expect(renderAttempt({ ...base, events: [...base.events, ...events(progress)] }, look).slice(1, 3)).toEqual([
      ' agent     claude   claude-sonnet-5   (escalation)   session c-9',
      ' spend     2 turns, 500 in, 7 out, $0.01 computed',
    ])
  })

  test.each([undefined, null, 7, [], {}, { cli: 7 }, { cli: 'x', tool_calls: [{}], models: 3, tokens: 'many' }])(
    'an agent.json of another form harms nothing: %j',
    (agent) => {
      expect(() => renderAttempt({ ...base, agent, verification: agent, changes: agent }, look)).not.toThrow()
    },
  )

  test('checks with what their tools found, and what was changed', () => {
    const failure = failureOf('check_failed', 'tests failed', { causes: [failureOf('exit_nonzero', '1 of 9 failed')] })
    const check = { ...at('fix'), name: 'tests', index: 0, level: 'L1', required: true, duration_ms: 2_000 }
    const finished: Event = { type: 'check.finished', ...check, passed: false, failure, span_id: '06' }
    const diagnostics = [
      { file: 'src/cart.ts', line: 12, column: 4, severity: 'error', code: 'TS2304', message: 'Cannot find name x' },
      { file: null, line: null, message: 'and a hint' },
    ]
    const verification = {
      checks: [{ name: 'tests', level: 'L1', required: true, passed: false, exit_code: 1, diagnostics }],
      not_run: [{ name: 'scope', level: 'L2' }],
    }
    const changes = { source: 'git', created: ['a', 'b'], modified: [], deleted: ['c'], commits: [{}], total: 3 }
    const record = { ...base, events: [...base.events, ...events(finished)], verification, changes, hasDiff: true }
    const text = renderAttempt(record, look)
    expect(text.slice(2, 9)).toEqual([
      ' checks    ✕ tests  L1  2.0s  exit 1  check_failed: 1 of 9 failed',
      '             src/cart.ts:12:4  TS2304  Cannot find name x',
      '             and a hint',
      '           - scope  L2  did not run: a required check before it had failed',
      ' changes   2 created, 1 deleted, 1 commit: --diff shows them',
      '           a, b, c',
      '',
    ])
  })

  test('a summary is marked as generated', () => {
    const summary: Event = { type: 'failure.summarized', node: 'fix', visit: 1, text: 'It\u0007 broke.', model: 'tiny' }
    const text = renderAttempt({ ...base, events: [...base.events, ...events(summary)] }, look)
    expect(text).toContain(' summary   (generated by tiny) It broke.')
  })
})

describe('questions of an agent', () => {
  const opened: Event = {
    type: 'gate.opened',
    node: 'plan',
    visit: 1,
    question: 'Which database?\nAnd when?',
    choices: ['answer', 'reject'],
    reject: ['reject'],
    questions: [
      {
        id: 'q1',
        question: 'Which database?',
        context: 'for the cart',
        options: [
          { label: 'Postgres', value: 'pg', description: 'as everywhere' },
          { label: 'SQLite', value: 'SQLite' },
        ],
      },
      { id: 'q2', question: 'And when? '.repeat(20).trim() },
    ],
  }
  const asking = new Told(pipelineOf('p', [agentNode('plan')])).start('plan', 'agent').add(opened)

  test('live: each with its options, whole, above the choices', () => {
    const lines = live(asking).map((line) => line.trimEnd())
    const from = lines.findIndex((line) => line.includes('Which database?'))
    expect(lines.slice(from, from + 3)).toEqual([
      '   1. Which database? (for the cart)',
      '      · Postgres (pg): as everywhere',
      '      · SQLite',
    ])
    expect(lines.slice(from + 3).filter((line) => line.includes('And when?')).length).toBeGreaterThan(1)
    expect(lines.some((line) => line.includes('[a] answer'))).toBe(true)
    expect(lines.every((line) => line.length <= 100)).toBe(true)
  })

  test('as one line', () => {
    expect(eventText(opened).what).toMatch(
      /^waits for an answer: 1\. Which database\? \(for the cart\) \[Postgres, SQLite\] 2\. And when\? .* \(answer, reject\)$/,
    )
  })
})

test('progress says what is new', () => {
  const told = (more: object): string => eventText({ type: 'attempt.progressed', ...at('fix'), ...more }).what
  expect(told({ session: { id: 'c-1' }, process: { pid: 7 } })).toBe('session c-1, pid 7')
  expect(told({ turn: 2, usage: usage(10, 5), cost: { usd: 0.5, source: 'computed' } })).toBe(
    'turn 2, 10 in, 5 out, $0.50 computed',
  )
  expect(told({ text: 'reading' })).toBe('reading')
  expect(told({ output_bytes: 0 })).toBe('0 bytes of output')
})

test('calls of models and tools, one line each', () => {
  const call = { ...at('fix'), span_id: '05', started_at: '2026-11-21T10:00:00Z', ended_at: '2026-11-21T10:00:02Z' }
  const called = (more: object): string => eventText({ type: 'model.called', ...call, ...more }).what
  expect(called({ model: 'm', usage: usage(1_000, 5), cost: { usd: null, source: 'unknown' } })).toBe(
    'called m for 2.0s, 1k in, 5 out, unpriced',
  )
  expect(called({ error: { code: 'rate_limited', message: 'slow down' } })).toBe(
    'called the model for 2.0s: rate_limited: slow down',
  )
  const tool = { ...call, call_id: 't', tool: 'Bash', ok: false, exit_code: 3, error: 'no' }
  expect(eventText({ type: 'tool.finished', ...tool }).what).toBe('Bash failed with exit code 3: no')
  const reserved = { type: 'budget.reserved' as const, ...at('fix') }
  expect(eventText({ ...reserved, usd: 0.5, tokens: 900 }).what).toBe('reserves $0.50 and 900 tokens for its next call')
  expect(eventText({ ...reserved, usd: 0 }).what).toBe('gives back what it had reserved')
  const stalled = { ...at('fix'), reason: 'hung at start', idle_ms: 60_000, action: 'end' }
  expect(eventText({ type: 'stall.detected', ...stalled }).what).toBe('stalled: hung at start for 1m 00s, it is ended')
})
