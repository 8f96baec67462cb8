// Spans over real HTTP from a real worker: each once, in order, whatever the collector does.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { exportRun } from '../../src/telemetry/export-run.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import { startTelemetry, type Telemetry } from '../../src/telemetry/telemetry.ts'
import { startSink, type Sink, type SinkSpan } from '../support/otlp-sink.ts'
import type { Allowance } from '../support/telemetry-validator.ts'
import { JournalEntries, RUN_ID, TRACE_ID } from './journal-entries.ts'
import { makeRun, until } from './run-directory.ts'

async function sinkForTest(port = 0, allow: Allowance = {}): Promise<Sink> {
  const sink = await startSink(port, allow)
  onTestFinished(() => sink.close())
  return sink
}
const envOf = (sink: { url: string }, extra: Record<string, string> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
  OTEL_EXPORTER_OTLP_TIMEOUT: '5000',
  ...extra,
})
const real = (spans: readonly SinkSpan[]): SinkSpan[] =>
  spans.filter((span) => span.attrs['spanwright.marker'] === undefined)
const expectedOf = (entries: readonly Entry[]): string[] => {
  const projection = createProjection()
  return entries.flatMap((entry) => projection.apply(entry)).map((span) => span.spanId)
}
const closedPort = async (): Promise<number> => {
  const sink = await startSink()
  await sink.close()
  return sink.port
}

function start(runDir: string, env: Record<string, string>, warnings: string[] = []): Telemetry {
  const telemetry = startTelemetry({ runDir, env, warn: (message) => warnings.push(message) })
  onTestFinished(async () => void (await telemetry.finish(0)))
  return telemetry
}

test('each span once, at its end, with parents in the trace and lengths above zero', async () => {
  const sink = await sinkForTest()
  const { runDir, position } = makeRun()
  const telemetry = start(runDir, envOf(sink))
  const journal = new JournalEntries().created().step('build')
  telemetry.committed(journal.writeTo(runDir))
  await until(() => real(sink.spans).length === 2, 'the spans that have ended')
  const before = journal.seq
  journal.fanout(20).skipped('never').finished('success')
  telemetry.committed(journal.writeTo(runDir, before))
  const finished = await telemetry.finish(10_000)

  const spans = real(sink.spans)
  expect(spans.map((span) => span.spanId)).toEqual(expectedOf(journal.entries))
  expect(finished).toEqual({ delivered: spans.length, rejected: 0, pending: 0 })
  const ids = new Set(spans.map((span) => span.spanId))
  expect(ids.size).toBe(spans.length)
  for (const span of spans) {
    expect(span.traceId).toBe(TRACE_ID)
    expect(span.endUs).toBeGreaterThan(span.startUs)
    expect(span.parentSpanId === undefined || ids.has(span.parentSpanId)).toBe(true)
  }
  expect(position()).toMatchObject({
    version: 2,
    traces: { position: { seq: journal.seq + 1, index: 0 }, acknowledged: spans.length },
  })
  expect(readdirSync(runDir).sort()).toEqual(['journal.ndjson', 'telemetry.json'])
})

test('a marker shows the run while it is open', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(sink))
  const journal = new JournalEntries().created()
  telemetry.committed(journal.writeTo(runDir))
  await until(() => sink.spans.length === 1, 'the marker')
  expect(sink.spans[0]).toMatchObject({
    name: 'RUN release started',
    parentSpanId: journal.runSpan,
    attrs: { 'cicd.pipeline.run.id': RUN_ID },
  })
})

test('entries that are not committed are not read', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(sink))
  const journal = new JournalEntries().created().step('build').step('late')
  journal.writeTo(runDir)
  telemetry.committed(5)
  expect(await telemetry.finish(10_000)).toMatchObject({ pending: 0 })
  expect(real(sink.spans).map((span) => span.name)).toEqual(['build attempt', 'build'])
})

