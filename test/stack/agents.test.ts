// The agents' own telemetry on the real servers: their delta metrics add up exactly in Prometheus, their spans stand in
// Jaeger below the attempt without warnings, and the collector keeps persons, noise and content nobody asked for to itself.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import {
  CANARY,
  CLAUDE,
  CODEX,
  openSession,
  pipelineOf,
  SCRIPT,
  TRUTH,
  type RunChanges,
  type Session,
} from '../agents/support/session.ts'
import { clientFolder } from '../agents/support/clients.ts'
import { jaegerClient, type JaegerTrace } from './support/jaeger-client.ts'
import { prometheusClient } from './support/prometheus-client.ts'

let stack: Stack
let session: Session
beforeAll(async () => {
  clientFolder()
  stack = await startStack()
})
afterAll(() => stack.stop())
afterEach(() => session.close())

async function run(pipeline: string, { args, env = {} }: RunChanges = {}): Promise<JaegerTrace> {
  session = await openSession()
  const ended = await session.run(pipeline, {
    args: ['--ui', 'json', ...(args ?? [])],
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: stack.urls.otlp_http, SPANWRIGHT_AGENT_TELEMETRY: 'on', ...env },
  })
  expect({ code: ended.exitCode, stderr: ended.stderr }).toMatchObject({ code: 0 })
  const traceId = /"trace_id":"([0-9a-f]{32})"/.exec(ended.stdout)?.[1]
  expect(traceId).toBeDefined()
  return await jaegerClient(stack.urls.jaeger).untilTrace(traceId!, ({ spans }) =>
    spans.some(({ name }) => name === 'RUN agents'),
  )
}

const totals = async (query: string, label: string): Promise<Record<string, number>> => {
  const samples = await prometheusClient(stack.urls.prometheus).instant(
    `sum by (${label}) (sum_over_time(${query}[1h]))`,
  )
  return Object.fromEntries(samples.map(({ labels, value }) => [labels[label], value]))
}

const untilTotal = async (query: string, label: string, of: string, wanted: number): Promise<void> =>
  void (await prometheusClient(stack.urls.prometheus).untilValue(
    `sum(sum_over_time(${query}{${label}="${of}"}[1h]))`,
    wanted,
  ))

/** A fan-out in which two sessions of a client go on at the same time, each with its own place in the script. */
const SIDE_BY_SIDE = `name: agents
nodes:
  - id: lanes
    fanout:
      each: [a, b]
      as: lane
      nodes:
        - id: claude
          run: ANTHROPIC_BASE_URL=$ANTHROPIC_BASE_URL-\${{ lane }} ${CLAUDE}
        - id: codex
          env: { LANE: "\${{ lane }}" }
          run: |
            CODEX_PROVIDER=$(printf %s "$CODEX_PROVIDER" | sed "s#/v1#-$LANE/v1#")
            ${CODEX}
`
/** List prices of claude-sonnet-4-5 as the client knows them: 3, 15, 0.3 and 3.75 USD per million tokens. */
const COST = (TRUTH.input * 3 + TRUTH.output * 15 + TRUTH.cacheRead * 0.3 + TRUTH.cacheCreation * 3.75) / 1e6

