// `stack status` against servers that answer well, badly, late or not at all. The real servers: test/stack/status.test.ts.
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { stackStatus } from '../../src/cli/commands/stack-status.ts'
import { localAddresses, statusAddresses } from '../../src/cli/stack/addresses.ts'
import { awaitParts } from '../../src/cli/stack/await-parts.ts'
import { stackSettings } from '../../src/cli/stack/compose-file.ts'
import { partOf } from '../../src/cli/stack/parts.ts'
import { probeAll } from '../../src/cli/stack/probe.ts'
import {
  freePort,
  keepingOutput,
  prometheusWith,
  saying,
  serve,
  serveStack,
  WELL,
  type Handler,
} from './stack-parts.ts'

interface StatusJson {
  readonly up: boolean
  readonly parts: readonly { part: string; state: string; reason: string | null; url: string }[]
  readonly [figure: string]: unknown
}

async function status(options: Record<string, string | boolean>): Promise<{ exitCode: number; text: string }> {
  const { output, stdout } = keepingOutput()
  const exitCode = await stackStatus({ args: [], options, output })
  return { exitCode, text: stdout() }
}
async function statusJson(options: Record<string, string>): Promise<{ exitCode: number; json: StatusJson }> {
  const { exitCode, text } = await status({ ...options, json: true })
  return { exitCode, json: JSON.parse(text) as StatusJson }
}

const FULL = prometheusWith({
  otelcol_exporter_queue_size: [
    [{ exporter: 'otlp_http/prometheus', data_type: 'metrics' }, 0],
    [{ exporter: 'otlp_grpc/jaeger', data_type: 'traces' }, 180_000],
  ],
  otelcol_exporter_queue_capacity: [
    [{ exporter: 'otlp_grpc/jaeger', data_type: 'traces' }, 200_000],
    [{ exporter: 'otlp_http/prometheus', data_type: 'metrics' }, 10_000],
  ],
  otelcol_receiver_refused_spans: [[{}, 12.4]],
  otelcol_exporter_send_failed_spans: [[{}, 3]],
  'ALERTS{': [[{ alertname: 'AttemptStuck', severity: 'page' }, 2]],
  prometheus_tsdb_storage_blocks_bytes: [[{}, 3_000_000]],
})

test('all parts up: exit 0, a row for each', async () => {
  const { exitCode, text } = await status(await serveStack())
  expect(exitCode).toBe(0)
  for (const name of ['OTLP', 'Collector', 'Jaeger', 'Prometheus', 'Alertmanager', 'Grafana'])
    expect(text).toMatch(new RegExp(`^ ✓ ${name} +up +http://127\\.0\\.0\\.1:\\d+$`, 'm'))
})

test('figures: queues with their fill, losses, alerts, disk', async () => {
  const { exitCode, json } = await statusJson(await serveStack({ prometheus: FULL }))
  expect(exitCode).toBe(0)
  expect(json).toMatchObject({
    up: true,
    queues: [
      { exporter: 'otlp_grpc/jaeger', signal: 'traces', size: 180_000, capacity: 200_000, fill: 0.9 },
      { exporter: 'otlp_http/prometheus', signal: 'metrics', size: 0, capacity: 10_000, fill: 0 },
    ],
    refused_last_hour: 13,
    undelivered_last_hour: 3,
    firing: 2,
    alerts: [{ name: 'AttemptStuck', severity: 'page', count: 2 }],
    prometheus_bytes: 3_000_000,
  })
  const { text } = await status(await serveStack({ prometheus: FULL }))
  expect(text).toMatch(/otlp_grpc\/jaeger traces +90 % of 200,000 +its receiver is down or too slow/)
  expect(text).toContain('13 refused (sent again), 3 not delivered (lost)')
  expect(text).toContain('AttemptStuck page, 2 times')
})

test('what Prometheus does not know is null, not zero', async () => {
  const { json } = await statusJson(await serveStack({ prometheus: prometheusWith({}) }))
  expect(json).toMatchObject({
    queues: null,
    refused_last_hour: null,
    undelivered_last_hour: null,
    firing: 0,
    prometheus_bytes: null,
  })
})

