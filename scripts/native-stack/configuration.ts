// Owns: what is different between the servers inside compose and those on loopback ports: every address and path, and
// nothing else. Reads docker-compose.yml for flags and environment, so that both start the servers in the same way. Must
// not start anything.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const root = fileURLToPath(new URL('../..', import.meta.url))
const collector = path.join(root, 'collector')

export const SERVERS = ['otelcol', 'jaeger', 'prometheus', 'alertmanager'] as const
export type ServerName = (typeof SERVERS)[number]
const SERVICE = {
  otelcol: 'otel-collector',
  jaeger: 'jaeger',
  prometheus: 'prometheus',
  alertmanager: 'alertmanager',
} as const

/** A port on 127.0.0.1 for each that a server listens on. */
export const PORTS = [
  'otlpGrpc',
  'otlpHttp',
  'otelcolHealth',
  'otelcolMetrics',
  'jaegerOtlp',
  'jaegerHttp',
  'jaegerGrpc',
  'jaegerHealth',
  'jaegerMetrics',
  'prometheus',
  'alertmanager',
] as const
export type Ports = Readonly<Record<(typeof PORTS)[number], number>>

/** From what is in the file to what is put there; each must occur. */
export type Substitutions = readonly (readonly [from: string, to: string])[]

export interface Layout {
  readonly ports: Ports
  /** Holds `config/` (what was substituted), the data of each server and `logs/`. */
  readonly dir: string
  /** Default: collector/alertmanager.yml. Used as it is, nothing is substituted. */
  readonly alertmanagerConfig?: string | undefined
  /** For tests: in the place of the 15 s of scrapes, rule groups and evaluations (`interval: 15s`), for example `1s`. */
  readonly evaluationInterval?: string | undefined
}

const loopback = (port: number): string => `127.0.0.1:${port}`
const url = (port: number): string => `http://${loopback(port)}`

/** Variables that otelcol.yaml and jaeger.yaml expand. */
export function addresses(layout: Layout): Record<'otelcol' | 'jaeger', Record<string, string>> {
  const { ports, dir } = layout
  return {
    otelcol: {
      OTELCOL_OTLP_GRPC: loopback(ports.otlpGrpc),
      OTELCOL_OTLP_HTTP: loopback(ports.otlpHttp),
      OTELCOL_HEALTH: loopback(ports.otelcolHealth),
      OTELCOL_METRICS_HOST: '127.0.0.1',
      OTELCOL_METRICS_PORT: `${ports.otelcolMetrics}`,
      OTELCOL_QUEUE_DIR: path.join(dir, 'otelcol'),
      JAEGER_OTLP: loopback(ports.jaegerOtlp),
      PROMETHEUS_OTLP: `${url(ports.prometheus)}/api/v1/otlp`,
    },
    jaeger: {
      JAEGER_LISTEN_OTLP: loopback(ports.jaegerOtlp),
      JAEGER_QUERY_HTTP: loopback(ports.jaegerHttp),
      JAEGER_QUERY_GRPC: loopback(ports.jaegerGrpc),
      JAEGER_HEALTH: loopback(ports.jaegerHealth),
      JAEGER_METRICS_HOST: '127.0.0.1',
      JAEGER_METRICS_PORT: `${ports.jaegerMetrics}`,
      JAEGER_DIR: path.join(dir, 'jaeger'),
      JAEGER_PROMETHEUS: url(ports.prometheus),
      JAEGER_UI_CONFIG: path.join(collector, 'jaeger-ui.js'),
    },
  }
}

/** prometheus.yml knows no variables: the addresses of its targets are replaced. */
export function prometheusSubstitutions(ports: Ports): Substitutions {
  return [
    ['"otel-collector:8888"', `"${loopback(ports.otelcolMetrics)}"`],
    ['"localhost:9090"', `"${loopback(ports.prometheus)}"`],
    ['"alertmanager:9093"', `"${loopback(ports.alertmanager)}"`],
    ['"jaeger:8888"', `"${loopback(ports.jaegerMetrics)}"`],
  ]
}

