// Streams as no client writes them: lines in any order, twice, or not there; other byte forms; counts that cannot be read.
// Whatever comes in, the record is the truth or says that its usage is incomplete, and nothing is a success by accident.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentAdapter, AgentExit } from '../../../src/effects/agents/adapter.ts'
import { claude } from '../../../src/effects/agents/claude.ts'
import { codex } from '../../../src/effects/agents/codex.ts'
import { gemini } from '../../../src/effects/agents/gemini.ts'
import { opencode } from '../../../src/effects/agents/opencode.ts'
import type { AgentRecord } from '../../../src/effects/agents/record.ts'
import { linesOf, play } from './contract.ts'

type Line = Readonly<Record<string, unknown>>

const linesIn = (name: string, file: string): string[] =>
  linesOf(readFileSync(path.join(import.meta.dirname, 'transcripts', name, `${file}.jsonl`), 'utf8'))

const MODEL = { codex: 'gpt-5', opencode: 'p/m' }
const record = (adapter: AgentAdapter, lines: readonly string[], exit: Partial<AgentExit> = {}): AgentRecord => {
  const model = MODEL[adapter.name as keyof typeof MODEL]
  return play(adapter, lines, exit, model === undefined ? {} : { spec: { model } })
}

/** What is to be true of a record that claims to be complete. Times and the way to it are not. */
const truthOf = (told: AgentRecord): unknown => ({
  session: told.session_id,
  model: told.model,
  tokens: told.tokens,
  cost: told.cost_usd?.toFixed(9),
  source: told.cost_source,
  text: told.final_text,
  status: told.status,
  tools: told.tool_calls
    .map(({ id, name, input, ok, exit_code, output_tail }) => ({ id, name, input, ok, exit_code, output_tail }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
})

const expectHonest = (told: AgentRecord, whole: AgentRecord): void => {
  if (told.usage_complete) expect(truthOf(told)).toEqual(truthOf(whole))
  else if (whole.status !== 'ok') expect(told.status).not.toBe('ok')
}

const CLIENTS = [
  { adapter: claude, files: ['plain-tools', 'plain-subagent-background', 'error-429'], final: /"type":"result"/ },
  { adapter: codex, files: ['tools', 'code-mode', '401'], final: /"type":"turn\./ },
  { adapter: gemini, files: ['tool', 'many-tools', 'http-500'], final: /"type":"result"/ },
  { adapter: opencode, files: ['tool', 'many-tools', 'http-500'], final: /"reason":"stop"|"type":"error"/ },
].flatMap(({ adapter, files, final }) =>
  files.map((file) => ({ name: `${adapter.name} ${file}`, adapter, lines: linesIn(adapter.name, file), final })),
)

describe.each(CLIENTS)('$name', ({ adapter, lines, final }) => {
  const whole = record(adapter, lines)

  test('lines in any order', () => {
    const places = [...lines.keys()]
    const orders = fc.shuffledSubarray(places, { minLength: lines.length })
    const shuffled = (order: readonly number[]): string[] => order.map((place) => lines[place]!)
    fc.assert(
      fc.property(orders, (order) => expectHonest(record(adapter, shuffled(order)), whole)),
      { numRuns: 60 },
    )
  })

  test('lines that are missing', () => {
    for (const index of lines.keys()) {
      const told = record(adapter, lines.toSpliced(index, 1))
      if (!told.usage_complete) continue
      expect({ index, tokens: told.tokens }).toEqual({ index, tokens: whole.tokens })
      expect(told.cost_usd).toEqual(whole.cost_usd)
      if (whole.status !== 'ok') expect({ index, status: told.status }).not.toMatchObject({ status: 'ok' })
    }
  })

  test('lines that come once more, at once or at the end', () => {
    for (const [index, line] of lines.entries()) {
      expectHonest(record(adapter, lines.toSpliced(index, 0, line)), whole)
      expectHonest(record(adapter, [...lines, line]), whole)
    }
    expectHonest(record(adapter, [...lines, ...lines]), whole)
  })

  test('without its last word it is no success, however it ends', () => {
    const cut = lines.filter((line) => !final.test(line))
    for (const exit of [{}, { exitCode: 1 }, { exitCode: 143 }, { exitCode: 137 }, { signal: 'SIGKILL' }]) {
      const told = record(adapter, cut, exit)
      expect({ exit, status: told.status }).not.toMatchObject({ status: 'ok' })
      const isSignal = exit.signal !== undefined || exit.exitCode === 143 || exit.exitCode === 137
      if (isSignal) expect({ exit, status: told.status }).toMatchObject({ status: 'killed' })
      expect(told.error_message).toMatch(/\w+ \w+/)
    }
  })

  test('a byte order mark, codes of a terminal, carriage returns', () => {
    const told = record(
      adapter,
      lines.map((line, index) => `${index === 0 ? '\uFEFF' : '\u001B[2K\u001B[0m'}${line}\u001B[0m\r`),
    )
    expect(truthOf(told)).toEqual(truthOf(whole))
    expect(told.usage_complete).toBe(whole.usage_complete)
  })

  test('numbers as text are numbers, except in tools and their output', () => {
    const asText = (line: string): string => line.replaceAll(/"(\w*[tT]okens|cached|input)":(\d+)/g, '"$1":"$2"')
    expect(record(adapter, lines.map(asText)).tokens).toEqual(whole.tokens)
  })

  test('nothing at all is never complete', () => {
    for (const exit of [{}, { exitCode: 1 }, { exitCode: 143 }, { signal: 'SIGKILL' }])
      expect(record(adapter, [], exit)).toMatchObject({
        usage_complete: false,
        status: expect.stringMatching(/^(?:error|killed)$/),
      })
  })
})

/** The transcript with some fields of one line put over. */
const changed = (lines: readonly string[], isIt: (line: Line) => boolean, change: (line: never) => unknown): string[] =>
  lines.map((text) => {
    const line = JSON.parse(text) as Line
    return isIt(line) ? JSON.stringify(change(structuredClone(line) as never)) : text
  })
const ofType =
  (type: string) =>
  (line: Line): boolean =>
    line['type'] === type

describe('counts that cannot be read are not taken for none', () => {
  type Result = { model_usage_since_last_result: Record<string, unknown>; modelUsage: Record<string, unknown> }
  test.each([null, 'many', {}])('claude: %j', (value) => {
    const lines = changed(linesIn('claude', 'plain-tools'), ofType('result'), (line: Result) => {
      for (const usage of [line.modelUsage, line.model_usage_since_last_result])
        for (const model of Object.keys(usage)) usage[model] = value
      return line
    })
    expect(record(claude, lines)).toMatchObject({ status: 'ok', usage_complete: false })
  })

  test.each([{ input_tokens: null }, { cached_input_tokens: -1 }, { output_tokens: 'x' }])('codex: %j', (usage) => {
    const lines = changed(linesIn('codex', 'tools'), ofType('turn.completed'), (line: { usage: object }) => ({
      ...line,
      usage: { ...line.usage, ...usage },
    }))
    expect(record(codex, lines)).toMatchObject({ status: 'ok', usage_complete: false })
  })

  test.each([undefined, null, {}, { models: {}, total_tokens: 5 }, { models: { m: { total_tokens: 5 } } }])(
    'gemini: %j',
    (stats) => {
      const lines = changed(linesIn('gemini', 'tool'), ofType('result'), (line: object) => ({ ...line, stats }))
      expect(record(gemini, lines)).toMatchObject({ status: 'ok', usage_complete: false })
    },
  )

  test.each([null, { input: 5 }, { input: 5, output: 5, total: 500 }, { input: 5, output: 5, cache: 7 }])(
    'opencode: %j',
    (tokens) => {
      const lines = changed(linesIn('opencode', 'tool'), ofType('step_finish'), (line: { part: object }) => ({
        ...line,
        part: { ...line.part, tokens },
      }))
      expect(record(opencode, lines)).toMatchObject({ status: 'ok', usage_complete: false })
    },
  )
})
