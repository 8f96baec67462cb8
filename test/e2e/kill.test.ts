// Owns: kill -9 of the orchestrator, seen from outside: soon no process of the run is alive, final.json is there, the
// trace has no open end; `resume` finishes the run in the same trace and does nothing again that was on record as done.
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, startCli, type RunningCli } from '../support/cli.ts'
import { startSink, type Sink, type SinkSpan } from '../support/otlp-sink.ts'
import {
  eventsOf,
  eventually,
  finalOf,
  isAlive,
  isSentinel,
  journalOf,
  latestRun,
  linesOf,
  pipelineDirectory,
  processesOf,
  runIds,
  runsDirectory,
} from '../support/run-record.ts'

/** Promised are 3 s on a machine that is not busy; the figures are printed. */
const AT_REST_MS = 20_000

let sink: Sink
beforeAll(async () => {
  sink = await startSink()
})
afterAll(() => sink.close())
const env = (): Record<string, string> => ({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, LANG: 'C.UTF-8' })

const spansOf = (traceId: string): SinkSpan[] =>
  sink.spans.filter((span) => span.traceId === traceId && span.attrs['spanwright.marker'] === undefined)

/** Kills with SIGKILL and waits until the run is at rest; resolves with its directory's final.json. */
async function killed(cli: RunningCli, cwd: string, what: string): Promise<void> {
  const from = performance.now()
  cli.kill('SIGKILL')
  await cli.ended
  const runId = runIds(cwd)[0]
  if (runId === undefined) return
  // Without a first entry there is no run, and its directory goes.
  await eventually(() => runIds(cwd).length === 0 || finalOf(cwd) !== undefined, AT_REST_MS)
  const recorded = performance.now() - from
  await eventually(() => !existsSync(path.join(latestRun(cwd), 'lease.json')), AT_REST_MS)
  await eventually(() => processesOf(runId).every(isSentinel), AT_REST_MS)
  console.log(
    `${what}: final.json after ${recorded.toFixed(0)} ms, at rest after ${(performance.now() - from).toFixed(0)} ms`,
  )
}

/** Every span that the journal knows was sent, once or byte for byte again, and each parent with it. */
async function expectCompleteTrace(cwd: string): Promise<void> {
  const entries = journalOf(cwd)
  const created = entries[0]!.event
  const traceId = String(created['trace_id'])
  const started = entries.flatMap(({ event }) =>
    event.span_id !== undefined && /\.(created|resumed|started)$/.test(event.type) ? [event.span_id] : [],
  )
  expect(started.length).toBeGreaterThan(0)
  await eventually(() => {
    const there = new Set(spansOf(traceId).map(({ spanId }) => spanId))
    return started.every((id) => there.has(id))
  })
  const spans = spansOf(traceId)
  const ids = new Set(spans.map(({ spanId }) => spanId))
  for (const { name, parentSpanId } of spans)
    expect([name, parentSpanId === undefined || ids.has(parentSpanId)]).toEqual([name, true])
  for (const [, same] of Map.groupBy(spans, ({ spanId }) => spanId))
    expect(new Set(same.map((span) => JSON.stringify(span))).size).toBe(1)
}

function expectLostSpans(cwd: string): void {
  const lost = eventsOf(cwd, 'attempt.lost')
  const spans = spansOf(finalOf(cwd)!.trace_id)
  const starts = eventsOf(cwd, 'attempt.started')
  for (const { attempt_id: id } of lost) {
    const spanId = starts.find((start) => start.attempt_id === id)?.span_id
    const span = spans.find((sent) => sent.spanId === spanId)
    expect([id, span?.status.code, span?.attrs['error.type']]).toEqual([id, 2, 'worker_lost'])
  }
  const run = spans.find(({ name, parentSpanId }) => name.startsWith('RUN ') && parentSpanId === undefined)
  expect(run).toMatchObject({ status: { code: 2 }, attrs: { 'error.type': 'worker_lost' } })
}

