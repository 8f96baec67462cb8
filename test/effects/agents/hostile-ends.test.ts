// Ends that look like an end and are none, holes that a stream shows by itself, and totals of conversations that an attempt
// left in doubt.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Tokens } from '../../../src/core/outcome.ts'
import type { AgentExit } from '../../../src/effects/agents/adapter.ts'
import { claude } from '../../../src/effects/agents/claude.ts'
import { codex } from '../../../src/effects/agents/codex.ts'
import { gemini } from '../../../src/effects/agents/gemini.ts'
import { opencode } from '../../../src/effects/agents/opencode.ts'
import { lastDisposition } from '../../../src/effects/fenced-json.ts'
import { linesOf, play, replay } from './contract.ts'

const linesIn = (name: string, file: string): string[] =>
  linesOf(readFileSync(path.join(import.meta.dirname, 'transcripts', name, `${file}.jsonl`), 'utf8'))
const json = (value: object): string => JSON.stringify(value)

const USAGE = { inputTokens: 100, outputTokens: 10, costUSD: 0.001, costBasis: 'list' }
const result = (index: number, more: object = {}): string =>
  json({
    type: 'result',
    subtype: 'success',
    is_error: false,
    session_id: 's',
    result: `Answer ${index}.`,
    result_index: index,
    model_usage_since_last_result: { 'claude-sonnet-4-5': USAGE },
    ...more,
  })
const init = (uuid: string): string => json({ type: 'system', subtype: 'init', session_id: 's', uuid })
const says = (id: string, text: string): string =>
  json({
    type: 'assistant',
    message: { id, model: 'claude-sonnet-4-5', content: [{ type: 'text', text }], usage: { input_tokens: 5 } },
    parent_tool_use_id: null,
  })

describe('claude', () => {
  test('the last of several results is the one with the highest number', () => {
    const told = play(claude, [init('a'), says('m1', 'x'), result(1, { is_error: true }), result(0)])
    expect(told.status).toBe('error')
    const turned = play(claude, [init('a'), says('m1', 'x'), result(1), result(0)])
    expect(turned).toMatchObject({ status: 'ok', final_text: 'Answer 1.', tokens: { input: 200, output: 20 } })
  })

  test('results without ids are two when they differ and one when they do not', () => {
    const plain = (text: string): string => result(0, { result: text, result_index: undefined })
    expect(play(claude, [says('m', 'x'), plain('a'), plain('b')]).tokens.input).toBe(200)
    expect(play(claude, [says('m', 'x'), plain('a'), plain('a')]).tokens.input).toBe(100)
  })

  test('a result whose number says that another one is missing', () => {
    const told = play(claude, [init('a'), says('m1', 'Answer 1.'), result(1)])
    expect(told).toMatchObject({ status: 'ok', usage_complete: false })
    expect(told.warnings).toEqual([expect.stringContaining('one of its results')])
  })

  const NOTIFIED = json({ type: 'system', subtype: 'task_notification', tool_use_id: 't' })
  test.each<[string, readonly string[]]>([
    ['a turn that answers to the background has no result', [NOTIFIED, init('b'), result(0)]],
    ['it went on after its result', [result(0), says('m2', 'One more thing.')]],
    [
      'agents are at work',
      [json({ type: 'system', subtype: 'background_tasks_changed', tasks: [{ task_type: 'local_agent' }] }), result(0)],
    ],
  ])('%s: no success without the last word', (_, lines) => {
    const all = [init('a'), says('m1', 'Answer 0.'), ...lines]
    const exits: readonly (readonly [Partial<AgentExit>, string])[] = [
      [{}, 'error'],
      [{ signal: 'SIGKILL' }, 'killed'],
      [{ ended: 'stop', exitCode: 143 }, 'killed'],
    ]
    for (const [exit, status] of exits) {
      const told = play(claude, all, exit)
      expect(told).toMatchObject({ status, usage_complete: false })
      expect(told.error_message).toContain('its last result')
    }
  })

  test('what it was not allowed to do is in the result, too', () => {
    const denials = { permission_denials: [{ tool_name: 'Bash', tool_use_id: 't', tool_input: {} }] }
    expect(play(claude, [init('a'), says('m', 'Answer 0.'), result(0, denials)])).toMatchObject({ status: 'denied' })
  })

  test('a name of an error that every object has is no error class', () => {
    const error = json({
      type: 'assistant',
      message: { model: '<synthetic>', content: [] },
      error: 'constructor',
      is_api_error_message: true,
    })
    const told = play(claude, [init('a'), error, result(0, { is_error: true })], { exitCode: 1 })
    expect(told).toMatchObject({ status: 'error', error_class: 'unknown' })
  })
})

describe('codex', () => {
  const lines = linesIn('codex', 'tools')
  test.each([129, 130, 137, 143])('exit code %i before the end of its turn is a kill', (exitCode) => {
    const told = play(codex, lines.slice(0, -1), { exitCode })
    expect(told).toMatchObject({ status: 'killed', error_message: expect.stringContaining(String(exitCode)) })
  })

  test('holes are told', () => {
    const without = (part: string): string[] => lines.filter((line) => !line.includes(part))
    expect(play(codex, without('thread.started')).warnings).toEqual(['the beginning of its stream is missing'])
    expect(play(codex, without('"item_1"')).warnings).toEqual(['1 of the items of its stream is missing'])
    expect(play(codex, lines.toSpliced(-2, 1)).warnings).toContain('its last answer is not in its stream')
  })

  test('a command that was ended has failed', () => {
    const item = { id: 'item_0', type: 'command_execution', command: 'x', aggregated_output: '' }
    const ended = json({ type: 'item.completed', item: { ...item, exit_code: -1, status: 'completed' } })
    expect(play(codex, [ended]).tool_calls).toMatchObject([{ ok: false, exit_code: -1 }])
  })
})

