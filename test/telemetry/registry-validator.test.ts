// What the validator refuses, each rule by a broken sample, and that it passes what we really send.
import { describe, expect, test } from 'vitest'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import {
  logRecordViolations,
  measurementViolations,
  metricViolations,
  parentViolations,
  recordViolations,
  refuse,
  resourceViolations,
  type MetricSeen,
} from '../support/telemetry-validator.ts'
import { failureOf, JournalEntries } from './journal-entries.ts'

function spans(): SpanRecord[] {
  const journal = new JournalEntries()
    .created({ trace_id: '1'.repeat(32), span_id: '2'.repeat(16), trace_flags: 1, relation: 'link' })
    .node('fix')
    .attempt('fix', 1, { agent_span_id: '3'.repeat(16) })
    .attemptFinished('fix', 1, 'failure')
    .retry('fix', 1)
    .attempt('fix', 2)
    .attemptFinished('fix', 2, 'success')
    .nodeFinished('fix', 'success')
    .fanout(2)
  const hook = { hook: 'on_finish', name: 'tell', index: 0, span_id: journal.span('hook') }
  journal.add({ type: 'hook.started', ...hook, result: 'success', inputs: {} })
  journal.add({ type: 'hook.finished', ...hook, passed: true, duration_ms: 1 })
  const check = { node: 'late', visit: 1, name: 'lint', index: 0, level: 'L1', required: false }
  journal.node('late', { kind: 'fanout' })
  journal.add({ type: 'check.started', ...check, inputs: {}, span_id: journal.span('check') })
  const failure = failureOf('check_failed')
  journal.add({
    type: 'check.finished',
    ...check,
    passed: false,
    failure,
    duration_ms: 1,
    span_id: journal.span('check'),
  })
  journal.nodeFinished('late', 'success', { kind: 'fanout' }).finished('success')
  const projection = createProjection({ markers: true })
  return journal.entries.flatMap((entry) => [
    ...projection.apply(entry),
    ...projection.markersDue(Date.parse(entry.at) * 1_000 + 9_000_000),
  ])
}

const all = spans()
const of = (subject: SpanRecord['subject'], failed = false): SpanRecord =>
  all.find((span) => span.subject === subject && (span.status.code === 'ERROR') === failed)!
const without = (span: SpanRecord, name: string): SpanRecord => {
  const { [name]: _, ...attributes } = span.attributes
  return { ...span, attributes }
}
const withAttributes = (span: SpanRecord, attributes: SpanRecord['attributes']): SpanRecord => ({
  ...span,
  attributes: { ...span.attributes, ...attributes },
})
const withEvents = (span: SpanRecord, events: SpanRecord['events']): SpanRecord => ({ ...span, events })
const linked = (span: SpanRecord, attributes: SpanRecord['attributes']): SpanRecord => ({
  ...span,
  links: [{ traceId: '1'.repeat(32), spanId: '2'.repeat(16), remote: false, attributes }],
})

