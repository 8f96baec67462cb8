// Owns: that nothing a run started is left: daemons that left their group, steps that ignore TERM, nested runs; and who
// may end what: signals, other processes, steps of the run itself.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROJECT_ROOT, runCli, startCli, type RunningCli } from '../support/cli.ts'
import { startSink, type Sink } from '../support/otlp-sink.ts'
import {
  eventsOf,
  eventually,
  finalOf,
  isAlive,
  isSentinel,
  linesOf,
  originOf,
  pipelineDirectory,
  processesOf,
  runIds,
  runsDirectory,
  type FinalFile,
} from '../support/run-record.ts'

const utf8 = { LANG: 'C.UTF-8' }
const CLI = `${process.execPath} ${path.join(PROJECT_ROOT, 'dist/cli/main.js')}`
const workOf = (runId: string, cli?: RunningCli): number[] =>
  processesOf(runId).filter((pid) => pid !== cli?.pid && !isSentinel(pid))

describe('a step that succeeds and leaves daemons behind', () => {
  const cwd = pipelineDirectory(`
name: daemons
nodes:
  - { id: group, run: 'sleep 600 & echo $! >> pids.txt' }
  - { id: session, run: 'setsid sh -c "echo \\$\\$ >> pids.txt; sleep 600 & echo \\$! >> pids.txt; wait" & while [ $(wc -l < pids.txt) -lt 3 ]; do sleep 0.01; done' }
  - { id: kept, leave_running: true, run: 'sleep 600 & echo $! >> kept.txt' }
  - { id: uses, run: 'kill -0 $(cat kept.txt)' }
`)
  test('is a success; they are ended, and on record', async () => {
    const ended = await runCli(['run', 'p.yaml'], { cwd, env: utf8 })
    expect(ended).toMatchObject({ exitCode: 0 })
    const pids = [...linesOf(cwd, 'pids.txt'), ...linesOf(cwd, 'kept.txt')].map(Number)
    expect(pids).toHaveLength(4)
    await eventually(() => !pids.some(isAlive))
    expect(processesOf(runIds(cwd)[0]!).filter((pid) => !isSentinel(pid))).toEqual([])
    const recorded = eventsOf(cwd, 'processes.ended').flatMap(({ processes }) => processes as { pid: number }[])
    expect(recorded.map(({ pid }) => pid)).toEqual(expect.arrayContaining(pids))
  })
})

const STUBBORN = (grace: string): string => `
name: stubborn
max_parallel: 20
nodes:
  - id: lanes
    fanout:
      count: 20
      nodes: [ { id: work, grace: ${grace}, run: 'trap "" TERM INT HUP; echo $$ >> pids.txt; setsid sleep 600 & while :; do sleep 0.05; done' } ]
  - { id: cleanup, when: always(), run: 'echo cleaned > cleaned.txt' }
`

describe('cancel', () => {
  test('by a signal: TERM, after the grace KILL; all is gone; cleanup runs; exit 130', async () => {
    const cwd = pipelineDirectory(STUBBORN('700ms'))
    const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: utf8 })
    await eventually(() => linesOf(cwd, 'pids.txt').length === 20)
    const pids = linesOf(cwd, 'pids.txt').map(Number)
    const [runId] = runIds(cwd) as [string]
    const from = performance.now()
    cli.kill('SIGINT')
    await eventually(() => !pids.some(isAlive))
    const took = performance.now() - from
    expect(took).toBeGreaterThan(600)
    console.log(`cancel: 20 steps that ignore TERM were gone after ${took.toFixed(0)} ms; their grace is 700 ms`)
    expect(await cli.ended).toMatchObject({ exitCode: 130, signal: null })
    await eventually(() => workOf(runId).length === 0)
    expect(existsSync(path.join(cwd, 'cleaned.txt'))).toBe(true)
    expect(finalOf(cwd)).toMatchObject({ result: 'cancellation', resumable: true, failure: { code: 'canceled' } })
    expect(new Set(eventsOf(cwd, 'attempt.finished').map(({ node, result }) => `${node} ${result}`))).toContain(
      'cleanup success',
    )
  })

  test('the second signal means now', async () => {
    const cwd = pipelineDirectory(STUBBORN('5m'))
    const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: utf8 })
    await eventually(() => linesOf(cwd, 'pids.txt').length === 20)
    cli.kill('SIGTERM')
    await cli.saw(/cancel requested by SIGTERM/)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ exitCode: 143 })
    await eventually(() => workOf(runIds(cwd)[0]!).length === 0)
    expect(existsSync(path.join(cwd, 'cleaned.txt'))).toBe(false)
    expect(finalOf(cwd)).toMatchObject({ resumable: true })
  })

  test('from another process: politely, then --force; not from a step of the run', async () => {
    const cwd = pipelineDirectory(`
name: asked
nodes:
  - { id: eager, needs: [], allow_failure: true, run: '${CLI} cancel latest --force' }
  - { id: eager_retry, needs: [], allow_failure: true, run: '${CLI} retry latest' }
  - { id: work, needs: [], grace: 5m, run: 'trap "" TERM; echo $$ > pids.txt; while :; do sleep 0.05; done' }
`)
    const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: utf8 })
    await cli.saw(/eager@1\.1 +failed.*step/)
    await cli.saw(/eager_retry@1\.1 +failed.*step/)
    await eventually(() => linesOf(cwd, 'pids.txt').length === 1)
    expect(isAlive(cli.pid)).toBe(true)
    const asked = startCli(['cancel', 'latest'], { cwd })
    await cli.saw(/cancel requested by/)
    expect(await runCli(['cancel', 'latest', '--force'], { cwd })).toMatchObject({ exitCode: 0 })
    expect(await cli.ended).toMatchObject({ exitCode: 130 })
    expect(await asked.ended).toMatchObject({ exitCode: 0 })
    await eventually(() => !linesOf(cwd, 'pids.txt').some((pid) => isAlive(Number(pid))))
    expect(eventsOf(cwd, 'run.cancel_requested').map(({ force }) => force)).toEqual([false, true])
  })
})

