// What children are given: facts, trace context, declared variables and secrets - and what they are not given.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { CommandLine } from '../../src/core/pipeline.ts'
import { check, hook, workbench, type AttemptOptions, type Workbench } from './support.ts'

const dump: CommandLine = { argv: [process.execPath, '-e', 'process.stdout.write(JSON.stringify(process.env))'] }

async function environmentOf(bench: Workbench, options: AttemptOptions = {}): Promise<NodeJS.ProcessEnv> {
  const { outcome, file } = await bench.run(dump, options)
  expect(outcome.failure).toBeUndefined()
  return JSON.parse(file('stdout.log')) as NodeJS.ProcessEnv
}

describe('environment', () => {
  test('says where the step stands', async () => {
    const bench = workbench({ env: { PATH: process.env['PATH'] } })
    const env = await environmentOf(bench, {
      place: {
        node: 'implement:api/build',
        visit: 2,
        branch: { key: 'api', index: 0 },
        trace_state: 'a=1',
        baggage: 'k=v',
      },
    })
    const at = join(bench.runDir, 'attempts/implement:api/build/2.1')
    expect(env).toEqual({
      PATH: process.env['PATH'],
      SPANWRIGHT_RUN_ID: bench.runId,
      SPANWRIGHT_NODE: 'implement:api/build',
      SPANWRIGHT_ATTEMPT_ID: 'implement:api/build@2.1',
      SPANWRIGHT_ATTEMPT: '1',
      SPANWRIGHT_MAX_ATTEMPTS: '100',
      SPANWRIGHT_VISIT: '2',
      SPANWRIGHT_BRANCH: 'api',
      SPANWRIGHT_RUN_DIR: bench.runDir,
      SPANWRIGHT_ATTEMPT_DIR: at,
      SPANWRIGHT_OUTCOME: join(at, 'outcome.json'),
      SPANWRIGHT_OUTPUTS: join(at, 'outputs.txt'),
      SPANWRIGHT_RETRY_CONTEXT: join(at, 'retry-context.md'),
      SPANWRIGHT_MARKERS: `${bench.runId}/implement:api/build@2.1`,
      TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      TRACESTATE: 'a=1',
      BAGGAGE: 'k=v',
    })
  })

  test('keeps the orchestrator’s telemetry identity, credentials and own step to itself', async () => {
    const env = await environmentOf(
      workbench({
        env: {
          PATH: process.env['PATH'],
          HOME: '/home/x',
          SPANWRIGHT_STORE: '/store',
          OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
          OTEL_SERVICE_NAME: 's',
          OTEL_RESOURCE_ATTRIBUTES: 'a=b',
          OTEL_EXPORTER_OTLP_HEADERS: 'auth=x',
          OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'auth=x',
          TRACEPARENT: 'old',
          TRACESTATE: 'old',
          BAGGAGE: 'old',
          SPANWRIGHT_MARKERS: 'OUTER/a@1.1',
          SPANWRIGHT_BRANCH: 'outer',
          SPANWRIGHT_X1: 'outer',
          SPANWRIGHT_RESULT: 'outer',
          SPANWRIGHT_SENTINEL: '1',
        },
      }),
    )
    expect(env).toMatchObject({
      HOME: '/home/x',
      SPANWRIGHT_STORE: '/store',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
      SPANWRIGHT_BRANCH: '',
    })
    expect(env['SPANWRIGHT_MARKERS']).toMatch(/^OUTER\/a@1\.1,TEST\d+R\d+\/build@1\.1$/)
    expect(env['TRACEPARENT']).toMatch(/^00-0af7/)
    for (const name of [
      'OTEL_SERVICE_NAME',
      'OTEL_RESOURCE_ATTRIBUTES',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
      'TRACESTATE',
      'BAGGAGE',
      'SPANWRIGHT_X1',
      'SPANWRIGHT_RESULT',
      'SPANWRIGHT_SENTINEL',
    ])
      expect(env).not.toHaveProperty(name)
  })

  test('an unsampled parent is said to be one', async () => {
    expect((await environmentOf(workbench(), { place: { sampled: false } }))['TRACEPARENT']).toMatch(/-00$/)
  })

  test('declared variables are filled in, inner ones win, a declared service name stands', async () => {
    const env = await environmentOf(workbench(), {
      place: {
        env: [
          { CI: '1', TARGET: 'none', OTEL_SERVICE_NAME: 'mine' },
          { TARGET: '${{ params.target }}-${{ params.list }}' },
        ],
      },
      inputs: { 'params.target': 'staging', 'params.list': [1] },
    })
    expect(env).toMatchObject({ CI: '1', TARGET: 'staging-[1]', OTEL_SERVICE_NAME: 'mine' })
  })

  test('a secret reaches only the nodes that list it', async () => {
    const bench = workbench({
      env: { PATH: process.env['PATH'], DEPLOY_TOKEN: 'hunter22', OTHER: 'x' },
      secrets: new Map([['DEPLOY_TOKEN', 'hunter22']]),
      secretNames: ['DEPLOY_TOKEN', 'UNSET_TOKEN'],
    })
    expect(await environmentOf(bench)).not.toHaveProperty('DEPLOY_TOKEN')
    expect(await environmentOf(bench, { place: { secrets: ['DEPLOY_TOKEN'] } })).toMatchObject({
      DEPLOY_TOKEN: 'hunter22',
      OTHER: 'x',
    })
    const { outcome } = await bench.run('true', { place: { secrets: ['UNSET_TOKEN'] } })
    expect(outcome.failure).toMatchObject({
      code: 'config_missing',
      message: expect.stringContaining('secret UNSET_TOKEN is not set'),
    })
  })
})

