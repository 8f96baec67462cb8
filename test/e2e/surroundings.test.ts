// Owns: what a run takes from its surroundings and gives to its steps: environment, trace context, secrets; the run
// directory; keys, detached runs; what each way of showing progress writes.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, startCli } from '../support/cli.ts'
import { startSink, type Sink, type SinkSpan } from '../support/otlp-sink.ts'
import {
  eventsOf,
  eventually,
  finalOf,
  journalOf,
  latestRun,
  linesOf,
  pipelineDirectory,
  runIds,
} from '../support/run-record.ts'

let sink: Sink
beforeAll(async () => {
  sink = await startSink(0, { resource: ['team'] })
})
afterAll(() => sink.close())
const utf8 = { LANG: 'C.UTF-8' }
const spansOf = (cwd: string): SinkSpan[] =>
  sink.spans.filter(
    ({ traceId, attrs }) => traceId === finalOf(cwd)?.trace_id && attrs['spanwright.marker'] === undefined,
  )

const SECRETS = {
  DEPLOY_TOKEN: 'dep-7f3a9c-secret',
  MY_API_KEY: 'key-44b1d0-secret',
  DB_PASSWORD: 'multi\nline-"quoted"-secret',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20otlp-secret',
}

describe('a step', () => {
  const cwd = pipelineDirectory(`
name: around
secrets: [DEPLOY_TOKEN]
nodes:
  - id: lanes
    fanout:
      each: [api]
      as: lane
      key: \${{ lane }}
      nodes:
        - id: step
          secrets: [DEPLOY_TOKEN]
          env: { LANE: '\${{ lane }}' }
          retry: { max_attempts: 3, initial: 1ms }
          hooks: { on_retry: ['echo "$SPANWRIGHT_RESULT $SPANWRIGHT_ATTEMPT" >> retried.txt'] }
          run: |
            env -0 > "env.$SPANWRIGHT_ATTEMPT"
            cat > stdin.txt
            printf '%s\\n' "$DEPLOY_TOKEN" "$MY_API_KEY" "$DB_PASSWORD"
            printf '%s\\n' "$DEPLOY_TOKEN" >&2
            echo "token=$DEPLOY_TOKEN" >> "$SPANWRIGHT_OUTPUTS"
            [ "$SPANWRIGHT_ATTEMPT" = 2 ]
  - { id: other, run: 'echo "[$DEPLOY_TOKEN]" > other.txt; echo "boom $MY_API_KEY" >&2; exit 3', allow_failure: true }
`)
  const env = (): Record<string, string> => ({
    ...utf8,
    ...SECRETS,
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_SERVICE_NAME: 'my-ci',
    OTEL_RESOURCE_ATTRIBUTES: 'team=web',
    TRACEPARENT: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    TRACESTATE: 'vendor=x',
    BAGGAGE: 'user=u1',
  })
  let shown = ''
  const given = (attempt: number): Record<string, string> =>
    Object.fromEntries(
      readFileSync(path.join(cwd, `env.${attempt}`), 'utf8')
        .split('\0')
        .filter((line) => line !== '')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
  beforeAll(async () => {
    const ended = await runCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
    expect(ended).toMatchObject({ exitCode: 0 })
    shown = ended.stdout + ended.stderr
  })

  test('gets the variables of the contract and the context of its own attempt', () => {
    const variables = given(2)
    const run = latestRun(cwd)
    const attempt = path.join(run, 'attempts/lanes:api/step/1.2')
    expect(variables).toMatchObject({
      SPANWRIGHT_RUN_ID: path.basename(run),
      SPANWRIGHT_NODE: 'lanes:api/step',
      SPANWRIGHT_ATTEMPT_ID: 'lanes:api/step@1.2',
      SPANWRIGHT_ATTEMPT: '2',
      SPANWRIGHT_MAX_ATTEMPTS: '3',
      SPANWRIGHT_VISIT: '1',
      SPANWRIGHT_BRANCH: 'api',
      SPANWRIGHT_RUN_DIR: run,
      SPANWRIGHT_ATTEMPT_DIR: attempt,
      LANE: 'api',
      DEPLOY_TOKEN: SECRETS.DEPLOY_TOKEN,
      TRACESTATE: 'vendor=x',
      BAGGAGE: 'user=u1',
    })
    for (const name of ['SPANWRIGHT_OUTCOME', 'SPANWRIGHT_OUTPUTS', 'SPANWRIGHT_RETRY_CONTEXT'])
      expect(path.dirname(variables[name]!)).toBe(attempt)
    expect(readFileSync(variables['SPANWRIGHT_RETRY_CONTEXT']!, 'utf8')).toContain('exited with code 1')
    for (const name of ['OTEL_SERVICE_NAME', 'OTEL_RESOURCE_ATTRIBUTES', 'OTEL_EXPORTER_OTLP_HEADERS'])
      expect(variables).not.toHaveProperty(name)
    expect(readFileSync(path.join(cwd, 'stdin.txt'), 'utf8')).toBe('')
    const span = spansOf(cwd).find(({ attrs }) => attrs['spanwright.attempt.id'] === 'lanes:api/step@1.2')!
    expect(variables['TRACEPARENT']).toBe(`00-${span.traceId}-${span.spanId}-01`)
    expect(given(1)['TRACEPARENT']).not.toBe(variables['TRACEPARENT'])
    expect(linesOf(cwd, 'retried.txt')).toHaveLength(1)
  })

  test('sees a declared secret only if it lists it, and no secret is written or shown anywhere', () => {
    expect(linesOf(cwd, 'other.txt')).toEqual(['[]'])
    const written = filesBelow(path.join(cwd, '.spanwright'))
    expect(written.length).toBeGreaterThan(8)
    const texts = [
      ...written.map((file) => [file, readFileSync(file, 'utf8')]),
      ['shown', shown],
      ['spans', sink.bodies.join()],
    ]
    for (const [where, text] of texts)
      for (const secret of ['7f3a9c', '44b1d0', 'line-"quoted"', 'line-\\"quoted', 'otlp-secret'])
        expect([where, secret, text!.includes(secret)]).toEqual([where, secret, false])
    expect(readFileSync(path.join(latestRun(cwd), 'attempts/lanes:api/step/1.2/stdout.log'), 'utf8')).toContain('***')
    expect(eventsOf(cwd, 'warning.raised').map(({ code }) => code)).toContain('outputs_masked')
  })

  test('the run is a child of the caller, the resource is what the caller configured, without arguments', () => {
    const run = spansOf(cwd).find(({ name }) => name === 'RUN around')!
    expect(run).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', parentSpanId: '00f067aa0ba902b7' })
    expect(run.resource).toMatchObject({ 'service.name': 'my-ci', team: 'web' })
    expect(Object.keys(run.resource).filter((name) => /command|args|owner/.test(name))).toEqual([])
  })

  test('the run directory is as documented, closed to others', () => {
    const store = path.join(cwd, '.spanwright')
    expect(readFileSync(path.join(store, '.gitignore'), 'utf8').trim()).toBe('*')
    const names = readdirSync(latestRun(cwd)).toSorted()
    const required = [
      'attempts',
      'control',
      'final.json',
      'journal.ndjson',
      'pipeline.json',
      'run.json',
      'telemetry.json',
    ]
    expect(names.filter((name) => name !== 'log.ndjson')).toEqual(required)
    const attempt = readdirSync(path.join(latestRun(cwd), 'attempts/lanes:api/step/1.2')).toSorted()
    expect(attempt).toEqual(['command.json', 'outcome.json', 'retry-context.md', 'stderr.log', 'stdout.log'])
    for (const file of filesBelow(store))
      expect([file, (statSync(file).mode & 0o777).toString(8)]).toEqual([file, '600'])
    for (const directory of directoriesBelow(store))
      expect([directory, (statSync(directory).mode & 0o777).toString(8)]).toEqual([directory, '700'])
    let at = ''
    for (const [index, entry] of journalOf(cwd).entries()) {
      expect(entry).toMatchObject({ v: 1, seq: index + 1 })
      expect(entry.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      expect(entry.at >= at).toBe(true)
      at = entry.at
    }
  })
})

const entriesBelow = (directory: string) => readdirSync(directory, { recursive: true, withFileTypes: true })
const filesBelow = (directory: string): string[] =>
  entriesBelow(directory).flatMap((entry) => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []))
const directoriesBelow = (directory: string): string[] =>
  entriesBelow(directory).flatMap((entry) => (entry.isDirectory() ? [path.join(entry.parentPath, entry.name)] : []))

test('--trace-parent link and ignore, an unsampled parent, a wrong one', async () => {
  const caller = (flags: string): string => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`
  const runWith = async (traceparent: string, ...args: string[]) => {
    const cwd = pipelineDirectory('name: called\nnodes: [ { id: a, run: "echo $TRACEPARENT > parent.txt" } ]\n')
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, TRACEPARENT: traceparent }
    expect(await runCli(['run', 'p.yaml', '--ui', 'quiet', ...args], { cwd, env })).toMatchObject({ exitCode: 0 })
    return { run: spansOf(cwd).find(({ name }) => name === 'RUN called')!, parent: linesOf(cwd, 'parent.txt')[0]! }
  }
  const [linked, ignored, unsampled, wrong] = await Promise.all([
    runWith(caller('01'), '--trace-parent', 'link'),
    runWith(caller('01'), '--trace-parent', 'ignore'),
    runWith(caller('00')),
    runWith('00-zz-00f067aa0ba902b7-01'),
  ])
  const own = { parentSpanId: undefined, traceId: expect.not.stringContaining('4bf92f35') as unknown }
  expect(linked.run).toMatchObject({ ...own, links: [{ spanId: '00f067aa0ba902b7' }] })
  expect(ignored.run).toMatchObject({ ...own, links: [] })
  expect(wrong.run).toMatchObject({ ...own, links: [] })
  // Recorded although the caller was not; steps hear that the run is.
  expect(unsampled.run).toMatchObject({ parentSpanId: '00f067aa0ba902b7' })
  expect(unsampled.parent).toContain('4bf92f3577b34da6a3ce929d0e0e4736')
})

test('--key: of eight at once one starts; all have its result; later ones too', async () => {
  const cwd = pipelineDirectory('name: once\nnodes: [ { id: a, run: "echo x >> ran.txt; sleep 0.3; exit 7" } ]\n')
  const all = await Promise.all(
    Array.from({ length: 8 }, () => runCli(['run', 'p.yaml', '--key', 'n/1 ü', '--ui', 'quiet'], { cwd })),
  )
  expect(all.map(({ exitCode }) => exitCode)).toEqual(Array(8).fill(1))
  expect((await runCli(['run', 'p.yaml', '--key', 'n/1 ü'], { cwd })).exitCode).toBe(1)
  expect(linesOf(cwd, 'ran.txt')).toEqual(['x'])
  expect(runIds(cwd)).toHaveLength(1)
})

test('--detach survives its caller; attach shows it to the end and has its exit code', async () => {
  const cwd = pipelineDirectory(
    'name: away\nnodes: [ { id: a, run: "until [ -e go ]; do sleep 0.02; done; exit 3" } ]\n',
  )
  const { exitCode, stdout } = await runCli(['run', 'p.yaml', '--detach'], { cwd })
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${runIds(cwd)[0]}\n` })
  const attached = startCli(['attach', 'latest', '--ui', 'json'], { cwd })
  await attached.saw(/"attempt.started"/)
  const stopped = startCli(['attach', 'latest'], { cwd })
  await stopped.saw(/a@1\.1 +started/)
  stopped.kill('SIGINT')
  expect(await stopped.ended).toMatchObject({ exitCode: 130, stderr: expect.stringContaining('goes on') as unknown })
  writeFileSync(path.join(cwd, 'go'), '')
  const ended = await attached.ended
  expect(ended.exitCode).toBe(1)
  const lines = ended.stdout.trimEnd().split('\n')
  expect(lines.slice(0, -1).map((line) => JSON.parse(line) as unknown)).toEqual(journalOf(cwd))
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ final: { result: 'failure' } })
})

