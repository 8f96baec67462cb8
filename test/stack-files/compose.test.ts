// docker-compose.yml, .env and what is beside them, read as files: no docker is needed. Every rule is seen to fail on a
// broken copy. The same file through compose itself: test/stack/compose.test.ts.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { PARTS } from '../../src/cli/stack/parts.ts'
import { PROJECT_ROOT } from '../support/cli.ts'
import {
  commands,
  contained,
  health,
  images,
  memory,
  mounts,
  publishedPorts,
  readCompose,
  withDefaults,
  type ComposeFile,
} from './compose-rules.ts'

const read = (file: string): string => readFileSync(path.join(PROJECT_ROOT, file), 'utf8')
const text = read('docker-compose.yml')
const env = parseEnv(read('.env')) as Record<string, string>
const exists = (file: string): boolean => existsSync(path.join(PROJECT_ROOT, file))
const compose = readCompose(text)

const RULES: Readonly<Record<string, (file: ComposeFile) => string[]>> = {
  'ports on loopback, from .env': (file) => publishedPorts(file, env),
  'versions from .env': (file) => images(file, env),
  'containers with least rights and with limits': contained,
  'memory that Go knows of': memory,
  'health checks where the image can': health,
  'configuration read-only, volumes declared and used': (file) => mounts(file, { exists }),
  'commands as lists of flags': commands,
}

describe.each(Object.entries(RULES))('%s', (_name, rule) => {
  test('holds', () => expect(rule(compose)).toEqual([]))
})

/** A change of the text, the rule that has to see it, and what it says. */
const BREAKS: readonly (readonly [from: string | RegExp, to: string, rule: keyof typeof RULES, says: RegExp])[] = [
  ['127.0.0.1:${GRAFANA_PORT:-3000}:3000', '${GRAFANA_PORT:-3000}:3000', 'ports on loopback, from .env', /^grafana/],
  ['127.0.0.1:${JAEGER_PORT', '0.0.0.0:${JAEGER_PORT', 'ports on loopback, from .env', /^jaeger/],
  ['${JAEGER_PORT:-16686}', '${JAEGER_PORT:-16687}', 'ports on loopback, from .env', /16686 in .env and 16687/],
  ['network_mode: none', 'network_mode: host', 'ports on loopback, from .env', /network of the host/],
  [/grafana\/grafana:\S+ .*\n/, 'grafana/grafana:latest\n', 'versions from .env', /grafana\/grafana:latest/],
  ['${LOKI_VERSION:?', '${LOKY_VERSION:?', 'versions from .env', /LOKY_VERSION=undefined/],
  ["user: '472:0'", "user: '0:0'", 'containers with least rights and with limits', /^grafana: user 0:0/],
  ["    user: '10001:10001'\n", '', 'containers with least rights and with limits', /user undefined/],
  ['cap_drop: [ALL]\n  security', 'cap_drop: []\n  security', 'containers with least rights and with limits', /keeps/],
  ['cap_add: [CHOWN]', 'cap_add: [CHOWN, SYS_ADMIN]', 'containers with least rights and with limits', /than CHOWN/],
  ["'no-new-privileges:true'", "'label:disable'", 'containers with least rights and with limits', /gain privileges/],
  ["memory: 2G, cpus: '1', ", 'memory: 2G, ', 'containers with least rights and with limits', /no limit of cpus/],
  ["memory: 2G, cpus: '1'", "memory: 2G, cpus: '4'", 'containers with least rights and with limits', /one core/],
  ['max-size: 5m, ', '', 'containers with least rights and with limits', /grows without end/],
  ['restart: unless-stopped', 'restart: always', 'containers with least rights and with limits', /restart is always/],
  ['    stop_grace_period: 1m\n', '', 'containers with least rights and with limits', /^prometheus: .*grace/],
  ['GOMEMLIMIT: 1600MiB', 'GOMEMLIMIT: 2GiB', 'memory that Go knows of', /^prometheus/],
  ['[CMD, promtool, check, healthy]', '[NONE]', 'health checks where the image can', /^prometheus/],
  ["'http://127.0.0.1:9093/-/ready'", "'http://alertmanager:9093/'", 'health checks where the image can', /elsewhere/],
  ['jaeger.yaml:ro', 'jaeger.yaml', 'configuration read-only, volumes declared and used', /can be written/],
  ['./collector/rules:', './collector/rulez:', 'configuration read-only, volumes declared and used', /not in the repo/],
  ['\n  loki-data:\n', '\n', 'configuration read-only, volumes declared and used', /loki-data is not declared/],
  [/( +)- prometheus-data:.*\n/, '', 'configuration read-only, volumes declared and used', /used by nobody/],
  ['create_host_path: false', 'create_host_path: true', 'configuration read-only, volumes declared and used', /empty/],
  [/command:\n +- --config=\/etc\/jaeger.*\n/, 'command: jaeger\n', 'commands as lists of flags', /^jaeger/],
]

