// OTLP requests as protobuf → the same object that the JSON encoding of OTLP gives (ids in hex, 64-bit numbers as
// strings). Only the fields that are looked at. Field numbers: opentelemetry-proto 1.x.
type Scalar = 'string' | 'bytes' | 'bool' | 'varint' | 'int64' | 'fixed64' | 'sfixed64' | 'double' | 'fixed32'
interface Field {
  readonly name: string
  readonly kind: Scalar | (() => Schema)
  readonly many?: 'items' | 'packed'
}
type Schema = { readonly [field: number]: Field }

const field = (name: string, kind: Field['kind'], many?: Field['many']): Field => ({
  name,
  kind,
  ...(many && { many }),
})

const value: Schema = {
  1: field('stringValue', 'string'),
  2: field('boolValue', 'bool'),
  3: field('intValue', 'int64'),
  4: field('doubleValue', 'double'),
  5: field('arrayValue', () => ({ 1: field('values', () => value, 'items') })),
}
const attribute: Schema = { 1: field('key', 'string'), 2: field('value', () => value) }
const attributes = field('attributes', () => attribute, 'items')
const resource: Schema = { 1: attributes }
const scope: Schema = { 1: field('name', 'string'), 2: field('version', 'string') }
const spanEvent: Schema = { 1: field('timeUnixNano', 'fixed64'), 2: field('name', 'string'), 3: attributes }
const link: Schema = { 1: field('traceId', 'bytes'), 2: field('spanId', 'bytes'), 4: attributes }
const span: Schema = {
  1: field('traceId', 'bytes'),
  2: field('spanId', 'bytes'),
  3: field('traceState', 'string'),
  4: field('parentSpanId', 'bytes'),
  5: field('name', 'string'),
  6: field('kind', 'varint'),
  7: field('startTimeUnixNano', 'fixed64'),
  8: field('endTimeUnixNano', 'fixed64'),
  9: attributes,
  11: field('events', () => spanEvent, 'items'),
  13: field('links', () => link, 'items'),
  15: field('status', () => ({ 2: field('message', 'string'), 3: field('code', 'varint') })),
  16: field('flags', 'fixed32'),
}
const numberPoint: Schema = {
  7: attributes,
  2: field('startTimeUnixNano', 'fixed64'),
  3: field('timeUnixNano', 'fixed64'),
  4: field('asDouble', 'double'),
  6: field('asInt', 'sfixed64'),
}
const histogramPoint: Schema = {
  9: attributes,
  2: field('startTimeUnixNano', 'fixed64'),
  3: field('timeUnixNano', 'fixed64'),
  4: field('count', 'fixed64'),
  5: field('sum', 'double'),
  6: field('bucketCounts', 'fixed64', 'packed'),
  7: field('explicitBounds', 'double', 'packed'),
}
const temporality = field('aggregationTemporality', 'varint')
const metric: Schema = {
  1: field('name', 'string'),
  2: field('description', 'string'),
  3: field('unit', 'string'),
  5: field('gauge', () => ({ 1: field('dataPoints', () => numberPoint, 'items') })),
  7: field('sum', () => ({
    1: field('dataPoints', () => numberPoint, 'items'),
    2: temporality,
    3: field('isMonotonic', 'bool'),
  })),
  9: field('histogram', () => ({ 1: field('dataPoints', () => histogramPoint, 'items'), 2: temporality })),
}
const log: Schema = {
  1: field('timeUnixNano', 'fixed64'),
  11: field('observedTimeUnixNano', 'fixed64'),
  2: field('severityNumber', 'varint'),
  3: field('severityText', 'string'),
  5: field('body', () => value),
  6: attributes,
  8: field('flags', 'fixed32'),
  9: field('traceId', 'bytes'),
  10: field('spanId', 'bytes'),
  12: field('eventName', 'string'),
}
const request = (signal: string, items: string, schema: Schema): Schema => ({
  1: field(
    `resource${signal}`,
    () => ({
      1: field('resource', () => resource),
      2: field(
        `scope${signal}`,
        () => ({ 1: field('scope', () => scope), 2: field(items, () => schema, 'items') }),
        'items',
      ),
    }),
    'items',
  ),
})
const REQUESTS = {
  traces: request('Spans', 'spans', span),
  metrics: request('Metrics', 'metrics', metric),
  logs: request('Logs', 'logRecords', log),
} as const

/** The body of an Export…ServiceRequest. Throws on what is no protobuf. */
export const decodeRequest = (signal: keyof typeof REQUESTS, body: Buffer): unknown => decode(body, REQUESTS[signal])

function decode(bytes: Buffer, schema: Schema): Record<string, unknown> {
  const message: Record<string, unknown> = {}
  for (const each of Object.values(schema)) if (each.many === 'items') message[each.name] = []
  let at = 0
  const varint = (): bigint => {
    let result = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('protobuf ends within a number')
      result |= BigInt(byte & 127) << shift
      if (byte < 128) return result
    }
  }
  const take = (length: number): Buffer => {
    at += length
    if (at > bytes.length) throw new Error('protobuf ends within a field')
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const wire = tag & 7
    const raw = wire === 0 ? varint() : take(wire === 1 ? 8 : wire === 5 ? 4 : Number(varint()))
    const known = schema[tag >> 3]
    if (!known) continue
    if (known.many === 'items') (message[known.name] as unknown[]).push(valueOf(known.kind, raw))
    else
      message[known.name] =
        known.many === 'packed' ? unpack(known.kind as Scalar, raw as Buffer) : valueOf(known.kind, raw)
  }
  return message
}

function unpack(kind: Scalar, raw: Buffer): unknown[] {
  const values: unknown[] = []
  for (let at = 0; at < raw.length; at += 8) values.push(valueOf(kind, raw.subarray(at, at + 8)))
  return values
}

function valueOf(kind: Field['kind'], raw: bigint | Buffer): unknown {
  if (typeof kind === 'function') return decode(raw as Buffer, kind())
  if (kind === 'varint') return Number(raw)
  if (kind === 'bool') return raw !== 0n
  if (kind === 'int64') return BigInt.asIntN(64, raw as bigint).toString()
  const bytes = raw as Buffer
  if (kind === 'string') return bytes.toString('utf8')
  if (kind === 'bytes') return bytes.toString('hex')
  if (kind === 'double') return bytes.readDoubleLE(0)
  if (kind === 'fixed64') return bytes.readBigUInt64LE(0).toString()
  return kind === 'sfixed64' ? bytes.readBigInt64LE(0).toString() : bytes.readUInt32LE(0)
}
