// What a killed process, an absent collector or another command left behind is delivered later, once.
import { spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { catchUp, exportRun } from '../../src/telemetry/export-run.ts'
import { LOCK_FILE } from '../../src/telemetry/position-lock.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import { startTelemetry } from '../../src/telemetry/telemetry.ts'
import { spansOf, startSink, type Sink } from '../support/otlp-sink.ts'
import { failureOf, JournalEntries, RUN_ID } from './journal-entries.ts'
import { makeRun, until } from './run-directory.ts'

const warn = (): void => {}

async function sinkForTest(port = 0): Promise<Sink> {
  const sink = await startSink(port)
  onTestFinished(() => sink.close())
  return sink
}
const envOf = (sink: { url: string }) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url })

/** The journal as a recovery would leave it: torn line gone, execution interrupted. */
function interrupt(runDir: string): Entry[] {
  const path = join(runDir, 'journal.ndjson')
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  const entries = lines.map((line) => JSON.parse(line) as Entry)
  const last = entries.at(-1)!
  const end: Entry = {
    v: 1,
    seq: last.seq + 1,
    at: last.at,
    event: { type: 'run.interrupted', execution: 1, failure: failureOf('worker_lost') },
  }
  appendFileSync(path, `${JSON.stringify(end)}\n`)
  return [...entries, end]
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

// Many steps fill batches; with few a batch is what had ended when it was sent, and only the record of its end can
// bring the same one back.
describe.each([
  [0, 20],
  [3, 20],
  [0, 1],
  [2, 1],
])('SIGKILL after %i acknowledged batches, %i steps at a time', (batches, steps) => {
  test('only the batch in flight comes again, byte for byte, and every span arrives', async () => {
    const sink = await sinkForTest()
    const { store, runDir } = makeRun()
    let hanging: string | undefined
    // The batch after those is received, but its acknowledgement never is.
    sink.answer = () => {
      if (hanging === undefined && sink.bodies.at(-1)!.includes('spanwright.marker')) return undefined
      if (hanging === undefined && sink.bodies.filter((body) => !body.includes('spanwright.marker')).length <= batches)
        return undefined
      hanging ??= sink.bodies.at(-1)!
      return 'hang'
    }
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'fixtures/live-run.ts'), runDir, sink.url, String(steps)],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    await until(() => hanging !== undefined, 'the batch in flight')
    const written = statSync(join(runDir, 'journal.ndjson')).size
    await until(() => statSync(join(runDir, 'journal.ndjson')).size > written, 'more that has ended')
    await kill(child)
    sink.answer = undefined
    const entries = interrupt(runDir)
    expect((await catchUp(store, envOf(sink), { warn })).pending).toBe(0)

    const bodies = sink.bodies.filter((body) => !body.includes('spanwright.marker'))
    const twice = bodies.indexOf(hanging!)
    expect(bodies.slice(twice).filter((body) => body === hanging)).toHaveLength(2)
    const got = bodies
      .filter((_, index) => index !== twice)
      .flatMap(spansOf)
      .map((span) => span.spanId)
    const projection = createProjection()
    expect(got).toEqual(entries.flatMap((entry) => projection.apply(entry)).map((span) => span.spanId))
    expect(bodies.flatMap(spansOf).filter((span) => span.attrs['error.type'] === 'worker_lost').length).toBeGreaterThan(
      1,
    )
  })
})

/** A run whose collector was away. */
async function undelivered(): Promise<{ store: string; runDir: string; spans: number }> {
  const { store, runDir } = makeRun()
  const journal = new JournalEntries().created().fanout(5).finished('success')
  const telemetry = startTelemetry({ runDir, env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, warn })
  telemetry.committed(journal.writeTo(runDir))
  await telemetry.finish(0)
  const projection = createProjection()
  return { store, runDir, spans: journal.entries.flatMap((entry) => projection.apply(entry)).length }
}

