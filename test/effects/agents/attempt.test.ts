// What an attempt of an agent puts on record and reports, with a real process that plays the client.
import { describe, expect, test } from 'vitest'
import { ofType } from '../support.ts'
import { agentBench, fakeAdapter, type Line } from './support.ts'

const AT = Date.UTC(2026, 0, 1)
const tokens = { input: 100, cache_read: 1_000, cache_write: 0, output: 50, reasoning: 10 }
const WORK: readonly Line[] = [
  { type: 'session', id: 'conversation-1', model: 'm-1', version: '1.2.3' },
  {
    type: 'call',
    id: 'c1',
    endedAt: AT + 1_000,
    startedAt: AT,
    tokens,
    usd: 0.01,
    finishReason: 'tool_use',
    text: 'I look.',
  },
  { type: 'text', text: 'I look.' },
  { type: 'tool.started', id: 't1', name: 'Bash', input: { command: 'ls' }, at: AT + 1_100 },
  {
    type: 'tool.finished',
    id: 't1',
    ok: false,
    exitCode: 2,
    output: 'no such file',
    error: 'Exit code 2',
    at: AT + 1_200,
  },
  { type: 'call', id: 'c2', endedAt: AT + 2_000, tokens, usd: 0.02 },
  { type: 'result', text: 'All done.' },
]

describe('an attempt of an agent', () => {
  test('its record, its transcript and its outcome tell the same', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, record, file, observed, spent } = await run(WORK, { fake: { STDERR: 'a warning\n' } })
    expect(outcome).toMatchObject({
      usage: { input: 200, cache_read: 2_000, output: 100, reasoning: 20, model: 'm-1', turns: 2, complete: true },
      cost: { usd: 0.03, source: 'reported' },
      session: { id: 'conversation-1', agent: 'claude' },
      process: { executable: 'fake-client.mjs', exit_code: 0 },
    })
    expect(outcome.failure).toBeUndefined()
    expect(record()).toMatchObject({
      cli: 'claude',
      cli_version: '1.2.3',
      session_id: 'conversation-1',
      model: 'm-1',
      turns: 2,
      tool_calls: [
        { id: 't1', name: 'Bash', input: { command: 'ls' }, ok: false, exit_code: 2, output_tail: 'no such file' },
      ],
      final_text: 'All done.',
      status: 'ok',
      usage_complete: true,
    })
    const lines = WORK.map((line) => JSON.stringify(line))
    expect(file('transcript.ndjson').trimEnd().split('\n')).toEqual(lines)
    expect(file('stdout.log')).toBe(file('transcript.ndjson'))
    expect(file('stderr.log')).toBe('a warning\n')
    expect(file('prompt.md')).toBe('Do it.\n')
    expect(JSON.parse(file('command.json'))).toMatchObject({ attempt_id: 'build@1.1', agent: 'claude' })
    expect(spent.at(-1)).toMatchObject({ usage: { input: 200 }, cost: { usd: 0.03 } })
    expect(ofType(observed, 'attempt.progressed')).toContainEqual(
      expect.objectContaining({ session: { id: 'conversation-1', agent: 'claude' } }),
    )
  })
})
