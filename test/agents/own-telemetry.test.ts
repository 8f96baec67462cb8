// The agents' own telemetry, with the real clients: their spans join the run's trace, their delta metrics add up to what
// the provider counted, nothing is sent with the switch off, and no prompt, answer, tool text, file or key leaves unless
// content is captured.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { clientFolder } from './support/clients.ts'
import type { ReceivedSpan, Receiver } from './support/otlp-receiver.ts'
import {
  CANARY,
  CLAUDE,
  CODEX,
  openSession,
  pipelineOf,
  processesOf,
  SCRIPT,
  TRUTH,
  type RunChanges,
  type Session,
} from './support/session.ts'

const ON = { SPANWRIGHT_AGENT_TELEMETRY: 'on' }
const onLinux = process.platform === 'linux'

let session: Session
beforeAll(() => void clientFolder())
afterEach(async () => {
  const left = onLinux ? processesOf(session.env['HOME']!) : []
  await session.close()
  expect(left).toEqual([])
})

async function run(pipeline: string, changes: RunChanges = {}): Promise<Receiver> {
  session = await openSession()
  const ended = await session.run(pipeline, changes)
  expect({ code: ended.exitCode, stderr: ended.stderr }).toMatchObject({ code: 0 })
  return session.receiver
}

/**
 * Codex now and then ends before its last spans are sent (once in some thirty runs). What is judged here is what it sends,
 * so it is asked again then, at most twice.
 */
async function runOfCodex(pipeline: string, changes: RunChanges): Promise<Receiver> {
  for (let round = 1; ; round++) {
    const receiver = await run(pipeline, changes)
    if (round === 3 || receiver.holds('session_task.turn')) return receiver
    await session.close()
  }
}

const ofService = (spans: readonly ReceivedSpan[], service: string): ReceivedSpan[] =>
  spans.filter((span) => span.service === service)

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
  const found = spans.filter((span) => span.name === name)
  expect(found.map((span) => span.name)).toEqual([name])
  return found[0]!
}

const canariesIn = (receiver: Receiver): string[] =>
  Object.entries(CANARY).flatMap(([what, text]) => (receiver.holds(text) ? [what] : []))

/** Sum of all points of a delta metric by one label. */
function totals(receiver: Receiver, metric: string, label: string): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { name, value, attrs, temporality } of receiver.points) {
    if (name !== metric) continue
    expect(temporality).toBe(1)
    const key = String(attrs[label])
    sums[key] = (sums[key] ?? 0) + value
  }
  return sums
}

test('spans of Claude Code are below the attempt that started it', async () => {
  const { spans, records } = await run(pipelineOf(CLAUDE), { env: ON })
  const attempt = named(ofService(spans, 'spanwright'), 'work attempt')
  const own = ofService(spans, 'claude-code')
  const interaction = named(own, 'claude_code.interaction')
  expect(interaction.parentSpanId).toBe(attempt.spanId)
  expect(own.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['claude_code.llm_request', 'claude_code.tool', 'claude_code.tool.execution']),
  )
  const ids = new Set(spans.map(({ spanId }) => spanId))
  for (const span of own) {
    expect(span.traceId).toBe(attempt.traceId)
    expect(ids).toContain(span.parentSpanId)
  }
  // Commands of the agent see the span of the tool call that runs them.
  const [, traceId, spanId] = readFileSync(path.join(session.cwd, 'traceparent.txt'), 'utf8').split('-')
  expect({ traceId, spanId }).toEqual({
    traceId: attempt.traceId,
    spanId: named(own, 'claude_code.tool.execution').spanId,
  })
  const events = records.filter(({ service }) => service === 'claude-code')
  expect(events.map(({ name }) => name)).toContain('api_request')
  expect(new Set(events.map(({ traceId }) => traceId))).toEqual(new Set([attempt.traceId]))
})

test('metrics of concurrent sessions of Claude Code add up and name no session', async () => {
  const receiver = await run(
    `name: agents\nnodes:\n  - id: lanes\n    fanout:\n      each: [a, b, c]\n      as: lane\n      nodes:\n        - id: work\n          run: ANTHROPIC_BASE_URL=$ANTHROPIC_BASE_URL-\${{ lane }} ${CLAUDE}\n`,
    { env: ON },
  )
  const sessions = 3
  expect(totals(receiver, 'claude_code.token.usage', 'type')).toEqual(
    Object.fromEntries(Object.entries(TRUTH).map(([type, count]) => [type, count * sessions])),
  )
  const cost = totals(receiver, 'claude_code.cost.usage', 'model')['claude-sonnet-4-5']
  const told = receiver.records.filter(({ name }) => name === 'api_request')
  expect(told).toHaveLength(sessions * SCRIPT.length)
  expect(cost).toBeCloseTo(
    told.reduce((sum, { attrs }) => sum + Number(attrs['cost_usd']), 0),
    9,
  )
  const points = receiver.points.filter(({ service }) => service === 'claude-code')
  for (const { attrs, resource } of points) {
    expect(attrs).not.toHaveProperty(['session.id'])
    expect(resource['spanwright.agent.slot']).toMatch(/^\d\d?$/)
  }
})

