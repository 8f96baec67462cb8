// What is so at a moment: shown while a process lives, taken back when it ends, and by others when it was killed.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { catchUp } from '../../src/telemetry/export-run.ts'
import { METRIC } from '../../src/telemetry/metric-names.ts'
import { startTelemetry, type Telemetry } from '../../src/telemetry/telemetry.ts'
import type { Sink } from '../support/otlp-sink.ts'
import { JournalEntries } from './journal-entries.ts'
import { gaugesOf, runtimeDirectory, sinkForTest } from './receivers.ts'
import { makeRun, until } from './run-directory.ts'

const warn = (): void => {}
const envOf = (sink: Sink, runtime: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
  OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
  OTEL_METRIC_EXPORT_INTERVAL: '200',
  XDG_RUNTIME_DIR: runtime,
})
function start(runDir: string, env: Record<string, string>): Telemetry {
  const telemetry = startTelemetry({ runDir, env, warn })
  onTestFinished(async () => void (await telemetry.finish(0)))
  return telemetry
}
const slots = (runtime: string): string[] => readdirSync(join(runtime, 'spanwright')).sort()
const valuesOf = (sink: Sink, name: string): number[] => gaugesOf(sink, name).map(({ value }) => value)
const instanceOf = (sink: Sink): unknown => sink.points.at(-1)!.resource['service.instance.id']

test('open work is shown while it is open, and as closed at the end', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir, position } = makeRun()
  const telemetry = start(runDir, envOf(sink, runtime))
  const journal = new JournalEntries({ startMs: Date.now() }).created().node('build').attempt('build', 1)
  telemetry.committed(journal.writeTo(runDir))
  await until(() => valuesOf(sink, METRIC.attemptsOpen.name).length >= 2, 'two looks at the open attempt')
  expect(new Set(valuesOf(sink, METRIC.runsOpen.name))).toEqual(new Set([1]))
  expect(valuesOf(sink, METRIC.oldestStart.name)[0]).toBeCloseTo(journal.nowMs / 1_000, 3)
  expect(Date.now() / 1_000 - valuesOf(sink, METRIC.heartbeat.name)[0]!).toBeLessThan(20)
  expect(position()['instance']).toMatchObject({ id: instanceOf(sink) })
  expect(slots(runtime)).toEqual(['slot-0.lock'])

  const before = journal.seq
  journal.attemptFinished('build', 1, 'success').nodeFinished('build', 'success').node('ask')
  telemetry.committed(journal.writeTo(runDir, before))
  await until(() => valuesOf(sink, METRIC.attemptsOpen.name).at(-1) === 0, 'the end of the attempt')
  const shown = sink.points.length
  await until(() => sink.points.length > shown, 'the next look')
  // An attempt that ended leaves no time behind.
  expect(sink.points.slice(shown).filter(({ name }) => name === METRIC.oldestStart.name)).toEqual([])
  await until(() => valuesOf(sink, METRIC.telemetryBacklog.name).at(-1) === 0, 'a moment with everything delivered')

  const last = journal.seq
  journal.nodeFinished('ask', 'success').finished('success')
  telemetry.committed(journal.writeTo(runDir, last))
  await telemetry.finish(10_000)
  expect(valuesOf(sink, METRIC.runsOpen.name).at(-1)).toBe(0)
  expect(valuesOf(sink, METRIC.attemptsOpen.name).at(-1)).toBe(0)
  expect(position()['instance']).toBeUndefined()
  expect(slots(runtime)).toEqual([])
  expect(sink.points.filter(({ temporality, type }) => type === 'gauge' && temporality !== undefined)).toEqual([])
})

test('while undelivered spans hold the reading nothing looks idle or overdue that nobody looked at', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(sink, runtime))
  const limits = { timeout_ms: 60_000, stall_timeout_ms: 10_000 }
  const journal = new JournalEntries({ startMs: Date.now() }).created().node('build').attempt('build', 1, limits)
  telemetry.committed(journal.writeTo(runDir))
  await until(() => valuesOf(sink, METRIC.oldestProgress.name).length > 0, 'a look at the open attempt')

  sink.answer = () => ({ status: 503 })
  const before = journal.seq
  journal.fanout(600)
  telemetry.committed(journal.writeTo(runDir, before))
  const beats = (): number => valuesOf(sink, METRIC.heartbeat.name).length
  const idle = (): number =>
    valuesOf(sink, METRIC.heartbeat.name).at(-1)! - valuesOf(sink, METRIC.oldestProgress.name).at(-1)!
  const left = (): number =>
    valuesOf(sink, METRIC.attemptDeadline.name).at(-1)! - valuesOf(sink, METRIC.heartbeat.name).at(-1)!
  // Counts are of a look; a heartbeat without them comes while the reading is held.
  const looks = (): number => valuesOf(sink, METRIC.runsOpen.name).length
  await until(() => beats() > looks(), 'a heartbeat that is all there is to say')
  const [seen, idleThen, leftThen] = [beats(), idle(), left()]
  await until(() => beats() >= seen + 2, 'two more')
  expect(idle()).toBeCloseTo(idleThen, 3)
  expect(left()).toBeCloseTo(leftThen, 3)
  sink.answer = undefined
  await telemetry.finish(10_000)
})

test('the times of gauges of an instance only grow', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir } = makeRun()
  const telemetry = start(runDir, envOf(sink, runtime))
  telemetry.committed(new JournalEntries().created().node('build').writeTo(runDir))
  await until(() => gaugesOf(sink, METRIC.runsOpen.name).length >= 3, 'three looks')
  await telemetry.finish(10_000)
  const times = gaugesOf(sink, METRIC.runsOpen.name).map(({ timeUs }) => timeUs)
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b))
})

