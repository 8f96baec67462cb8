// Owns: an OTLP/HTTP receiver for telemetry of any sender, loopback only: keeps each body as it came (for searching) and
// what JSON bodies hold, flattened. Protobuf bodies are kept, not read: their texts stand in them as they are.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

type Attributes = Readonly<Record<string, unknown>>
export interface ReceivedSpan {
  readonly service: unknown
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly attrs: Attributes
}
export interface ReceivedPoint {
  readonly service: unknown
  readonly name: string
  /** 1 delta, 2 cumulative; undefined for gauges. */
  readonly temporality: number | undefined
  /** Of a sum, or the sum of a histogram. */
  readonly value: number
  readonly attrs: Attributes
  readonly resource: Attributes
}
export interface ReceivedRecord {
  readonly service: unknown
  readonly name: unknown
  readonly traceId: string | undefined
  readonly attrs: Attributes
}
export interface Receiver {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  readonly points: readonly ReceivedPoint[]
  readonly records: readonly ReceivedRecord[]
  readonly paths: readonly string[]
  /** Whether the text came in any body of any signal. */
  holds(text: string): boolean
  close(): Promise<void>
}

/** With `forwardTo`, a base URL, every body also goes there as it came, after the sender has its answer. */
export async function startReceiver(forwardTo?: string): Promise<Receiver> {
  const bodies: Buffer[] = []
  const paths: string[] = []
  const spans: ReceivedSpan[] = []
  const points: ReceivedPoint[] = []
  const records: ReceivedRecord[] = []
  const forwarded: Promise<unknown>[] = []
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const raw = Buffer.concat(chunks)
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    const type = request.headers['content-type'] ?? ''
    bodies.push(body)
    paths.push(request.url ?? '')
    if (type.includes('json')) {
      const message = JSON.parse(body.toString('utf8')) as OtlpMessage
      spans.push(...spansOf(message))
      points.push(...pointsOf(message))
      records.push(...recordsOf(message))
    }
    if (forwardTo !== undefined)
      forwarded.push(fetch(`${forwardTo}${request.url}`, { method: 'POST', headers: { 'content-type': type }, body }))
    response.writeHead(200, { 'content-type': type }).end(type.includes('json') ? '{}' : '')
  }
  const server = createServer((request, response) => {
    take(request, response).catch((error: unknown) => response.writeHead(400).end(String(error)))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    points,
    records,
    paths,
    holds: (text) => bodies.some((body) => body.includes(text)),
    async close() {
      await Promise.all(forwarded)
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number | string
  readonly doubleValue?: number
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]
interface OtlpPoint {
  readonly attributes?: OtlpAttributes
  readonly asDouble?: number
  readonly asInt?: number | string
  readonly sum?: number
}
interface OtlpData {
  readonly dataPoints: readonly OtlpPoint[]
  readonly aggregationTemporality?: number
}
interface OtlpItem {
  readonly name: string
  readonly eventName?: string
  readonly traceId?: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes?: OtlpAttributes
  readonly sum?: OtlpData
  readonly gauge?: OtlpData
  readonly histogram?: OtlpData
}
interface OtlpResource {
  readonly resource?: { readonly attributes?: OtlpAttributes }
  readonly scopeSpans?: readonly { readonly spans?: readonly OtlpItem[] }[]
  readonly scopeMetrics?: readonly { readonly metrics?: readonly OtlpItem[] }[]
  readonly scopeLogs?: readonly { readonly logRecords?: readonly OtlpItem[] }[]
}
interface OtlpMessage {
  readonly resourceSpans?: readonly OtlpResource[]
  readonly resourceMetrics?: readonly OtlpResource[]
  readonly resourceLogs?: readonly OtlpResource[]
}

const spansOf = ({ resourceSpans = [] }: OtlpMessage): ReceivedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ spans = [] }) =>
      spans.map((span) => ({
        service: attributes(resource?.attributes)['service.name'],
        name: span.name,
        traceId: span.traceId ?? '',
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || undefined,
        attrs: attributes(span.attributes),
      })),
    ),
  )

const pointsOf = ({ resourceMetrics = [] }: OtlpMessage): ReceivedPoint[] =>
  resourceMetrics.flatMap(({ resource, scopeMetrics = [] }) =>
    scopeMetrics.flatMap(({ metrics = [] }) =>
      metrics.flatMap((metric) => {
        const data = metric.sum ?? metric.gauge ?? metric.histogram
        return (data?.dataPoints ?? []).map((point) => ({
          service: attributes(resource?.attributes)['service.name'],
          name: metric.name,
          temporality: data?.aggregationTemporality,
          value: Number(point.asDouble ?? point.asInt ?? point.sum),
          attrs: attributes(point.attributes),
          resource: attributes(resource?.attributes),
        }))
      }),
    ),
  )

const recordsOf = ({ resourceLogs = [] }: OtlpMessage): ReceivedRecord[] =>
  resourceLogs.flatMap(({ resource, scopeLogs = [] }) =>
    scopeLogs.flatMap(({ logRecords = [] }) =>
      logRecords.map((record) => ({
        service: attributes(resource?.attributes)['service.name'],
        name: attributes(record.attributes)['event.name'] ?? record.eventName,
        traceId: record.traceId || undefined,
        attrs: attributes(record.attributes),
      })),
    ),
  )

const attributes = (list: OtlpAttributes = []): Record<string, unknown> =>
  Object.fromEntries(
    list.map(({ key, value }) => [
      key,
      value.stringValue ??
        value.boolValue ??
        value.doubleValue ??
        (value.intValue === undefined ? undefined : Number(value.intValue)),
    ]),
  )
