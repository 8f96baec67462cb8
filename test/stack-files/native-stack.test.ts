// What ships is what is tested: the native servers have the versions and the configuration of the images in docker-compose,
// but for addresses and paths. No server is started here.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  addresses,
  PORTS,
  prometheusSubstitutions,
  SERVERS,
  serviceOf,
  substituted,
  writeConfiguration,
  type Layout,
  type Ports,
} from '../../scripts/native-stack/configuration.ts'
import { PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'

const read = (name: string): string => readFileSync(path.join(PROJECT_ROOT, name), 'utf8')
const ports = Object.fromEntries(PORTS.map((name, index) => [name, 20_000 + index])) as Ports

function written(changes: Partial<Layout> = {}): { layout: Layout; file: (name: string) => string } {
  const layout: Layout = { ports, dir: temporaryDirectory(), ...changes }
  mkdirSync(path.join(layout.dir, 'config'), { recursive: true })
  writeConfiguration(layout)
  return { layout, file: (name) => readFileSync(path.join(layout.dir, 'config', name), 'utf8') }
}

describe('versions', () => {
  const env = Object.fromEntries(
    [...read('.env').matchAll(/^(\w+_VERSION)=(.+)$/gm)].map(([, name, value]) => [name!, value!]),
  )
  const required = (name: string, module: string): string =>
    new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, 'm').exec(read(`collector/native/${name}/go.mod`))?.[1] ?? 'none'

  test('of the Go modules are those of the images', () => {
    expect(required('otelcol', 'go.opentelemetry.io/collector/otelcol')).toBe(`v${env['OTELCOL_VERSION']}`)
    // Prometheus v3.15.0 is its module's v0.315.0.
    const prometheus = required('prometheus', 'github.com/prometheus/prometheus')
    expect(prometheus.replace(/^v0\.(\d)(\d\d)\./, (_, major, minor) => `v${major}.${Number(minor)}.`)).toBe(
      env['PROMETHEUS_VERSION'],
    )
    expect(required('alertmanager', 'github.com/prometheus/alertmanager')).toBe(env['ALERTMANAGER_VERSION'])
    // Jaeger 2 has no /v2 in its module's name and is tagged with version 1 there: 2.13.0 is v1.76.0.
    expect([env['JAEGER_VERSION'], required('jaeger', 'github.com/jaegertracing/jaeger')]).toEqual([
      '2.13.0',
      'v1.76.0',
    ])
  })

  test('of the collector are those that its sources were generated for', () => {
    const builder = parse(read('collector/native/otelcol/builder.yaml')) as Record<string, { gomod: string }[]>
    const lists = Object.values(builder).filter((part) => Array.isArray(part))
    for (const { gomod } of lists.flat()) {
      const [module, version] = gomod.split(' ')
      expect([module, required('otelcol', module!)]).toEqual([module, version])
      expect(read('collector/native/otelcol/components.go') + read('collector/native/otelcol/main.go')).toContain(
        `"${module}"`,
      )
    }
    expect(read('collector/native/otelcol/main.go')).toContain(`Version:     "${env['OTELCOL_VERSION']}"`)
  })

  test('are fixed by a go.sum beside each go.mod', () => {
    for (const name of ['otelcol', 'jaeger', 'prometheus', 'alertmanager'])
      expect(readdirSync(path.join(PROJECT_ROOT, 'collector/native', name))).toEqual(
        expect.arrayContaining(['go.mod', 'go.sum']),
      )
  })
})