test('Codex joins through its arguments and sends no log records', async () => {
  const receiver = await runOfCodex(pipelineOf(CODEX), { env: ON })
  const attempt = named(ofService(receiver.spans, 'spanwright'), 'work attempt')
  const own = ofService(receiver.spans, 'codex_exec')
  expect(named(own, 'codex.exec')).toMatchObject({ traceId: attempt.traceId, parentSpanId: attempt.spanId })
  expect(named(own, 'session_task.turn')).toMatchObject({
    traceId: attempt.traceId,
    attrs: {
      'codex.turn.token_usage.non_cached_input_tokens': TRUTH.input + TRUTH.cacheCreation,
      'codex.turn.token_usage.cached_input_tokens': TRUTH.cacheRead,
      'codex.turn.token_usage.output_tokens': TRUTH.output,
    },
  })
  expect(totals(receiver, 'codex.turn.token_usage', 'token_type')).toMatchObject({
    input: TRUTH.input + TRUTH.cacheCreation + TRUTH.cacheRead,
    cached_input: TRUTH.cacheRead,
    output: TRUTH.output,
  })
  expect(receiver.records.filter(({ service }) => service === 'codex_exec')).toEqual([])
})

test('nothing of theirs is sent while the switch is off', async () => {
  const { spans, points, records } = await run(pipelineOf(`${CLAUDE}\n      ${CODEX}`))
  expect(spans.length).toBeGreaterThan(0)
  const services = [...spans, ...points, ...records].map(({ service }) => service)
  expect(new Set(services)).toEqual(new Set(['spanwright']))
})

test.each(['http/json', 'http/protobuf'])('no canary leaves over %s', async (protocol) => {
  const receiver = await runOfCodex(pipelineOf(`${CLAUDE}\n      ${CODEX}`), {
    env: {
      ...ON,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol === 'http/json' ? protocol : undefined,
      // What the user has set for his own terminal is not what this run was asked for.
      OTEL_LOG_USER_PROMPTS: '1',
      OTEL_LOG_TOOL_CONTENT: '1',
    },
  })
  expect(receiver.holds('claude_code.interaction')).toBe(true)
  expect(receiver.holds('session_task.turn')).toBe(true)
  expect(canariesIn(receiver)).toEqual([])
})

test('captured content is there, the key is not', async () => {
  const receiver = await run(pipelineOf(CLAUDE), { env: ON, args: ['--capture', 'content'] })
  expect(canariesIn(receiver)).toEqual(['prompt', 'answer', 'toolInput', 'toolOutput', 'file'])
  const interaction = named(receiver.spans, 'claude_code.interaction')
  expect(interaction.attrs['user_prompt']).toBe(CANARY.prompt)
})

test('captured content of Codex is in its log records', async () => {
  const receiver = await run(pipelineOf(CODEX), { env: ON, args: ['--capture', 'content'] })
  const records = receiver.records.filter(({ service }) => service === 'codex_exec')
  const attrsOf = (event: string): unknown => records.find(({ name }) => name === event)?.attrs
  expect(attrsOf('codex.user_prompt')).toMatchObject({ prompt: CANARY.prompt })
  expect(attrsOf('codex.tool_result')).toMatchObject({ output: expect.stringContaining(CANARY.toolOutput) as string })
  expect(receiver.holds(CANARY.key)).toBe(false)
})

test('a client that is ended at its time limit still sends what it has', async () => {
  session = await openSession({ turns: [SCRIPT[0]!, { hang: true }] })
  const ended = await session.run(pipelineOf(CLAUDE, '    timeout: 6s\n'), { env: ON })
  expect(ended.exitCode).toBe(124)
  const attempt = named(session.receiver.spans, 'work attempt')
  expect(named(session.receiver.spans, 'claude_code.tool').traceId).toBe(attempt.traceId)
  expect(totals(session.receiver, 'claude_code.token.usage', 'type')).toMatchObject({ input: 50, output: 35 })
})