test('a burst of 15,000 spans arrives whole', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = new JournalEntries().created().fanout(5_000).finished('success')
  const telemetry = start(runDir, envOf(sink))
  telemetry.committed(journal.writeTo(runDir))
  const expected = expectedOf(journal.entries)
  expect(expected.length).toBeGreaterThan(15_000)
  expect(await telemetry.finish(45_000)).toEqual({ delivered: expected.length, rejected: 0, pending: 0 })
  expect(real(sink.spans).map((span) => span.spanId)).toEqual(expected)
})

test('a collector that is away for the whole run gets everything afterwards', async () => {
  const port = await closedPort()
  const { runDir, position } = makeRun()
  const warnings: string[] = []
  const env = envOf({ url: `http://127.0.0.1:${port}` }, { OTEL_EXPORTER_OTLP_TIMEOUT: '100' })
  const telemetry = start(runDir, env, warnings)
  const journal = new JournalEntries().created().fanout(10).finished('success')
  telemetry.committed(journal.writeTo(runDir))
  const expected = expectedOf(journal.entries)
  await until(() => warnings.join().includes('traces cannot'), 'the first try')
  expect(await telemetry.finish(1_500)).toEqual({
    delivered: 0,
    rejected: 0,
    pending: expected.length,
    unfinished: ['metrics'],
  })
  expect(warnings.join()).toMatch(/traces cannot be delivered: .*ECONNREFUSED/)
  expect(position()).toMatchObject({ traces: { position: { seq: 0, index: 0 }, acknowledged: 0 } })

  const sink = await sinkForTest(port)
  expect(await exportRun({ runDir, env, warn: () => {} })).toEqual({
    delivered: expected.length,
    rejected: 0,
    pending: 0,
  })
  expect(sink.spans.map((span) => span.spanId)).toEqual(expected)
  expect(await exportRun({ runDir, env, warn: () => {} })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
})

test('a collector that goes away while it receives loses nothing', async () => {
  const first = await sinkForTest()
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(first))
  const journal = new JournalEntries().created().fanout(1_000).finished('success')
  first.answer = () => (first.bodies.length > 2 ? 'cut' : undefined)
  telemetry.committed(journal.writeTo(runDir))
  await until(() => first.bodies.length > 2, 'the third batch')
  await first.close()
  const second = await sinkForTest(first.port)
  const expected = expectedOf(journal.entries)
  expect(await telemetry.finish(45_000)).toMatchObject({ delivered: expected.length, pending: 0 })
  expect([...real(first.spans), ...real(second.spans)].map((span) => span.spanId)).toEqual(expected)
})

test('a batch that the receiver refuses is counted, said and left behind; one too large is halved', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const warnings: string[] = []
  const journal = new JournalEntries().created().fanout(200).finished('success')
  journal.writeTo(runDir)
  const expected = expectedOf(journal.entries)
  const answers = [
    { status: 413 },
    { status: 400, body: 'no' },
    { status: 503 },
    { status: 200, body: '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"odd"}}' },
  ]
  sink.answer = () => answers.shift()
  const done = await exportRun({
    runDir,
    env: envOf(sink, { OTEL_EXPORTER_OTLP_TIMEOUT: '5000' }),
    warn: (message) => warnings.push(message),
  })
  expect(done).toEqual({ delivered: expected.length - 256 - 2, rejected: 258, pending: 0 })
  expect(warnings).toEqual([
    expect.stringMatching(/refused 256 spans for good: 400/),
    expect.stringMatching(/refused 2 spans for good: odd/),
  ])
})

test('a receiver that is not for us is no reason to give spans up', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = new JournalEntries().created().step('build').finished('success')
  journal.writeTo(runDir)
  sink.answer = () => ({ status: 401 })
  expect(await exportRun({ runDir, env: envOf(sink), warn: () => {} })).toEqual({
    delivered: 0,
    rejected: 0,
    pending: 3,
  })
  sink.answer = undefined
  expect(await exportRun({ runDir, env: envOf(sink), warn: () => {} })).toEqual({
    delivered: 3,
    rejected: 0,
    pending: 0,
  })
  expect(sink.bodies[0]).toBe(sink.bodies[1])
})

