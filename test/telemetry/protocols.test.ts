// The standard variables, heard by real receivers: protocols, headers, timeouts and exporters of each signal.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { exportRun } from '../../src/telemetry/export-run.ts'
import { startGrpcSink, INVALID_ARGUMENT, UNAVAILABLE, UNIMPLEMENTED, type GrpcSink } from '../support/grpc-sink.ts'
import { JournalEntries } from './journal-entries.ts'
import { expectedTotals, runtimeDirectory, sinkForTest, totalsOf } from './receivers.ts'
import { makeRun } from './run-directory.ts'

const warn = (): void => {}
const NOTHING_LEFT = { rejected: 0, pending: 0 }

function ended(): { runDir: string; journal: JournalEntries } {
  const { runDir } = makeRun()
  const journal = new JournalEntries()
    .created()
    .node('build')
    .attempt('build', 1)
    .attemptFinished('build', 1, 'failure')
  journal.retry('build', 1).attempt('build', 2).attemptFinished('build', 2, 'success')
  journal.nodeFinished('build', 'success').finished('success').writeTo(runDir)
  return { runDir, journal }
}

async function grpcForTest(): Promise<GrpcSink> {
  const sink = await startGrpcSink()
  onTestFinished(() => sink.close())
  return sink
}

test.each(['http/json', 'http/protobuf'])('%s', async (protocol) => {
  const sink = await sinkForTest()
  const { runDir, journal } = ended()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    XDG_RUNTIME_DIR: runtimeDirectory(),
  }
  expect(await exportRun({ runDir, env, warn })).toEqual({ delivered: 4, ...NOTHING_LEFT })
  expect(new Set(sink.requests.map(({ headers }) => headers['content-type']))).toEqual(
    new Set([protocol === 'http/json' ? 'application/json' : 'application/x-protobuf']),
  )
  expect(sink.spans.map(({ name }) => name)).toEqual(['build attempt', 'build attempt', 'build', 'RUN release'])
  expect(sink.spans[0]).toMatchObject({ traceId: expect.stringMatching(/^[0-9a-f]{32}$/), status: { code: 2 } })
  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
  expect(sink.logs.map(({ eventName, spanId }) => [eventName, spanId])).toEqual([
    ['spanwright.attempt.failed', sink.spans[0]!.spanId],
    ['spanwright.retry.scheduled', sink.spans[2]!.spanId],
  ])
})

test('grpc, with metadata', async () => {
  const sink = await grpcForTest()
  const { runDir } = ended()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=a',
    XDG_RUNTIME_DIR: runtimeDirectory(),
  }
  expect(await exportRun({ runDir, env, warn })).toEqual({ delivered: 4, ...NOTHING_LEFT })
  expect(sink.requests.map(({ signal }) => signal).sort()).toEqual(['logs', 'metrics', 'traces'])
  expect(sink.requests.every(({ metadata }) => metadata['x-team'] === 'a')).toBe(true)
  expect(JSON.stringify(sink.requests)).toContain('RUN release')
})

test('grpc: what a status means', async () => {
  const sink = await grpcForTest()
  const { runDir } = ended()
  const warnings: string[] = []
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    XDG_RUNTIME_DIR: runtimeDirectory(),
  }
  const run = () => exportRun({ runDir, env, warn: (message) => warnings.push(message) })
  // A receiver of traces alone, and that one is not ready.
  sink.answer = (signal) =>
    signal === 'traces'
      ? { code: UNAVAILABLE, details: 'not yet' }
      : { code: UNIMPLEMENTED, details: 'unknown service' }
  expect(await run()).toEqual({ delivered: 0, rejected: 0, pending: 4 })
  expect(warnings).toEqual([expect.stringMatching(/^traces cannot be delivered: .*not yet/)])
  const partial = Buffer.from([0x0a, 0x09, 0x08, 0x01, 0x12, 0x05, ...Buffer.from('odd 1')])
  sink.answer = (signal) => (signal === 'traces' ? partial : { code: INVALID_ARGUMENT, details: 'no' })
  expect(await run()).toMatchObject({ delivered: 3, rejected: 1, pending: 0 })
  expect(warnings.slice(1).sort()).toEqual([
    'the receiver refused 1 spans for good: odd 1',
    'the receiver refused 2 log records for good: 3 INVALID_ARGUMENT: no',
    expect.stringMatching(/^the receiver refused \d+ measurements for good: 3 INVALID_ARGUMENT: no/),
  ])
})

test('headers and timeouts of a signal win over the common ones', async () => {
  const sink = await sinkForTest()
  const { runDir } = ended()
  sink.answerOthers = ({ signal }) => (signal === 'logs' ? 'hang' : undefined)
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=a,x-common=1',
    OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'x-team=m',
    OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '100',
    OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    XDG_RUNTIME_DIR: runtimeDirectory(),
  }
  expect(await exportRun({ runDir, env, warn })).toMatchObject({ pending: 0, unfinished: ['logs'] })
  const headers = Object.fromEntries(sink.requests.map(({ signal, headers }) => [signal, headers]))
  expect(headers['traces']).toMatchObject({ 'x-team': 'a', 'x-common': '1' })
  expect(headers['metrics']).toMatchObject({ 'x-team': 'm', 'x-common': '1' })
})

test('a signal that is switched off is not sent, now or later', async () => {
  const sink = await sinkForTest()
  const { runDir } = ended()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' }
  expect(await exportRun({ runDir, env, warn })).toEqual({ delivered: 4, ...NOTHING_LEFT })
  expect(await exportRun({ runDir, env: { ...env, OTEL_METRICS_EXPORTER: 'otlp' }, warn })).toMatchObject({
    delivered: 0,
  })
  expect(sink.requests.map(({ signal }) => signal)).toEqual(['traces'])
})

test('the console gets a line for each thing, on stderr', async () => {
  const { runDir, journal } = ended()
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'fixtures/finishes.ts'), runDir, String(journal.seq)],
    {
      env: {
        ...process.env,
        OTEL_TRACES_EXPORTER: 'console',
        OTEL_METRICS_EXPORTER: 'console',
        OTEL_LOGS_EXPORTER: 'console',
        XDG_RUNTIME_DIR: runtimeDirectory(),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const text = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()))
  await new Promise((resolve) => child.once('close', resolve))
  expect(text.stdout).toBe('')
  const lines = text.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string })
  const names = lines.map(({ name }) => name)
  for (const name of ['RUN release', 'spanwright.attempts', 'spanwright.retry.scheduled']) expect(names).toContain(name)
})
