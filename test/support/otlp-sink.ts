// A small OTLP/HTTP receiver for tests, loopback only: takes POST /v1/traces as JSON (plain or gzip) and keeps every
// span flattened, and every accepted body as it came. It can be told to answer badly.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface SinkEvent {
  name: string
  timeUs: number
  attrs: Record<string, unknown>
}
export interface SinkLink {
  traceId: string
  spanId: string
  attrs: Record<string, unknown>
}
export interface SinkSpan {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  parentIsRemote: boolean
  traceState: string | undefined
  startUs: number
  endUs: number
  /** 0 unset, 1 ok, 2 error. */
  status: { code?: number; message?: string }
  attrs: Record<string, unknown>
  events: SinkEvent[]
  links: SinkLink[]
  resource: Record<string, unknown>
}
/** What to answer next; `hang` = take the batch and never answer; `cut` = take it and drop the connection. */
export type Answer = { status: number; body?: string } | 'hang' | 'cut'

export interface Sink {
  readonly url: string
  readonly port: number
  /** Spans of batches that were answered with 200, markers included. */
  readonly spans: SinkSpan[]
  /** Bodies of all requests, also of those that were answered badly. */
  readonly bodies: string[]
  readonly headers: IncomingMessage['headers'][]
  /** Given once per request until it returns undefined (= 200). */
  answer: (() => Answer | undefined) | undefined
  close(): Promise<void>
}

export async function startSink(port = 0): Promise<Sink> {
  const sockets = new Set<Socket>()
  const spans: SinkSpan[] = []
  const bodies: string[] = []
  const headers: IncomingMessage['headers'][] = []
  const server = createServer((request, response) => void take(request, response))
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const raw = Buffer.concat(chunks)
    const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8')
    bodies.push(body)
    headers.push(request.headers)
    const answer = sink.answer?.()
    if (answer === 'hang') return
    if (answer === 'cut') return void request.socket.destroy()
    if (request.url !== '/v1/traces') return void response.writeHead(404).end()
    if (!answer || answer.status === 200) spans.push(...flatten(JSON.parse(body) as OtlpRequest))
    response.writeHead(answer?.status ?? 200, { 'content-type': 'application/json' }).end(answer?.body ?? '{}')
  }
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const at = (server.address() as AddressInfo).port
  const sink: Sink = {
    url: `http://127.0.0.1:${at}`,
    port: at,
    spans,
    bodies,
    headers,
    answer: undefined,
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return sink
}

interface OtlpValue {
  stringValue?: string
  boolValue?: boolean
  intValue?: number | string
  doubleValue?: number
  arrayValue?: { values?: OtlpValue[] }
}
type OtlpAttributes = { key: string; value: OtlpValue }[]
interface OtlpSpan {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId?: string
  traceState?: string
  flags?: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  status: { code?: number; message?: string }
  attributes: OtlpAttributes
  events: { name: string; timeUnixNano: string; attributes: OtlpAttributes }[]
  links: { traceId: string; spanId: string; attributes: OtlpAttributes }[]
}
interface OtlpRequest {
  resourceSpans: { resource: { attributes: OtlpAttributes }; scopeSpans: { spans: OtlpSpan[] }[] }[]
}

/** Bits of `flags` in OTLP: whether the parent is known to be remote (trace.proto, SpanFlags). */
const PARENT_IS_REMOTE = 0x200

/** The spans of one request body. */
export const spansOf = (body: string): SinkSpan[] => flatten(JSON.parse(body) as OtlpRequest)

function flatten(request: OtlpRequest): SinkSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        kind: span.kind,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || undefined,
        parentIsRemote: ((span.flags ?? 0) & PARENT_IS_REMOTE) !== 0,
        traceState: span.traceState || undefined,
        startUs: micros(span.startTimeUnixNano),
        endUs: micros(span.endTimeUnixNano),
        status: span.status,
        attrs: attributes(span.attributes),
        events: span.events.map((event) => ({
          name: event.name,
          timeUs: micros(event.timeUnixNano),
          attrs: attributes(event.attributes),
        })),
        links: span.links.map((link) => ({
          traceId: link.traceId,
          spanId: link.spanId,
          attrs: attributes(link.attributes),
        })),
        resource: attributes(resource.attributes),
      })),
    ),
  )
}

const micros = (nanos: string): number => Number(BigInt(nanos) / 1000n)
const attributes = (list: OtlpAttributes): Record<string, unknown> =>
  Object.fromEntries(list.map(({ key, value }) => [key, valueOf(value)]))
function valueOf(value: OtlpValue): unknown {
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(valueOf)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.boolValue ?? value.doubleValue
}