test('resources hold no machine, no command line and no environment', async () => {
  const sink = await sinkForTest(0, { resource: ['deployment.environment'] })
  const { runDir } = makeRun()
  new JournalEntries().created().finished('success').writeTo(runDir)
  const env = {
    ...envOf(sink),
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=ci',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=a',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    MY_SECRET: 'hush',
  }
  await exportRun({ runDir, env, warn: () => {} })
  expect(sink.spans[0]!.resource).toEqual({
    'service.name': 'spanwright',
    'service.version': expect.any(String),
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.version': expect.any(String),
    'deployment.environment': 'ci',
  })
  expect(sink.headers[0]).toMatchObject({
    'x-team': 'a',
    'content-encoding': 'gzip',
    'content-type': 'application/json',
  })
  await exportRun({ runDir, env: { ...env, OTEL_SERVICE_NAME: 'mine' }, all: true, warn: () => {} })
  expect(sink.spans[1]!.resource['service.name']).toBe('mine')
})

test('a run without a directory hands its entries over in chunks', async () => {
  const sink = await sinkForTest()
  const journal = new JournalEntries().created().fanout(400).finished('success')
  const telemetry = startTelemetry({
    read: (afterSeq) => journal.entries.slice(afterSeq),
    env: envOf(sink),
    warn: () => {},
  })
  telemetry.committed(journal.seq)
  const expected = expectedOf(journal.entries)
  expect(await telemetry.finish(10_000)).toEqual({ delivered: expected.length, rejected: 0, pending: 0 })
  expect(real(sink.spans).map((span) => span.spanId)).toEqual(expected)
})

test('an unsampled caller hides nothing', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  new JournalEntries()
    .created({ trace_id: TRACE_ID, span_id: 'd'.repeat(16), trace_flags: 0, trace_state: 'a=1', relation: 'parent' })
    .finished('success')
    .writeTo(runDir)
  await exportRun({ runDir, env: envOf(sink), warn: () => {} })
  expect(sink.spans).toEqual([
    expect.objectContaining({
      name: 'RUN release',
      parentSpanId: 'd'.repeat(16),
      parentIsRemote: true,
      traceState: 'a=1',
    }),
  ])
})

test('without an endpoint nothing is started and nothing is written', async () => {
  const { runDir } = makeRun()
  const telemetry = startTelemetry({ runDir, env: {}, warn: () => {} })
  telemetry.committed(new JournalEntries().created().finished('success').writeTo(runDir))
  expect(await telemetry.finish()).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  expect(existsSync(join(runDir, 'telemetry.json'))).toBe(false)
})

test('a collector that never answers does not hold the end of a run', async () => {
  const sink = await sinkForTest()
  sink.answer = () => 'hang'
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(sink, { OTEL_EXPORTER_OTLP_TIMEOUT: '60000' }))
  telemetry.committed(new JournalEntries().created().finished('success').writeTo(runDir))
  await until(() => sink.bodies.length > 0, 'the batch that hangs')
  expect(await telemetry.finish(300)).toMatchObject({ delivered: 0 })
  expect(readdirSync(runDir).sort()).toEqual(['journal.ndjson', 'telemetry.json'])
})

test.each(['finish', ''])('a worker neither holds its process nor changes its exit code (%j)', async (how) => {
  const sink = await sinkForTest()
  sink.answer = () => 'hang'
  const { runDir } = makeRun()
  const fixture = join(import.meta.dirname, 'fixtures/leaves.ts')
  const child = spawn(process.execPath, [fixture, runDir, sink.url, how], { stdio: ['ignore', 'ignore', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(7)
})
