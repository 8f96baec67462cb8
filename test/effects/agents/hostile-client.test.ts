// A client that tells what no client should: nothing of it may end the run, fill memory or leave a part of a secret.
import { describe, expect, test } from 'vitest'
import type { Mask } from '../../../src/journal/masking.ts'
import { entryBytes } from '../../../src/journal/codec.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { maskOf, ofType } from '../support.ts'
import { agentBench, fakeAdapter, type Line } from './support.ts'

const AT = Date.UTC(2026, 0, 1)
const tokens = { input: 1, cache_read: 0, cache_write: 0, output: 1 }
const DONE: Line = { type: 'result', text: 'Done.' }
const SECRET = 'sesame-0123456789-open-9876543210-now'
const mask: Mask = maskOf(SECRET)
/** Every part of the secret that tells something of it. */
const parts = Array.from({ length: SECRET.length - 11 }, (_, from) => SECRET.slice(from, from + 12))
const partsIn = (text: string): string[] => parts.filter((part) => text.includes(part))

describe('a secret at the place where a text is cut', () => {
  const at = (length: number, where: number): string => `${'a'.repeat(length - where)}${SECRET}${'b'.repeat(40)}`

  test('leaves no part of it in events, files and reasons', async () => {
    const env = { ...process.env, SPANWRIGHT_CAPTURE: 'content' }
    const { run } = agentBench(fakeAdapter(), { env, mask })
    const lines: Line[] = []
    // The ends of the secret around every limit: of an error, an input, a tail, a message, a text.
    for (const limit of [200, 300, 500, 1_000, 4_096, 16_384])
      for (const shift of [6, 18, 30]) {
        const text = at(limit, shift)
        const turned = `${'c'.repeat(shift)}${SECRET}${'d'.repeat(limit - SECRET.length + shift)}`
        const id = `${limit}-${shift}`
        lines.push(
          { type: 'tool.started', id, name: 'Bash', input: { command: text }, at: AT },
          { type: 'tool.finished', id, ok: false, output: turned, error: text, at: AT },
          { type: 'tool.started', id: `${id}b`, name: 'Bash', input: turned, at: AT },
          { type: 'tool.finished', id: `${id}b`, ok: false, output: text, error: turned, at: AT },
          { type: 'call', id: `c${id}`, endedAt: AT, text: turned, error: { errorClass: 'server', message: text } },
          { type: 'text', text },
          { type: 'warning', message: at(2_000, shift) },
          { type: 'retry', message: text },
        )
      }
    const message = at(1_000 - 'claude: '.length, 18)
    lines.push({ type: 'text', text: at(2_048, 12) }, { verdict: { status: 'error', errorClass: 'unknown', message } })
    const { outcome, observed, file } = await run(lines)
    expect(outcome.failure?.message).toContain('***')
    for (const event of observed) expect(partsIn(JSON.stringify(event))).toEqual([])
    expect(partsIn(JSON.stringify(outcome))).toEqual([])
    for (const name of ['agent.json', 'transcript.ndjson', 'stdout.log', 'outcome.json'])
      expect(partsIn(file(name))).toEqual([])
  })
})

test('a file for the client holds the secret as long as the client runs', async () => {
  const says = `echo "{\\"type\\":\\"result\\",\\"text\\":\\"$(wc -c < "$0")\\"}"`
  const adapter = fakeAdapter({
    launch: ({ attemptDir }) => ({
      file: 'sh',
      args: ['-c', says, `${attemptDir}/rules.toml`],
      files: [{ path: `${attemptDir}/rules.toml`, text: `deny = "${SECRET}"` }],
    }),
  })
  const { record, file } = await agentBench(adapter, { mask }).run([])
  expect(record().final_text?.trim()).toBe(String(`deny = "${SECRET}"`.length))
  expect(file('rules.toml')).toBe('deny = "***"')
})

describe('what a client tells is bounded', () => {
  test('ids, names and models of any length fit an entry of the journal', async () => {
    const long = 'x'.repeat(LIMITS.entryBytes)
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed, record } = await run([
      { type: 'session', id: long, model: long, version: long },
      { type: 'call', id: long, model: long, endedAt: AT, tokens, finishReason: long },
      { type: 'tool.started', id: `${long}1`, name: long, input: {}, at: AT },
      { type: 'tool.started', id: `${long}2`, name: long, input: {}, at: AT },
      { type: 'tool.finished', id: `${long}1`, ok: true, output: '', at: AT },
      { type: 'tool.finished', id: `${long}2`, ok: false, output: '', at: AT },
      { type: 'spent', models: { [long]: tokens, [`${long}2`]: tokens } },
      DONE,
    ])
    expect(outcome.failure).toBeUndefined()
    for (const event of observed) expect(entryBytes(event)).toBeLessThan(8_000)
    expect(ofType(observed, 'tool.finished').map(({ ok }) => ok)).toEqual([true, false])
    expect(JSON.stringify({ usage: outcome.usage, session: outcome.session }).length).toBeLessThan(2_000)
    expect(JSON.stringify(record()).length).toBeLessThan(8_000)
  })

  test('a model of its own for every one of many requests', async () => {
    const { run } = agentBench(fakeAdapter())
    const lines = Array.from({ length: 1_500 }, (_, i): Line => ({
      type: 'call',
      id: `c${i}`,
      model: `model-${i}`,
      endedAt: AT,
      tokens,
      usd: 0.5,
    }))
    const { outcome, spent } = await run([...lines, DONE])
    expect(outcome).toMatchObject({ usage: { input: 1_500, output: 1_500, turns: 1_500 }, cost: { usd: 750 } })
    const models = outcome.usage?.models ?? {}
    expect(Object.keys(models)).toHaveLength(LIMITS.models + 1)
    expect(Object.values(models).reduce((sum, { input }) => sum + input, 0)).toBe(1_500)
    expect(models['others']).toMatchObject({ usd: (1_500 - LIMITS.models) * 0.5 })
    expect(JSON.stringify(spent.at(-1)).length).toBeLessThan(16_000)
  })

  test('models with the names of what every object has', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run([
      { type: 'call', id: '1', model: 'constructor', endedAt: AT, tokens, usd: 1 },
      { type: 'call', id: '2', model: 'toString', endedAt: AT, tokens, usd: 1 },
      DONE,
    ])
    expect(outcome.usage).toMatchObject({ input: 2, models: { constructor: { input: 1 }, toString: { input: 1 } } })
  })

  test('counts that count nothing', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, spent } = await run([
      '{"type":"call","id":"1","model":"m","endedAt":1,"tokens":{"input":-5,"cache_read":1e400,"cache_write":null,"output":1e300},"usd":-3}',
      '{"type":"call","id":"2","model":"m","endedAt":1,"tokens":{"input":7,"cache_read":0,"cache_write":0,"output":0},"usd":1e999}',
      DONE,
    ])
    expect(outcome.usage).toMatchObject({ input: 7, cache_read: 0, cache_write: 0, output: Number.MAX_SAFE_INTEGER })
    expect(JSON.stringify(spent)).not.toMatch(/":null,"(?!source)/)
    expect(outcome.cost).toEqual({ usd: null, source: 'unknown' })
  })
})
