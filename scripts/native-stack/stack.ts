// Owns: the four servers together: built, started on free ports with the repository's own configuration, ended in order.
// Used by `npm run stack:native` and by the tests in test/stack.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { programs } from './binaries.ts'
import {
  PORTS,
  SERVERS,
  serviceOf,
  writeConfiguration,
  type Layout,
  type Ports,
  type ServerName,
} from './configuration.ts'
import { freePorts } from './ports.ts'
import { createServer, type Server } from './server.ts'

export interface StackOptions {
  /** Where data, logs and configuration are kept. Default: a temporary directory that `stop` removes. */
  readonly dir?: string | undefined
  readonly alertmanagerConfig?: string | undefined
  readonly evaluationInterval?: string | undefined
  /** Ends a build that is under way. Servers that are starting are not touched. */
  readonly signal?: AbortSignal | undefined
  /** Progress lines. Default: stderr. */
  readonly report?: ((line: string) => void) | undefined
  /** A server ended that nobody ended. Default: a progress line. */
  readonly onDeath?: ((reason: string) => void) | undefined
}

/** Base URLs without a slash at the end; `otlp_grpc` as well. */
export interface StackUrls {
  readonly otlp_http: string
  readonly otlp_grpc: string
  readonly jaeger: string
  readonly prometheus: string
  readonly alertmanager: string
  readonly otelcol_health: string
  readonly otelcol_metrics: string
  readonly dir: string
}

export interface Stack extends Readonly<Record<ServerName, Server>> {
  readonly urls: StackUrls
  /** Ends all servers, collector first so that its queues empty, and removes the directory if it was a temporary one. */
  readonly stop: () => Promise<void>
}

/** Builds what is missing, starts all servers and resolves when all of them answer. Throws with the log of one that does not. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const report = options.report ?? ((line): void => console.error(line))
  const paths = await programs(SERVERS, { report, signal: options.signal })
  const dir = directoryOf(options.dir)
  const numbers = await freePorts(PORTS.length)
  const ports = Object.fromEntries(PORTS.map((name, index) => [name, numbers[index]])) as Ports
  const layout: Layout = {
    ports,
    dir,
    alertmanagerConfig: options.alertmanagerConfig,
    evaluationInterval: options.evaluationInterval,
  }
  for (const name of ['logs', ...SERVERS]) mkdirSync(path.join(dir, name), { recursive: true })
  writeConfiguration(layout)
  const servers = Object.fromEntries(
    SERVERS.map((name) => [
      name,
      createServer(
        {
          name,
          program: paths[name],
          ...serviceOf(name, layout),
          logFile: path.join(dir, 'logs', `${name}.log`),
          ready: READY[name].bind(undefined, ports),
        },
        options.onDeath ?? report,
      ),
    ]),
  ) as Record<ServerName, Server>
  const stop = async (): Promise<void> => {
    await servers.otelcol.kill()
    await Promise.all([servers.jaeger.kill(), servers.prometheus.kill(), servers.alertmanager.kill()])
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
  const starts = await Promise.allSettled(SERVERS.map((name) => servers[name].start()))
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  return { ...servers, urls: urlsOf(ports, dir), stop }
}

function directoryOf(given: string | undefined): string {
  if (given === undefined) return realpathSync(mkdtempSync(path.join(tmpdir(), 'spanwright-stack-')))
  mkdirSync(given, { recursive: true })
  return realpathSync(given)
}

const at = (port: number): string => `http://127.0.0.1:${port}`

function urlsOf(ports: Ports, dir: string): StackUrls {
  return {
    otlp_http: at(ports.otlpHttp),
    otlp_grpc: at(ports.otlpGrpc),
    jaeger: at(ports.jaegerHttp),
    prometheus: at(ports.prometheus),
    alertmanager: at(ports.alertmanager),
    otelcol_health: at(ports.otelcolHealth),
    otelcol_metrics: `${at(ports.otelcolMetrics)}/metrics`,
    dir,
  }
}

const READY: Readonly<Record<ServerName, (ports: Ports) => Promise<boolean>>> = {
  otelcol: async (ports) =>
    (await answers(at(ports.otelcolHealth))) && (await listens(ports.otlpHttp)) && (await listens(ports.otlpGrpc)),
  jaeger: async (ports) =>
    (await answers(`${at(ports.jaegerHealth)}/status`)) &&
    (await answers(`${at(ports.jaegerHttp)}/api/services`)) &&
    (await listens(ports.jaegerOtlp)),
  prometheus: (ports) => answers(`${at(ports.prometheus)}/-/ready`),
  alertmanager: (ports) => answers(`${at(ports.alertmanager)}/-/ready`),
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  await response.arrayBuffer()
  return response.ok
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 2_000 })
    const done = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => done(true))
    socket.once('timeout', () => done(false))
    socket.once('error', () => done(false))
  })
}
