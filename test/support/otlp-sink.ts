// A small OTLP/HTTP receiver for tests, loopback only: takes traces, metrics and logs as JSON or protobuf (plain or
// gzip) and keeps everything flattened, and every body as it came. It can be told to answer badly.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { requestViolations } from './otlp-check.ts'
import { decodeRequest } from './otlp-protobuf.ts'
import { parentViolations, refuse, type Allowance } from './telemetry-validator.ts'

export type Signal = 'traces' | 'metrics' | 'logs'

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
export interface SinkLog {
  eventName: string | undefined
  body: unknown
  severity: string | undefined
  severityNumber: number | undefined
  timeUs: number
  traceId: string | undefined
  spanId: string | undefined
  flags: number | undefined
  attrs: Record<string, unknown>
  resource: Record<string, unknown>
}
/** One data point. */
export interface SinkPoint {
  name: string
  unit: string
  type: 'gauge' | 'sum' | 'histogram'
  /** 1 delta, 2 cumulative; undefined for gauges. */
  temporality: number | undefined
  startUs: number
  timeUs: number
  /** Of a histogram the sum. */
  value: number
  count: number | undefined
  buckets: number[] | undefined
  bounds: number[] | undefined
  attrs: Record<string, unknown>
  resource: Record<string, unknown>
}
export interface SinkRequest {
  readonly signal: Signal
  readonly body: Buffer
  readonly headers: IncomingMessage['headers']
  /** Whether it was answered with 200. */
  readonly accepted: boolean
}
/** What to answer next; `hang` = take the batch and never answer; `cut` = take it and drop the connection. */
export type Answer = { status: number; body?: string } | 'hang' | 'cut'

export interface Sink {
  readonly url: string
  readonly port: number
  /** Of requests that were answered with 200; spans with markers. */
  readonly spans: SinkSpan[]
  readonly points: SinkPoint[]
  readonly logs: SinkLog[]
  /** Bodies of all requests with traces, also of those that were answered badly. */
  readonly bodies: string[]
  /** Headers of requests with traces. */
  readonly headers: IncomingMessage['headers'][]
  readonly requests: SinkRequest[]
  /** Asked for each request with traces; undefined = 200. */
  answer: (() => Answer | undefined) | undefined
  /** The same for requests with logs and metrics. */
  answerOthers: ((request: Omit<SinkRequest, 'accepted'>) => Answer | undefined) | undefined
  /** Throws where something came that the registry of names does not allow. */
  close(): Promise<void>
}

/** @param allow What is sent on purpose although the registry does not know it; everything else is refused at the end. */
export async function startSink(port = 0, allow: Allowance = {}): Promise<Sink> {
  const violations = new Set<string>()
  const sockets = new Set<Socket>()
  const kept = { spans: [] as SinkSpan[], points: [] as SinkPoint[], logs: [] as SinkLog[] }
  const requests: SinkRequest[] = []
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
    const signal = /^\/v1\/(traces|metrics|logs)$/.exec(request.url ?? '')?.[1] as Signal | undefined
    if (!signal) return void response.writeHead(404).end()
    const raw = Buffer.concat(chunks)
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    if (signal === 'traces') {
      bodies.push(body.toString('utf8'))
      headers.push(request.headers)
    }
    const asked = { signal, body, headers: request.headers }
    const answer = signal === 'traces' ? sink.answer?.() : sink.answerOthers?.(asked)
    const accepted = answer === undefined || (typeof answer === 'object' && answer.status === 200)
    requests.push({ ...asked, accepted })
    if (answer === 'hang') return
    if (answer === 'cut') return void request.socket.destroy()
    const type = request.headers['content-type'] ?? ''
    if (accepted) {
      const request = requestOf(signal, body, type)
      for (const violation of requestViolations(request, allow)) violations.add(violation)
      keep(signal, request, kept)
    }
    // A receiver answers in the encoding of the request; an empty answer is a valid protobuf message.
    const json = type.includes('json')
    response.writeHead(answer?.status ?? 200, { 'content-type': type }).end(answer?.body ?? (json ? '{}' : ''))
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
    ...kept,
    bodies,
    headers,
    requests,
    answer: undefined,
    answerOthers: undefined,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      const parents = parentViolations(kept.spans.map((span) => ({ ...span, attributes: span.attrs })))
      refuse([...violations, ...parents], 'what the receiver got')
    },
  }
  return sink
}

