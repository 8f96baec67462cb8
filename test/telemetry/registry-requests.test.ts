// OTLP requests against the registry: what only the wire shows, and that a receiver of a test refuses what is foreign.
import { expect, test } from 'vitest'
import { requestViolations } from '../support/otlp-check.ts'
import { startSink } from '../support/otlp-sink.ts'

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const number = (key: string, intValue: number) => ({ key, value: { intValue } })
const resource = {
  attributes: [
    text('service.name', 'spanwright'),
    text('service.version', '1'),
    text('telemetry.sdk.name', 'opentelemetry'),
    text('telemetry.sdk.language', 'nodejs'),
    text('telemetry.sdk.version', '3'),
  ],
}
const scope = { name: 'spanwright' }
const of = (id: string) => [text('cicd.pipeline.name', 'release'), text('cicd.pipeline.run.id', id)]

const hook = {
  name: 'hook on_finish',
  kind: 1,
  traceId: '1'.repeat(32),
  spanId: '2'.repeat(16),
  parentSpanId: '3'.repeat(16),
  startTimeUnixNano: '1000000000',
  endTimeUnixNano: '1000001000',
  status: {},
  attributes: [
    ...of('r'),
    text('spanwright.hook.event', 'on_finish'),
    text('spanwright.hook.name', 'tell'),
    text('cicd.pipeline.task.run.result', 'success'),
  ],
  events: [],
  links: [],
}
const marker = {
  ...hook,
  name: 'RUN release started',
  endTimeUnixNano: '1001000000',
  attributes: [
    ...of('r'),
    text('cicd.pipeline.action.name', 'RUN'),
    number('spanwright.execution', 1),
    text('spanwright.marker', 'started'),
  ],
}
const log = {
  eventName: 'spanwright.gate.expired',
  severityText: 'ERROR',
  severityNumber: 17,
  body: { stringValue: 'nobody answered in time' },
  traceId: '1'.repeat(32),
  spanId: '2'.repeat(16),
  attributes: of('r'),
}
const counter = {
  name: 'spanwright.telemetry.refused',
  unit: '{item}',
  description: 'Spans, log records and data points that the receiver refused for good.',
  sum: {
    isMonotonic: true,
    aggregationTemporality: 1,
    dataPoints: [{ attributes: [text('spanwright.telemetry.signal', 'traces')], asInt: 1 }],
  },
}

const traces = (span: object, by = scope) => ({
  resourceSpans: [{ resource, scopeSpans: [{ scope: by, spans: [span] }] }],
})
const logs = (record: object) => ({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: [record] }] }] })
const metrics = (metric: object) => {
  const attributes = [...resource.attributes, text('service.instance.id', 'a-0')]
  return { resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ scope, metrics: [metric] }] }] }
}

test('requests pass as they are sent', () => {
  for (const request of [traces(hook), traces(marker), logs(log), metrics(counter)])
    expect(requestViolations(request)).toEqual([])
})

test.each([
  ['a scope of others', traces(hook, { name: 'mine' }), 'scope "mine": is not ours and not allowed'],
  ['a span without length', traces({ ...hook, endTimeUnixNano: '1000000999' }), 'is shorter than 1 µs'],
  ['a long marker', traces({ ...marker, endTimeUnixNano: '1002000000' }), 'is a marker and not 1 ms long'],
  ['status OK', traces({ ...hook, status: { code: 1 } }), 'has status OK'],
  ['ERROR without words', traces({ ...hook, status: { code: 2 } }), 'has status ERROR without a message'],
  ['a kind of others', traces({ ...hook, kind: 4 }), 'has the kind producer, internal is right'],
  [
    'a nested value',
    traces({ ...hook, attributes: [...hook.attributes, { key: 'spanwright.node.path', value: { kvlistValue: {} } }] }),
    'spanwright.node.path is {}, not of type string',
  ],
  ['a number that is another severity', logs({ ...log, severityNumber: 9 }), 'has severity number 9'],
  ['a record without a name', logs({ ...log, eventName: undefined }), 'is no event of the registry'],
  [
    'a sum that goes down',
    metrics({ ...counter, sum: { ...counter.sum, isMonotonic: false } }),
    'is a sum that may go',
  ],
  ['a gauge', metrics({ ...counter, sum: undefined, gauge: counter.sum }), 'is a gauge, counter is right'],
  ['no data', metrics({ ...counter, sum: undefined }), 'is a metric without data, counter is right'],
  ['nothing', {}, 'holds no resourceSpans'],
])('%s', (_rule, request, message) => {
  expect(requestViolations(request).join('\n')).toContain(message)
})

test('other programs are left alone where they are allowed', () => {
  const foreign = traces({ ...hook, name: 'anything', attributes: [] }, { name: 'mine' })
  expect(requestViolations(foreign, { scopes: ['mine'] })).toEqual([])
})

test('a receiver throws at its end what it should not have got', async () => {
  const send = async (span: object, allow = {}): Promise<void> => {
    const sink = await startSink(0, allow)
    await fetch(`${sink.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(traces(span)),
    })
    expect(sink.spans).toHaveLength(1)
    await sink.close()
  }
  await expect(send(hook)).resolves.toBeUndefined()
  await expect(send({ ...hook, name: 'tell' })).rejects.toThrow('span "tell": is not named hook {event}')
})