describe('catching up a store', () => {
  test('delivers once, also when two commands try at the same time', async () => {
    const sink = await sinkForTest()
    const { store, spans } = await undelivered()
    const both = await Promise.all([catchUp(store, envOf(sink), { warn }), catchUp(store, envOf(sink), { warn })])
    expect(both.map((done) => done.delivered).sort((a, b) => a - b)).toEqual([0, spans])
    expect(sink.spans).toHaveLength(spans)
    expect(await catchUp(store, envOf(sink), { warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  })

  test('leaves live runs, old runs and runs without an endpoint alone', async () => {
    const sink = await sinkForTest()
    const { store, runDir, spans } = await undelivered()
    const nothing = { delivered: 0, rejected: 0, pending: 0 }
    writeFileSync(join(runDir, 'lease.json'), '{}')
    expect(await catchUp(store, envOf(sink), { warn })).toEqual(nothing)
    renameSync(join(runDir, 'lease.json'), join(runDir, 'lease.gone'))
    const old = new Date(Date.now() - 8 * 86_400_000)
    utimesSync(join(runDir, 'journal.ndjson'), old, old)
    expect(await catchUp(store, envOf(sink), { warn })).toEqual(nothing)
    expect(await catchUp(store, envOf(sink), { warn, days: 9 })).toMatchObject({ delivered: spans })
    const other = makeRun()
    new JournalEntries().created().finished('success').writeTo(other.runDir)
    expect(await catchUp(other.store, envOf(sink), { warn })).toEqual(nothing)
    expect(sink.spans).toHaveLength(spans)
  })

  test('a damaged journal is said and holds up no other run', async () => {
    const sink = await sinkForTest()
    const { store, runDir, spans } = await undelivered()
    const damaged = join(store, 'runs', '00000000000000000000000000')
    cpSync(runDir, damaged, { recursive: true })
    writeFileSync(join(damaged, 'journal.ndjson'), 'no journal\n{"seq":9}\n')
    const warnings: string[] = []
    const done = await catchUp(store, envOf(sink), { warn: (message) => warnings.push(message) })
    expect(done).toEqual({ delivered: spans, rejected: 0, pending: 0 })
    expect(warnings).toEqual([expect.stringContaining('damaged')])
    await expect(exportRun({ runDir: damaged, env: envOf(sink), warn })).rejects.toMatchObject({
      code: 'journal.corrupt',
    })
  })

  test('stops at the first run when the collector is away', async () => {
    const { store, runDir, spans } = await undelivered()
    cpSync(runDir, join(store, 'runs', `${RUN_ID}-b`), { recursive: true })
    const sink = await startSink()
    await sink.close()
    // The exporter itself tries again until its timeout.
    const env = { ...envOf(sink), OTEL_EXPORTER_OTLP_TIMEOUT: '100' }
    expect(await catchUp(store, env, { warn })).toEqual({
      delivered: 0,
      rejected: 0,
      pending: spans,
      unfinished: ['metrics'],
    })
  })

  test('a holder that died does not block, one that lives does', async () => {
    const sink = await sinkForTest()
    const { store, runDir, spans } = await undelivered()
    const holder = (pid: number) =>
      writeFileSync(join(runDir, LOCK_FILE), JSON.stringify({ token: 'other', pid, place: 'elsewhere' }))
    holder(process.pid)
    await expect(exportRun({ runDir, env: envOf(sink), warn })).rejects.toMatchObject({ code: 'run.conflict' })
    const longAgo = new Date(Date.now() - 120_000)
    utimesSync(join(runDir, LOCK_FILE), longAgo, longAgo)
    expect(await catchUp(store, envOf(sink), { warn })).toMatchObject({ delivered: spans })
  })
})

describe('trace export', () => {
  test('to a receiver the user names sends everything there, once', async () => {
    const [configured, named] = [await sinkForTest(), await sinkForTest()]
    const { runDir, spans } = await undelivered()
    expect(await exportRun({ runDir, env: envOf(configured), warn })).toMatchObject({ delivered: spans })
    expect(await exportRun({ runDir, env: envOf(configured), endpoint: named.url, warn })).toMatchObject({
      delivered: spans,
    })
    expect(await exportRun({ runDir, env: {}, endpoint: `${named.url}/v1/traces`, warn })).toMatchObject({
      delivered: 0,
      pending: 0,
    })
    expect(await exportRun({ runDir, env: envOf(configured), warn })).toMatchObject({ delivered: 0, pending: 0 })
    expect(await exportRun({ runDir, env: envOf(named), all: true, warn })).toMatchObject({ delivered: spans })
    expect([configured.spans.length, named.spans.length]).toEqual([spans, 2 * spans])
  })

  test('what went to a named receiver is not sent again when it becomes the configured one', async () => {
    const sink = await sinkForTest()
    const { store, runDir, spans } = await undelivered()
    expect(await exportRun({ runDir, env: {}, endpoint: sink.url, warn })).toMatchObject({ delivered: spans })
    expect(await catchUp(store, envOf(sink), { warn })).toMatchObject({ delivered: 0 })
    expect(sink.spans).toHaveLength(spans)
  })

  test('without an endpoint says what to do', async () => {
    const { runDir } = await undelivered()
    await expect(exportRun({ runDir, env: {}, warn })).rejects.toMatchObject({
      code: 'usage.invalid',
      message: expect.stringContaining('--endpoint') as string,
    })
    await expect(exportRun({ runDir, env: {}, endpoint: 'not a url', warn })).rejects.toMatchObject({
      code: 'usage.invalid',
    })
  })
})

test('a resumed run is delivered to its end by the next execution', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = new JournalEntries().created().step('first').node('second').attempt('second', 1)
  const one = startTelemetry({ runDir, env: envOf(sink), warn })
  one.committed(journal.writeTo(runDir))
  await until(() => sink.spans.some((span) => span.name === 'first'), 'the first spans')
  await one.finish(5_000)
  const written = journal.seq
  journal
    .interrupted()
    .resumed()
    .node('second', {}, { continues: 'e'.repeat(16) })
    .attempt('second', 2)
  journal.attemptFinished('second', 2, 'success').nodeFinished('second', 'success').finished('success')
  const two = startTelemetry({ runDir, env: envOf(sink), warn })
  two.committed(journal.writeTo(runDir, written))
  await two.finish(5_000)
  const projection = createProjection()
  const expected = journal.entries.flatMap((entry) => projection.apply(entry)).map((span) => span.spanId)
  expect(sink.spans.filter((span) => span.attrs['spanwright.marker'] === undefined).map((span) => span.spanId)).toEqual(
    expected,
  )
})
