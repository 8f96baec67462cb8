// Owns: servers on this machine that answer as the parts of the stack do, well or badly, and the output of a command kept
// as text. Every server is closed when the test file ends.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'
import type { Output } from '../../src/cli/output.ts'
import type { PartId } from '../../src/cli/stack/parts.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

const servers: Server[] = []
afterAll(async () => {
  for (const server of servers) server.closeAllConnections()
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})

/** Starts a server on a free port, or on `port`. Returns its URL. */
export async function serve(handler: Handler, port = 0): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Answers always the same. */
export const saying =
  (status: number, body: string): Handler =>
  (_request, response) =>
    response.writeHead(status).end(body)

/** As the real servers answer when all is well (recorded from the versions in .env). */
export const WELL: Readonly<Record<PartId, Handler>> = {
  otlp: (request, response) => {
    const ok = request.method === 'POST' && request.url === '/v1/traces'
    response.writeHead(ok ? 200 : 405, { 'content-type': 'application/json' }).end(ok ? '{"partialSuccess":{}}' : '')
  },
  collector: saying(200, '{"status":"Server available","upSince":"2026-11-21T13:43:43Z","uptime":"1.9s"}'),
  jaeger: at('/api/services', '{"data":["spanwright"],"errors":null,"limit":0,"offset":0,"total":1}'),
  prometheus: at('/-/ready', 'Prometheus Server is Ready.\n'),
  alertmanager: at('/api/v2/status', '{"cluster":{"status":"disabled"},"versionInfo":{"version":"0.31.0"}}'),
  grafana: at('/api/health', '{"database":"ok","version":"13.1.4"}'),
  loki: at('/ready', 'ready\n'),
}

function at(path: string, body: string): Handler {
  return (request, response) =>
    request.url === path ? response.writeHead(200).end(body) : response.writeHead(404).end('404 page not found')
}

/** A Prometheus that is ready and answers queries that hold one of the texts with these samples. */
export function prometheusWith(
  answers: Readonly<Record<string, readonly (readonly [labels: object, value: number])[]>>,
): Handler {
  return (request, response) => {
    const url = new URL(request.url ?? '/', 'http://here')
    if (url.pathname !== '/api/v1/query') return WELL.prometheus(request, response)
    const query = url.searchParams.get('query') ?? ''
    const found = Object.entries(answers).find(([text]) => query.includes(text))?.[1] ?? []
    const result = found.map(([metric, value]) => ({ metric, value: [1_763_732_400, String(value)] }))
    response.writeHead(200).end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }))
  }
}

/** All parts of the usual stack, well; some replaced. Returns the flags that name them. */
export async function serveStack(replaced: Partial<Record<PartId, Handler>> = {}): Promise<Record<string, string>> {
  const ids = ['otlp', 'collector', 'jaeger', 'prometheus', 'alertmanager', 'grafana'] as const
  return Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, await serve(replaced[id] ?? WELL[id])] as const)),
  )
}

/** An output that keeps what is written. */
export function keepingOutput(): {
  readonly output: Output
  readonly stdout: () => string
  readonly stderr: () => string
} {
  const out: string[] = []
  const err: string[] = []
  const look = { columns: 100, color: false, ascii: false }
  const output: Output = {
    result: (...lines) => void out.push(...lines),
    json: (value) => void out.push(JSON.stringify(value)),
    say: (...lines) => void err.push(...lines),
    look,
    progressLook: look,
    verbose: false,
  }
  return { output, stdout: () => out.join('\n'), stderr: () => err.join('\n') }
}
