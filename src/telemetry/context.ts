// Owns: the caller's trace context as environment variables, W3C Trace Context and Baggage, strictly read: what is
// malformed is ignored and named, never repaired. Reads only what it is given; never changes an environment.
import type { InboundContext } from '../core/event-values.ts'
import type { Env } from './settings.ts'

/** What becomes of the caller's context: the parent of the run span, a link on it, or nothing. */
export const TRACE_PARENT_RELATIONS = ['parent', 'link', 'ignore'] as const
export type TraceParentRelation = (typeof TRACE_PARENT_RELATIONS)[number]

export interface Traceparent {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
}

const SAMPLED = 1
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const TRACESTATE_KEY = String.raw`(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})`
const TRACESTATE_MEMBER = new RegExp(
  String.raw`^${TRACESTATE_KEY}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$`,
)
const TRACESTATE_MEMBERS = 32
const TOKEN = String.raw`[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+`
const BAGGAGE_VALUE = String.raw`[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*`
const BAGGAGE_MEMBER = new RegExp(
  String.raw`^${TOKEN}\s*=\s*${BAGGAGE_VALUE}(?:\s*;\s*${TOKEN}(?:\s*=\s*${BAGGAGE_VALUE})?)*$`,
)
const BAGGAGE_BYTES = 8_192
const BAGGAGE_MEMBERS = 180

/** A `traceparent` value; undefined when it is none (https://www.w3.org/TR/trace-context/ 3.2). */
export function parseTraceparent(text: string): Traceparent | undefined {
  const match = TRACEPARENT.exec(text)
  if (!match) return undefined
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ]
  // A later version may go on after the flags; version 0 may not, and ff is no version.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}

/**
 * The `traceparent` of a span of ours. Always sampled: our spans are always recorded, so what a child records below
 * them must be kept too, whatever the caller's flag was.
 */
export const formatTraceparent = (context: { readonly traceId: string; readonly spanId: string }): string =>
  `00-${context.traceId}-${context.spanId}-${SAMPLED.toString(16).padStart(2, '0')}`

/** A `tracestate` value as it goes on, without empty members; undefined when it is malformed. */
export function parseTracestate(text: string): string | undefined {
  const members = listOf(text)
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))))
  const valid =
    members.length <= TRACESTATE_MEMBERS &&
    keys.size === members.length &&
    members.every((member) => TRACESTATE_MEMBER.test(member))
  return valid && members.length > 0 ? members.join(',') : undefined
}

/** A `baggage` value as it goes on; undefined when it is malformed or beyond the limits every platform must carry. */
export function parseBaggage(text: string): string | undefined {
  const members = listOf(text)
  const valid =
    Buffer.byteLength(text) <= BAGGAGE_BYTES &&
    members.length <= BAGGAGE_MEMBERS &&
    members.every((member) => BAGGAGE_MEMBER.test(member))
  return valid && members.length > 0 ? members.join(',') : undefined
}

export interface Inbound {
  readonly inbound: InboundContext | undefined
  /** What was ignored, one sentence each. */
  readonly warnings: readonly string[]
}

/**
 * The caller's context from `TRACEPARENT`, `TRACESTATE` and `BAGGAGE`. Its sampled flag is recorded and does not decide:
 * a run is always traced.
 */
export function readInbound(env: Env, relation: TraceParentRelation = 'parent'): Inbound {
  const text = env['TRACEPARENT']?.trim()
  if (relation === 'ignore' || !text) return { inbound: undefined, warnings: [] }
  const parsed = parseTraceparent(text)
  if (!parsed)
    return {
      inbound: undefined,
      warnings: [`TRACEPARENT is not a W3C traceparent and was ignored: ${printable(text)}`],
    }
  const warnings: string[] = []
  const optional = (name: string, parse: (value: string) => string | undefined): string | undefined => {
    const value = env[name]?.trim()
    if (!value) return undefined
    const kept = parse(value)
    if (kept === undefined) warnings.push(`${name} is malformed and was ignored`)
    return kept
  }
  const traceState = optional('TRACESTATE', parseTracestate)
  const baggage = optional('BAGGAGE', parseBaggage)
  return {
    inbound: {
      trace_id: parsed.traceId,
      span_id: parsed.spanId,
      trace_flags: parsed.flags,
      relation,
      ...(traceState === undefined ? {} : { trace_state: traceState }),
      ...(baggage === undefined ? {} : { baggage }),
    },
    warnings,
  }
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
const printable = (text: string): string => JSON.stringify(text.slice(0, 80))
