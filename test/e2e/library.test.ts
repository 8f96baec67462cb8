// Owns: the package as a program uses it: built, imported by its name from another directory, with the user's own
// OpenTelemetry SDK beside it. Several runs in one process, cancel by a signal, errors of callers.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, runCli, startCli, temporaryDirectory } from '../support/cli.ts'
import { startSink, type Sink } from '../support/otlp-sink.ts'
import { finalOf, runIds } from '../support/run-record.ts'

const PROGRAM = `
import { NodeSDK } from '@opentelemetry/sdk-node'
import { trace } from '@opentelemetry/api'
import { call, createMemoryStore, fanout, pipeline, run, runPipeline, SpanwrightError, wait } from 'spanwright'

const sdk = new NodeSDK({ serviceName: 'mine' })
sdk.start()
const tracer = trace.getTracer('mine')
const sums = (name: string) =>
  pipeline({
    name,
    params: { n: { type: 'integer' } },
    nodes: [
      call('sum', ({ params, progress }) =>
        tracer.startActiveSpan('user work', async (span) => {
          progress('half way')
          await new Promise((resolve) => setTimeout(resolve, 20))
          tracer.startSpan('deeper').end()
          span.end()
          return { total: Number(params['n']) + 1 }
        }),
      ),
      fanout('lanes', { count: 3, nodes: [call('lane', ({ inputs }) => ({ seen: Object.keys(inputs).length }))] }),
      call('bad', () => { throw new Error('kaput') }, { retry: { maxAttempts: 2, initial: '1ms' }, allowFailure: true }),
      run('shell', { run: ['echo', '\${{ nodes.sum.outputs.total }}'] }),
    ],
  })
const stop = new AbortController()
const endless = pipeline({ name: 'endless', nodes: [wait('long', { for: '1h' })] })
const results = await Promise.all([
  runPipeline(sums('one'), { params: { n: 5 }, store: '.spanwright', onEntries: () => stop.abort(new Error('enough')) }),
  runPipeline(sums('two'), { params: { n: 6 } }),
  runPipeline(endless, { store: createMemoryStore(), signal: stop.signal }),
])
const problemOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return 'none'
  } catch (error) {
    return error instanceof SpanwrightError ? error.code : String(error)
  }
}
const problems = [
  await problemOf(() => runPipeline(sums('three'), { params: { n: 'x' } })),
  await problemOf(() => runPipeline(sums('three'))),
  await problemOf(() => runPipeline(sums('three'), { params: { n: 1 }, store: '/proc/no' })),
  await problemOf(async () => runPipeline(pipeline({ name: 'x', nodes: [run('a', { run: 'true', needs: ['zz'] })] }))),
]
await sdk.shutdown()
console.log(JSON.stringify({
  problems,
  results: results.map(({ pipeline: name, result, outputs, totals, failure }) => ({
    name, result, total: outputs['sum']?.['total'], attempts: totals.attempts, retries: totals.retries, why: failure?.message,
  })),
}))
`

let sink: Sink
beforeAll(async () => {
  sink = await startSink(0, { scopes: ['mine'] })
})
afterAll(() => sink.close())

function installed(): string {
  const cwd = temporaryDirectory()
  mkdirSync(path.join(cwd, 'node_modules/@opentelemetry'), { recursive: true })
  symlinkSync(PROJECT_ROOT, path.join(cwd, 'node_modules/spanwright'))
  for (const name of ['api', 'sdk-node'])
    symlinkSync(
      path.join(PROJECT_ROOT, 'node_modules/@opentelemetry', name),
      path.join(cwd, 'node_modules/@opentelemetry', name),
    )
  writeFileSync(path.join(cwd, 'package.json'), '{ "type": "module" }\n')
  return cwd
}

test('several runs in one process; spans of the user nest below the attempt that made them; errors have codes', async () => {
  const cwd = installed()
  writeFileSync(path.join(cwd, 'program.ts'), PROGRAM)
  const env = childEnvironment({
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
  })
  const program = spawn(process.execPath, ['program.ts'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    program[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
  const exitCode = await new Promise((resolve) => program.once('close', resolve))
  expect({ exitCode, stderr: text.stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(JSON.parse(text.stdout)).toEqual({
    problems: ['params.invalid', 'params.invalid', 'store.unwritable', 'pipeline.invalid'],
    results: [
      { name: 'one', result: 'success', total: 6, attempts: 7, retries: 1 },
      { name: 'two', result: 'success', total: 7, attempts: 7, retries: 1 },
      { name: 'endless', result: 'cancellation', attempts: 0, retries: 0, why: 'canceled by the program: enough' },
    ],
  })
  expect(runIds(cwd)).toHaveLength(1)
  expect(finalOf(cwd)).toMatchObject({ result: 'success' })

  const spans = sink.spans.filter(({ attrs }) => attrs['spanwright.marker'] === undefined)
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const users = spans.filter(({ name }) => name === 'user work')
  expect(users.map(({ parentSpanId }) => byId.get(parentSpanId ?? '')?.name)).toEqual(['sum attempt', 'sum attempt'])
  expect(new Set(users.map(({ traceId }) => traceId)).size).toBe(2)
  const deeper = spans.filter(({ name }) => name === 'deeper')
  expect(deeper.map(({ parentSpanId }) => byId.get(parentSpanId ?? '')?.name)).toEqual(['user work', 'user work'])
  const thrown = spans.filter(({ name }) => name === 'bad attempt')
  expect(thrown.map(({ status }) => status.message?.includes('kaput'))).toEqual([true, true, true, true])
}, 40_000)

test('a TypeScript pipeline: run, resumed with its functions, refused when it changed', async () => {
  const cwd = installed()
  const source = (more: string): string => `
import { existsSync } from 'node:fs'
import { call, pipeline } from 'spanwright'
export default pipeline({ name: 'typed', nodes: [
  call('first', () => ({ n: 1 })),
  call('second', async ({ inputs, signal }) => {
    while (!existsSync('go')) { signal.throwIfAborted(); await new Promise((resolve) => setTimeout(resolve, 10)) }
    return { done: true }
  }, { grace: '1s' }),${more}
] })
`
  writeFileSync(path.join(cwd, 'p.ts'), source(''))
  const cli = startCli(['run', 'p.ts', '--ui', 'plain'], { cwd })
  await cli.saw(/second@1\.1 +started/)
  cli.kill('SIGINT')
  expect(await cli.ended).toMatchObject({ exitCode: 130 })
  writeFileSync(path.join(cwd, 'go'), '')
  writeFileSync(path.join(cwd, 'p.ts'), source("\n  call('third', () => ({})),"))
  const refused = await runCli(['resume', 'latest'], { cwd })
  expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('--accept-changes') as unknown })
  expect(finalOf(cwd)).toMatchObject({ result: 'cancellation' })
  writeFileSync(path.join(cwd, 'p.ts'), source(''))
  expect(await runCli(['resume', 'latest', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0, stderr: '' })
  expect(finalOf(cwd)).toMatchObject({ result: 'success' })
})
