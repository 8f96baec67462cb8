// Owns: what the standard OTEL_* variables say about where traces go. No SDK imports: without an endpoint nothing
// of OpenTelemetry is loaded. Everything else (headers, timeout, compression, certificates) the exporter reads itself.
import { hash64 } from '../core/hash.ts'

export type Env = { readonly [name: string]: string | undefined }

export interface TelemetrySettings {
  readonly exporter: 'otlp' | 'console'
  /** Where batches are posted; identifies the receiver in telemetry.json (hashed: a URL may hold credentials). */
  readonly endpoint: string
  readonly endpointHash: string
  /** What was asked for and is not done, one sentence each. */
  readonly warnings: readonly string[]
}

/** Whether traces are wanted: an endpoint (or the console exporter) is named and telemetry is not switched off. */
export const isConfigured = (env: Env): boolean => telemetrySettings(env) !== undefined

/**
 * Settings from the environment; undefined = send nothing. Without an endpoint the default of the specification
 * (localhost:4318) is not assumed: a pipeline must not knock at a port nobody named.
 */
export function telemetrySettings(env: Env): TelemetrySettings | undefined {
  if (given(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const exporters = (given(env, 'OTEL_TRACES_EXPORTER') ?? 'otlp').split(',').map((name) => name.trim())
  if (exporters.includes('none')) return undefined
  if (!exporters.includes('otlp')) return exporters.includes('console') ? consoleSettings() : undefined
  const endpoint = tracesEndpoint(env)
  if (endpoint === undefined) return undefined
  const protocol = given(env, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? given(env, 'OTEL_EXPORTER_OTLP_PROTOCOL')
  const warnings =
    protocol === undefined || protocol === 'http/json'
      ? []
      : [
          `OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} is not supported; traces are sent as http/json to ${withoutSecrets(endpoint)}`,
        ]
  return { exporter: 'otlp', endpoint, endpointHash: hash64(endpoint), warnings }
}

/** Why nothing is sent although an endpoint is named. */
export function endpointProblem(env: Env): string | undefined {
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
    const value = given(env, name)
    if (value !== undefined && URL.parse(value) === null)
      return `${name} is not a URL, so no traces are sent: expected one such as http://127.0.0.1:4318`
  }
  return undefined
}

/** The environment that sends to `endpoint` (a base URL, or one ending in `/v1/traces`), whatever else it names. */
export function withEndpoint(env: Env, endpoint: string): Env {
  const full = /\/v1\/traces\/?$/.test(endpoint)
  return {
    ...env,
    OTEL_SDK_DISABLED: undefined,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: full ? endpoint : undefined,
    OTEL_EXPORTER_OTLP_ENDPOINT: full ? undefined : endpoint,
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

/** A URL as it may be shown. */
function withoutSecrets(endpoint: string): string {
  const url = URL.parse(endpoint)
  return url ? `${url.protocol}//${url.host}${url.pathname}` : 'the endpoint'
}

function tracesEndpoint(env: Env): string | undefined {
  const own = given(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  if (own !== undefined) return URL.parse(own)?.href
  const base = given(env, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (base === undefined) return undefined
  return URL.parse(`${base.replace(/\/+$/, '')}/v1/traces`)?.href
}

const consoleSettings = (): TelemetrySettings => ({
  exporter: 'console',
  endpoint: 'console:',
  endpointHash: hash64('console:'),
  warnings: [],
})

const given = (env: Env, name: string): string | undefined => env[name]?.trim() || undefined
