// The configuration of collector, Jaeger and Prometheus on the real servers: what arrives, that deltas add up exactly, that
// nothing is lost while one of them is away.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { jaegerClient } from './support/jaeger-client.ts'
import { otlpSender, type TestSpan } from './support/otlp-sender.ts'
import { prometheusClient } from './support/prometheus-client.ts'

const FAST = { evaluationInterval: '1s' }
const deaths: string[] = []
let stack: Stack
beforeAll(async () => {
  stack = await startStack({ ...FAST, onDeath: (reason) => deaths.push(reason) })
})
afterAll(async () => {
  await stack.stop()
  expect(deaths).toEqual([])
  expect(existsSync(stack.urls.dir)).toBe(false)
})

const instance = { 'service.name': 'spanwright', 'service.instance.id': 'test-0' }
const send = (resource: Record<string, string> = instance): ReturnType<typeof otlpSender> =>
  otlpSender(stack.urls.otlp_http, resource)
const prometheus = (): ReturnType<typeof prometheusClient> => prometheusClient(stack.urls.prometheus)
const jaeger = (): ReturnType<typeof jaegerClient> => jaegerClient(stack.urls.jaeger)

interface LogLine {
  readonly level: string
  readonly msg: string
}
/** Lines of a server that logs JSON; what it prints before its logger is up is left out. */
function logLines(server: 'otelcol' | 'jaeger'): LogLine[] {
  const lines = stack[server].log().split('\n')
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
}

describe('the start', () => {
  it('is without a warning from the collector, about deprecated names or anything else', () => {
    // Jaeger may listen a moment later than the collector connects.
    const complaints = logLines('otelcol').filter(
      ({ level, msg }) => level !== 'info' && !msg.includes('connection refused'),
    )
    expect(complaints).toEqual([])
    expect(stack.otelcol.log()).not.toMatch(/deprecat|modified to include/i)
  })

  it('is without a warning from Jaeger but for the pages that only its image holds', () => {
    const complaints = logLines('jaeger').filter(({ level }) => level !== 'info')
    expect(complaints.map(({ msg }) => msg)).toEqual(['ui assets not embedded in the binary, using a placeholder'])
  })

  it('is without a warning from Prometheus, with all targets up', async () => {
    await prometheus().untilValue('sum(up)', 4)
    expect(stack.prometheus.log()).not.toMatch(/level=(WARN|ERROR)/)
    expect(stack.alertmanager.log()).not.toMatch(/level=(WARN|ERROR)/)
  })
})

describe('spans', () => {
  it('show up in Jaeger, findable by attribute, with parent and no warnings', async () => {
    const startMs = Date.now() - 1_000
    const [root] = await send().spans({ name: 'RUN build', startMs, attributes: { 'cicd.pipeline.run.id': 'r1' } })
    await send().spans({ name: 'compile', startMs, traceId: root!.traceId, parentId: root!.spanId })
    const trace = await jaeger().untilTrace(root!.traceId, 2)
    expect(trace.spans.map(({ name, parentId, warnings }) => ({ name, parentId, warnings }))).toEqual(
      expect.arrayContaining([
        { name: 'RUN build', parentId: undefined, warnings: [] },
        { name: 'compile', parentId: root!.spanId, warnings: [] },
      ]),
    )
    const found = await jaeger().search({ service: 'spanwright', tags: { 'cicd.pipeline.run.id': 'r1' } })
    expect(found.map(({ traceId }) => traceId)).toEqual([root!.traceId])
  })

  it('fill the Monitor tab, markers left out, and carry their trace ids into exemplars', async () => {
    const sender = otlpSender(stack.urls.otlp_http, { ...instance, 'service.name': 'monitored' })
    const made = await sender.spans(
      { name: 'work', durationMs: 700 },
      { name: 'work started', attributes: { 'spanwright.marker': 'started' } },
    )
    await jaeger().untilTrace(made[1]!.traceId, 1)
    // The first of its deliveries is a zero, the second comes 15 s later.
    await prometheus().untilValue('traces_span_metrics_calls_total{service_name="monitored"}', 1, { withinMs: 40_000 })
    const [series] = await prometheus().series('traces_span_metrics_duration_seconds_count{service_name="monitored"}')
    expect(series).toMatchObject({ span_name: 'work', span_kind: 'SPAN_KIND_INTERNAL', job: 'monitored' })
    expect(series).not.toHaveProperty('instance')
    expect(series).not.toHaveProperty('collector_instance_id')
    for (const metric of ['calls', 'latencies'] as const) {
      const rows = await jaeger().monitor(metric, { service: 'monitored' })
      expect(rows.map(({ labels }) => labels['operation'])).toEqual(['work'])
      expect(Math.max(...rows[0]!.values.filter((value) => !Number.isNaN(value)))).toBeGreaterThan(0)
    }
    const exemplars = await prometheus().exemplars('traces_span_metrics_duration_seconds_bucket')
    expect(exemplars.map(({ labels }) => labels['trace_id'])).toContain(made[0]!.traceId)
  })
})