describe('spans', () => {
  test('every kind that we send passes, markers too', () => {
    expect(all.flatMap(recordViolations)).toEqual([])
    expect(parentViolations(all)).toEqual([])
    expect(new Set(all.map((span) => span.subject))).toEqual(
      new Set(['run', 'branch', 'node', 'attempt', 'agent', 'check', 'hook', 'marker']),
    )
  })

  const node = of('node')
  const attempt = of('attempt')
  const failed = of('attempt', true)
  const marker = of('marker')
  const broken: readonly [rule: string, span: SpanRecord, message: string][] = [
    ['an unknown span', { ...node, attributes: {} }, 'is no span of the registry'],
    ['a span under a wrong name', { ...node, name: 'fix@1' }, 'is not named {nodeId}'],
    ['a branch key in a name', { ...of('branch'), name: 'branch split:k0' }, 'is not named branch {fanoutId}'],
    ['a wrong kind', { ...attempt, kind: 'CLIENT' }, 'has the kind client, internal is right'],
    ['a subject of another kind', { ...node, subject: 'branch' }, 'is a branch and looks like a node'],
    ['an unknown attribute', withAttributes(node, { 'spanwright.new': 1 }), 'spanwright.new is no attribute of the'],
    ['an attribute of others', withAttributes(node, { 'process.pid': 1 }), 'process.pid has no place here'],
    ['a wrong type', withAttributes(node, { 'spanwright.node.visit': '1' }), 'visit is "1", not of type int'],
    ['a fraction', withAttributes(node, { 'spanwright.node.visit': 1.5 }), 'visit is 1.5, not of type int'],
    ['an illegal value', withAttributes(node, { 'spanwright.node.kind': 'loop' }), 'kind must not be "loop"'],
    ['a missing attribute', without(attempt, 'spanwright.attempt.id'), 'spanwright.attempt.id is missing'],
    ['ERROR without error.type', without(failed, 'error.type'), 'error.type is missing although it failed'],
    ['error.type without ERROR', { ...failed, status: { code: 'UNSET' } }, 'error.type without status ERROR'],
    ['ERROR on a success', { ...node, status: { code: 'ERROR', message: 'x' } }, 'has the result success and status'],
    ['two failure codes', withAttributes(failed, { 'error.type': 'network' }), 'another error.type than failure code'],
    ['an unknown code', withAttributes(failed, { 'error.type': 'oops' }), 'error.type must not be "oops"'],
    ['an unknown event', withEvents(node, [{ name: 'x', atUs: 1, attributes: {} }]), 'event x: is no event of the'],
    ['an event of another span', withEvents(node, failed.events), 'attempt.failed: is none of a node span'],
    [
      'an event without an attribute',
      withEvents(attempt, [{ name: 'spanwright.attempt.failed', atUs: 1, attributes: {} }]),
      'event spanwright.attempt.failed: error.type is missing',
    ],
    ['a link without a relation', linked(attempt, {}), 'has a link without spanwright.link'],
    ['a link of another span', linked(attempt, { 'spanwright.link': 'join' }), 'a link "join", which is none of a'],
    ['a link that says more', linked(attempt, { 'spanwright.link': 'retry_of', a: 1 }), 'has a link with a'],
    [
      'a marker of a node',
      { ...marker, attributes: { ...node.attributes, 'spanwright.marker': 'started' } },
      'announces',
    ],
    ['a marker without its suffix', { ...marker, name: 'RUN release' }, 'has to end with " started"'],
    ['a marker of another name', { ...marker, name: 'x started' }, 'is not named RUN {pipeline}'],
    ['a marker that tells an end', withAttributes(marker, { 'cicd.pipeline.result': 'success' }), 'has no place here'],
    ['a marker that failed', { ...marker, status: { code: 'ERROR', message: 'x' } }, 'has status ERROR before its end'],
  ]
  test.each(broken)('%s', (_rule, span, message) => {
    expect(recordViolations(span).join('\n')).toContain(message)
  })

  test('a parent of a kind that cannot be one, or none', () => {
    const below = { ...attempt, parentSpanId: of('branch').spanId }
    expect(parentViolations([below, of('branch')]).join()).toContain('a branch span is no parent of a attempt span')
    expect(parentViolations([{ ...attempt, parentSpanId: undefined }])).toEqual(['span "fix attempt": has no parent'])
  })
})

describe('log records', () => {
  const record = {
    name: 'spanwright.gate.expired',
    atUs: 1,
    traceId: '1'.repeat(32),
    spanId: '2'.repeat(16),
    severity: 'ERROR' as const,
    body: 'nobody answered',
    attributes: { 'cicd.pipeline.name': 'release', 'cicd.pipeline.run.id': 'r', 'spanwright.gate.default': 'reject' },
  }
  test('pass as they are sent', () => expect(logRecordViolations(record)).toEqual([]))
  test.each([
    ['an unknown event', { name: 'spanwright.gate.closed' }, 'is no event of the registry'],
    ['another severity', { severity: 'INFO' as const }, 'has the severity INFO, error is right'],
    ['no body', { body: '' }, 'has no sentence as its body'],
    ['no span', { spanId: '' }, 'has not the ids of a span'],
    [
      'a foreign attribute',
      { attributes: { ...record.attributes, 'process.pid': 1 } },
      'process.pid has no place here',
    ],
    ['no run', { attributes: { 'cicd.pipeline.name': 'release' } }, 'cicd.pipeline.run.id is missing'],
  ])('%s', (_rule, change, message) => {
    expect(logRecordViolations({ ...record, ...change }).join('\n')).toContain(message)
  })
})