describe('values in commands', () => {
  const evil = `a'b"c $(touch pwned) \`touch pwned\`; touch pwned & | > x \n * ~ -rf`

  test('an argument stays one argument, with its type as text', async () => {
    const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))'
    const { file } = await workbench().run(
      { argv: [process.execPath, '-e', script, '--', '${{ a }}', 'x=${{ b }}', '${{ c }}', '${{ d }}'] },
      { inputs: { a: evil, b: 2, c: null, d: { k: [true] } } },
    )
    expect(JSON.parse(file('stdout.log'))).toEqual([evil, 'x=2', '', '{"k":[true]}'])
  })

  test('a value of a script is never part of it', async () => {
    const bindings = [{ name: 'SPANWRIGHT_X1', expression: 'a' }]
    const { outcome, file } = await workbench().run(
      { shell: 'sh', script: 'printf %s "${SPANWRIGHT_X1}"; ls', bindings },
      { inputs: { a: evil } },
    )
    expect(outcome.failure).toBeUndefined()
    expect(file('stdout.log')).toBe(evil)
  })

  test('a value that does not fit names its expression', async () => {
    const big = 'x'.repeat(128 * 1024)
    const script: CommandLine = {
      shell: 'sh',
      script: 'true',
      bindings: [{ name: 'SPANWRIGHT_X1', expression: 'nodes.a.outputs.log' }],
    }
    const bound = await workbench().run(script, { inputs: { 'nodes.a.outputs.log': big } })
    expect(bound.outcome.failure).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/\$\{\{ nodes\.a\.outputs\.log \}\} has 131072 bytes.*: pass a file$/),
    })
    const argument = await workbench().run({ argv: ['true', '${{ x }}'] }, { inputs: { x: big } })
    expect(argument.outcome.failure?.code).toBe('config_invalid')
    const variable = await workbench().run('true', { place: { env: [{ LOG: '${{ x }}' }] }, inputs: { x: 'a\0b' } })
    expect(variable.outcome.failure).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^env LOG: .*NUL byte/),
    })
    const fits = await workbench().run({ argv: ['true', '${{ x }}'] }, { inputs: { x: 'x'.repeat(128 * 1024 - 1) } })
    expect(fits.outcome.failure).toBeUndefined()
  })

  test('an empty program name is said', async () => {
    const { outcome } = await workbench().run({ argv: ['${{ x }}'] }, { inputs: { x: null } })
    expect(outcome.failure).toMatchObject({
      code: 'config_invalid',
      message: 'the command "${{ x }}" is empty: name a program',
    })
  })
})

