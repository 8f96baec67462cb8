// Owns: what the standard OTEL_* variables say about where traces, logs and metrics go. No SDK imports: without an
// endpoint nothing of OpenTelemetry is loaded. Everything else (headers, timeout, compression, certificates) the
// exporters read themselves.
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash64 } from '../core/hash.ts'
import { SIGNALS, type Signal } from './signal.ts'

export type Env = { readonly [name: string]: string | undefined }

const EXPORTERS = ['otlp', 'console'] as const
export type ExporterName = (typeof EXPORTERS)[number]
const PROTOCOLS = ['http/json', 'http/protobuf', 'grpc'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface SignalSettings {
  /** One or both; with both a receiver decides what counts as delivered, not the console. */
  readonly exporters: readonly ExporterName[]
  /** Where batches are sent. */
  readonly endpoint: string
  readonly protocol: Protocol
}

export interface TelemetrySettings {
  /** The signals that are on. */
  readonly signals: { readonly [signal in Signal]?: SignalSettings }
  /** Identifies the receiver in telemetry.json (hashed: a URL may hold credentials). */
  readonly endpointHash: string
  /** How often metrics are sent, in milliseconds. */
  readonly metricIntervalMs: number
  readonly temporality: 'delta' | 'cumulative'
  /** `service.instance.id` of the user. */
  readonly instanceId: string | undefined
  /** What was asked for and is not done, one sentence each. */
  readonly warnings: readonly string[]
}

/** Whether anything is wanted: a receiver (or the console) is named for a signal and telemetry is not switched off. */
export const isConfigured = (env: Env): boolean => telemetrySettings(env) !== undefined

/**
 * Settings from the environment; undefined = send nothing. Without an endpoint the default of the specification
 * (localhost:4318) is not assumed: a pipeline must not knock at a port nobody named.
 */
export function telemetrySettings(env: Env): TelemetrySettings | undefined {
  if (given(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const warnings = new Set<string>()
  const signals: { [signal in Signal]?: SignalSettings } = {}
  for (const signal of SIGNALS) {
    const settings = signalSettings(env, signal, (message) => warnings.add(message))
    if (settings) signals[signal] = settings
  }
  const first = signals.traces ?? signals.logs ?? signals.metrics
  if (!first) return undefined
  return {
    signals,
    endpointHash: hash64(first.endpoint),
    metricIntervalMs: milliseconds(given(env, 'OTEL_METRIC_EXPORT_INTERVAL')) ?? METRIC_INTERVAL_MS,
    temporality:
      given(env, 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE')?.toLowerCase() === 'cumulative'
        ? 'cumulative'
        : 'delta',
    instanceId: instanceIdOf(env),
    warnings: [...warnings],
  }
}

/** Short enough for an alert that comes within half a minute, long enough to cost nothing. */
const METRIC_INTERVAL_MS = 10_000
const SHORTEST_INTERVAL_MS = 100

function signalSettings(env: Env, signal: Signal, warn: (message: string) => void): SignalSettings | undefined {
  const exporters = exportersOf(env, signal, warn)
  if (!exporters.includes('otlp')) return exporters.length > 0 ? CONSOLE : undefined
  const protocol = protocolOf(env, signal, warn)
  const endpoint = endpointOf(env, signal, protocol)
  if (endpoint === undefined) return exporters.includes('console') ? CONSOLE : undefined
  return { exporters, endpoint, protocol }
}

const CONSOLE: SignalSettings = { exporters: ['console'], endpoint: 'console:', protocol: 'http/json' }

function exportersOf(env: Env, signal: Signal, warn: (message: string) => void): readonly ExporterName[] {
  const name = `OTEL_${signal.toUpperCase()}_EXPORTER`
  const asked = (given(env, name) ?? 'otlp').split(',').map((each) => each.trim().toLowerCase())
  if (asked.includes('none')) return []
  const unknown = asked.filter((each) => each !== '' && !(EXPORTERS as readonly string[]).includes(each))
  if (unknown.length > 0)
    warn(`${name} names ${unknown.join(', ')}, which is not supported: otlp, console and none are`)
  return EXPORTERS.filter((each) => asked.includes(each))
}

function protocolOf(env: Env, signal: Signal, warn: (message: string) => void): Protocol {
  for (const name of [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_PROTOCOL`, 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const asked = given(env, name)?.toLowerCase()
    if (asked === undefined) continue
    const known = PROTOCOLS.find((each) => each === asked)
    if (known) return known
    warn(`${name}=${asked} is not supported (${PROTOCOLS.join(', ')} are): http/json is used`)
    break
  }
  return 'http/json'
}

/** Why nothing is sent although an endpoint is named. */
export function endpointProblem(env: Env): string | undefined {
  const own = SIGNALS.map((signal) => `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`)
  for (const name of [...own, 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
    const value = given(env, name)
    if (value !== undefined && webUrl(value) === undefined)
      return `${name} is not a URL, so nothing is sent there: expected one such as http://127.0.0.1:4318`
  }
  return undefined
}

/**
 * The environment that sends to `endpoint`, whatever else it names: to a base URL everything but signals that are
 * switched off, to a URL that ends in `/v1/traces` only traces.
 */
export function withEndpoint(env: Env, endpoint: string): Env {
  const full = /\/v1\/traces\/?$/.test(endpoint)
  const off = (signal: Signal): boolean =>
    full || /\bnone\b/.test(given(env, `OTEL_${signal.toUpperCase()}_EXPORTER`) ?? '')
  return {
    ...env,
    OTEL_SDK_DISABLED: undefined,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_LOGS_EXPORTER: off('logs') ? 'none' : 'otlp',
    OTEL_METRICS_EXPORTER: off('metrics') ? 'none' : 'otlp',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: full ? endpoint : undefined,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: undefined,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: undefined,
    OTEL_EXPORTER_OTLP_ENDPOINT: full ? undefined : endpoint,
    // A path is a thing of HTTP.
    ...(full && protocolOf(env, 'traces', () => {}) === 'grpc'
      ? { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }
      : {}),
  }
}

/** What a worker that exports may see of the environment. */
export function exporterEnv(env: Env): { [name: string]: string } {
  const kept: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (name.startsWith('OTEL_') || name === 'SPANWRIGHT_URL')) kept[name] = value
  }
  return kept
}

/** Where the processes of this user agree about who is which instance. */
export function slotDirectory(env: Env): string {
  const runtime = given(env, 'XDG_RUNTIME_DIR')
  return runtime !== undefined && existsSync(runtime)
    ? join(runtime, 'spanwright')
    : join(tmpdir(), `spanwright-${process.getuid?.() ?? 'user'}`)
}

function endpointOf(env: Env, signal: Signal, protocol: Protocol): string | undefined {
  const own = given(env, `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`)
  const base = given(env, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (protocol === 'grpc') return grpcTarget(own ?? base)
  if (own !== undefined) return webUrl(own)
  return base === undefined ? undefined : webUrl(`${base.replace(/\/+$/, '')}/v1/${signal}`)
}

/** gRPC also takes `host:port`. */
function grpcTarget(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  return webUrl(endpoint) ?? (/^[^/\s:]+:\d+$/.test(endpoint) ? `grpc://${endpoint}` : undefined)
}

function webUrl(text: string): string | undefined {
  const url = URL.parse(text)
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url.href : undefined
}

function instanceIdOf(env: Env): string | undefined {
  const pairs = (given(env, 'OTEL_RESOURCE_ATTRIBUTES') ?? '').split(',').map((pair) => pair.trim().split('='))
  const value = pairs.find(([name]) => name?.trim() === 'service.instance.id')?.[1]?.trim()
  if (!value) return undefined
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function milliseconds(text: string | undefined): number | undefined {
  const value = Number(text ?? Number.NaN)
  return value > 0 && Number.isFinite(value) ? Math.max(value, SHORTEST_INTERVAL_MS) : undefined
}

const given = (env: Env, name: string): string | undefined => env[name]?.trim() || undefined