test('tokens and cost of sequential and concurrent sessions add up exactly', async () => {
  // Clients wait two seconds at most when they end: the receiver answers at once, however busy the servers are.
  session = await openSession(undefined, stack.urls.otlp_http)
  const one = pipelineOf(`${CLAUDE}\n      ${CODEX}`)
  for (const pipeline of [one, one, SIDE_BY_SIDE]) {
    session.provider.setScenario({ turns: SCRIPT })
    const ended = await session.run(pipeline, { env: { SPANWRIGHT_AGENT_TELEMETRY: 'on' } })
    expect({ code: ended.exitCode, stderr: ended.stderr }).toMatchObject({ code: 0 })
  }
  const sessions = 4
  const truth = Object.fromEntries(Object.entries(TRUTH).map(([type, count]) => [type, count * sessions]))
  await untilTotal('claude_code_token_usage_tokens_total', 'type', 'output', truth['output']!)
  await untilTotal('codex_turn_token_usage_sum', 'token_type', 'output', truth['output']!)
  expect(await totals('claude_code_token_usage_tokens_total', 'type')).toEqual(truth)
  const cost = await totals('claude_code_cost_usage_USD_total', 'model')
  expect(cost['claude-sonnet-4-5']).toBeCloseTo(COST * sessions, 9)
  expect(await totals('codex_turn_token_usage_sum', 'token_type')).toMatchObject({
    input: truth['input']! + truth['cacheRead']! + truth['cacheCreation']!,
    cached_input: truth['cacheRead'],
    output: truth['output'],
  })
})

test('their series are few and name nobody', async () => {
  const series = await prometheusClient(stack.urls.prometheus).series('{__name__=~"(claude_code|codex)_.+"}')
  const labels = new Set(series.flatMap((set) => Object.keys(set)))
  expect(
    [...labels].filter((label) => /user|session_id|organization|email|account|terminal|conversation/.test(label)),
  ).toEqual([])
  const names = new Set(series.map(({ __name__ }) => __name__!.replace(/_(bucket|sum|count)$/, '')))
  expect([...names].filter((name) => name.startsWith('codex_')).length).toBeLessThan(12)
  expect(new Set(series.map(({ instance }) => instance?.replace(/\d+$/, 'N')))).toEqual(new Set(['agent-N']))
})

test('their spans are in the trace of the run, with parents and without noise', async () => {
  const { spans, warnings } = await run(pipelineOf(`${CLAUDE}\n      ${CODEX}`))
  expect([...warnings, ...spans.flatMap((span) => span.warnings)]).toEqual([])
  const attempt = spans.find(({ name }) => name === 'work attempt')!
  const ids = new Set(spans.map(({ spanId }) => spanId))
  for (const [service, root] of [
    ['claude-code', 'claude_code.interaction'],
    ['codex_exec', 'codex.exec'],
  ] as const) {
    const own = spans.filter((span) => span.service === service)
    expect(own.find(({ name }) => name === root)?.parentId).toBe(attempt.spanId)
    expect(own.filter(({ parentId }) => parentId === undefined || !ids.has(parentId))).toEqual([])
    expect(own.length).toBeLessThan(40)
    for (const { tags } of own)
      expect(Object.keys(tags).filter((key) => /^(user|organization)\./.test(key))).toEqual([])
  }
  const turn = spans.find(({ name }) => name === 'session_task.turn')
  expect(turn?.tags['codex.turn.token_usage.output_tokens']).toBe(TRUTH.output)
})

const CONTENT = { OTEL_LOG_USER_PROMPTS: '1', OTEL_LOG_TOOL_DETAILS: '1', OTEL_LOG_TOOL_CONTENT: '1' }
const ASKED_BY_NODE = `    env: { ${Object.entries(CONTENT)
  .map(([name, value]) => `${name}: "${value}"`)
  .join(', ')} }\n`
const canariesIn = (trace: JaegerTrace): string[] =>
  Object.entries(CANARY).flatMap(([what, text]) => (JSON.stringify(trace).includes(text) ? [what] : []))

test('content goes no further than the collector unless it is captured', async () => {
  const trace = await run(pipelineOf(CLAUDE, ASKED_BY_NODE))
  expect(trace.spans.map(({ name }) => name)).toContain('claude_code.tool')
  expect(canariesIn(trace)).toEqual([])
})

test('captured content is in Jaeger', async () => {
  const trace = await run(pipelineOf(CLAUDE), { args: ['--capture', 'content'] })
  expect(canariesIn(trace)).toEqual(['prompt', 'toolInput', 'toolOutput', 'file'])
})