describe('a part that is not well', () => {
  const cases: readonly (readonly [string, Handler | undefined, string, RegExp])[] = [
    ['nothing listens', undefined, 'down', /^nothing listens on 127\.0\.0\.1:\d+$/],
    ['it is still starting', saying(503, 'Service Unavailable'), 'starting', /^answers 503: Service Unavailable$/],
    ['another program has its port', saying(200, '<!doctype html>'), 'broken', /is not Grafana: another program/],
    ['it asks for credentials', saying(401, 'Unauthorized'), 'broken', /answers 401 .*asks for credentials/],
    ['it redirects', saying(302, ''), 'broken', /answers 302 to GET \/api\/health$/],
    ['its database is gone', saying(503, '{"database":"failing"}'), 'starting', /"database":"failing"/],
    ['it closes connections', (_request, response) => response.destroy(), 'starting', /takes connections and closes/],
    ['it writes escapes', saying(500, '\u001b[31mred\u001b]0;title\u0007'), 'broken', /: red$/],
  ]
  test.each(cases)('%s', async (_name, handler, state, reason) => {
    const flags = await serveStack(handler && { grafana: handler })
    if (!handler) flags['grafana'] = `http://127.0.0.1:${await freePort()}`
    const { exitCode, json } = await statusJson(flags)
    expect(exitCode).toBe(1)
    expect(json.up).toBe(false)
    expect(json.parts.filter((part) => part.state !== 'up')).toMatchObject([{ part: 'grafana', state }])
    expect(json.parts.find(({ part }) => part === 'grafana')!.reason).toMatch(reason)
  })

  test('it takes the connection and never answers', async () => {
    const server = createServer(() => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const sockets = new Set<import('node:net').Socket>()
    server.on('connection', (socket) => sockets.add(socket))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const { port } = server.address() as import('node:net').AddressInfo
    const [report] = await probeAll([{ part: partOf('jaeger'), url: `http://127.0.0.1:${port}` }], 100)
    expect(report).toMatchObject({ state: 'down', reason: 'no answer within 0.1 s' })
  })

  test('its name cannot be resolved', async () => {
    const { exitCode, json } = await statusJson({ jaeger: 'http://jaeger.invalid:16686' })
    expect(exitCode).toBe(1)
    expect(json.parts).toMatchObject([{ state: 'down', reason: expect.stringContaining('jaeger.invalid') }])
  })

  test('without Prometheus the figures are said to be unknown', async () => {
    const { text } = await status({ ...(await serveStack()), prometheus: `http://127.0.0.1:${await freePort()}` })
    expect(text).toContain('Queues, losses and alerts are not known')
  })
})

describe('which addresses are asked', () => {
  const noSettings = () => undefined

  test('none named: the ports of .env on this machine', () => {
    const { list, local } = statusAddresses(() => undefined, stackSettings(undefined, {}), {})
    expect(local).toBe(true)
    expect(list.map(({ url }) => url)).toEqual(
      [4318, 13133, 16686, 9090, 9093, 3000].map((port) => `http://127.0.0.1:${port}`),
    )
  })

  test('one named: only the named ones, a flag before its variable', () => {
    const env = { SPANWRIGHT_STACK_JAEGER_URL: 'http://a:1/', SPANWRIGHT_STACK_GRAFANA_URL: 'https://b/grafana/' }
    const { list, local } = statusAddresses((id) => (id === 'jaeger' ? 'http://c:3' : undefined), noSettings, env)
    expect(local).toBe(false)
    expect(list.map(({ part, url }) => `${part.id} ${url}`)).toEqual(['jaeger http://c:3', 'grafana https://b/grafana'])
  })

  test('a path before the part is kept', async () => {
    const url = await serve((request, response) =>
      response.writeHead(request.url === '/g/api/health' ? 200 : 404).end('{"database":"ok"}'),
    )
    expect(await status({ grafana: `${url}/g/` })).toMatchObject({ exitCode: 0 })
  })

  test.each(['prometheus:9090', 'ftp://x', 'http://user:pass@x'])('%s is refused', async (url) => {
    await expect(status({ prometheus: url })).rejects.toMatchObject({ code: 'usage.invalid', exitCode: 2 })
  })

  test('ports: the environment goes before .env, what is no port is refused', () => {
    const settings = (port: string) => (name: string) => (name === 'GRAFANA_PORT' ? port : undefined)
    expect(localAddresses(settings('3001'), true).map(({ url }) => url)).toContain('http://127.0.0.1:3001')
    expect(() => localAddresses(settings('tcp://10.0.0.1:3000'), false)).toThrow(/GRAFANA_PORT=tcp/)
  })
})

describe('waiting for the parts', () => {
  test('ends when the last one answers and names each once', async () => {
    const port = await freePort()
    const jaeger = await serve(WELL.jaeger)
    const addresses = [
      { part: partOf('jaeger'), url: jaeger },
      { part: partOf('prometheus'), url: `http://127.0.0.1:${port}` },
    ]
    const onUp = vi.fn<(report: { part: { id: string } }) => void>()
    const waiting = awaitParts(addresses, { timeoutMs: 10_000, onUp })
    await vi.waitFor(() => expect(onUp).toHaveBeenCalledOnce())
    await serve(WELL.prometheus, port)
    expect((await waiting).map(({ state }) => state)).toEqual(['up', 'up'])
    expect(onUp.mock.calls.map(([report]) => report.part.id)).toEqual(['jaeger', 'prometheus'])
  })

  test('ends when time is over, with what is known', async () => {
    const addresses = [{ part: partOf('jaeger'), url: `http://127.0.0.1:${await freePort()}` }]
    const [report] = await awaitParts(addresses, { timeoutMs: 20, onUp: () => {} })
    expect(report).toMatchObject({ state: 'down' })
  })
})
