// Owns: telemetry → everything in it that the registry (src/telemetry/registry) does not allow: names, kinds, types,
// values, what is missing, what stands where it must not. Reads records of ours and decoded OTLP requests.
import {
  membersOf,
  readRegistry,
  type AttributeType,
  type AttributeUse,
  type Span,
} from '../../scripts/registry/registry.ts'
import type { LogRecord } from '../../src/telemetry/log-record.ts'
import type { Measurement } from '../../src/telemetry/measurement.ts'
import { METRIC } from '../../src/telemetry/metric-names.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'

/** What a test sends on purpose although the registry does not know it. */
export interface Allowance {
  /** Instrumentation scopes of other programs; what they send is not looked at. */
  readonly scopes?: readonly string[]
  /** Resource attributes that come from OTEL_RESOURCE_ATTRIBUTES. */
  readonly resource?: readonly string[]
}

export type Values = { readonly [name: string]: unknown }
/** A span as it is checked, wherever it comes from. */
export interface SpanSeen {
  readonly name: string
  readonly kind: string
  readonly failed: boolean
  readonly attributes: Values
  readonly events: readonly { readonly name: string; readonly attributes: Values }[]
  readonly links: readonly Values[]
}
export interface LogSeen {
  readonly name: string
  readonly severity: string
  readonly body: unknown
  readonly traceId: string
  readonly spanId: string
  readonly attributes: Values
}
export interface MetricSeen {
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly instrument: string
  readonly points: readonly { readonly attributes: Values; readonly bounds?: readonly number[] | undefined }[]
}

const registry = readRegistry()
const eventsByName = new Map(registry.events.map((event) => [event.name, event]))
const usesOfLog = new Map(
  registry.events.map(({ name, attributes }) => {
    const own = new Set(attributes.map((use) => use.attribute.id))
    return [name, [...attributes, ...registry.log.filter((use) => !own.has(use.attribute.id))]]
  }),
)
const metricsByName = new Map(registry.metrics.map((metric) => [metric.metric_name, metric]))
const ERROR_RESULTS = ['failure', 'error', 'timeout']
const RESULTS = ['cicd.pipeline.result', 'cicd.pipeline.task.run.result']

// -- spans

/** What a span is, by the attributes that only its kind has; undefined for one that is not in the registry. */
export const kindOfSpan = (attributes: Values): string | undefined => recognized(attributes)?.key

export function spanViolations(span: SpanSeen): string[] {
  const what = recognized(span.attributes)
  const found: string[] = []
  const say = (message: string): void => void found.push(`span "${span.name}": ${message}`)
  if (!what) {
    say('is no span of the registry')
    return found
  }
  if (what.key === 'marker') checkMarker(span, what, say)
  else checkSpan(span, what, { say, begun: false })
  return found
}

const signs = registry.spans.map((span) => {
  const [id, value] = span.recognized_by.split('=') as [string, string?]
  return { span, id, value }
})
const recognized = (attributes: Values): Span | undefined =>
  signs.find(({ id, value }) => (value === undefined ? attributes[id] !== undefined : attributes[id] === value))?.span

type Say = (message: string) => void

/** A marker is the beginning of another span, under another name. */
function checkMarker(marker: SpanSeen, { attributes: own, name, parents }: Span, say: Say): void {
  const mine = new Set(own.map((use) => use.attribute.id))
  const split = Object.entries(marker.attributes)
  const attributes = Object.fromEntries(split.filter(([id]) => !mine.has(id)))
  const base = recognized(attributes)
  if (!base || !parents.includes(base.key)) return say(`announces ${base?.key ?? 'an unknown span'}`)
  checkAttributes(Object.fromEntries(split.filter(([id]) => mine.has(id))), own, { say })
  const suffix = name.replace('{name}', '')
  if (!marker.name.endsWith(suffix)) say(`is a marker and has to end with "${suffix}"`)
  if (marker.kind !== 'internal') say(`has the kind ${marker.kind}, internal is right`)
  const begun: SpanSeen = { ...marker, name: marker.name.slice(0, -suffix.length), kind: base.span_kind, attributes }
  checkSpan(begun, base, { say, begun: true })
}

/** `begun`: what is known at the end only is not there. */
function checkSpan(span: SpanSeen, what: Span, { say, begun }: { say: Say; begun: boolean }): void {
  if (span.kind !== what.span_kind) say(`has the kind ${span.kind}, ${what.span_kind} is right`)
  if (nameOf(what, span.attributes) !== span.name)
    say(`is not named ${what.name} with the values of ${Object.values(what.name_values).join(', ')}`)
  checkAttributes(span.attributes, begun ? what.attributes.filter((use) => !use.atEnd) : what.attributes, {
    say,
    failed: span.failed,
  })
  if (!begun) checkStatus(span, say)
  else if (span.failed) say('has status ERROR before its end')
  for (const event of span.events) {
    const known = eventsByName.get(event.name)
    const sayOfEvent: Say = (message) => say(`event ${event.name}: ${message}`)
    if (!known) sayOfEvent('is no event of the registry')
    else {
      if (!known.spans.includes(what.key)) sayOfEvent(`is none of a ${what.key} span`)
      checkAttributes(event.attributes, known.attributes, { say: sayOfEvent })
    }
  }
  for (const link of span.links) checkLink(link, what, say)
}