test('what a killed process showed is taken back by the next command, under its name', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { store, runDir, position } = makeRun()
  const env = envOf(sink, runtime)
  const program = join(import.meta.dirname, 'fixtures/live-run.ts')
  const child = spawn(process.execPath, [program, runDir, sink.url, '1'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await until(() => (valuesOf(sink, METRIC.attemptsOpen.name).at(-1) ?? 0) > 0, 'an open attempt')
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  const dead = (position()['instance'] as { id: string }).id
  expect(dead).toMatch(/-0$/)
  expect(slots(runtime)).toEqual(['slot-0.lock'])

  // Somebody else comes while the dead one's gauges still stand: it must not have the same name.
  const other = makeRun()
  const beside = start(other.runDir, env)
  const shown = sink.points.length
  beside.committed(new JournalEntries({ pipeline: 'other' }).created().node('x').writeTo(other.runDir))
  await until(() => sink.points.slice(shown).some(({ type }) => type === 'gauge'), 'its gauges')
  expect(String(instanceOf(sink))).toMatch(/-1$/)
  await beside.finish(10_000)

  expect(await catchUp(store, env, { warn, isLive: () => false })).toMatchObject({ pending: 0 })
  const last = new Map(
    sink.points
      .filter(
        ({ type, name, resource }) =>
          type === 'gauge' && resource['service.instance.id'] === dead && name.endsWith('.open'),
      )
      .map(({ name, attrs, value }) => [`${name} ${JSON.stringify(attrs)}`, value]),
  )
  expect(last.size).toBeGreaterThan(1)
  expect(new Set(last.values())).toEqual(new Set([0]))
  expect(position()['instance']).toBeUndefined()
  expect(slots(runtime)).toEqual([])
  const asked = sink.requests.length
  await catchUp(store, env, { warn })
  expect(sink.requests).toHaveLength(asked)
})

test('a resumed run takes back what its killed process showed', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir, position } = makeRun()
  const env = envOf(sink, runtime)
  const program = join(import.meta.dirname, 'fixtures/live-run.ts')
  const child = spawn(process.execPath, [program, runDir, sink.url, '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await until(() => valuesOf(sink, METRIC.runsOpen.name).length > 0, 'its gauges')
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  const dead = (position()['instance'] as { id: string }).id
  const resumed = start(runDir, env)
  resumed.committed(2)
  await until(() => String(instanceOf(sink)).endsWith('-1'), 'gauges of the next process')
  const of = (id: string) =>
    gaugesOf(sink, METRIC.runsOpen.name).filter(({ resource }) => resource['service.instance.id'] === id)
  expect(of(dead).at(-1)!.value).toBe(0)
  expect(position()['instance']).toMatchObject({ id: dead.replace(/0$/, '1') })
  await resumed.finish(10_000)
  expect(slots(runtime)).toEqual([])
})

test('a collector that is away at the end: the next command closes, nobody else gets the slot', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { store, runDir, position } = makeRun()
  const env = envOf(sink, runtime)
  const telemetry = start(runDir, env)
  const journal = new JournalEntries().created().step('build').finished('success')
  telemetry.committed(journal.writeTo(runDir))
  await until(() => valuesOf(sink, METRIC.runsOpen.name).length > 0, 'its gauges')
  sink.answerOthers = () => ({ status: 503 })
  await telemetry.finish(700)
  expect(position()['instance']).toBeDefined()
  expect(slots(runtime)).toEqual(['slot-0.lock'])
  sink.answerOthers = undefined
  await catchUp(store, env, { warn })
  expect(valuesOf(sink, METRIC.attemptsOpen.name).at(-1)).toBe(0)
  expect(slots(runtime)).toEqual([])
})

test('who never reached anybody keeps no slot', async () => {
  const runtime = runtimeDirectory()
  const { runDir, position } = makeRun()
  const sink = await sinkForTest()
  sink.answerOthers = () => ({ status: 503 })
  const telemetry = start(runDir, { ...envOf(sink, runtime), OTEL_EXPORTER_OTLP_TIMEOUT: '100' })
  telemetry.committed(new JournalEntries().created().node('x').writeTo(runDir))
  await until(() => sink.requests.some(({ signal }) => signal === 'metrics'), 'an attempt')
  await telemetry.finish(700)
  expect(slots(runtime)).toEqual([])
  expect(position()['instance']).toBeUndefined()
})

test('an instance id of the user needs no slot', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir } = makeRun()
  const telemetry = start(runDir, { ...envOf(sink, runtime), OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=mine' })
  telemetry.committed(new JournalEntries().created().step('build').finished('success').writeTo(runDir))
  await telemetry.finish(10_000)
  expect(instanceOf(sink)).toBe('mine')
  expect(slots(runtime)).toEqual([])
})

test('while traces cannot be delivered, that the process lives is still said', async () => {
  const [sink, runtime] = [await sinkForTest(), runtimeDirectory()]
  const { runDir } = makeRun()
  sink.answer = () => ({ status: 503 })
  const telemetry = start(runDir, { ...envOf(sink, runtime), OTEL_EXPORTER_OTLP_TIMEOUT: '100' })
  const journal = new JournalEntries().created().fanout(400)
  telemetry.committed(journal.writeTo(runDir))
  await until(() => valuesOf(sink, METRIC.heartbeat.name).length >= 2, 'two heartbeats')
  expect(valuesOf(sink, METRIC.telemetryBacklog.name).at(-1)).toBeGreaterThan(500)
  expect(existsSync(join(runtime, 'spanwright/slot-0.lock'))).toBe(true)
  sink.answer = undefined
  await telemetry.finish(10_000)
})
