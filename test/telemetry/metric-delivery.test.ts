// Numbers over real HTTP from a real worker: every increment once, whatever the collector does.
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { catchUp, exportRun } from '../../src/telemetry/export-run.ts'
import { METRIC } from '../../src/telemetry/metric-names.ts'
import { startTelemetry, type Telemetry } from '../../src/telemetry/telemetry.ts'
import { pointsOf } from '../support/otlp-sink.ts'
import { JournalEntries } from './journal-entries.ts'
import {
  closedPort,
  countedIn,
  expectedTotals,
  isCounted,
  runtimeDirectory,
  sinkForTest,
  totalsOf,
} from './receivers.ts'
import { makeRun, until } from './run-directory.ts'

const warn = (): void => {}
const envOf = (sink: { url: string }, extra: Record<string, string> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
  OTEL_EXPORTER_OTLP_TIMEOUT: '5000',
  OTEL_METRIC_EXPORT_INTERVAL: '100',
  XDG_RUNTIME_DIR: runtimeDirectory(),
  ...extra,
})
function start(runDir: string, env: Record<string, string>, warnings: string[] = []): Telemetry {
  const telemetry = startTelemetry({ runDir, env, warn: (message) => warnings.push(message) })
  onTestFinished(async () => void (await telemetry.finish(0)))
  return telemetry
}
const metricsOf = (position: Record<string, unknown>) => position['metrics'] as { in_flight?: object; position: object }

test('every increment once, in batches of delta sums by one writer, each later than the one before', async () => {
  const sink = await sinkForTest()
  const { runDir, position } = makeRun()
  const telemetry = start(runDir, envOf(sink))
  const journal = new JournalEntries().created().step('build').step('test', 'failure')
  telemetry.committed(journal.writeTo(runDir))
  await until(() => countedIn(sink).length === 1, 'the first batch')
  const before = journal.seq
  journal.fanout(20).skipped('never').finished('success')
  telemetry.committed(journal.writeTo(runDir, before))
  expect(await telemetry.finish(10_000)).toMatchObject({ pending: 0, rejected: 0 })

  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
  const counted = sink.points.filter(({ type }) => type !== 'gauge')
  expect(new Set(counted.map(({ temporality }) => temporality))).toEqual(new Set([1]))
  expect(new Set(sink.points.map(({ resource }) => resource['service.instance.id'])).size).toBe(1)
  expect(sink.points[0]!.resource['service.instance.id']).toMatch(/^[0-9a-f]{8}-0$/)
  expect(sink.spans.every(({ resource }) => resource['service.instance.id'] === undefined)).toBe(true)
  const times = countedIn(sink).map((request) => pointsOf(request)[0]!)
  expect(times.length).toBeGreaterThan(1)
  for (const [i, { startUs, timeUs }] of times.entries()) {
    expect(startUs).toBeLessThan(timeUs)
    if (i > 0) expect(timeUs - times[i - 1]!.timeUs).toBeGreaterThanOrEqual(2_000)
  }
  expect(position()).toMatchObject({ metrics: { position: { seq: journal.seq + 1, index: 0 } } })
  expect(metricsOf(position()).in_flight).toBeUndefined()
  expect(await exportRun({ runDir, env: envOf(sink), warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
})

test('histograms have the boundaries of their metric', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  new JournalEntries().created().step('build').finished('success').writeTo(runDir)
  await exportRun({ runDir, env: envOf(sink), warn })
  const duration = sink.points.find(({ name }) => name === METRIC.attemptDuration.name)!
  expect(duration.bounds).toEqual([...METRIC.attemptDuration.boundaries])
  expect(duration.buckets!.reduce((sum, count) => sum + count, 0)).toBe(duration.count)
})

test('thousands of nodes keep their own points', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = new JournalEntries().created()
  for (let i = 0; i < 3_000; i++) journal.step(`node-${i}`)
  journal.finished('success').writeTo(runDir)
  await exportRun({ runDir, env: envOf(sink), warn })
  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
  expect(sink.points.filter(({ attrs }) => attrs['otel.metric.overflow'] !== undefined)).toEqual([])
})

test('sums are right to the sixth decimal of a dollar', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = new JournalEntries().created().node('ask')
  for (let i = 1; i <= 1_000; i++) {
    const usage = { input: i, cache_read: 0, cache_write: 0, output: 1, model: 'm' }
    const cost = { usd: i / 1e6 + 0.1, source: 'reported' } as const
    journal.attempt('ask', i).attemptFinished('ask', i, 'failure', { usage, cost })
  }
  journal.nodeFinished('ask', 'failure').finished('success').writeTo(runDir)
  await exportRun({ runDir, env: envOf(sink), warn })
  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
})