describe('configuration', () => {
  test('prometheus.yml differs in the addresses of its targets and in nothing else', () => {
    const back = prometheusSubstitutions(ports).map(([from, to]) => [to, from] as const)
    expect(substituted(written().file('prometheus.yml'), back, 'the written file')).toBe(
      read('collector/prometheus.yml'),
    )
  })

  test('rules and routes are the same to the letter, and the secrets are those of the repository', () => {
    const { file } = written()
    const rules = readdirSync(path.join(PROJECT_ROOT, 'collector/rules')).filter((name) => name.endsWith('.yml'))
    expect(rules).not.toEqual([])
    for (const name of rules) expect(file(`rules/${name}`)).toBe(read(`collector/rules/${name}`))
    const secrets = path.join(PROJECT_ROOT, 'collector/secrets')
    expect(file('alertmanager.yml').replaceAll(secrets, '/etc/alertmanager/secrets')).toBe(
      read('collector/alertmanager.yml'),
    )
  })

  test('a test may evaluate faster, and that changes intervals only', () => {
    const { file } = written({ evaluationInterval: '1s' })
    expect(file('prometheus.yml')).toContain('evaluation_interval: 1s')
    const plain = written().file('prometheus.yml')
    expect(file('prometheus.yml').replaceAll('interval: 1s', 'interval: 15s')).toBe(plain)
  })

  test('every variable of collector and Jaeger has an address here, and every address here a variable', () => {
    const { otelcol, jaeger } = addresses({ ports, dir: '/d' })
    const variables = (text: string): string[] => [
      ...new Set([...text.matchAll(/\$\{env:(\w+):-/g)].map(([, name]) => name!)),
    ]
    expect(variables(read('collector/otelcol.yaml')).toSorted()).toEqual(Object.keys(otelcol).toSorted())
    expect(variables(read('collector/jaeger.yaml')).toSorted()).toEqual(Object.keys(jaeger).toSorted())
  })

  test('flags and environment are those of docker-compose.yml', () => {
    const layout: Layout = { ports, dir: '/d' }
    const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose
    // What has no address or path in it is passed on as it is, and all of it is passed on.
    const plain = (flag: string): string => (/[/:]/.test(flag) ? flag.split('=')[0]! : flag)
    const service = {
      otelcol: 'otel-collector',
      jaeger: 'jaeger',
      prometheus: 'prometheus',
      alertmanager: 'alertmanager',
    }
    for (const name of SERVERS)
      expect(serviceOf(name, layout).args.map(plain)).toEqual(compose.services[service[name]]!.command.map(plain))
    expect(serviceOf('prometheus', layout).args).toContain(`--web.listen-address=127.0.0.1:${ports.prometheus}`)
    expect(serviceOf('jaeger', layout).env['OTEL_TRACES_SAMPLER']).toBe('always_off')
    const all = SERVERS.map((name) => serviceOf(name, layout))
    expect(JSON.stringify(all)).not.toMatch(/0\.0\.0\.0|\/etc\/|\$\{/)
  })

  test('a file that no longer holds a known address is an error that names it', () => {
    expect(() => substituted('a: b', [['x:1', 'y']], 'prometheus.yml')).toThrow('prometheus.yml does not hold x:1')
  })
})

interface Compose {
  readonly services: Readonly<Record<string, { readonly command: readonly string[] }>>
}
interface CollectorConfig {
  readonly service: {
    readonly extensions: readonly string[]
    readonly pipelines: Readonly<
      Record<string, Readonly<Record<'receivers' | 'processors' | 'exporters', readonly string[]>>>
    >
  }
  readonly [section: string]: unknown
}

describe('the collector', () => {
  const config = parse(read('collector/otelcol.yaml')) as CollectorConfig
  const defined = (section: string): string[] => Object.keys(config[section] ?? {})
  const pipelines = Object.values(config.service.pipelines)

  test('uses all that it defines and defines all that it uses', () => {
    const used = (kind: 'receivers' | 'processors' | 'exporters'): string[] => [
      ...new Set(pipelines.flatMap((pipeline) => pipeline[kind])),
    ]
    expect(defined('processors').toSorted()).toEqual(used('processors').toSorted())
    expect([...defined('receivers'), ...defined('connectors')].toSorted()).toEqual(used('receivers').toSorted())
    expect([...defined('exporters'), ...defined('connectors')].toSorted()).toEqual(used('exporters').toSorted())
    expect(defined('extensions').toSorted()).toEqual([...config.service.extensions].toSorted())
  })

  test('limits its memory first, keeps every queue on disk and gives nothing up', () => {
    for (const { processors } of pipelines) expect(processors[0]).toBe('memory_limiter')
    const exporters = config['exporters'] as Record<string, { sending_queue: object; retry_on_failure: object } | null>
    for (const [name, exporter] of Object.entries(exporters)) {
      if (name === 'nop') continue
      expect([name, exporter?.sending_queue]).toEqual([
        name,
        expect.objectContaining({ storage: 'file_storage/queue', block_on_overflow: true }),
      ])
      expect(exporter?.retry_on_failure).toMatchObject({ max_elapsed_time: '0s' })
    }
    expect(defined('processors')).not.toContain('batch')
  })

  test('gives Jaeger time for a batch: one that it is still writing is not sent again', () => {
    expect(config['exporters']).toMatchObject({
      'otlp_grpc/jaeger': { timeout: '60s', sending_queue: { num_consumers: 2, batch: { max_size: 2048 } } },
    })
  })

  test('with the Loki file sends log records there and changes nothing else', () => {
    const loki = parse(read('collector/otelcol-loki.yaml')) as CollectorConfig
    expect(loki.service).toEqual({ pipelines: { logs: { exporters: ['otlp_http/loki'] } } })
    expect(Object.keys(loki)).toEqual(['exporters', 'service'])
  })
})

describe("Jaeger's pages", () => {
  interface Link {
    readonly key: string
    readonly url: { readonly parameters: readonly string[]; readonly template: (values: object) => string }
  }
  const text = read('collector/jaeger-ui.js')
  const config = runInNewContext(`${text}\nUIConfig()`) as { linkPatterns: Link[]; monitor: object }

  test('turn the address of a step into a link, and nothing but addresses', () => {
    const [link] = config.linkPatterns
    const key = 'cicd.pipeline.task.run.url.full'
    expect([link?.key, ...link!.url.parameters]).toEqual([key, key])
    expect(link?.url.template({ [key]: 'https://ci.example/runs/1/nodes/a@1?x=1' })).toBe(
      'https://ci.example/runs/1/nodes/a@1?x=1',
    )
    expect(link?.url.template({ [key]: 'javascript:alert(1)' })).toBe('about:blank')
  })

  test('come from a file that Jaeger takes: the function it looks for, no dollar sign for it to expand', () => {
    expect(text).toMatch(/function\s+UIConfig(\s)?\(\s?\)(\s)?{/)
    expect(text).not.toContain('$')
  })
})
