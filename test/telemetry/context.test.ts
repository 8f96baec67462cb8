// The caller's context: strict, never trusted further than the specification goes.
import { describe, expect, test } from 'vitest'
import {
  formatTraceparent,
  parseBaggage,
  parseTraceparent,
  parseTracestate,
  readInbound,
} from '../../src/telemetry/context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

test.each([
  [`00-${TRACE}-${SPAN}-01`, { traceId: TRACE, spanId: SPAN, flags: 1 }],
  [`00-${TRACE}-${SPAN}-00`, { traceId: TRACE, spanId: SPAN, flags: 0 }],
  [`cc-${TRACE}-${SPAN}-01-later`, { traceId: TRACE, spanId: SPAN, flags: 1 }],
  [`00-${TRACE}-${SPAN}-01-later`, undefined],
  [`ff-${TRACE}-${SPAN}-01`, undefined],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
  [`00-${TRACE}-${SPAN}`, undefined],
  ['', undefined],
])('traceparent %j', (text, expected) => {
  expect(parseTraceparent(text)).toEqual(expected)
})

test('what children get is sampled, so that their spans are kept beside ours', () => {
  expect(formatTraceparent({ traceId: TRACE, spanId: SPAN })).toBe(`00-${TRACE}-${SPAN}-01`)
})

test.each([
  ['a=1,b@vendor=2', 'a=1,b@vendor=2'],
  [' a=1 , ,b=2', 'a=1,b=2'],
  ['a=1,a=2', undefined],
  ['A=1', undefined],
  ['a=', undefined],
  [Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(','), undefined],
])('tracestate %j', (text, expected) => {
  expect(parseTracestate(text)).toBe(expected)
})

test.each([
  ['user=mara,tier=gold;secure;level=2', 'user=mara,tier=gold;secure;level=2'],
  ['k = v', 'k = v'],
  ['k=with space', undefined],
  ['no-value', undefined],
  ['k="quoted"', undefined],
  [`k=${'v'.repeat(9_000)}`, undefined],
])('baggage %j', (text, expected) => {
  expect(parseBaggage(text)).toBe(expected)
})

describe('reading the environment', () => {
  const env = { TRACEPARENT: `00-${TRACE}-${SPAN}-00`, TRACESTATE: 'a=1', BAGGAGE: 'k=v' }
  test('keeps an unsampled caller as the parent', () => {
    expect(readInbound(env)).toEqual({
      inbound: {
        trace_id: TRACE,
        span_id: SPAN,
        trace_flags: 0,
        trace_state: 'a=1',
        baggage: 'k=v',
        relation: 'parent',
      },
      warnings: [],
    })
    expect(readInbound(env, 'link').inbound?.relation).toBe('link')
    expect(readInbound(env, 'ignore')).toEqual({ inbound: undefined, warnings: [] })
    expect(readInbound({})).toEqual({ inbound: undefined, warnings: [] })
  })
  test('ignores what is malformed and says so', () => {
    expect(readInbound({ TRACEPARENT: 'x\u001b[31m' })).toEqual({
      inbound: undefined,
      warnings: [String.raw`TRACEPARENT is not a W3C traceparent and was ignored: "x\u001b[31m"`],
    })
    const partly = readInbound({ ...env, TRACESTATE: 'A=1', BAGGAGE: 'bad' })
    expect(partly.inbound).toEqual({ trace_id: TRACE, span_id: SPAN, trace_flags: 0, relation: 'parent' })
    expect(partly.warnings).toHaveLength(2)
  })
})
