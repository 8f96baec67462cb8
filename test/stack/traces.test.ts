// Owns: runs as a real Jaeger shows them, whatever happens to the run, the collector or Jaeger meanwhile: the spans of the
// journal, each once, parents present, no warnings; and what the search, the Monitor tab and a wide trace give.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { runCli, startCli } from '../support/cli.ts'
import { eventsOf, eventually, finalOf, latestRun, linesOf, pipelineDirectory } from '../support/run-record.ts'
import { jaegerClient, type JaegerClient } from './support/jaeger-client.ts'
import { reportingTo, runCliOn, startCliOn } from './support/run-cli.ts'
import { expectWholeTrace, isWork, spansOfJournal } from './support/trace-check.ts'
import { until } from './support/until.ts'

const DAY_MS = 86_400_000
const RUN = ['run', 'p.yaml', '--ui', 'quiet']

let stack: Stack
let jaeger: JaegerClient
beforeAll(async () => {
  stack = await startStack()
  jaeger = jaegerClient(stack.urls.jaeger)
})
afterAll(() => stack?.stop())

const MIXED = `
name: mixed
nodes:
  - id: build
    run: '[ "$SPANWRIGHT_ATTEMPT" -ge 3 ] || { echo "boom $SPANWRIGHT_ATTEMPT" >&2; exit 3; }'
    retry: { max_attempts: 3, initial: 20ms, jitter: 0 }
    checks: [ { name: there, run: 'true' } ]
  - id: lanes
    fanout: { count: 3, join: all, nodes: [ { id: work, run: 'sleep 0.05' } ] }
  - { id: publish, run: 'echo "no such registry" >&2; exit 7' }
  - { id: announce, run: 'true' }
`

describe('a run as it happened', () => {
  const cwd = pipelineDirectory(MIXED)
  beforeAll(async () => {
    expect(await runCliOn(stack.urls, RUN, { cwd })).toMatchObject({ exitCode: 1 })
  })

  test('every span of the journal, each once, with parents, links and events', async () => {
    const trace = await expectWholeTrace(jaeger, cwd)
    const inOrder = trace.spans.filter(isWork).toSorted((a, b) => a.startUs - b.startUs || b.durationUs - a.durationUs)
    const names = inOrder.map(({ name }) => name)
    expect(names.filter((name) => name === 'build attempt')).toHaveLength(3)
    expect(names.slice(0, 3)).toEqual(['RUN mixed', 'build', 'build attempt'])
    const joined = trace.spans.find(({ name }) => name === 'publish')!
    const branches = trace.spans.filter(({ name }) => name === 'branch lanes').map(({ spanId }) => spanId)
    expect(joined.links.map(({ spanId }) => spanId).toSorted()).toEqual(branches.toSorted())
  })

  test('found by pipeline, by result, by failure code', async () => {
    const { trace_id: traceId } = finalOf(cwd)!
    for (const tags of [
      { 'cicd.pipeline.name': 'mixed' },
      { 'cicd.pipeline.name': 'mixed', 'cicd.pipeline.result': 'failure' },
      { 'error.type': 'exit_nonzero', 'cicd.pipeline.task.name': 'publish' },
    ]) {
      const found = await jaeger.untilFound({ service: 'spanwright', tags }, 1)
      expect(found.map((trace) => trace.traceId)).toContain(traceId)
    }
    const none = await jaeger.search({ service: 'spanwright', tags: { 'cicd.pipeline.result': 'timeout' } })
    expect(none).toEqual([])
  })

  test('the Monitor tab counts it, markers left out', async () => {
    const rows = await until(
      'calls of the Monitor tab',
      () => jaeger.monitor('calls', { service: 'spanwright', kinds: ['server'] }),
      (found) => found.some(({ labels }) => Object.values(labels).includes('RUN mixed')),
      { withinMs: 60_000 },
    )
    expect(rows.flatMap(({ labels }) => Object.values(labels)).filter((name) => name.endsWith(' started'))).toEqual([])
  })
})

test('a run is visible within two seconds of its start, long before it ends', async () => {
  const cwd = pipelineDirectory('name: long\nnodes: [ { id: slow, run: "sleep 600" } ]\n')
  const cli = startCliOn(stack.urls, RUN, { cwd })
  const [created] = await eventually(() => {
    const found = eventsOf(cwd, 'run.created')
    return found.length > 0 && found
  })
  const from = Date.now()
  const trace = await jaeger.untilTrace(String(created!['trace_id']), ({ spans }) => spans.length > 0)
  console.log(`the marker was in Jaeger after ${Date.now() - from} ms`)
  expect(trace.spans.map(({ name }) => name)).toContain('RUN long started')
  cli.kill('SIGINT')
  expect(await cli.ended).toMatchObject({ exitCode: 130 })
  const whole = await expectWholeTrace(jaeger, cwd)
  expect(whole.spans.find(({ name }) => name === 'RUN long')?.tags['cicd.pipeline.result']).toBe('cancellation')
})

const WIDE = (count: number): string => `
name: wide
max_parallel: 16
nodes:
  - { id: lanes, fanout: { count: ${count}, nodes: [ { id: work, run: [/bin/true] } ] } }
  - { id: after, run: [/bin/true] }
`

test('a fan-out of 1,000', async () => {
  const cwd = pipelineDirectory(WIDE(1_000))
  expect(await runCliOn(stack.urls, RUN, { cwd })).toMatchObject({ exitCode: 0 })
  await expectWholeTrace(jaeger, cwd)
})

