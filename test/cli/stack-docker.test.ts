// `stack up` and `stack down` with a program in docker's place that records how it is called and answers as docker and
// compose do: a docker engine is not needed here. The compose file itself: test/stack-files, test/stack.
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'
import { freePort, saying, serveStack } from './stack-parts.ts'

const COMPOSE_FILE = path.join(PROJECT_ROOT, 'docker-compose.yml')
const PORTS = {
  otlp: 'OTLP_HTTP_PORT',
  collector: 'COLLECTOR_HEALTH_PORT',
  jaeger: 'JAEGER_PORT',
  prometheus: 'PROMETHEUS_PORT',
  alertmanager: 'ALERTMANAGER_PORT',
  grafana: 'GRAFANA_PORT',
} as const

/** Shell of one case of `case "$*"`; builtins only, as nothing else is on the path. */
interface FakeDocker {
  readonly version?: string
  readonly composeVersion?: string
  readonly up?: string
  readonly down?: string
  readonly containers?: string
  readonly logs?: string
  readonly holders?: string
}

function fakeDocker(answers: FakeDocker): { readonly directory: string; readonly calls: () => string[] } {
  const directory = temporaryDirectory()
  const log = path.join(directory, 'calls')
  const script = [
    '#!/bin/sh',
    `printf '%s\\n' "\${COMPOSE_PROFILES-}|$*" >> '${log}'`,
    'case "$*" in',
    `  version*) ${answers.version ?? 'echo 28.2.2'} ;;`,
    `  "compose version"*) ${answers.composeVersion ?? 'echo 2.26.1'} ;;`,
    `  *" up "*) ${answers.up ?? 'echo "Container spanwright-jaeger-1  Started" >&2'} ;;`,
    `  *" down"*) ${answers.down ?? ':'} ;;`,
    `  *" ps "*json) ${answers.containers ?? ':'} ;;`,
    `  *" logs "*) ${answers.logs ?? ':'} ;;`,
    `  ps*) ${answers.holders ?? ':'} ;;`,
    '  *) echo "unexpected: $*" >&2; exit 99 ;;',
    'esac',
  ]
  const program = path.join(directory, 'docker')
  writeFileSync(program, `${script.join('\n')}\n`)
  chmodSync(program, 0o755)
  return { directory, calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []) }
}

interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The program from its sources, with nothing but `bin` on its path. */
async function spanwright(words: readonly string[], bin: string, env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [path.join(PROJECT_ROOT, 'src/cli/main.ts'), ...words], {
    cwd: temporaryDirectory(),
    env: { ...childEnvironment(env), PATH: bin },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { exitCode, ...text }
}

/** The variables that make these servers the local stack. */
const portsOf = (flags: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(PORTS).map(([id, variable]) => [variable, new URL(flags[id]!).port]))

describe('what is missing is named, with what to do', () => {
  const cases: readonly (readonly [string, FakeDocker | undefined, RegExp])[] = [
    ['docker', undefined, /no `docker` on PATH: install/],
    ['the compose plugin', { composeVersion: 'exit 1' }, /docker has no compose plugin: install/],
    [
      'an engine',
      { version: 'echo "Cannot connect to the Docker daemon. Is it running?" >&2; exit 1' },
      /no docker engine answers: Cannot connect to the Docker daemon\. Is it running\. Start it/,
    ],
  ]
  test.each(cases)('%s', async (_what, answers, message) => {
    const docker = fakeDocker(answers ?? {})
    const bin = answers ? docker.directory : temporaryDirectory()
    for (const words of [
      ['stack', 'up'],
      ['stack', 'down', '--volumes'],
    ]) {
      const { exitCode, stdout, stderr } = await spanwright(words, bin)
      expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' })
      expect(stderr).toMatch(message)
      expect(stderr).toContain('npm run stack:native')
      expect(stderr).toContain('export OTEL_EXPORTER_OTLP_ENDPOINT=')
    }
    expect(docker.calls().filter((call) => / up | down/.test(call))).toEqual([])
  })

  test('the compose file', async () => {
    const docker = fakeDocker({})
    const { exitCode, stderr } = await spanwright(['stack', 'up', '--file', 'nowhere.yml'], docker.directory)
    expect(exitCode).toBe(5)
    expect(stderr).toContain('no compose file nowhere.yml')
    expect(docker.calls()).toEqual([])
  })

  test('a unit of the timeout', async () => {
    const { exitCode, stderr } = await spanwright(['stack', 'up', '--timeout', '90'], fakeDocker({}).directory)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('--timeout 90')
  })
})

describe('stack up', () => {
  test('starts, waits, prints the five links and the line to export', async () => {
    const docker = fakeDocker({})
    const flags = await serveStack()
    const { exitCode, stdout, stderr } = await spanwright(['stack', 'up'], docker.directory, portsOf(flags))
    expect(exitCode).toBe(0)
    expect(docker.calls()).toContain(`|compose -p spanwright -f ${COMPOSE_FILE} up --detach`)
    expect(stderr).toContain('Container spanwright-jaeger-1  Started')
    for (const [name, id] of Object.entries({ Jaeger: 'jaeger', Grafana: 'grafana', Prometheus: 'prometheus' }))
      expect(stdout).toMatch(new RegExp(`^ ${name} +${flags[id]!}$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^ Alertmanager +${flags['alertmanager']!}$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^ OTLP +${flags['otlp']!}$`, 'm'))
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`export OTEL_EXPORTER_OTLP_ENDPOINT=${flags['otlp']!}`)
  })

  test('--loki turns the profile on and waits for Loki too', async () => {
    const docker = fakeDocker({})
    const env = { ...portsOf(await serveStack()), LOKI_PORT: String(await freePort()) }
    const { exitCode, stderr } = await spanwright(['stack', 'up', '--loki', '--timeout', '1ms'], docker.directory, env)
    expect(exitCode).toBe(5)
    expect(stderr).toContain('1 of 7 parts of the stack did not answer within 1ms: Loki')
    expect(docker.calls()).toContain(`loki|compose -p spanwright -f ${COMPOSE_FILE} up --detach`)
  })

  test('another compose file, with the ports of .env beside it', async () => {
    const directory = path.join(temporaryDirectory(), 'my stack')
    mkdirSync(directory)
    const ports = Object.entries(portsOf(await serveStack())).map(([name, port]) => `${name}=${port}`)
    writeFileSync(path.join(directory, '.env'), `# ports\n${ports.join('\n')}\n`)
    writeFileSync(path.join(directory, 'docker-compose.yml'), 'services: {}\n')
    const docker = fakeDocker({})
    const file = path.join(directory, 'docker-compose.yml')
    expect(await spanwright(['stack', 'up', '--file', file], docker.directory)).toMatchObject({ exitCode: 0 })
    expect(docker.calls()).toContain(`|compose -p spanwright -f ${file} up --detach`)
  })

  test("profiles of other projects in the user's environment are not passed on", async () => {
    const docker = fakeDocker({})
    const env = { ...portsOf(await serveStack()), COMPOSE_PROFILES: 'dev' }
    expect(await spanwright(['stack', 'up'], docker.directory, env)).toMatchObject({ exitCode: 0 })
    expect(docker.calls()).toContain(`|compose -p spanwright -f ${COMPOSE_FILE} up --detach`)
  })

  test('a part that does not come up: which, why, the end of its log, what to do', async () => {
    const list = [
      { Service: 'prometheus', State: 'restarting', ExitCode: 2, Health: '' },
      { Service: 'grafana', State: 'running', ExitCode: 0, Health: 'starting' },
    ]
    const docker = fakeDocker({
      containers: list.map((entry) => `echo '${JSON.stringify(entry)}'`).join('; '),
      logs: "echo 'loading config'; echo 'error: unknown field \"otlpp\"'",
    })
    const flags = await serveStack({ grafana: saying(503, 'migrating') })
    const env = { ...portsOf(flags), PROMETHEUS_PORT: String(await freePort()) }
    const { exitCode, stdout, stderr } = await spanwright(['stack', 'up', '--timeout', '1ms'], docker.directory, env)
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' })
    expect(stderr).toContain('2 of 6 parts of the stack did not answer within 1ms: Prometheus, Grafana')
    expect(stderr).toMatch(/Prometheus: nothing listens on .*; its container ends and is started again \(exit code 2\)/)
    expect(stderr).toContain('| error: unknown field "otlpp"')
    expect(stderr).toContain('Grafana: answers 503: migrating')
    expect(stderr).toContain(`docker compose -p spanwright -f ${COMPOSE_FILE} logs --tail 50 prometheus`)
  })

  test('a volume that could not be given to its owner is named as the cause', async () => {
    const list = [
      { Service: 'volume-owners', State: 'exited', ExitCode: 1 },
      { Service: 'jaeger', State: 'created', ExitCode: 0 },
    ]
    // As compose before 2.21 has it: one list.
    const docker = fakeDocker({
      containers: `echo '${JSON.stringify(list)}'`,
      logs: 'echo chown: not permitted',
      up: 'exit 1',
    })
    const env = { ...portsOf(await serveStack()), JAEGER_PORT: String(await freePort()) }
    const { exitCode, stderr } = await spanwright(['stack', 'up'], docker.directory, env)
    expect(exitCode).toBe(5)
    expect(stderr).toMatch(/could not start the stack \(exit code 1\)/)
    expect(stderr).toMatch(/Jaeger: .*was not started; volume-owners, .* with exit code 1: chown: not permitted/)
  })

  test('a port that somebody else has: who, as far as it can be seen', async () => {
    const flags = await serveStack({ grafana: saying(200, '<html>') })
    const env = portsOf(flags)
    const created = 'echo \'{"Service":"grafana","State":"created","ExitCode":128}\''
    const docker = fakeDocker({ up: 'exit 1', containers: created, holders: 'echo shop-web-1' })
    const { exitCode, stderr } = await spanwright(['stack', 'up'], docker.directory, env)
    expect(exitCode).toBe(5)
    expect(stderr).toContain(`port ${env['GRAFANA_PORT']} is taken by container shop-web-1`)
    expect(stderr).toContain('free the port, or set GRAFANA_PORT to another one')
    if (process.platform !== 'linux') return
    const unknown = fakeDocker({ up: 'exit 1', containers: created })
    const again = await spanwright(['stack', 'up'], unknown.directory, env)
    expect(again.stderr).toMatch(new RegExp(`port ${env['GRAFANA_PORT']} is taken by process ${process.pid} \\(`))
  })
})

