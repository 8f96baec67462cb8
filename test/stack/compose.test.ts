// docker-compose.yml through compose itself and the collector's own check of the configuration files that it is given. No
// engine is needed: `config` reads, expands and checks.
import { execFile } from 'node:child_process'
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseEnv, promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { programs } from '../../scripts/native-stack/binaries.ts'
import { PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'
import { composeTool, type Compose } from './support/compose-tool.ts'

interface Rendered {
  readonly name: string
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image: string
        readonly command: readonly string[] | null
        readonly environment?: Readonly<Record<string, string | null>>
        readonly ports?: readonly { host_ip?: string; published?: string; target: number }[]
        readonly volumes?: readonly { type: string; source: string; target: string; read_only?: boolean }[]
      }
    >
  >
}

let compose: Compose
beforeAll(() => {
  compose = composeTool()
})

function render(env: Record<string, string> = {}, cwd: string = PROJECT_ROOT): Rendered {
  const { exitCode, stdout, stderr } = compose(['config', '--format', 'json'], { cwd, env })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as Rendered
}

const SERVICES = ['alertmanager', 'grafana', 'jaeger', 'otel-collector', 'prometheus', 'volume-owners']

describe('what compose makes of it', () => {
  test('is valid without a warning, with the versions of .env, on loopback only', () => {
    const { name, services } = render()
    expect(name).toBe('spanwright')
    expect(Object.keys(services).toSorted()).toEqual(SERVICES)
    const env = parseEnv(readFileSync(path.join(PROJECT_ROOT, '.env'), 'utf8'))
    expect(services['jaeger']!.image).toBe(`jaegertracing/jaeger:${env['JAEGER_VERSION']}`)
    expect(services['prometheus']!.image).toBe(`prom/prometheus:${env['PROMETHEUS_VERSION']}`)
    const ports = Object.values(services).flatMap((service) => service.ports ?? [])
    expect(ports.map(({ published }) => Number(published)).toSorted((a, b) => a - b)).toEqual([
      3000, 4317, 4318, 9090, 9093, 13133, 16686,
    ])
    expect(ports.filter(({ host_ip }) => host_ip !== '127.0.0.1')).toEqual([])
  })

  test('without Loki the collector has its one configuration and Grafana no Loki', () => {
    const { services } = render()
    expect(new Set(services['otel-collector']!.command)).toEqual(new Set(['--config=/etc/otelcol/otelcol.yaml']))
    const loki = services['grafana']!.volumes!.find(({ source }) => source.endsWith('loki.yaml'))
    expect(loki!.target).toBe('/etc/grafana/loki.yaml')
  })

  test('COMPOSE_PROFILES=loki starts Loki, sends log records there and shows them in Grafana', () => {
    const { services } = render({ COMPOSE_PROFILES: 'loki' })
    expect(Object.keys(services).toSorted()).toEqual([...SERVICES, 'loki'].toSorted())
    expect(services['otel-collector']!.command).toEqual([
      '--config=/etc/otelcol/otelcol.yaml',
      '--config=/etc/otelcol/otelcol-loki.yaml',
    ])
    const loki = services['grafana']!.volumes!.find(({ source }) => source.endsWith('loki.yaml'))
    expect(loki!.target).toBe('/etc/grafana/provisioning/datasources/loki.yaml')
    expect(services['loki']!.ports).toMatchObject([{ host_ip: '127.0.0.1', published: '3100' }])
  })

  test('Grafana has no account until there is a password', () => {
    const without = render().services['grafana']!.environment!
    expect(without).toMatchObject({
      GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: 'true',
      GF_AUTH_DISABLE_LOGIN_FORM: 'true',
      GF_AUTH_BASIC_ENABLED: 'false',
    })
    const withOne = render({ GRAFANA_ADMIN_PASSWORD: 'correct horse' }).services['grafana']!.environment!
    expect(withOne).toMatchObject({ GF_SECURITY_ADMIN_PASSWORD: 'correct horse' })
    for (const name of ['SECURITY_DISABLE_INITIAL_ADMIN_CREATION', 'AUTH_DISABLE_LOGIN_FORM', 'AUTH_BASIC_ENABLED'])
      expect(withOne).not.toHaveProperty(`GF_${name}`)
  })

  test('ports, Alertmanager configuration and secrets can be others', () => {
    const env = {
      GRAFANA_PORT: '3999',
      ALERTMANAGER_CONFIG: '/etc/mine/am.yml',
      ALERTMANAGER_SECRETS: '/etc/mine/secrets',
    }
    const { services } = render(env)
    expect(services['grafana']!.ports).toMatchObject([{ host_ip: '127.0.0.1', published: '3999', target: 3000 }])
    expect(services['grafana']!.environment!['GF_SERVER_ROOT_URL']).toBe('http://127.0.0.1:3999/')
    expect(services['alertmanager']!.volumes!.map(({ source }) => source)).toEqual(
      expect.arrayContaining(['/etc/mine/am.yml', '/etc/mine/secrets']),
    )
  })

  test('a link of an alert leads to the port on this machine', () => {
    expect(render({ PROMETHEUS_PORT: '9999' }).services['prometheus']!.command).toContain(
      '--web.external-url=http://127.0.0.1:9999/',
    )
  })
})

describe('what is wrong is refused', () => {
  function copy(change: (text: string) => string): string {
    const directory = temporaryDirectory()
    const text = readFileSync(path.join(PROJECT_ROOT, 'docker-compose.yml'), 'utf8')
    writeFileSync(path.join(directory, 'docker-compose.yml'), change(text))
    copyFileSync(path.join(PROJECT_ROOT, '.env'), path.join(directory, '.env'))
    return directory
  }

  test('a copy without .env: it says which version is missing', () => {
    const directory = copy((text) => text)
    writeFileSync(path.join(directory, '.env'), '')
    const { exitCode, stderr } = compose(['config', '-q'], { cwd: directory })
    expect(exitCode).not.toBe(0)
    expect(stderr).toMatch(/_VERSION.*not set, is \.env beside docker-compose\.yml/)
  })

  test.each([
    ['a volume that is not declared', (text: string) => text.replace('\n  jaeger-data:\n', '\n')],
    ['a key that compose does not know', (text: string) => text.replace('stop_grace_period', 'stop_grace')],
    ['a condition that there is not', (text: string) => text.replace('service_completed_successfully', 'service_done')],
  ])('%s', (_what, change) => {
    expect(compose(['config', '-q'], { cwd: copy(change) }).exitCode).not.toBe(0)
  })
})

describe('the collector takes the configuration files of both starts', () => {
  test.each([[''], ['loki']])('COMPOSE_PROFILES=%s', async (profile) => {
    const { otelcol } = await programs(['otelcol'], { report: () => {} })
    const directory = temporaryDirectory()
    cpSync(path.join(PROJECT_ROOT, 'collector'), directory, {
      recursive: true,
      filter: (file) => !file.includes('native'),
    })
    const flags = render(profile === '' ? {} : { COMPOSE_PROFILES: profile }).services['otel-collector']!.command!
    const here = flags.map((flag) => flag.replace('/etc/otelcol', directory))
    const env = { ...process.env, OTELCOL_QUEUE_DIR: path.join(directory, 'queue') }
    const { stderr } = await promisify(execFile)(otelcol, ['validate', ...here], { env })
    expect(stderr).not.toMatch(/warn|deprecat/i)
  })
})