test('what each way of showing writes: colours only where asked, nothing where quiet, NDJSON where json', async () => {
  const cwd = pipelineDirectory(
    `name: shown\nnodes: [ { id: a, run: 'printf "\\033[31mred\\033[0m \\302\\233 \\r\\b bell\\007 \\342\\200\\256rtl" >&2; exit 4' } ]\n`,
  )
  const [plain, colored, json, quiet] = await Promise.all([
    runCli(['run', 'p.yaml'], { cwd, env: { ...utf8, NO_COLOR: '1', FORCE_COLOR: undefined } }),
    runCli(['run', 'p.yaml'], { cwd, env: { ...utf8, FORCE_COLOR: '1' } }),
    runCli(['run', 'p.yaml', '--ui', 'json'], { cwd, env: utf8 }),
    runCli(['run', 'p.yaml', '--ui', 'quiet'], { cwd, env: utf8 }),
  ])
  const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/
  for (const { exitCode, stderr } of [plain, json, quiet]) {
    expect(exitCode).toBe(1)
    expect(stderr).not.toMatch(control)
  }
  expect(colored.stderr.replaceAll(/\u001b\[[0-9;]*m/g, '')).not.toMatch(control)
  for (const { stdout } of [plain, colored, quiet]) expect(stdout).toBe('')
  const lines = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { final?: unknown })
  expect(lines.filter(({ final }) => final !== undefined)).toHaveLength(1)
  expect(quiet.stderr).toMatch(/exited with code 4/)
  await eventually(() => runIds(cwd).length === 4)
})