describe('stack status of this machine', () => {
  test('adds what docker knows of a part that is down', async () => {
    const docker = fakeDocker({
      containers: `echo '{"Service":"jaeger","State":"exited","ExitCode":137}'`,
      logs: 'echo opening badger',
    })
    const env = { ...portsOf(await serveStack()), JAEGER_PORT: String(await freePort()) }
    const { exitCode, stdout } = await spanwright(['stack', 'status'], docker.directory, env)
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/nothing listens on .*; its container ended with exit code 137 \(killed,/)
    expect(stdout).toContain('| opening badger')
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      `docker compose -p spanwright -f ${COMPOSE_FILE} logs --tail 50 jaeger`,
    )
  })

  test('that is not started: says so, and names who has a port', async () => {
    const env = portsOf(await serveStack({ grafana: saying(200, '<html>') }))
    const docker = fakeDocker({ holders: 'echo shop-web-1' })
    env['JAEGER_PORT'] = String(await freePort())
    const { stdout } = await spanwright(['stack', 'status', '--json'], docker.directory, env)
    const { parts } = JSON.parse(stdout) as { parts: { part: string; reason: string | null; advice: string | null }[] }
    const grafana = parts.find(({ part }) => part === 'grafana')
    expect(grafana).toMatchObject({ reason: expect.stringContaining('taken by container shop-web-1') })
    expect(grafana!.advice).toMatch(/^free the port/)
  })

  test('works without docker', async () => {
    const env = portsOf(await serveStack())
    expect(await spanwright(['stack', 'status'], temporaryDirectory(), env)).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

describe('stack down', () => {
  test('keeps the data unless it is told to delete it', async () => {
    const docker = fakeDocker({})
    const kept = await spanwright(['stack', 'down'], docker.directory)
    const deleted = await spanwright(['stack', 'down', '--volumes'], docker.directory)
    expect([kept.exitCode, deleted.exitCode]).toEqual([0, 0])
    expect(kept.stderr).toContain('are kept')
    expect(deleted.stderr).toContain('are deleted')
    expect(docker.calls().filter((call) => call.includes(' down'))).toEqual([
      `loki|compose -p spanwright -f ${COMPOSE_FILE} down --remove-orphans`,
      `loki|compose -p spanwright -f ${COMPOSE_FILE} down --remove-orphans --volumes`,
    ])
  })

  test('says when compose could not', async () => {
    const { exitCode, stderr } = await spanwright(['stack', 'down'], fakeDocker({ down: 'exit 3' }).directory)
    expect(exitCode).toBe(5)
    expect(stderr).toContain('could not stop the stack (exit code 3)')
  })
})
