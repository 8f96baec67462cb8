// Owns: what every adapter must hold, whatever its client writes: a transcript in full gives the truth; cut, garbled,
// reordered or with noise it gives the truth or says that it does not know all. Real transcripts of each client go in.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentSpec } from '../../../src/core/agent.ts'
import type { Tokens } from '../../../src/core/outcome.ts'
import type { AgentAdapter, AgentEvent, AgentExit, AgentRequest, Verdict } from '../../../src/effects/agents/adapter.ts'
import { RecordBuilder, type AgentRecord, type ToolCall } from '../../../src/effects/agents/record.ts'

/** What is known to be true of a record; what is left out is not compared. */
export type Truth = Partial<Omit<AgentRecord, 'tool_calls' | 'tokens' | 'models' | 'structured'>> & {
  readonly tool_calls?: readonly Partial<ToolCall>[]
  readonly tokens?: Partial<AgentRecord['tokens']>
  readonly models?: unknown
  readonly structured?: unknown
}

export interface RequestChanges extends Omit<Partial<AgentRequest>, 'spec'> {
  readonly spec?: Partial<AgentSpec>
}

export interface Fixture {
  readonly name: string
  /** What the client wrote to its standard output. */
  readonly lines: readonly string[]
  /** What it wrote to the file that `launch.side` names. */
  readonly side?: readonly string[]
  readonly stderr?: readonly string[]
  /** Default: exit code 0. */
  readonly exit?: Partial<AgentExit>
  readonly request?: RequestChanges
  readonly truth: Truth
  /** Index of the line without which it is no success. Default: the first that makes a `result`, else the last. */
  readonly final?: number
}

export interface ContractOptions {
  /** False: its lines have no ids, so that a line that comes twice cannot be told from two equal ones. */
  readonly knowsDuplicates?: boolean
}

export interface Played {
  readonly record: AgentRecord
  readonly events: readonly AgentEvent[]
  readonly verdict: Verdict
}

/** The one that the lines of `side` are from. */
export const SIDE_FILE = '/run/side.jsonl'

/** Epoch ms of the first line; each next one comes 10 ms later. */
export const PLAYED_AT = Date.UTC(2026, 0, 1)

const SPEC: AgentSpec = {
  use: 'claude',
  args: [],
  prompt: 'Do it.',
  permission: 'workspace',
  session: 'new',
  home: 'user',
  fallback: [],
  stalls: {
    start_ms: 60_000,
    start: 'end',
    silence: 'end',
    loop_repeats: 8,
    loop: 'end',
    linger_ms: 5_000,
  },
}

/** A request as an attempt would make it. */
export function agentRequest({ spec, ...changes }: RequestChanges = {}): AgentRequest {
  return {
    prompt: 'Do it.',
    cwd: '/workspace',
    attemptDir: '/run/attempt',
    launch: 1,
    newSessionId: '11111111-2222-4333-8444-555555555555',
    home: '/home/user',
    isolated: false,
    env: {},
    ...changes,
    spec: { ...SPEC, ...spec },
  }
}

/** A price that does not depend on how requests are cut, so that sums and estimates agree. Models named `unpriced…` have none. */
export const linearPrice = (model: string, tokens: Tokens): number | undefined =>
  model.startsWith('unpriced')
    ? undefined
    : (tokens.input + tokens.cache_read / 10 + tokens.cache_write * 1.25 + tokens.output * 5) / 1_000_000

const requestOf = (adapter: AgentAdapter, { request }: Pick<Fixture, 'request'>): AgentRequest =>
  agentRequest({ ...request, spec: { use: adapter.name, ...request?.spec } })