test('a trace that cannot be delivered is said to be, with what to do; the result is not touched', async () => {
  const cwd = pipelineDirectory('name: away\nnodes: [ { id: a, run: "true" } ]\n')
  const runWith = (endpoint: string) =>
    runCli(['run', 'p.yaml'], { cwd, env: { ...utf8, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } })
  const [nobody, nonsense] = await Promise.all([runWith('http://127.0.0.1:9'), runWith('nonsense')])
  expect([nobody.exitCode, nonsense.exitCode]).toEqual([0, 0])
  expect(nobody.stderr).toMatch(/could not be delivered yet: .*`spanwright trace export \w{26}`/)
  expect(nonsense.stderr).toContain('OTEL_EXPORTER_OTLP_ENDPOINT is not a URL')
  const [, runId] = /trace export (\w{26})/.exec(nobody.stderr)!
  const exported = await runCli(['trace', 'export', runId!, '--endpoint', sink.url], { cwd })
  expect(exported).toMatchObject({ exitCode: 0 })
  const traceId = /trace ([0-9a-f]{32})/.exec(nobody.stderr)?.[1]
  const names = sink.spans.filter((span) => span.traceId === traceId).map(({ name }) => name)
  expect(names.toSorted()).toEqual(['RUN away', 'a', 'a attempt'])
})

test('what a receiver refuses stands in log.ndjson with its answer; --all sends it again', async () => {
  const cwd = pipelineDirectory('name: refused\nnodes: [ { id: a, run: "true" } ]\n')
  const receiver = await startSink()
  receiver.answer = () => ({ status: 400, body: '{"message":"spans of this kind are not taken"}' })
  const env = {
    ...utf8,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
  }
  const ended = await runCli(['run', 'p.yaml'], { cwd, env })
  expect(ended).toMatchObject({ exitCode: 0 })
  expect(ended.stderr).toMatch(/refused 3 spans for good: .*spans of this kind are not taken/)
  expect(readFileSync(path.join(latestRun(cwd), 'log.ndjson'), 'utf8')).toContain('spans of this kind are not taken')
  receiver.answer = undefined
  const again = async (...flags: string[]): Promise<string> =>
    (await runCli(['trace', 'export', 'latest', ...flags], { cwd, env })).stderr
  expect(await again()).toBe('0 spans delivered.\n')
  expect(await again('--all')).toBe('3 spans delivered.\n')
  expect(receiver.spans.map(({ name }) => name).toSorted()).toEqual(['RUN refused', 'a', 'a attempt'])
  await receiver.close()
})
