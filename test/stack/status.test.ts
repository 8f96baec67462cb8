// `stack status` against the real servers: all up, one gone, and what it says of the collector's queues.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { runCli } from '../support/cli.ts'
import { otlpSender } from './support/otlp-sender.ts'
import { until } from './support/until.ts'

interface StatusJson {
  readonly up: boolean
  readonly parts: readonly { part: string; state: string; reason: string | null }[]
  readonly queues: readonly { exporter: string; signal: string; size: number; capacity: number; fill: number }[] | null
  readonly refused_last_hour: number | null
  readonly undelivered_last_hour: number | null
  readonly firing: number | null
  readonly prometheus_bytes: number | null
}

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ evaluationInterval: '1s' })
})
afterAll(async () => {
  await stack.stop()
})

const addresses = (): Record<string, string> => ({
  SPANWRIGHT_STACK_OTLP_URL: stack.urls.otlp_http,
  SPANWRIGHT_STACK_COLLECTOR_URL: stack.urls.otelcol_health,
  SPANWRIGHT_STACK_JAEGER_URL: stack.urls.jaeger,
  SPANWRIGHT_STACK_PROMETHEUS_URL: stack.urls.prometheus,
  SPANWRIGHT_STACK_ALERTMANAGER_URL: stack.urls.alertmanager,
})

async function status(): Promise<{ exitCode: number | null; json: StatusJson }> {
  const { exitCode, stdout } = await runCli(['stack', 'status', '--json'], { env: addresses() })
  return { exitCode, json: JSON.parse(stdout) as StatusJson }
}

test('all parts are up, the figures are known', async () => {
  await otlpSender(stack.urls.otlp_http, { 'service.name': 'spanwright' }).spans({
    name: 'RUN x',
    startMs: Date.now() - 1_000,
  })
  const { exitCode, json } = await until(
    'figures of the collector and of Prometheus',
    status,
    ({ json: { queues, undelivered_last_hour, prometheus_bytes } }) =>
      queues !== null && undelivered_last_hour !== null && prometheus_bytes !== null,
  )
  expect(exitCode).toBe(0)
  expect(json.up).toBe(true)
  expect(json.parts.map(({ part, state }) => `${part} ${state}`)).toEqual([
    'otlp up',
    'collector up',
    'jaeger up',
    'prometheus up',
    'alertmanager up',
  ])
  expect(json.queues!.map(({ exporter, signal }) => `${exporter} ${signal}`)).toEqual([
    'otlp_grpc/jaeger traces',
    'otlp_http/prometheus metrics',
  ])
  for (const { capacity, fill } of json.queues!) {
    expect(capacity).toBeGreaterThan(0)
    expect(fill).toBeLessThan(0.1)
  }
  expect(json).toMatchObject({ refused_last_hour: 0, undelivered_last_hour: 0, firing: 0 })
  expect(json.prometheus_bytes).toBeGreaterThan(0)
})

test('Jaeger is gone: it is named, the rest is up, its queue fills; after its return all is well', async () => {
  await stack.jaeger.kill()
  const sent = { name: 'RUN y', startMs: Date.now() - 1_000 }
  await otlpSender(stack.urls.otlp_http, { 'service.name': 'spanwright' }).spans(sent)
  const { exitCode, json } = await until('a queue that is not empty', status, (answer) =>
    (answer.json.queues ?? []).some(({ exporter, size }) => exporter === 'otlp_grpc/jaeger' && size > 0),
  )
  expect(exitCode).toBe(1)
  expect(json.up).toBe(false)
  expect(json.parts.filter(({ state }) => state !== 'up')).toMatchObject([
    { part: 'jaeger', state: 'down', reason: `nothing listens on ${new URL(stack.urls.jaeger).host}` },
  ])
  await stack.jaeger.start()
  await until('the queue empties', status, (answer) => answer.exitCode === 0 && answer.json.queues![0]!.size === 0)
})

test('Prometheus is gone: its figures are unknown, not zero', async () => {
  await stack.prometheus.kill()
  const { exitCode, json } = await status()
  await stack.prometheus.start()
  expect(exitCode).toBe(1)
  expect(json).toMatchObject({ queues: null, refused_last_hour: null, firing: null, prometheus_bytes: null })
})
