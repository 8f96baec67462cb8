// What the switch for the agents' own telemetry adds to the environment of a child, and what it leaves alone.
import { describe, expect, test } from 'vitest'
import { agentTelemetryProblem } from '../../src/effects/agent-telemetry.ts'
import type { CommandLine } from '../../src/core/pipeline.ts'
import { workbench, type AttemptOptions } from './support.ts'

const PATH = process.env['PATH']
const ENDPOINT = 'http://127.0.0.1:4318'
const ON = { PATH, OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, SPANWRIGHT_AGENT_TELEMETRY: '1' }
const dump: CommandLine = { argv: [process.execPath, '-e', 'process.stdout.write(JSON.stringify(process.env))'] }

/** Environment of a child, less what every child is told. */
async function childOf(env: NodeJS.ProcessEnv, options: AttemptOptions = {}): Promise<NodeJS.ProcessEnv> {
  const { outcome, file } = await workbench({ env }).run(dump, options)
  expect(outcome.failure).toBeUndefined()
  const child = JSON.parse(file('stdout.log')) as NodeJS.ProcessEnv
  return Object.fromEntries(
    Object.entries(child).filter(([name]) => /^(?:OTEL_|CLAUDE_|SPANWRIGHT_(?:AGENT|CAPTURE|CODEX))/.test(name)),
  )
}

/** What a shell makes of the variable, unquoted. */
async function codexArguments(env: NodeJS.ProcessEnv): Promise<string[]> {
  const { file } = await workbench({ env }).run(`echo start; printf '%s\\n' $SPANWRIGHT_CODEX_OTEL`)
  return file('stdout.log').split('\n').slice(1).filter(Boolean)
}

describe('switched off', () => {
  test.each([undefined, '', '0', 'off', 'OFF', 'maybe'])('%s changes nothing', async (value) => {
    const env = {
      PATH,
      OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT,
      OTEL_LOG_USER_PROMPTS: '1',
      ...(value === undefined ? {} : { SPANWRIGHT_AGENT_TELEMETRY: value }),
    }
    expect({ ...(await childOf(env)), PATH }).toEqual(env)
  })

  test.each([
    ['no receiver is named', { SPANWRIGHT_AGENT_TELEMETRY: 'on' }],
    ['telemetry is off altogether', { ...ON, OTEL_SDK_DISABLED: 'true' }],
    [
      'no signal is exported',
      { ...ON, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'console' },
    ],
  ])('nothing is added when %s', async (_, env) => {
    expect({ ...(await childOf({ PATH, ...env })), PATH }).toEqual({ PATH, ...env })
  })

  test('says why it has no effect', () => {
    expect(agentTelemetryProblem({})).toBeUndefined()
    expect(agentTelemetryProblem(ON)).toBeUndefined()
    expect(agentTelemetryProblem({ SPANWRIGHT_AGENT_TELEMETRY: 'yes' })).toMatch(/neither on nor off/)
    expect(agentTelemetryProblem({ SPANWRIGHT_AGENT_TELEMETRY: 'on' })).toMatch(/set OTEL_EXPORTER_OTLP_ENDPOINT/)
  })
})