describe('checks and hooks', () => {
  test('a failed check reports the command’s own reason and is kept with its output', async () => {
    const bench = workbench()
    const first = await bench.start(check('echo "expected 3, got 4" >&2; exit 1')).done
    expect(first).toMatchObject({
      failure: { code: 'exit_nonzero', source: 'check', details: { exit_code: 1 } },
      process: { exit_code: 1 },
    })
    expect(first.failure!.message).toContain('expected 3, got 4')
    await bench.start(check('echo fine', { id: 'build@1.1#check:1', name: 'lint' })).done
    const at = join(bench.runDir, 'attempts/build/1.1')
    const { checks } = JSON.parse(readFileSync(join(at, 'verification.json'), 'utf8')) as { checks: unknown[] }
    expect(checks).toMatchObject([
      { name: 'tests', passed: false, exit_code: 1, tail: 'expected 3, got 4\n', failure: { code: 'exit_nonzero' } },
      { name: 'lint', passed: true, exit_code: 0, tail: 'fine\n' },
    ])
    expect(readFileSync(join(at, 'check-1.stdout.log'), 'utf8')).toBe('fine\n')
  })

  test('a check has its own timeout; one without an attempt is kept as attempt 0 of the visit', async () => {
    const bench = workbench()
    const { attempt_id: _, ...fanout } = check('sleep 60', { id: 'implement@2#check:0', timeout_ms: 80 })
    expect((await bench.start(fanout).done).failure).toMatchObject({ code: 'timed_out' })
    expect(readFileSync(join(bench.runDir, 'attempts/implement/2.0/verification.json'), 'utf8')).toContain('timed_out')
  })

  test('a check that cannot start is a failure of the check', async () => {
    expect((await workbench().start(check('', { run: { argv: ['no-such-linter'] } })).done).failure).toMatchObject({
      code: 'config_missing',
      source: 'check',
    })
  })

  test('a hook knows result and failure', async () => {
    const bench = workbench()
    const failure = {
      code: 'exit_nonzero',
      class: 'deterministic',
      message: 'it\nbroke',
      source: 'command',
      signature: 'abc',
    } as const
    const { done } = bench.start(
      hook('printf %s "$SPANWRIGHT_RESULT|$SPANWRIGHT_FAILURE|$SPANWRIGHT_ATTEMPT_ID" > seen', { failure }),
    )
    expect((await done).failure).toBeUndefined()
    const [result, told, attempt] = readFileSync(join(bench.cwd, 'seen'), 'utf8').split('|')
    expect([result, attempt]).toEqual(['failure', ''])
    expect(JSON.parse(told!)).toEqual(failure)
  })

  test('a failing hook says why; a huge failure still fits', async () => {
    const failure = {
      code: 'exit_nonzero',
      class: 'deterministic',
      message: 'm',
      source: 'command',
      signature: 'abc',
      details: { tail: 'x'.repeat(200_000) },
    } as const
    const { done } = workbench().start(hook('printf %s "$SPANWRIGHT_FAILURE" >&2; exit 7', { failure }))
    const { failure: own } = await done
    expect(own).toMatchObject({ code: 'exit_nonzero', source: 'hook', details: { exit_code: 7 } })
    expect(own!.details!['stderr_tail']).toBe(
      '{"code":"exit_nonzero","class":"deterministic","message":"m","source":"command","signature":"abc"}',
    )
  })
})