test('a trace of more than 10,000 spans opens', async () => {
  const cwd = pipelineDirectory(WIDE(3_400))
  expect(await runCliOn(stack.urls, RUN, { cwd })).toMatchObject({ exitCode: 0 })
  const { spans } = await expectWholeTrace(jaeger, cwd)
  expect(spans.length).toBeGreaterThan(10_000)
})

const HANGING = `
name: hanging
nodes:
  - { id: first, run: 'true' }
  - { id: open, run: 'echo up >> up.txt; [ -e go ] || sleep 600' }
`

test('kill -9, then a resume: both executions in one trace', async () => {
  const cwd = pipelineDirectory(HANGING)
  const cli = startCliOn(stack.urls, RUN, { cwd })
  await eventually(() => linesOf(cwd, 'up.txt').length === 1)
  cli.kill('SIGKILL')
  await cli.ended
  await eventually(() => finalOf(cwd) !== undefined)
  const killed = await expectWholeTrace(jaeger, cwd)
  expect(killed.spans.find(({ name }) => name === 'open attempt')?.tags['error.type']).toBe('worker_lost')
  writeFileSync(path.join(cwd, 'go'), '')
  expect(await runCliOn(stack.urls, ['resume', 'latest', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0 })
  const whole = await expectWholeTrace(jaeger, cwd)
  expect(whole.spans.filter(({ name }) => name === 'RUN hanging')).toHaveLength(2)
})

test('a run of yesterday that nobody could deliver, resumed today', async () => {
  const cwd = pipelineDirectory(HANGING)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
  const cli = startCli(RUN, { cwd, env })
  await eventually(() => linesOf(cwd, 'up.txt').length === 1)
  cli.kill('SIGINT')
  expect(await cli.ended).toMatchObject({ exitCode: 130 })
  const journal = path.join(latestRun(cwd), 'journal.ndjson')
  const aDayEarlier = (text: string): string =>
    text.replaceAll(/"(20\d\d-\d\d-\d\dT[\d:]+)\.(\d+)Z"/g, (_, seconds: string, fraction: string) => {
      const moved = new Date(Date.parse(`${seconds}Z`) - DAY_MS).toISOString().slice(0, 19)
      return `"${moved}.${fraction}Z"`
    })
  writeFileSync(journal, aDayEarlier(readFileSync(journal, 'utf8')))
  writeFileSync(path.join(cwd, 'go'), '')
  expect(await runCliOn(stack.urls, ['resume', 'latest', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0 })
  const { spans } = await expectWholeTrace(jaeger, cwd)
  const [first, second] = spans.filter(({ name }) => name === 'RUN hanging').toSorted((a, b) => a.startUs - b.startUs)
  expect(second!.startUs - first!.startUs).toBeGreaterThan((DAY_MS - 600_000) * 1_000)
  expect(second!.links.map(({ spanId }) => spanId)).toEqual([first!.spanId])
})

test('the collector is down for the whole run; the next run delivers it', async () => {
  const cwd = pipelineDirectory(MIXED)
  await stack.otelcol.kill('SIGKILL')
  const ended = await runCliOn(stack.urls, RUN, { cwd })
  expect(ended).toMatchObject({ exitCode: 1 })
  expect(ended.stderr).toMatch(/\d+ spans.* could not be delivered yet/)
  const lost = spansOfJournal(cwd)[0]!.traceId
  expect(await jaeger.trace(lost)).toBeUndefined()
  await stack.otelcol.start()
  const before = spansOfJournal(cwd)
  expect(await runCliOn(stack.urls, RUN, { cwd })).toMatchObject({ exitCode: 1 })
  const late = await jaeger.untilTrace(lost, ({ spans }) => spans.length >= before.length)
  expect(late.spans.map(({ spanId }) => spanId).toSorted()).toEqual(before.map(({ spanId }) => spanId).toSorted())
  await expectWholeTrace(jaeger, cwd)
})

test('the collector is killed while it receives', async () => {
  const cwd = pipelineDirectory(WIDE(1_000))
  const cli = startCliOn(stack.urls, RUN, { cwd })
  await eventually(() => eventsOf(cwd, 'branch.finished').length > 200)
  await stack.otelcol.kill('SIGKILL')
  await eventually(() => eventsOf(cwd, 'branch.finished').length > 400)
  await stack.otelcol.start()
  expect(await cli.ended).toMatchObject({ exitCode: 0 })
  await runCli(['trace', 'export', 'latest'], { cwd, env: reportingTo(stack.urls) })
  await expectWholeTrace(jaeger, cwd)
})

test('Jaeger is down meanwhile: the collector keeps the spans on its disk, also over its own end', async () => {
  const cwd = pipelineDirectory(MIXED)
  await stack.jaeger.kill('SIGKILL')
  expect(await runCliOn(stack.urls, RUN, { cwd })).toMatchObject({ exitCode: 1 })
  await stack.otelcol.kill('SIGKILL')
  await stack.otelcol.start()
  await stack.jaeger.start()
  await expectWholeTrace(jaeger, cwd)
})

test('a run inside a step of another run is part of its trace', async () => {
  const cwd = pipelineDirectory('name: inner\nnodes: [ { id: leaf, run: "true" } ]\n')
  const inbound = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) }
  const env = { TRACEPARENT: `00-${inbound.traceId}-${inbound.spanId}-01` }
  expect(await runCliOn(stack.urls, RUN, { cwd, env })).toMatchObject({ exitCode: 0 })
  const trace = await jaeger.untilTrace(inbound.traceId, ({ spans }) => spans.length >= spansOfJournal(cwd).length)
  expect(trace.spans.find(({ name }) => name === 'RUN inner')?.parentId).toBe(inbound.spanId)
})