/** What an attempt does with a launch's output, without the process. */
export function replay(adapter: AgentAdapter, fixture: Omit<Fixture, 'name' | 'truth'>): Played {
  const request = requestOf(adapter, fixture)
  const reader = adapter.reader(request)
  const builder = new RecordBuilder(adapter.name, linearPrice, request.spec.model)
  const events: AgentEvent[] = []
  let at = PLAYED_AT
  const take = (told: readonly AgentEvent[] | undefined): void => {
    for (const event of told ?? []) {
      events.push(event)
      builder.add(event)
    }
    at += 10
  }
  for (const line of fixture.lines) take(reader.stdout(line, at))
  for (const line of fixture.side ?? []) take(reader.side?.(line, at, SIDE_FILE))
  for (const line of fixture.stderr ?? []) take(reader.stderr?.(line, at))
  const exit: AgentExit = {
    stderr: (fixture.stderr ?? []).join('\n'),
    rest: '',
    ...fixture.exit,
    ...(fixture.exit?.signal === undefined && { exitCode: fixture.exit?.exitCode ?? 0 }),
  }
  const { events: last, verdict } = reader.end(exit, at)
  take(last)
  return { record: builder.finish(exit, verdict), events, verdict }
}

export const play = (
  adapter: AgentAdapter,
  lines: readonly string[],
  exit: Partial<AgentExit> = {},
  request: RequestChanges = {},
): AgentRecord => replay(adapter, { lines, exit, request }).record

/** Lines of a transcript file's text. */
export const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')

export function adapterContract(
  adapter: AgentAdapter,
  fixtures: readonly Fixture[],
  options: ContractOptions = {},
): void {
  describe.each(fixtures)(`${adapter.name}: $name`, (fixture) => {
    const { lines } = fixture
    const whole = replay(adapter, fixture)
    const final = fixture.final ?? firstResult(adapter, fixture)

    test('in full it is the truth', () => {
      expect(whole.record).toMatchObject(fixture.truth)
      expectSound(whole.record)
    })

    test('cut after any line it is the truth or says that it is not', () => {
      for (const kept of cuts(lines.length)) {
        for (const exit of [ENDS[kept % 2]!, ENDS[2 + (kept % 2)]!]) {
          const { record } = replay(adapter, { ...fixture, lines: lines.slice(0, kept), exit })
          expectHonest(record, whole.record)
          if (kept <= final) expect({ kept, exit, status: record.status }).not.toMatchObject({ status: 'ok' })
        }
      }
    })

    test('cut inside any line it is the truth or says that it is not', () => {
      fc.assert(
        fc.property(
          fc.nat(Math.max(0, lines.length - 1)),
          fc.double({ min: 0, max: 1, noNaN: true }),
          (index, part) => {
            const line = lines[index] ?? ''
            const rest = line.slice(0, Math.floor(line.length * part * 0.999))
            const { record } = replay(adapter, {
              ...fixture,
              lines: lines.slice(0, index),
              exit: { exitCode: 0, rest },
            })
            expectHonest(record, whole.record)
            if (index <= final) expect(record.status).not.toBe('ok')
          },
        ),
        { numRuns: 15 },
      )
    })

    test('noise and a changed order of keys change nothing', () => {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(lines.length), fc.constantFrom(...NOISE)), { maxLength: 10 }),
          fc.infiniteStream(fc.nat()),
          (noise, order) => {
            const noisy = lines.map((line) => reorderKeys(line, order))
            for (const [index, line] of noise) noisy.splice(index, 0, line)
            expect(timeless(replay(adapter, { ...fixture, lines: noisy }).record)).toEqual(timeless(whole.record))
          },
        ),
        { numRuns: 15 },
      )
    })

    test('lines that change places never make it claim more', () => {
      fc.assert(
        fc.property(fc.nat(Math.max(0, lines.length - 2)), (index) => {
          const swapped = [...lines]
          swapped.splice(index, 2, ...lines.slice(index, index + 2).toReversed())
          const { record } = replay(adapter, { ...fixture, lines: swapped })
          expectHonest(record, whole.record)
          if (whole.record.status !== 'ok') expect(record.status).not.toBe('ok')
        }),
        { numRuns: 15 },
      )
    })

    test('lines whose values are anything never break it', () => {
      fc.assert(
        fc.property(fc.nat(Math.max(0, lines.length - 1)), fc.nat(), fc.jsonValue(), (index, where, value) => {
          const garbled = [...lines]
          garbled[index] = replaceValue(lines[index] ?? '', where, value)
          expectSound(replay(adapter, { ...fixture, lines: garbled }).record)
        }),
        { numRuns: 60 },
      )
    })

    test.runIf(options.knowsDuplicates ?? true)('a line that comes twice counts once', () => {
      fc.assert(
        fc.property(fc.nat(Math.max(0, lines.length - 1)), (index) => {
          const { record } = replay(adapter, { ...fixture, lines: lines.toSpliced(index, 0, lines[index] ?? '') })
          expectHonest(record, whole.record)
          expect(record.status).toBe(whole.record.status)
          expect(record.tool_calls_total).toBe(whole.record.tool_calls_total)
        }),
        { numRuns: 15 },
      )
    })
  })
}

