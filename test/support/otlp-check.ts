// Owns: one OTLP/JSON request, decoded → what telemetry-validator.ts checks. Scopes of other programs need an allowance.
import { SCOPE_NAME } from '../../src/telemetry/names.ts'
import {
  kindOfSpan,
  logViolations,
  metricViolations,
  resourceViolations,
  spanViolations,
  type Allowance,
  type SignalName,
  type Values,
} from './telemetry-validator.ts'

interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values?: readonly OtlpValue[] }
  readonly kvlistValue?: unknown
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]
interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string | number
  readonly endTimeUnixNano: string | number
  readonly status?: { readonly code?: number; readonly message?: string }
  readonly attributes?: OtlpAttributes
  readonly events?: readonly { readonly name: string; readonly attributes?: OtlpAttributes }[]
  readonly links?: readonly { readonly attributes?: OtlpAttributes }[]
}
interface OtlpLog {
  readonly eventName?: string
  readonly severityText?: string
  readonly severityNumber?: number
  readonly body?: OtlpValue
  readonly traceId?: string
  readonly spanId?: string
  readonly attributes?: OtlpAttributes
}
interface OtlpPoints {
  readonly aggregationTemporality?: number
  readonly isMonotonic?: boolean
  readonly dataPoints?: readonly { readonly attributes?: OtlpAttributes; readonly explicitBounds?: readonly number[] }[]
}
interface OtlpMetric {
  readonly name: string
  readonly unit?: string
  readonly description?: string
  readonly sum?: OtlpPoints
  readonly gauge?: OtlpPoints
  readonly histogram?: OtlpPoints
}
interface Scoped {
  readonly scope?: { readonly name?: string }
  readonly spans?: readonly OtlpSpan[]
  readonly logRecords?: readonly OtlpLog[]
  readonly metrics?: readonly OtlpMetric[]
}
interface OfResource {
  readonly resource?: { readonly attributes?: OtlpAttributes }
  readonly scopeSpans?: readonly Scoped[]
  readonly scopeLogs?: readonly Scoped[]
  readonly scopeMetrics?: readonly Scoped[]
}
interface OtlpRequest {
  readonly resourceSpans?: readonly OfResource[]
  readonly resourceLogs?: readonly OfResource[]
  readonly resourceMetrics?: readonly OfResource[]
}

const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const STATUS_OK = 1
const STATUS_ERROR = 2
const MARKER_NANOS = 1_000_000n

/** Everything in one request (traces, logs or metrics) that the registry does not allow. */
export function requestViolations(request: unknown, allow: Allowance = {}): string[] {
  const { resourceSpans = [], resourceLogs = [], resourceMetrics = [] } = request as OtlpRequest
  if (resourceSpans.length + resourceLogs.length + resourceMetrics.length === 0)
    return ['a request that holds no resourceSpans, resourceLogs or resourceMetrics']
  return [
    ...resourceSpans.flatMap((of) => partViolations(of, { signal: 'traces', scopes: of.scopeSpans, allow })),
    ...resourceLogs.flatMap((of) => partViolations(of, { signal: 'logs', scopes: of.scopeLogs, allow })),
    ...resourceMetrics.flatMap((of) => partViolations(of, { signal: 'metrics', scopes: of.scopeMetrics, allow })),
  ]
}

interface Part {
  readonly signal: SignalName
  readonly scopes: readonly Scoped[] | undefined
  readonly allow: Allowance
}

function partViolations(of: OfResource, { signal, scopes = [], allow }: Part): string[] {
  const ours = scopes.filter(({ scope }) => !allow.scopes?.includes(scope?.name ?? ''))
  return [
    ...(ours.length > 0 ? resourceViolations(valuesOf(of.resource?.attributes), signal, allow) : []),
    ...ours.flatMap((part) => {
      const name = part.scope?.name ?? ''
      if (name !== SCOPE_NAME) return [`scope "${name}": is not ours and not allowed`]
      return [
        ...(part.spans ?? []).flatMap(ofSpan),
        ...(part.logRecords ?? []).flatMap(ofLog),
        ...(part.metrics ?? []).flatMap(ofMetric),
      ]
    }),
  ]
}

function ofSpan(span: OtlpSpan): string[] {
  const attributes = valuesOf(span.attributes)
  const found = spanViolations({
    name: span.name,
    kind: SPAN_KINDS[span.kind] ?? String(span.kind),
    failed: span.status?.code === STATUS_ERROR,
    attributes,
    events: (span.events ?? []).map((event) => ({ name: event.name, attributes: valuesOf(event.attributes) })),
    links: (span.links ?? []).map((link) => valuesOf(link.attributes)),
  })
  const nanos = BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)
  if (nanos < 1_000n) found.push(`span "${span.name}": is shorter than 1 µs`)
  if (kindOfSpan(attributes) === 'marker' && nanos !== MARKER_NANOS)
    found.push(`span "${span.name}": is a marker and not 1 ms long`)
  if (span.status?.code === STATUS_OK) found.push(`span "${span.name}": has status OK`)
  if (span.status?.code === STATUS_ERROR && !span.status.message)
    found.push(`span "${span.name}": has status ERROR without a message`)
  return found
}

const SEVERITIES: { readonly [number: number]: string } = { 9: 'info', 13: 'warn', 17: 'error' }

const ofLog = (log: OtlpLog): string[] => {
  const found = logViolations({
    name: log.eventName ?? '',
    severity: log.severityText ?? '',
    body: log.body === undefined ? undefined : valueOf(log.body),
    traceId: log.traceId ?? '',
    spanId: log.spanId ?? '',
    attributes: valuesOf(log.attributes),
  })
  if (SEVERITIES[log.severityNumber ?? 0] !== log.severityText?.toLowerCase())
    found.push(`log record ${log.eventName}: has severity number ${log.severityNumber}`)
  return found
}

function ofMetric(metric: OtlpMetric): string[] {
  const { name, unit = '', description = '' } = metric
  const points = ((metric.sum ?? metric.gauge ?? metric.histogram)?.dataPoints ?? []).map((point) => ({
    attributes: valuesOf(point.attributes),
    bounds: point.explicitBounds,
  }))
  return metricViolations({ name, unit, description, instrument: instrumentOf(metric), points })
}

function instrumentOf({ sum, gauge, histogram }: OtlpMetric): string {
  if (sum) return sum.isMonotonic === true ? 'counter' : 'sum that may go down'
  return histogram ? 'histogram' : gauge ? 'gauge' : 'metric without data'
}

const valuesOf = (list: OtlpAttributes = []): Values =>
  Object.fromEntries(list.map(({ key, value }) => [key, valueOf(value)]))

function valueOf(value: OtlpValue): unknown {
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(valueOf)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.kvlistValue
}