test.each(BREAKS)('a broken copy is seen: %s becomes %s', (from, to, rule, says) => {
  const broken = text.replace(from, () => to)
  expect(broken).not.toBe(text)
  expect(RULES[rule]!(readCompose(broken)).join('\n')).toMatch(says)
})

test('there is no `version:` and the project has its name', () => {
  expect(compose).not.toHaveProperty('version')
  expect(compose.name).toBe('spanwright')
})

describe('compose, .env, configuration and program agree', () => {
  test('the ports that the program asks are the published ones', () => {
    for (const { service, portVariable, port } of PARTS) {
      expect(env[portVariable]).toBe(String(port))
      expect(compose.services[service]!.ports).toContain(`127.0.0.1:\${${portVariable}:-${port}}:${port}`)
    }
  })

  test('what is published inside is what the configuration listens on', () => {
    const collector = read('collector/otelcol.yaml')
    const listens = [
      [collector, 'OTELCOL_OTLP_GRPC', 4317],
      [collector, 'OTELCOL_OTLP_HTTP', 4318],
      [collector, 'OTELCOL_HEALTH', 13133],
      [read('collector/jaeger.yaml'), 'JAEGER_QUERY_HTTP', 16686],
      [read('collector/jaeger.yaml'), 'JAEGER_HEALTH', 13133],
      [read('collector/jaeger.yaml'), 'JAEGER_LISTEN_OTLP', 4317],
    ] as const
    for (const [config, name, port] of listens) expect(config).toContain(`\${env:${name}:-0.0.0.0:${port}}`)
    expect(collector).toContain('${env:JAEGER_OTLP:-jaeger:4317}')
    expect(collector).toContain('${env:PROMETHEUS_OTLP:-http://prometheus:9090/api/v1/otlp}')
    expect((parse(read('collector/loki.yaml')) as { server: object }).server).toMatchObject({ http_listen_port: 3100 })
    const flags = (service: string): string[] => compose.services[service]!.command as string[]
    expect(flags('prometheus')).toContain('--web.listen-address=0.0.0.0:9090')
    expect(flags('alertmanager')).toContain('--web.listen-address=0.0.0.0:9093')
  })

  test('paths that configuration files name are mounted there', () => {
    const targets = (service: string): string[] =>
      compose.services[service]!.volumes!.map((entry) =>
        typeof entry === 'string' ? withDefaults(entry).split(':')[1]! : entry.target,
      )
    expect(targets('otel-collector')).toContain('/var/lib/otelcol/queue')
    expect(read('collector/otelcol.yaml')).toContain('${env:OTELCOL_QUEUE_DIR:-/var/lib/otelcol/queue}')
    expect(targets('jaeger')).toEqual(expect.arrayContaining(['/badger', '/etc/jaeger/ui.js']))
    expect(read('collector/jaeger.yaml')).toContain('${env:JAEGER_DIR:-/badger}')
    expect(read('collector/jaeger.yaml')).toContain('${env:JAEGER_UI_CONFIG:-/etc/jaeger/ui.js}')
    expect(targets('prometheus')).toEqual(expect.arrayContaining(['/prometheus', '/etc/prometheus/rules']))
    const provider = parse(read('dashboards/provisioning/dashboards/spanwright.yaml')) as {
      providers: { options: { path: string } }[]
    }
    expect(targets('grafana')).toContain(provider.providers[0]!.options.path)
  })

  test('Prometheus has what the totals need', () => {
    const flags = compose.services['prometheus']!.command as string[]
    expect(flags).toContain('--web.enable-otlp-receiver')
    expect(flags.find((flag) => flag.startsWith('--enable-feature='))).toContain('created-timestamp-zero-ingestion')
    expect(flags).not.toContain('--web.enable-admin-api')
  })

  test.each([
    ['otelcol', 'OTELCOL_VERSION', /go\.opentelemetry\.io\/collector\/otelcol v([\d.]+)/],
    ['alertmanager', 'ALERTMANAGER_VERSION', /github\.com\/prometheus\/alertmanager v([\d.]+)/],
    // v3.15.0 is tagged v0.315.0 as a module, v2.13.0 of Jaeger v1.76.0.
    ['prometheus', 'PROMETHEUS_VERSION', /github\.com\/prometheus\/prometheus v([\d.]+)/],
    ['jaeger', 'JAEGER_VERSION', /github\.com\/jaegertracing\/jaeger v([\d.]+)/],
  ] as const)('%s is the version that is built and tested without docker', (name, variable, module) => {
    const built = module.exec(read(`collector/native/${name}/go.mod`))?.[1]
    const tag = env[variable]!.replace(/^v/, '')
    const [major, minor, patch] = tag.split('.').map(Number)
    const expected = { prometheus: `0.${major! * 100 + minor!}.${patch}`, jaeger: tag === '2.13.0' ? '1.76.0' : '?' }
    expect(built).toBe(name === 'prometheus' || name === 'jaeger' ? expected[name] : tag)
  })
})