describe('metrics', () => {
  const attributes = {
    'cicd.pipeline.name': 'release',
    'cicd.pipeline.task.name': 'build',
    'spanwright.node.kind': 'run',
    'cicd.pipeline.task.run.result': 'success',
    'spanwright.attempt.number': '4+',
  }
  const measurement = { metric: 'attemptDuration' as const, value: 1, attributes }
  const retries: MetricSeen = {
    name: 'spanwright.retries',
    unit: '{retry}',
    description: 'Retries; error.type is the code of the failure that was retried.',
    instrument: 'counter',
    points: [],
  }
  test('pass as they are sent', () => {
    expect(measurementViolations(measurement)).toEqual([])
    expect(metricViolations(retries)).toEqual([])
  })
  test.each([
    ['an id', { 'cicd.pipeline.run.id': 'r' }, 'cicd.pipeline.run.id has a high cardinality'],
    ['an attribute of others', { 'gen_ai.request.model': 'm' }, 'gen_ai.request.model has no place here'],
    ['an unknown attribute', { region: 'eu' }, 'region is no attribute of the registry'],
    ['a number of attempts', { 'spanwright.attempt.number': '17' }, 'number must not be "17"'],
    ['an error on a success', { 'error.type': 'network' }, 'has the result success and an error.type'],
    [
      'a failure without its code',
      { 'cicd.pipeline.task.run.result': 'error' },
      'has the result error and no error.type',
    ],
  ])('%s', (_rule, more, message) => {
    const found = measurementViolations({ ...measurement, attributes: { ...attributes, ...more } })
    expect(found.join('\n')).toContain(message)
  })
  test('a missing attribute, a value that is none', () => {
    expect(measurementViolations({ ...measurement, attributes: {} }).join()).toContain('cicd.pipeline.name is missing')
    expect(measurementViolations({ ...measurement, value: Number.NaN }).join()).toContain('has the value NaN')
    expect(measurementViolations({ metric: 'heartbeat', value: -1, attributes: {} })).toEqual([])
  })
  test.each([
    ['an unknown metric', { name: 'spanwright.tries' }, 'is no metric of the registry'],
    ['another unit', { unit: '1' }, 'has the unit 1, {retry} is right'],
    ['another instrument', { instrument: 'gauge' }, 'is a gauge, counter is right'],
    ['other words', { description: 'x' }, 'is described as "x"'],
  ])('%s', (_rule, change, message) => {
    expect(metricViolations({ ...retries, ...change }).join('\n')).toContain(message)
  })
  test('other buckets', () => {
    const point = { attributes: { 'cicd.pipeline.name': 'p', 'cicd.pipeline.task.name': 'n' }, bounds: [1, 2] }
    const joinWait = { name: 'spanwright.join.wait.duration', unit: 's', instrument: 'histogram', points: [point] }
    expect(metricViolations({ ...retries, ...joinWait }).join()).toContain('has other bucket bounds')
  })
})

describe('resources', () => {
  const resource = {
    'service.name': 'spanwright',
    'service.version': '1',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.version': '3',
  }
  const instance = { ...resource, 'service.instance.id': 'a-0' }
  test('pass as they are sent', () => {
    expect(resourceViolations(resource, 'traces')).toEqual([])
    expect(resourceViolations(instance, 'metrics')).toEqual([])
  })
  test('the instance is on metrics, and there alone', () => {
    expect(resourceViolations(instance, 'traces').join()).toContain('service.instance.id has no place here')
    expect(resourceViolations(resource, 'metrics').join()).toContain('service.instance.id is missing')
  })
  test('what is foreign needs an allowance, and what is needed has to be there', () => {
    const foreign = { ...resource, 'process.owner': 'me' }
    expect(resourceViolations(foreign, 'logs').join()).toContain('process.owner is no resource attribute')
    expect(resourceViolations(foreign, 'logs', { resource: ['process.owner'] })).toEqual([])
    expect(resourceViolations({}, 'logs').join()).toContain('service.name is missing')
  })
})

test('refuse lists each violation once', () => {
  expect(() => refuse([], 'here')).not.toThrow()
  expect(() => refuse(['a', 'b', 'a'], 'here')).toThrow('here: telemetry that is not in the registry:\n  a\n  b')
})
