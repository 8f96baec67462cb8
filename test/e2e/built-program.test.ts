// Owns: what only the built program can show: the processes and threads that it starts from dist/ are found there. The
// sentinel takes over after SIGKILL and the run is resumed; the exporter's worker delivers the trace.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROJECT_ROOT, runCli, startCli, temporaryDirectory } from '../support/cli.ts'
import { startSink, type Sink } from '../support/otlp-sink.ts'

/** Polls until `probe` gives something; fails when it does not within `deadlineMs`. */
async function eventually<T>(probe: () => T | undefined, deadlineMs = 30_000): Promise<T> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = probe()
    if (value !== undefined) return value
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms`)
    await sleep(25)
  }
}

describe('a run whose process is killed', () => {
  const cwd = temporaryDirectory()
  const finalFile = (): string =>
    path.join(cwd, '.spanwright/runs', readdirSync(path.join(cwd, '.spanwright/runs'))[0]!, 'final.json')
  const pipeline = [
    'name: killed',
    'nodes:',
    '  - { id: first, run: echo once >> first.txt }',
    '  - { id: second, run: "echo $$ > pid.txt; [ -e go ] || exec sleep 600" }',
  ]

  test('is put to rest by its sentinel', async () => {
    writeFileSync(path.join(cwd, 'killed.yaml'), `${pipeline.join('\n')}\n`)
    const cli = startCli(['run', 'killed.yaml', '--ui', 'plain'], { cwd })
    const pid = await eventually(() =>
      existsSync(path.join(cwd, 'pid.txt')) ? Number(readFileSync(path.join(cwd, 'pid.txt'), 'utf8')) : undefined,
    )
    cli.kill('SIGKILL')
    await cli.ended
    const final = await eventually(() =>
      existsSync(finalFile()) ? (JSON.parse(readFileSync(finalFile(), 'utf8')) as object) : undefined,
    )
    expect(final).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
    await eventually(() =>
      existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '' ? undefined : true,
    )
  })

  test('is resumed without doing again what was done', async () => {
    writeFileSync(path.join(cwd, 'go'), '')
    const { exitCode, stderr } = await runCli(['resume', 'latest', '--ui', 'plain'], { cwd })
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
    expect(readFileSync(path.join(cwd, 'first.txt'), 'utf8')).toBe('once\n')
    expect(JSON.parse(readFileSync(finalFile(), 'utf8'))).toMatchObject({ result: 'success' })
  })
})

describe('a run with a collector', () => {
  let sink: Sink
  beforeAll(async () => {
    sink = await startSink()
  })
  afterAll(() => sink.close())

  test('delivers every span of a retried node before it exits', async () => {
    const cwd = temporaryDirectory()
    const flaky = "  - { id: flaky, run: '[ $SPANWRIGHT_ATTEMPT -eq 3 ]', retry: { max_attempts: 3, initial: 10ms } }"
    writeFileSync(path.join(cwd, 'traced.yaml'), `name: traced\nnodes:\n${flaky}\n`)
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url }
    expect(await runCli(['run', 'traced.yaml', '--ui', 'quiet'], { cwd, env })).toMatchObject({ exitCode: 0 })
    const spans = sink.spans.filter((span) => span.attrs['spanwright.marker'] === undefined)
    const attempts = spans.filter(({ name }) => name === 'flaky attempt').toSorted((a, b) => a.startUs - b.startUs)
    expect(attempts.map(({ status }) => status.code ?? 0)).toEqual([2, 2, 0])
    const [node] = spans.filter(({ name }) => name === 'flaky')
    expect(node?.attrs['spanwright.retry.count']).toBe(2)
    const [run] = spans.filter(({ name }) => name === 'RUN traced')
    expect(run).toMatchObject({ traceId: node!.traceId, spanId: node!.parentSpanId })
    expect(spans).toHaveLength(5)
  })
})

test('a TypeScript pipeline runs where the package is installed', async () => {
  const cwd = temporaryDirectory()
  mkdirSync(path.join(cwd, 'node_modules'))
  symlinkSync(PROJECT_ROOT, path.join(cwd, 'node_modules/spanwright'))
  const pipeline =
    "import { call, pipeline } from 'spanwright'\nexport default pipeline({ name: 'outside', nodes: [call('sum', () => ({ sum: 3 }))] })\n"
  writeFileSync(path.join(cwd, 'outside.ts'), pipeline)
  const { exitCode, stderr } = await runCli(['run', 'outside.ts', '--ui', 'plain'], { cwd })
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
})