/** Paths and addresses among the flags in docker-compose.yml; a flag that is not here is passed on as it is. */
function flagSubstitutions({ ports, dir, alertmanagerConfig }: Layout): Record<ServerName, Substitutions> {
  const config = path.join(dir, 'config')
  return {
    otelcol: [
      ['/etc/otelcol/otelcol.yaml', path.join(collector, 'otelcol.yaml')],
      ['/etc/otelcol/otelcol${COMPOSE_PROFILES:+-loki}.yaml', path.join(collector, 'otelcol.yaml')],
    ],
    jaeger: [['/etc/jaeger/jaeger.yaml', path.join(collector, 'jaeger.yaml')]],
    prometheus: [
      ['/etc/prometheus/prometheus.yml', path.join(config, 'prometheus.yml')],
      ['--storage.tsdb.path=/prometheus', `--storage.tsdb.path=${path.join(dir, 'prometheus')}`],
      ['0.0.0.0:9090', loopback(ports.prometheus)],
      ['/etc/prometheus/runbooks', path.join(collector, 'runbooks')],
      ['http://127.0.0.1:${PROMETHEUS_PORT:-9090}/', `${url(ports.prometheus)}/`],
    ],
    alertmanager: [
      ['/etc/alertmanager/alertmanager.yml', alertmanagerConfig ?? path.join(config, 'alertmanager.yml')],
      ['--storage.path=/alertmanager', `--storage.path=${path.join(dir, 'alertmanager')}`],
      ['0.0.0.0:9093', loopback(ports.alertmanager)],
      ['http://127.0.0.1:${ALERTMANAGER_PORT:-9093}/', `${url(ports.alertmanager)}/`],
    ],
  }
}

/** Where the secrets of alertmanager.yml lie inside compose, and here. */
const SECRETS = ['/etc/alertmanager/secrets', path.join(collector, 'secrets')] as const

/** Writes `config/`: prometheus.yml with its rules beside it, alertmanager.yml. Everything else is read in place. */
export function writeConfiguration(layout: Layout): void {
  const config = path.join(layout.dir, 'config')
  mkdirSync(path.join(config, 'rules'), { recursive: true })
  const faster = (text: string): string =>
    layout.evaluationInterval === undefined
      ? text
      : text.replaceAll('interval: 15s', `interval: ${layout.evaluationInterval}`)
  const read = (name: string): string => readFileSync(path.join(collector, name), 'utf8')
  const prometheus = substituted(read('prometheus.yml'), prometheusSubstitutions(layout.ports), 'prometheus.yml')
  writeFileSync(path.join(config, 'prometheus.yml'), faster(prometheus))
  for (const name of readdirSync(path.join(collector, 'rules')).filter((file) => file.endsWith('.yml')))
    writeFileSync(path.join(config, 'rules', name), faster(read(`rules/${name}`)))
  if (layout.alertmanagerConfig === undefined)
    writeFileSync(path.join(config, 'alertmanager.yml'), read('alertmanager.yml').replaceAll(...SECRETS))
}

/** Arguments and environment of a server as docker-compose.yml has them, with the addresses of `layout`. */
export function serviceOf(name: ServerName, layout: Layout): { args: string[]; env: Record<string, string> } {
  const compose = parse(readFileSync(path.join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, { command: string[]; environment?: Record<string, string> }>
  }
  const service = compose.services[SERVICE[name]]
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${SERVICE[name]}`)
  const known = flagSubstitutions(layout)[name]
  const args = substituted(service.command.join('\n'), known, `the command of ${SERVICE[name]}`).split('\n')
  const unknown = args.find((argument) => argument.includes('${'))
  if (unknown !== undefined) throw new Error(`docker-compose.yml: nothing is known about ${unknown}`)
  return {
    args,
    env: { ...service.environment, ...(name === 'otelcol' || name === 'jaeger' ? addresses(layout)[name] : {}) },
  }
}

/** Each `from` must be there, so that a change of the file is seen and does not lead a server to a wrong address. */
export function substituted(text: string, substitutions: Substitutions, where: string): string {
  let result = text
  for (const [from, to] of substitutions) {
    if (!result.includes(from)) throw new Error(`${where} does not hold ${from}: change scripts/native-stack too`)
    result = result.replaceAll(from, () => to)
  }
  return result
}