const LAST_SEGMENT = 'last segment of '

/** The name that the attributes stand for. */
function nameOf({ name, name_values: values }: Span, attributes: Values): string {
  return name.replaceAll(/\{(\w+)\}/g, (_, placeholder: string) => {
    const from = values[placeholder]!
    const value = attributes[from.replace(LAST_SEGMENT, '')]
    if (typeof value !== 'string') return ''
    return from.startsWith(LAST_SEGMENT) ? value.slice(value.lastIndexOf('/') + 1) : value
  })
}

function checkStatus({ failed, attributes }: SpanSeen, say: Say): void {
  const result = RESULTS.map((id) => attributes[id]).find((value) => value !== undefined)
  if (typeof result === 'string' && ERROR_RESULTS.includes(result) !== failed)
    say(`has the result ${result} and ${failed ? '' : 'not '}status ERROR`)
  const code = attributes['spanwright.failure.code']
  if (code !== undefined && code !== attributes['error.type']) say('has another error.type than failure code')
}

function checkLink(attributes: Values, { key, links }: Span, say: Say): void {
  const relation = attributes['spanwright.link']
  if (relation === undefined) return say('has a link without spanwright.link')
  if (!(links ?? []).includes(relation as string))
    say(`has a link ${JSON.stringify(relation)}, which is none of a ${key} span`)
  const other = Object.keys(attributes).filter((id) => id !== 'spanwright.link')
  if (other.length > 0) say(`has a link with ${other.join(', ')}`)
}

/** Parents that are among the spans and of a kind that cannot be one. */
export function parentViolations(
  spans: readonly { name: string; spanId: string; parentSpanId?: string | undefined; attributes: Values }[],
): string[] {
  const kinds = new Map(spans.map((span) => [span.spanId, kindOfSpan(span.attributes)]))
  return spans.flatMap((span) => {
    const what = recognized(span.attributes)
    if (!what) return []
    if (span.parentSpanId === undefined)
      return what.parents.includes('none') ? [] : [`span "${span.name}": has no parent`]
    const parent = kinds.get(span.parentSpanId)
    // The caller of a run may be anything, also a step of another run.
    return parent === undefined || what.parents.includes(parent) || what.parents.includes('inbound')
      ? []
      : [`span "${span.name}": a ${parent} span is no parent of a ${what.key} span`]
  })
}

// -- attributes

interface Checked {
  readonly say: Say
  /** Whether the span has status ERROR; events tell of failures only. */
  readonly failed?: boolean
}

/** By id; made once for each list, as simulations check hundreds of thousands of spans. */
const usesById = new WeakMap<readonly AttributeUse[], ReadonlyMap<string, AttributeUse>>()
function byId(uses: readonly AttributeUse[]): ReadonlyMap<string, AttributeUse> {
  const known = usesById.get(uses) ?? new Map(uses.map((use) => [use.attribute.id, use]))
  usesById.set(uses, known)
  return known
}

function checkAttributes(attributes: Values, uses: readonly AttributeUse[], { say, failed = true }: Checked): void {
  const allowed = byId(uses)
  for (const [id, value] of Object.entries(attributes)) {
    const use = allowed.get(id)
    if (!registry.attributes.has(id)) say(`${id} is no attribute of the registry`)
    else if (!use) say(`${id} has no place here`)
    else if (use.failedOnly && !failed) say(`${id} without status ERROR`)
    else checkValue(id, value, use.type, say)
  }
  for (const { attribute, level, failedOnly } of uses) {
    if (attributes[attribute.id] === undefined && (level === 'required' || (failedOnly && failed)))
      say(`${attribute.id} is missing${failedOnly ? ' although it failed' : ''}`)
  }
}

function checkValue(id: string, value: unknown, type: AttributeType, say: Say): void {
  if (typeof type === 'object') {
    if (!membersOf({ type }).includes(value as string)) say(`${id} must not be ${JSON.stringify(value)}`)
  } else if (!OF_TYPE[type](value)) say(`${id} is ${JSON.stringify(value)}, not of type ${type}`)
}