describe('a run inside a step', () => {
  let sink: Sink
  beforeAll(async () => {
    sink = await startSink()
  })
  afterAll(() => sink.close())
  const OUTER = `name: outer\nnodes: [ { id: nested, run: '${CLI} run inner.yaml --ui quiet' } ]\n`
  const inner = (script: string): string => `name: inner\nnodes: [ { id: deep, run: '${script}' } ]\n`

  test('is part of the same trace, below the attempt, and carries both markers', async () => {
    const cwd = pipelineDirectory(OUTER)
    writeFileSync(path.join(cwd, 'inner.yaml'), inner('echo $SPANWRIGHT_MARKERS > markers.txt'))
    const env = { ...utf8, OTEL_EXPORTER_OTLP_ENDPOINT: sink.url }
    expect(await runCli(['run', 'p.yaml'], { cwd, env })).toMatchObject({ exitCode: 0 })
    const spans = sink.spans.filter(({ attrs }) => attrs['spanwright.marker'] === undefined)
    const named = (name: string) => spans.find((span) => span.name === name)
    expect(named('RUN inner')).toMatchObject({
      traceId: named('RUN outer')!.traceId,
      parentSpanId: named('nested attempt')!.spanId,
    })
    expect(
      linesOf(cwd, 'markers.txt')[0]
        ?.split(',')
        .map((marker) => marker.split('/')[1])
        // The tests may run inside a run themselves.
        .slice(-2),
    ).toEqual(['nested@1.1', 'deep@1.1'])
  })

  test('ends with the outer run, also when that is killed', async () => {
    const cwd = pipelineDirectory(OUTER)
    writeFileSync(path.join(cwd, 'inner.yaml'), inner('trap "" TERM; echo $$ > pid.txt; while :; do sleep 0.05; done'))
    const cli = startCli(['run', 'p.yaml'], { cwd, env: utf8 })
    await eventually(() => linesOf(cwd, 'pid.txt').length === 1)
    cli.kill('SIGKILL')
    await cli.ended
    await eventually(() => !isAlive(Number(linesOf(cwd, 'pid.txt')[0])))
    await eventually(() => runIds(cwd).every((runId) => finalsOf(cwd, runId) && processesOf(runId).length === 0))
    for (const runId of runIds(cwd)) expect(finalsOf(cwd, runId)?.resumable).toBe(true)
  })
})

function finalsOf(cwd: string, runId: string): FinalFile | undefined {
  const file = path.join(runsDirectory(cwd), runId, 'final.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as FinalFile) : undefined
}

test('a timeout and a stall end what they started and say so; exit 124', async () => {
  const cwd = pipelineDirectory(`
name: slow
on_failure: continue
nodes:
  - { id: late, needs: [], timeout: 300ms, grace: 100ms, run: 'setsid sleep 600 & echo $! >> pids.txt; sleep 600' }
  - { id: silent, needs: [], stall_timeout: 300ms, grace: 100ms, run: 'echo working; echo $$ >> pids.txt; exec sleep 600' }
`)
  expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 124 })
  await eventually(() => !linesOf(cwd, 'pids.txt').some((pid) => isAlive(Number(pid))))
  expect(finalOf(cwd)!.nodes.map(({ path: at, failure }) => [at, failure && originOf(failure).code])).toEqual([
    ['late', 'timed_out'],
    ['silent', 'stalled'],
  ])
})