describe('metrics', () => {
  it('of deltas add up exactly over repeats, a SIGKILL of the collector and late deliveries', async () => {
    const now = Date.now()
    const first = { name: 'test.attempts', unit: '{attempt}', value: 3, atMs: now - 90_000 }
    const second = { ...first, value: 5, atMs: now - 30_000 }
    await send().counters(first)
    await send().counters(first)
    await stack.otelcol.kill('SIGKILL')
    await stack.otelcol.start()
    await send().counters(second)
    await prometheus().untilValue('sum(sum_over_time(test_attempts_total[5m]))', 8)
    // Late: between the two, and the first once more.
    await send().counters({ ...first, value: 2, atMs: now - 60_000 })
    await send().counters(first)
    await send().counters({ ...first, value: 2, atMs: now - 60_000 })
    await prometheus().untilValue('sum(sum_over_time(test_attempts_total[5m]))', 10)
    const [series] = await prometheus().raw('test_attempts_total', '5m')
    // Each delivery brings its zero, but for the late one: Prometheus makes none in the past. Sums do not need it.
    expect(series?.values.map(([, value]) => value)).toEqual([0, 3, 2, 0, 5])
    expect(series?.labels).toEqual({ __name__: 'test_attempts_total', job: 'spanwright', instance: 'test-0' })
  })

  it('that come days late count, once', async () => {
    const now = Date.now()
    const late = { name: 'test.late', value: 7, atMs: now - 6 * 86_400_000 }
    await send().counters({ name: 'test.late', value: 1, atMs: now })
    await send().counters(late)
    await send().counters(late)
    await prometheus().untilValue('sum(sum_over_time(test_late_total[7d]))', 8)
  })

  it('of histograms add up in every bucket', async () => {
    const now = Date.now()
    await send().histograms({ name: 'test.duration', unit: 's', value: 0.5, atMs: now - 20_000 })
    await send().histograms({ name: 'test.duration', unit: 's', value: 4, atMs: now - 10_000 })
    const total = (name: string): string => `sum(sum_over_time(${name}[5m]))`
    await prometheus().untilValue(total('test_duration_seconds_count'), 2)
    await prometheus().untilValue(total('test_duration_seconds_sum'), 4.5)
    await prometheus().untilValue(total('test_duration_seconds_bucket{le="1"}'), 1)
    await prometheus().untilValue(total('test_duration_seconds_bucket{le="10"}'), 2)
  })

  it('of gauges are there as they were sent', async () => {
    await send().gauges({ name: 'test.heartbeat.time', unit: 's', value: 1_700_000_000.25 })
    await prometheus().untilValue('test_heartbeat_time_seconds', 1_700_000_000.25)
  })

  it('of agents lose what names a person or a session', async () => {
    const attributes = {
      'session.id': 's',
      'user.email': 'a@b.c',
      'organization.id': 'o',
      'terminal.type': 't',
      'type': 'input',
    }
    await send({ 'service.name': 'claude-code', 'host.arch': 'amd64' }).counters({
      name: 'claude_code.token.usage',
      unit: 'tokens',
      value: 12,
      attributes,
    })
    await prometheus().untilValue('sum_over_time(claude_code_token_usage_tokens_total[5m])', 12)
    const [labels] = await prometheus().series('claude_code_token_usage_tokens_total')
    expect(labels).toEqual({ __name__: 'claude_code_token_usage_tokens_total', job: 'claude-code', type: 'input' })
  })
})

describe('log records', () => {
  it('are accepted and kept nowhere', async () => {
    await send().logs('one', 'two')
    expect(stack.otelcol.log()).not.toContain('"one"')
  })
})

describe('an outage', () => {
  it('of Jaeger for 5 s and of the collector within it loses no span and repeats none', async () => {
    await stack.jaeger.kill('SIGKILL')
    const traceId = 'a'.repeat(32)
    const spans: TestSpan[] = Array.from({ length: 50 }, (_, index) => ({ name: `s${index}`, traceId }))
    const sent = await send().spans(...spans.slice(0, 25))
    await stack.otelcol.kill('SIGKILL')
    await stack.otelcol.start()
    sent.push(...(await send().spans(...spans.slice(25))))
    await sleep(5_000)
    await stack.jaeger.start()
    const trace = await jaeger().untilTrace(traceId, (seen) => seen.spans.length >= 50)
    expect(trace.spans.map(({ spanId }) => spanId).toSorted()).toEqual(sent.map(({ spanId }) => spanId).toSorted())
  })

  it('of Prometheus for 5 s loses no count and counts none twice', async () => {
    const counts = [1, 2, 4, 8, 16]
    await send().counters({ name: 'test.outage', value: 32 })
    await prometheus().untilValue('sum(sum_over_time(test_outage_total[5m]))', 32)
    await stack.prometheus.kill('SIGKILL')
    for (const value of counts) {
      await send().counters({ name: 'test.outage', value })
      await sleep(1_000)
    }
    await stack.otelcol.kill('SIGTERM')
    await stack.otelcol.start()
    await stack.prometheus.start()
    await prometheus().untilValue('sum(sum_over_time(test_outage_total[5m]))', 63)
  })
})

describe('the files of the stack', () => {
  it('are those of the repository but for the addresses', () => {
    const config = (name: string): string => readFileSync(path.join(stack.urls.dir, 'config', name), 'utf8')
    const differing = config('prometheus.yml')
      .split('\n')
      .filter((line) => !readFileSync('collector/prometheus.yml', 'utf8').split('\n').includes(line))
    expect(differing.filter((line) => !/127\.0\.0\.1:\d+|_interval: 1s/.test(line))).toEqual([])
    expect(differing).toHaveLength(7)
  })
})
