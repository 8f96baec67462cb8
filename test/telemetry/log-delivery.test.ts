// Log records over real HTTP from a real worker: each event once, with the ids of its span.
import { expect, onTestFinished, test } from 'vitest'
import { catchUp, exportRun } from '../../src/telemetry/export-run.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import { startTelemetry } from '../../src/telemetry/telemetry.ts'
import { JournalEntries } from './journal-entries.ts'
import { closedPort, runtimeDirectory, sinkForTest } from './receivers.ts'
import { makeRun, until } from './run-directory.ts'

const warn = (): void => {}
const envOf = (sink: { url: string }, extra: Record<string, string> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
  XDG_RUNTIME_DIR: runtimeDirectory(),
  ...extra,
})
const failing = (count: number): JournalEntries => {
  const journal = new JournalEntries().created()
  for (let i = 0; i < count; i++)
    journal.node(`n${i}`).attempt(`n${i}`, 1).attemptFinished(`n${i}`, 1, 'failure').retry(`n${i}`, 1)
  return journal
}
const expectedOf = (journal: JournalEntries) => {
  const projection = createProjection()
  return journal.entries.flatMap((entry) => {
    projection.apply(entry)
    return [...projection.logs]
  })
}

test('each once, in order, with time, severity and the ids of its span', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = failing(3)
  const telemetry = startTelemetry({ runDir, env: envOf(sink), warn })
  onTestFinished(async () => void (await telemetry.finish(0)))
  telemetry.committed(journal.writeTo(runDir))
  await until(() => sink.logs.length > 0, 'the first log records of a run that goes on')
  const before = journal.seq
  journal.finished('success')
  telemetry.committed(journal.writeTo(runDir, before))
  await telemetry.finish(10_000)
  const expected = expectedOf(journal)
  expect(expected.length).toBeGreaterThanOrEqual(6)
  expect(sink.logs).toEqual(
    expected.map(({ name, atUs, severity, body, traceId, spanId, attributes }) => ({
      eventName: name,
      body,
      severity,
      severityNumber: { INFO: 9, WARN: 13, ERROR: 17 }[severity],
      timeUs: atUs,
      traceId,
      spanId,
      flags: 1,
      attrs: attributes,
      resource: sink.spans[0]!.resource,
    })),
  )
})

test('a batch that was taken but not acknowledged comes again with the same bytes', async () => {
  const sink = await sinkForTest()
  const { runDir } = makeRun()
  const journal = failing(300).finished('success')
  journal.writeTo(runDir)
  let logs = 0
  sink.answerOthers = ({ signal }) => (signal === 'logs' && ++logs === 2 ? { status: 500 } : undefined)
  const env = envOf(sink)
  expect(await exportRun({ runDir, env, warn })).toMatchObject({ pending: 0, unfinished: ['logs'] })
  sink.answerOthers = undefined
  await exportRun({ runDir, env, warn })
  const bodies = sink.requests.filter(({ signal }) => signal === 'logs').map(({ body }) => body.toString())
  expect(bodies[1]).toBe(bodies[2])
  expect(sink.logs.map(({ spanId, eventName }) => `${spanId} ${eventName}`)).toEqual(
    expectedOf(journal).map(({ spanId, name }) => `${spanId} ${name}`),
  )
})

test('more than fits while their receiver is away: the lane gives up, the traces go on, a catch-up brings them', async () => {
  const sink = await sinkForTest()
  const { store, runDir } = makeRun()
  const warnings: string[] = []
  const env = envOf(sink, {
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `http://127.0.0.1:${await closedPort()}/v1/logs`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
  })
  const journal = failing(2_600).finished('success')
  const telemetry = startTelemetry({ runDir, env, warn: (message) => warnings.push(message) })
  telemetry.committed(journal.writeTo(runDir))
  expect(await telemetry.finish(45_000)).toMatchObject({ pending: 0, unfinished: ['logs'] })
  expect(warnings.at(-1)).toMatch(/^log records could not be delivered yet: /)
  expect(sink.logs).toEqual([])
  expect(await catchUp(store, envOf(sink), { warn })).toEqual({ delivered: 0, rejected: 0, pending: 0 })
  expect(sink.logs).toHaveLength(expectedOf(journal).length)
})