test('what the receiver took without saying so comes again with the same bytes', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  new JournalEntries().created().step('build').finished('success').writeTo(runDir)
  sink.answerOthers = (request) => (isCounted(request) ? { status: 500 } : undefined)
  const env = envOf(sink)
  expect(await exportRun({ runDir, env, warn })).toMatchObject({ pending: 0, unfinished: ['metrics'] })
  sink.answerOthers = undefined
  expect(await exportRun({ runDir, env, warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  const [first, second, ...others] = countedIn(sink)
  expect(second!.body.equals(first!.body)).toBe(true)
  expect(others).toEqual([])
})

test('a batch that waited too long is sent under a new time', async () => {
  const sink = await sinkForTest()
  const { runDir, position } = makeRun()
  new JournalEntries().created().step('build').finished('success').writeTo(runDir)
  sink.answerOthers = (request) => (isCounted(request) ? { status: 500 } : undefined)
  const env = envOf(sink)
  await exportRun({ runDir, env, warn })
  const file = position()
  const old = metricsOf(file).in_flight as { time_us: number; start_us: number }
  old.time_us -= 3_700_000_000
  old.start_us -= 3_700_000_000
  writeFileSync(join(runDir, 'telemetry.json'), JSON.stringify(file))
  sink.answerOthers = undefined
  await exportRun({ runDir, env, warn })
  const [first, second] = countedIn(sink).map((request) => pointsOf(request)[0]!)
  expect(second!.timeUs).toBeGreaterThan(first!.timeUs)
})

test.each([
  [0, 20],
  [2, 5],
  [0, 1],
])(
  'SIGKILL after %i acknowledged batches, %i steps at a time: the one in flight comes again, byte for byte',
  async (batches, steps) => {
    const sink = await sinkForTest()
    const { store, runDir } = makeRun()
    const env = envOf(sink)
    let hanging: Buffer | undefined
    sink.answerOthers = (request) => {
      if (!isCounted(request)) return undefined
      if (hanging === undefined && countedIn(sink).length < batches) return undefined
      hanging ??= request.body
      return 'hang'
    }
    const program = join(import.meta.dirname, 'fixtures/live-run.ts')
    const child = spawn(process.execPath, [program, runDir, sink.url, String(steps)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await until(() => hanging !== undefined, 'the batch in flight')
    const written = readFileSync(join(runDir, 'journal.ndjson')).length
    await until(() => readFileSync(join(runDir, 'journal.ndjson')).length > written, 'more that has ended')
    await killed(child)
    sink.answerOthers = undefined
    const entries = wholeEntries(runDir)
    expect(await catchUp(store, env, { warn })).toMatchObject({ pending: 0 })

    const same = countedIn(sink).filter(({ body }) => body.equals(hanging!))
    expect(same.map(({ accepted }) => accepted)).toEqual([false, true])
    expect(totalsOf(sink.points)).toEqual(expectedTotals(entries))
  },
)

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

/** The journal without a torn line. */
function wholeEntries(runDir: string): Entry[] {
  const path = join(runDir, 'journal.ndjson')
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return lines.map((line) => JSON.parse(line) as Entry)
}

test('a receiver that takes no metrics and no logs is asked once, and nothing is said', async () => {
  const sink = await sinkForTest()
  const { store, runDir, position } = makeRun()
  const warnings: string[] = []
  sink.answerOthers = () => ({ status: 404 })
  const telemetry = start(runDir, envOf(sink), warnings)
  const journal = new JournalEntries().created().step('build', 'failure').retry('build', 1)
  telemetry.committed(journal.writeTo(runDir))
  await until(() => sink.requests.some(({ signal }) => signal === 'metrics'), 'the first metrics')
  const before = journal.seq
  journal.step('test').finished('success')
  telemetry.committed(journal.writeTo(runDir, before))
  expect(await telemetry.finish(10_000)).toMatchObject({ pending: 0 })
  expect(warnings).toEqual([])
  const end = { seq: journal.seq + 1, index: 0 }
  expect(position()).toMatchObject({ traces: { position: end }, logs: { position: end }, metrics: { position: end } })
  expect(position()['instance']).toBeUndefined()
  const asked = sink.requests.length
  expect(await catchUp(store, envOf(sink), { warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  expect(sink.requests).toHaveLength(asked)
  expect(sink.requests.filter(({ signal }) => signal === 'metrics').length).toBeLessThanOrEqual(2)
})

test('metrics whose receiver is away hold nothing up and are caught up, once', async () => {
  const sink = await sinkForTest()
  const { store, runDir } = makeRun()
  const warnings: string[] = []
  const env = envOf(sink, {
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `http://127.0.0.1:${await closedPort()}/v1/metrics`,
    OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '200',
  })
  const telemetry = start(runDir, env, warnings)
  const journal = new JournalEntries().created().fanout(500).finished('success')
  telemetry.committed(journal.writeTo(runDir))
  expect(await telemetry.finish(5_000)).toMatchObject({ pending: 0, unfinished: ['metrics'] })
  expect(warnings).toEqual([
    expect.stringMatching(/^metrics cannot be delivered: .*ECONNREFUSED/),
    expect.stringMatching(/^measurements could not be delivered yet: .*trace export/),
  ])
  expect(await catchUp(store, envOf(sink), { warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  expect(totalsOf(sink.points)).toEqual(expectedTotals(journal.entries))
})

test('a batch too large is halved, one that is refused is left behind and counted', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const warnings: string[] = []
  const journal = new JournalEntries().created().fanout(50).finished('success')
  journal.writeTo(runDir)
  const answers = [{ status: 413 }, { status: 400, body: 'no' }]
  sink.answerOthers = (request) => (isCounted(request) ? answers.shift() : undefined)
  const done = await exportRun({ runDir, env: envOf(sink), warn: (message) => warnings.push(message) })
  expect(done).toMatchObject({ pending: 0, rejected: 0 })
  expect(warnings).toEqual([expect.stringMatching(/refused \d+ measurements for good: 400/)])
  const refused = Number(/refused (\d+)/.exec(warnings[0]!)![1])
  expect(sink.points.filter(({ name }) => name === METRIC.telemetryRefused.name)).toEqual([
    expect.objectContaining({ value: refused, temporality: 1, attrs: { 'spanwright.telemetry.signal': 'metrics' } }),
  ])
})

test('cumulative, for receivers that want it, grows within the process', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const env = envOf(sink, { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'cumulative' })
  const telemetry = start(runDir, env)
  const journal = new JournalEntries().created().step('build')
  telemetry.committed(journal.writeTo(runDir))
  await until(() => countedIn(sink).length === 1, 'the first batch')
  const before = journal.seq
  journal.step('build', 'success', { visit: 2 }).finished('success')
  telemetry.committed(journal.writeTo(runDir, before))
  await telemetry.finish(10_000)
  const attempts = sink.points.filter(({ name }) => name === METRIC.attempts.name)
  expect(attempts.map(({ value }) => value)).toEqual([1, 2])
  expect(new Set(attempts.map(({ startUs }) => startUs)).size).toBe(1)
  expect(attempts.map(({ temporality }) => temporality)).toEqual([2, 2])
})

test('the record of a version that knew only traces goes on; its numbers are not counted again', async () => {
  const sink = await sinkForTest()
  const { runDir, position } = makeRun()
  const journal = new JournalEntries().created().step('build')
  journal.writeTo(runDir)
  const sent = { seq: journal.seq + 1, index: 0 }
  const old = { version: 1, endpoint: 'e', position: sent, acknowledged: 2, rejected: 0, updated: '' }
  writeFileSync(join(runDir, 'telemetry.json'), JSON.stringify(old))
  const before = journal.entries.length
  journal.step('test').finished('success').writeTo(runDir, before)
  expect(await exportRun({ runDir, env: envOf(sink), warn })).toMatchObject({ delivered: 3, pending: 0 })
  const all = expectedTotals(journal.entries)
  const first = expectedTotals(journal.entries.slice(0, before))
  const counted = totalsOf(sink.points)
  for (const [key, value] of Object.entries(all)) expect(counted[key] ?? 0).toBeCloseTo(value - (first[key] ?? 0), 6)
  expect(position()).toMatchObject({ version: 2, traces: { acknowledged: 5 } })
})