/** Those by themselves, those by force: a cut is tried with one of each. */
const ENDS: readonly Partial<AgentExit>[] = [
  { exitCode: 0 },
  { exitCode: 1 },
  { signal: 'SIGKILL' },
  { exitCode: 143, ended: 'timeout' },
]

const NOISE: readonly string[] = [
  '',
  'Warning: something is about to be deprecated',
  '{"type":"result","subt',
  'null',
  '[]',
  '{}',
  '42',
  '"result"',
  '{"type":7}',
  '{"type":"a type of tomorrow","usage":{"input_tokens":1000000}}',
  '{"type":"system","subtype":"a subtype of tomorrow"}',
  'x'.repeat(100_000),
]

function firstResult(adapter: AgentAdapter, fixture: Fixture): number {
  const reader = adapter.reader(requestOf(adapter, fixture))
  const first = fixture.lines.findIndex((line) => reader.stdout(line, PLAYED_AT).some(({ type }) => type === 'result'))
  return first < 0 ? fixture.lines.length - 1 : first
}

/** All of them, or 40 evenly spread ones. */
function cuts(length: number): number[] {
  const step = Math.max(1, length / 40)
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => Math.floor(index * step))
}

/** What says that it is complete is equal to what is really so. */
function expectHonest(record: AgentRecord, whole: AgentRecord): void {
  expectSound(record)
  if (!record.usage_complete) return
  expect(record.tokens).toEqual(whole.tokens)
  expect(record.cost_source === 'unknown').toBe(whole.cost_source === 'unknown')
  if (record.cost_usd !== null && record.cost_source === whole.cost_source)
    expect(record.cost_usd).toBeCloseTo(whole.cost_usd ?? Number.NaN, 9)
}

/** Whatever came in, it is a record: counts are counts, text is text, success has no error. */
function expectSound(record: AgentRecord): void {
  expect(JSON.parse(JSON.stringify(record))).toEqual(record)
  for (const count of [...Object.values(record.tokens), record.turns, record.retries, record.cost_usd ?? 0]) {
    expect(Number.isFinite(count)).toBe(true)
    expect(count).toBeGreaterThanOrEqual(0)
  }
  for (const text of [record.final_text, record.error_message, record.session_id, record.model, record.cli_version])
    expect(['string', 'object']).toContain(typeof text)
  if (record.status === 'ok') expect(record.error_class).toBeNull()
  else if (record.status !== 'killed') expect(record.error_class).not.toBeNull()
}

/** Noise moves arrival times. */
const timeless = (record: AgentRecord): unknown => ({
  ...record,
  tool_calls: record.tool_calls.map(({ started_at: _, ended_at, ...call }) => ({ ...call, ended: ended_at !== null })),
})

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function reorderKeys(line: string, order: Iterator<number>): string {
  const value = parsed(line)
  const reorder = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(reorder)
    if (typeof part !== 'object' || part === null) return part
    const ranked = Object.entries(part).map(([key, inner]) => ({ key, inner, rank: Number(order.next().value) }))
    return Object.fromEntries(ranked.toSorted((a, b) => a.rank - b.rank).map(({ key, inner }) => [key, reorder(inner)]))
  }
  return value === undefined ? line : JSON.stringify(reorder(value))
}

/** Puts a value in the place of one of those in the line. */
function replaceValue(line: string, where: number, value: unknown): string {
  const root = parsed(line)
  const places: { readonly holder: Record<string, unknown>; readonly key: string }[] = []
  const walk = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return
    for (const [key, inner] of Object.entries(part)) {
      places.push({ holder: part as Record<string, unknown>, key })
      walk(inner)
    }
  }
  walk(root)
  const place = places[where % Math.max(1, places.length)]
  if (!place) return line
  place.holder[place.key] = value
  return JSON.stringify(root)
}