describe('Grafana', () => {
  const sources = (file: string): { name: string; uid: string; url: string; jsonData: Record<string, unknown> }[] =>
    (parse(read(`dashboards/provisioning/datasources/${file}`)) as { datasources: never[] }).datasources

  test('has its data sources under fixed ids; Loki only with Loki', () => {
    expect(sources('spanwright.yaml').map(({ uid }) => uid)).toEqual(['prometheus', 'jaeger', 'alertmanager'])
    expect(sources('loki.yaml').map(({ uid }) => uid)).toEqual(['loki'])
    for (const { url } of [...sources('spanwright.yaml'), ...sources('loki.yaml')])
      expect(Object.keys(compose.services)).toContain(new URL(url).hostname)
  })

  test('no `$` that Grafana would expand as a variable of its environment', () => {
    for (const file of ['spanwright.yaml', 'loki.yaml'])
      expect(
        read(`dashboards/provisioning/datasources/${file}`)
          .replaceAll('$$', '')
          .replace(/^ *#.*$/gm, ''),
      ).not.toContain('$')
  })

  test('asks nobody outside, has no account unless it is wanted, lets everybody look', () => {
    const environment = compose.services['grafana']!.environment as string[]
    for (const line of [
      'GF_ANALYTICS_REPORTING_ENABLED=false',
      'GF_ANALYTICS_CHECK_FOR_UPDATES=false',
      'GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false',
      'GF_PLUGINS_PREINSTALL_DISABLED=true',
      'GF_PLUGINS_PREINSTALL_AUTO_UPDATE=false',
      'GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer',
    ])
      expect(environment).toContain(line)
    for (const name of [
      'SECURITY_DISABLE_INITIAL_ADMIN_CREATION=true',
      'AUTH_DISABLE_LOGIN_FORM=true',
      'AUTH_BASIC_ENABLED=false',
    ])
      expect(environment).toContain(`\${GRAFANA_ADMIN_PASSWORD:+NOT_}GF_${name}`)
    expect(environment.filter((line) => /INSTALL_PLUGINS|PREINSTALL=/.test(line))).toEqual([])
  })

  test('its home page is one of the dashboards', () => {
    const home = (compose.services['grafana']!.environment as string[]).find((line) => line.includes('HOME_DASHBOARD'))
    expect(exists(home!.replace(/^.*=\/etc\/grafana\//, ''))).toBe(true)
  })
})