describe('gemini', () => {
  const lines = linesIn('gemini', 'tool')
  test('its answer is the last thing it said, also after its result', () => {
    const told = play(gemini, [lines.at(-1)!, ...lines.slice(0, -1)])
    expect(told).toMatchObject({ final_text: 'It printed hi.', status: 'ok', usage_complete: false })
  })

  test('a loop without its telemetry: some requests are in no sum', () => {
    const told = play(gemini, linesIn('gemini', 'loop'))
    expect(told).toMatchObject({ status: 'error', error_class: 'loop', usage_complete: false })
  })

  test('an exit code of a start says nothing of what was begun', () => {
    expect(play(gemini, [], { exitCode: 41 })).toMatchObject({ error_class: 'auth', usage_complete: true })
    expect(play(gemini, lines.slice(0, 4), { exitCode: 41 }).usage_complete).toBe(false)
  })

  test('a signal takes nothing back that its result told', () => {
    const told = play(gemini, lines, { exitCode: 143 })
    expect(told).toMatchObject({ status: 'ok', warnings: ['it exited with 143 after its result'] })
  })

  test('a part of the answer that was mixed up with other output is missed', () => {
    const told = play(gemini, lines.toSpliced(5, 1, `npm warn ${lines[5]!}`))
    expect(told).toMatchObject({ status: 'ok', usage_complete: false })
    expect(told.warnings).toContain('a part of its answer cannot be read')
  })

  test('a part of the answer that came twice is in doubt', () => {
    const told = play(gemini, lines.toSpliced(5, 0, lines[5]!))
    expect(told).toMatchObject({ usage_complete: false, warnings: [expect.stringContaining('twice')] })
  })
})

describe('opencode', () => {
  const lines = linesIn('opencode', 'tool')
  test('its answer is the text of its last step, whenever that comes', () => {
    const late = [...lines.toSpliced(-2, 1), lines.at(-2)!]
    expect(play(opencode, late)).toMatchObject({ status: 'ok', final_text: 'It printed hi.' })
  })

  test('the summary after an overflow is no answer', () => {
    const overflow = linesIn('opencode', 'overflow').slice(0, 4)
    expect(overflow.at(-1)).toContain('"reason":"stop"')
    for (const exit of [{}, { signal: 'SIGKILL' }]) expect(play(opencode, overflow, exit).status).not.toBe('ok')
  })

  test('nothing on stdout is complete only with a reason why it never began', () => {
    expect(play(opencode, [], { exitCode: 1 })).toMatchObject({
      usage_complete: false,
      error_message: expect.stringContaining('code 1'),
    })
    const started = replay(opencode, { lines: [], stderr: ['Error: Session not found'], exit: { exitCode: 1 } })
    expect(started.record).toMatchObject({ error_class: 'usage', usage_complete: true })
  })

  test('a tool call that is not there is missed', () => {
    const told = play(
      opencode,
      lines.filter((line) => !line.includes('"tool_use"')),
    )
    expect(told).toMatchObject({ usage_complete: false, warnings: ['a tool call is not in its stream'] })
  })
})

describe('a conversation whose use is known in part', () => {
  const totals: Tokens = { input: 100, cache_read: 0, cache_write: 0, output: 10, reasoning: 0 }
  test.each([true, false])('codex (partial: %j)', (partial) => {
    const thread = '01a1fc42-d17e-73a0-b747-8fce778afc06'
    const lines = [
      json({ type: 'thread.started', thread_id: thread }),
      json({ type: 'item.completed', item: { id: 'item_0', type: 'agent_message', text: 'Done.' } }),
      json({ type: 'turn.completed', usage: { input_tokens: 150, output_tokens: 12 } }),
    ]
    const told = play(codex, lines, {}, { session: { id: thread, totals, partial } })
    expect(told).toMatchObject({ tokens: { input: 50, output: 2 }, usage_complete: !partial })
  })

  test.each([true, false])('claude without sums of its own (partial: %j)', (partial) => {
    const usage = { 'claude-sonnet-4-5': { ...USAGE, inputTokens: 150, outputTokens: 12 } }
    const last = result(0, { model_usage_since_last_result: undefined, modelUsage: usage })
    const lines = [init('a'), says('m', 'Answer 0.'), last]
    const told = play(claude, lines, {}, { session: { id: 's', totals, partial } })
    expect(told).toMatchObject({ tokens: { input: 50, output: 2 }, usage_complete: !partial })
  })
})

test('a decision that is only shown is none', () => {
  const block = '```json\n{"label":"yes"}\n```'
  expect(lastDisposition(`I would write:\n\`\`\`\`md\n${block}\n\`\`\`\`\n`)).toBeUndefined()
  expect(lastDisposition(`~~~md\n${block}\n~~~`)).toBeUndefined()
  expect(lastDisposition(`\`\`\`\`md\n${block}\n\`\`\`\`\n${block}`)).toEqual({ value: { label: 'yes' } })
  // The text begins inside a longer block.
  expect(lastDisposition(`end of it\n\`\`\`\`\n${block}`)).toEqual({ value: { label: 'yes' } })
})