describe('switched on', () => {
  test('points clients at the receiver and lets no content out', async () => {
    const { OTEL_RESOURCE_ATTRIBUTES: resource, ...env } = await childOf({ ...ON, OTEL_LOG_USER_PROMPTS: '1' })
    expect(resource).toMatch(/^spanwright\.agent\.slot=(?:\d|[1-5]\d|6[0-3])$/)
    expect(env).toEqual({
      OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT,
      SPANWRIGHT_AGENT_TELEMETRY: '1',
      CLAUDE_CODE_ENABLE_TELEMETRY: '1',
      CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: '1',
      CLAUDE_CODE_PROPAGATE_TRACEPARENT: '1',
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_METRIC_EXPORT_INTERVAL: '10000',
      OTEL_METRICS_INCLUDE_SESSION_ID: 'false',
      OTEL_METRICS_INCLUDE_ACCOUNT_UUID: 'false',
      OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES: 'false',
      OTEL_LOG_USER_PROMPTS: '0',
      OTEL_LOG_ASSISTANT_RESPONSES: '0',
      OTEL_LOG_TOOL_DETAILS: '0',
      OTEL_LOG_TOOL_CONTENT: '0',
      OTEL_LOG_RAW_API_BODIES: '0',
      SPANWRIGHT_CODEX_OTEL: expect.stringMatching(/^-c otel\.trace_exporter=/) as string,
    })
  })

  test('lets content out when it is captured', async () => {
    const env = await childOf({ ...ON, SPANWRIGHT_CAPTURE: 'content' })
    expect(env).toMatchObject({
      OTEL_LOG_USER_PROMPTS: '1',
      OTEL_LOG_ASSISTANT_RESPONSES: '1',
      OTEL_LOG_TOOL_DETAILS: '1',
      OTEL_LOG_TOOL_CONTENT: '1',
    })
    expect(env).not.toHaveProperty('OTEL_LOG_RAW_API_BODIES')
    expect(env['OTEL_RESOURCE_ATTRIBUTES']).toMatch(/,spanwright\.capture=content$/)
  })

  test('keeps what the user or the pipeline has set, and still no identity of the orchestrator', async () => {
    const user = {
      ...ON,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: '0',
      OTEL_SERVICE_NAME: 'ours',
      OTEL_RESOURCE_ATTRIBUTES: 'team=ours',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=ours',
    }
    const env = await childOf(user, { place: { env: [{ OTEL_LOG_USER_PROMPTS: '1', OTEL_SERVICE_NAME: 'mine' }] } })
    expect(env).toMatchObject({
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: '0',
      OTEL_LOG_USER_PROMPTS: '1',
      OTEL_SERVICE_NAME: 'mine',
    })
    expect(JSON.stringify(env)).not.toMatch(/ours/)
  })

  test('exports no signal that has no receiver', async () => {
    const traces = 'http://127.0.0.1:4318/v1/traces'
    const env = await childOf({ PATH, SPANWRIGHT_AGENT_TELEMETRY: 'on', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces })
    expect(env).toMatchObject({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    })
  })

  test('spreads attempts over the slots', async () => {
    const bench = workbench({ env: ON })
    const slots = new Set<string>()
    for (let n = 0; n < 8; n++) slots.add((await bench.run('printenv OTEL_RESOURCE_ATTRIBUTES')).file('stdout.log'))
    expect(slots.size).toBeGreaterThan(4)
  })

  test('a nested run computes its own', async () => {
    const env = await childOf({ PATH, SPANWRIGHT_CODEX_OTEL: '-c otel.exporter="none"' })
    expect(env).not.toHaveProperty('SPANWRIGHT_CODEX_OTEL')
  })
})

describe('arguments for Codex', () => {
  test('a shell splits them; log records are not exported, because they quote the output of tools', async () => {
    expect(await codexArguments(ON)).toEqual([
      '-c',
      `otel.trace_exporter={otlp-http={endpoint="${ENDPOINT}/v1/traces",protocol="binary"}}`,
      '-c',
      `otel.metrics_exporter={otlp-http={endpoint="${ENDPOINT}/v1/metrics",protocol="binary"}}`,
      '-c',
      'otel.exporter="none"',
      '-c',
      'otel.log_user_prompt=false',
    ])
  })

  test('follow protocol, endpoints and captured content', async () => {
    const env = {
      ...ON,
      SPANWRIGHT_CAPTURE: 'content',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_ENDPOINT: `${ENDPOINT}/a path/*/`,
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:4317',
    }
    expect(await codexArguments(env)).toEqual([
      '-c',
      `otel.trace_exporter={otlp-http={endpoint="${ENDPOINT}/a%20path/%2A/v1/traces",protocol="json"}}`,
      '-c',
      'otel.metrics_exporter={otlp-grpc={endpoint="http://127.0.0.1:4317/"}}',
      '-c',
      `otel.exporter={otlp-http={endpoint="${ENDPOINT}/a%20path/%2A/v1/logs",protocol="json"}}`,
      '-c',
      'otel.log_user_prompt=true',
    ])
  })

  test('are nothing at all when it is off', async () => {
    expect(await codexArguments({ PATH, OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT })).toEqual([])
  })
})