const OF_TYPE: { readonly [T in Extract<AttributeType, string>]: (value: unknown) => boolean } = {
  string: (value) => typeof value === 'string',
  int: (value) => Number.isSafeInteger(value),
  double: (value) => typeof value === 'number' && Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  'string[]': (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
}

// -- logs and metrics

export function logViolations(log: LogSeen): string[] {
  const found: string[] = []
  const say = (message: string): void => void found.push(`log record ${log.name}: ${message}`)
  const known = eventsByName.get(log.name)
  if (!known) return [`log record ${log.name}: is no event of the registry`]
  if (log.severity.toLowerCase() !== known.severity) say(`has the severity ${log.severity}, ${known.severity} is right`)
  if (typeof log.body !== 'string' || log.body === '') say('has no sentence as its body')
  if (!/^[0-9a-f]{32}$/.test(log.traceId) || !/^[0-9a-f]{16}$/.test(log.spanId)) say('has not the ids of a span')
  checkAttributes(log.attributes, usesOfLog.get(log.name)!, { say })
  return found
}

export function metricViolations(metric: MetricSeen): string[] {
  const found: string[] = []
  const say = (message: string): void => void found.push(`metric ${metric.name}: ${message}`)
  const known = metricsByName.get(metric.name)
  if (!known) return [`metric ${metric.name}: is no metric of the registry`]
  if (metric.instrument !== known.instrument) say(`is a ${metric.instrument}, ${known.instrument} is right`)
  if (metric.unit !== known.unit) say(`has the unit ${metric.unit}, ${known.unit} is right`)
  if (metric.description !== known.brief) say(`is described as "${metric.description}"`)
  for (const { attributes, bounds } of metric.points) {
    if (known.bounds && bounds?.join() !== known.bounds.join()) say('has other bucket bounds')
    checkPoint(attributes, known.attributes, say)
  }
  return [...new Set(found)]
}

function checkPoint(attributes: Values, uses: readonly AttributeUse[], say: Say): void {
  for (const id of Object.keys(attributes))
    if (registry.attributes.get(id)?.cardinality === 'high') say(`${id} has a high cardinality`)
  // Which error there was is told where there was one; the result says whether there was.
  const result = RESULTS.map((id) => attributes[id]).find((value) => value !== undefined)
  checkAttributes(attributes, uses, { say })
  if (typeof result !== 'string' || !uses.some((use) => use.attribute.id === 'error.type')) return
  if (ERROR_RESULTS.includes(result) !== (attributes['error.type'] !== undefined))
    say(`has the result ${result} and ${attributes['error.type'] === undefined ? 'no' : 'an'} error.type`)
}

export type SignalName = 'traces' | 'logs' | 'metrics'

export function resourceViolations(attributes: Values, signal: SignalName, allow: Allowance = {}): string[] {
  const found: string[] = []
  const known = new Map(registry.resource.map((attribute) => [attribute.id, attribute]))
  for (const [id, value] of Object.entries(attributes)) {
    const attribute = known.get(id)
    const say: Say = (message) => void found.push(`resource of ${signal}: ${message}`)
    if (!attribute) {
      if (!allow.resource?.includes(id)) say(`${id} is no resource attribute of the registry`)
    } else if (attribute.signals && !attribute.signals.includes(signal)) say(`${id} has no place here`)
    else checkValue(id, value, attribute.type, say)
  }
  for (const { id, requirement_level: level, signals } of known.values())
    if (attributes[id] === undefined && (signals ? signals.includes(signal) : level === 'required'))
      found.push(`resource of ${signal}: ${id} is missing`)
  return found
}

// -- records of ours

export function recordViolations(record: SpanRecord): string[] {
  const kind = kindOfSpan(record.attributes)
  const found = spanViolations({
    ...record,
    kind: record.kind.toLowerCase(),
    failed: record.status.code === 'ERROR',
    links: record.links.map((link) => link.attributes),
  })
  if (kind !== undefined && kind !== record.subject)
    found.push(`span "${record.name}": is a ${record.subject} and looks like a ${kind}`)
  return found
}

export const logRecordViolations = (record: LogRecord): string[] => logViolations(record)

/** Also of a gauge point. */
export function measurementViolations({ metric, value, attributes }: Measurement): string[] {
  const { name, unit, description, instrument, ...rest } = METRIC[metric]
  const bounds = 'boundaries' in rest ? rest.boundaries : undefined
  const found = metricViolations({ name, unit, description, instrument, points: [{ attributes, bounds }] })
  if (!Number.isFinite(value) || (instrument !== 'gauge' && value < 0))
    found.push(`metric ${name}: has the value ${value}`)
  return found
}

/** @throws Error that lists the violations, each once, when there are any */
export function refuse(violations: Iterable<string>, where: string): void {
  const list = [...new Set(violations)]
  if (list.length === 0) return
  const shown = list.slice(0, 40)
  throw new Error(`${where}: telemetry that is not in the registry:\n  ${shown.join('\n  ')}`)
}