/** Resumes to the end; nothing that was done is done again, retry counts go on. */
async function resumed(cwd: string): Promise<void> {
  const before = journalOf(cwd)
  const done = new Set(before.flatMap(({ event }) => (event.type === 'node.finished' ? [event.node] : [])))
  const ended = await runCli(['resume', 'latest', '--ui', 'quiet'], { cwd, env: env() })
  expect(ended).toMatchObject({ exitCode: 0 })
  const after = journalOf(cwd)
  expect(after.slice(0, before.length)).toEqual(before)
  for (const { event } of after.slice(before.length))
    if (event.type === 'attempt.started') expect(done).not.toContain(event.node)
  const ran = linesOf(cwd, 'ran.txt')
  expect(ran.length).toBe(new Set(ran).size)
  expect(finalOf(cwd)).toMatchObject({ result: 'success', trace_id: after[0]!.event['trace_id'] })
  await expectCompleteTrace(cwd)
}

const STEP = 'echo "$SPANWRIGHT_ATTEMPT_ID" >> ran.txt'

test.concurrent('inside a fan-out of 200', async () => {
  const cwd = pipelineDirectory(`
name: wide
max_parallel: 12
nodes:
  - { id: before, run: '${STEP}' }
  - id: lanes
    fanout:
      count: 200
      nodes: [ { id: work, run: '${STEP}; [ -e go ] || sleep 0.05; echo "$SPANWRIGHT_NODE" >> done.txt' } ]
  - { id: after, run: '${STEP}' }
`)
  const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
  await eventually(() => linesOf(cwd, 'done.txt').length > 40)
  await killed(cli, cwd, 'fan-out of 200')
  expect(finalOf(cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  await expectCompleteTrace(cwd)
  expectLostSpans(cwd)
  writeFileSync(path.join(cwd, 'go'), '')
  await resumed(cwd)
  expect(new Set(linesOf(cwd, 'done.txt')).size).toBe(200)
  const lost = eventsOf(cwd, 'attempt.lost').length
  expect(finalOf(cwd)).toMatchObject({ totals: { branches: 200, attempts: 202 + lost, retries: 0 } })
})

test.concurrent('during a retry delay, with a daemon left behind by the first attempt', async () => {
  const cwd = pipelineDirectory(`
name: delayed
nodes:
  - id: flaky
    run: '${STEP}; setsid sleep 600 & [ "$SPANWRIGHT_ATTEMPT" -ge 3 ]'
    retry: { max_attempts: 3, initial: 1500ms, factor: 1, jitter: 0 }
`)
  const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
  await eventually(() => eventsOf(cwd, 'retry.scheduled').length === 1)
  await killed(cli, cwd, 'retry delay')
  expect(finalOf(cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  expect(eventsOf(cwd, 'attempt.lost')).toEqual([])
  await expectCompleteTrace(cwd)
  expectLostSpans(cwd)
  await resumed(cwd)
  expect(linesOf(cwd, 'ran.txt')).toEqual(['flaky@1.1', 'flaky@1.2', 'flaky@1.3'])
  expect(finalOf(cwd)?.nodes).toMatchObject([{ path: 'flaky', attempts: 3, retries: 2 }])
  const nodes = spansOf(finalOf(cwd)!.trace_id).filter(({ name }) => name === 'flaky')
  expect(nodes.toSorted((a, b) => a.startUs - b.startUs).at(-1)?.attrs['spanwright.retry.count']).toBe(2)
})

test.concurrent('while waiting at a gate; a second kill later; the answer lets it end', async () => {
  const cwd = pipelineDirectory(`
name: gated
nodes:
  - { id: first, run: '${STEP}' }
  - { id: ship, gate: { question: "Ship it?", choices: [approve, reject] } }
  - { id: last, run: '${STEP}' }
`)
  let cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
  await cli.saw(/ship +waits for an answer/)
  await killed(cli, cwd, 'gate')
  expectNothingOpen(cwd)
  cli = startCli(['resume', 'latest', '--ui', 'plain'], { cwd, env: env() })
  await cli.saw(/ship +waits for an answer/)
  await killed(cli, cwd, 'gate again')
  expectNothingOpen(cwd)
  await expectCompleteTrace(cwd)
  cli = startCli(['resume', 'latest', '--ui', 'plain'], { cwd, env: env() })
  await cli.saw(/ship +waits for an answer/)
  expect(await runCli(['gate', 'answer', 'latest', 'ship', 'approve'], { cwd })).toMatchObject({ exitCode: 0 })
  expect(await cli.ended).toMatchObject({ exitCode: 0 })
  expect(linesOf(cwd, 'ran.txt')).toEqual(['first@1.1', 'last@1.1'])
  await expectCompleteTrace(cwd)
  expect(spansOf(finalOf(cwd)!.trace_id).filter(({ name }) => name === 'RUN gated')).toHaveLength(3)
})

function expectNothingOpen(cwd: string): void {
  expect(finalOf(cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  expect(eventsOf(cwd, 'attempt.started')).toHaveLength(eventsOf(cwd, 'attempt.finished').length)
}

const lines = (cwd: string): number => (runIds(cwd).length === 0 ? 0 : journalOf(cwd).length)
const MOMENTS: { readonly moment: string; readonly come: (cwd: string) => boolean }[] = [
  { moment: 'at once', come: () => true },
  { moment: 'when the store appears', come: (cwd) => existsSync(path.join(cwd, '.spanwright')) },
  { moment: 'when the run appears', come: (cwd) => runIds(cwd).length > 0 },
  ...[1, 5, 9, 13].map((n) => ({ moment: `after ${n} entries`, come: (cwd: string) => lines(cwd) >= n })),
]
test.concurrent.each(MOMENTS)('$moment', async ({ moment, come }) => {
  const cwd = pipelineDirectory(`
name: early
nodes:
  - { id: a, run: '${STEP}; sleep 0.1' }
  - { id: b, run: '${STEP}; [ "$SPANWRIGHT_ATTEMPT" -ge 2 ]', retry: { max_attempts: 4, initial: 30ms, jitter: 0 } }
  - { id: c, run: '${STEP}; sleep 0.2' }
`)
  const cli = startCli(['run', 'p.yaml', '--ui', 'quiet'], { cwd, env: env() })
  await eventually(
    () => come(cwd) || runIds(cwd).some((id) => existsSync(path.join(runsDirectory(cwd), id, 'final.json'))),
  )
  await killed(cli, cwd, moment)
  if (runIds(cwd).length === 0) return // Nothing was there yet, so nothing may be left.
  if (finalOf(cwd)?.result !== 'success') {
    expect(finalOf(cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
    await expectCompleteTrace(cwd)
    await resumed(cwd)
  }
  expect(eventsOf(cwd, 'run.finished')).toHaveLength(1)
  const retries = eventsOf(cwd, 'retry.scheduled').length
  expect(finalOf(cwd)?.nodes.find(({ path: at }) => at === 'b')).toMatchObject({ retries })
})

test.concurrent('the sentinel killed too: status says lost and names recover, which does it', async () => {
  const cwd = pipelineDirectory(`
name: power
nodes: [ { id: a, run: '${STEP}; [ -e go ] || sleep 600' } ]
`)
  const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
  await eventually(() => linesOf(cwd, 'ran.txt').length === 1)
  const [runId] = runIds(cwd) as [string]
  const children = processesOf(runId).filter((pid) => pid !== cli.pid)
  // Stopped first, so that it has no time to see that its sentinel died.
  process.kill(cli.pid, 'SIGSTOP')
  const sentinels = children.filter((pid) => isSentinel(pid))
  expect(sentinels).toHaveLength(1)
  process.kill(sentinels[0]!, 'SIGKILL')
  cli.kill('SIGKILL')
  await cli.ended
  await eventually(() => !isAlive(cli.pid) && !isAlive(sentinels[0]!))
  const status = await runCli(['status', 'latest'], { cwd })
  expect(status.stdout).toMatch(/lost/)
  expect(status.stdout).toContain('spanwright recover')
  expect((await runCli(['runs'], { cwd })).stdout).toMatch(/lost/)
  expect((await runCli(['show', 'latest'], { cwd })).stdout).toContain('spanwright recover')
  expect(finalOf(cwd)).toBeUndefined()
  const recovered = await runCli(['recover'], { cwd, env: env() })
  expect(recovered).toMatchObject({ exitCode: 0 })
  expect(finalOf(cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  expect(processesOf(runId)).toEqual([])
  await expectCompleteTrace(cwd)
  expectLostSpans(cwd)
  writeFileSync(path.join(cwd, 'go'), '')
  await resumed(cwd)
  expect(linesOf(cwd, 'ran.txt')).toEqual(['a@1.1', 'a@1.2'])
})