const requestOf = (signal: Signal, body: Buffer, type: string): unknown =>
  type.includes('json') ? JSON.parse(body.toString('utf8')) : decodeRequest(signal, body)

function keep(signal: Signal, request: unknown, kept: Pick<Sink, 'spans' | 'points' | 'logs'>): void {
  if (signal === 'traces') kept.spans.push(...flatten(request as OtlpRequest))
  else if (signal === 'metrics') kept.points.push(...flattenMetrics(request as OtlpMetricsRequest))
  else kept.logs.push(...flattenLogs(request as OtlpLogsRequest))
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

interface OtlpPoint {
  startTimeUnixNano: string
  timeUnixNano: string
  asDouble?: number
  asInt?: number | string
  sum?: number
  count?: number | string
  bucketCounts?: (number | string)[]
  explicitBounds?: number[]
  attributes: OtlpAttributes
}
type OtlpData = { aggregationTemporality?: number; dataPoints: OtlpPoint[] }
type OtlpMetric = { name: string; unit: string; gauge?: OtlpData; sum?: OtlpData; histogram?: OtlpData }
interface OtlpMetricsRequest {
  resourceMetrics: { resource: { attributes: OtlpAttributes }; scopeMetrics: { metrics: OtlpMetric[] }[] }[]
}
interface OtlpLog {
  timeUnixNano: string
  severityNumber?: number
  severityText?: string
  body?: OtlpValue
  eventName?: string
  attributes: OtlpAttributes
  flags?: number
  traceId?: string
  spanId?: string
}
interface OtlpLogsRequest {
  resourceLogs: { resource: { attributes: OtlpAttributes }; scopeLogs: { logRecords: OtlpLog[] }[] }[]
}

/** Bits of `flags` in OTLP: whether the parent is known to be remote (trace.proto, SpanFlags). */
const PARENT_IS_REMOTE = 0x200

/** The data points of one request. */
export const pointsOf = ({ body, headers }: Pick<SinkRequest, 'body' | 'headers'>): SinkPoint[] =>
  flattenMetrics(requestOf('metrics', body, headers['content-type'] ?? '') as OtlpMetricsRequest)

/** The spans of one request body in JSON. */
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

function flattenMetrics(request: OtlpMetricsRequest): SinkPoint[] {
  return request.resourceMetrics.flatMap(({ resource, scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, unit, ...data }) =>
        (['gauge', 'sum', 'histogram'] as const).flatMap((type) =>
          (data[type]?.dataPoints ?? []).map((point) => ({
            name,
            unit,
            type,
            temporality: data[type]?.aggregationTemporality,
            startUs: micros(point.startTimeUnixNano),
            timeUs: micros(point.timeUnixNano),
            value: Number(point.asDouble ?? point.asInt ?? point.sum),
            count: point.count === undefined ? undefined : Number(point.count),
            buckets: point.bucketCounts?.map(Number),
            bounds: point.explicitBounds,
            attrs: attributes(point.attributes),
            resource: attributes(resource.attributes),
          })),
        ),
      ),
    ),
  )
}

function flattenLogs(request: OtlpLogsRequest): SinkLog[] {
  return request.resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map((log) => ({
        eventName: log.eventName,
        body: log.body && valueOf(log.body),
        severity: log.severityText,
        severityNumber: log.severityNumber,
        timeUs: micros(log.timeUnixNano),
        traceId: log.traceId,
        spanId: log.spanId,
        flags: log.flags,
        attrs: attributes(log.attributes),
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
