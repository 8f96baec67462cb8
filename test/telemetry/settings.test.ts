// Where telemetry goes is what the standard variables say; nothing is assumed.
import { expect, test } from 'vitest'
import {
  endpointProblem,
  exporterEnv,
  isConfigured,
  telemetrySettings,
  withEndpoint,
  type Env,
} from '../../src/telemetry/settings.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

const endpointsOf = (env: Env) => {
  const { traces, logs, metrics } = telemetrySettings(env)?.signals ?? {}
  return [traces?.endpoint, logs?.endpoint, metrics?.endpoint]
}
const all = (base: string) => ['traces', 'logs', 'metrics'].map((signal) => `${base}/v1/${signal}`)
const [traces, logs, metrics] = all('http://collector:4318') as [string, string, string]
const none = [undefined, undefined, undefined]

test.each<[Record<string, string>, (string | undefined)[]]>([
  [{}, none],
  [ENDPOINT, all('http://collector:4318')],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/otlp/' }, all('http://collector:4318/otlp')],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://other/x' }, ['https://other/x', logs, metrics]],
  [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://other/x' }, [undefined, undefined, 'https://other/x']],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, none],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, none],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, none],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, none],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, [undefined, logs, metrics]],
  [{ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'NONE' }, [traces, undefined, undefined]],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }, [undefined, logs, metrics]],
  [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, none],
  [{ OTEL_TRACES_EXPORTER: 'console' }, ['console:', undefined, undefined]],
  [{ OTEL_METRICS_EXPORTER: 'console', OTEL_LOGS_EXPORTER: 'console' }, [undefined, 'console:', 'console:']],
  [{ ...ENDPOINT, OTEL_LOGS_EXPORTER: 'console' }, [traces, 'console:', metrics]],
  [{ ...ENDPOINT, OTEL_LOGS_EXPORTER: 'otlp, console' }, [traces, logs, metrics]],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    ['grpc://collector:4317', 'grpc://collector:4317', 'grpc://collector:4317'],
  ],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://m:4317' },
    [traces, logs, 'http://m:4317/'],
  ],
])('%j', (env, endpoints) => {
  expect(endpointsOf(env)).toEqual(endpoints)
  expect(isConfigured(env)).toBe(endpoints.some((endpoint) => endpoint !== undefined))
})

test('the protocol of a signal wins over the common one', () => {
  const env = {
    ...ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
  }
  const { signals, warnings } = telemetrySettings(env)!
  expect([signals.traces!.protocol, signals.logs!.protocol, signals.metrics!.protocol]).toEqual([
    'http/json',
    'http/protobuf',
    'grpc',
  ])
  expect(warnings).toEqual([])
})

test('what is not supported is said once', () => {
  const env = { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift', OTEL_TRACES_EXPORTER: 'otlp,zipkin' }
  const { signals, warnings } = telemetrySettings(env)!
  expect(signals.traces).toEqual({ exporters: ['otlp'], endpoint: traces, protocol: 'http/json' })
  expect(warnings).toEqual([
    'OTEL_TRACES_EXPORTER names zipkin, which is not supported: otlp, console and none are',
    'OTEL_EXPORTER_OTLP_PROTOCOL=thrift is not supported (http/json, http/protobuf, grpc are): http/json is used',
  ])
})

test('a named endpoint wins over everything that is configured, for all signals that are not switched off', () => {
  const env = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other/x',
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://other/y',
    OTEL_SDK_DISABLED: 'true',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=b',
  }
  expect(endpointsOf(withEndpoint(env, 'http://named:1'))).toEqual(all('http://named:1'))
  expect(endpointsOf(withEndpoint({ ...env, OTEL_METRICS_EXPORTER: 'none' }, 'http://named:1'))).toEqual([
    ...all('http://named:1').slice(0, 2),
    undefined,
  ])
  const traceUrl = 'http://named:1/v1/traces'
  expect(endpointsOf(withEndpoint(env, traceUrl))).toEqual([traceUrl, undefined, undefined])
  expect(endpointsOf(withEndpoint({ ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, traceUrl))[0]).toBe(traceUrl)
  expect(withEndpoint(env, 'http://named:1')['OTEL_EXPORTER_OTLP_HEADERS']).toBe('a=b')
})

test('what else the variables say of metrics', () => {
  expect(telemetrySettings(ENDPOINT)).toMatchObject({ metricIntervalMs: 10_000, temporality: 'delta' })
  const env = {
    ...ENDPOINT,
    OTEL_METRIC_EXPORT_INTERVAL: '2500',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Cumulative',
    OTEL_RESOURCE_ATTRIBUTES: 'a=b, service.instance.id=ci%20one ,c=d',
  }
  expect(telemetrySettings(env)).toMatchObject({
    metricIntervalMs: 2_500,
    temporality: 'cumulative',
    instanceId: 'ci one',
  })
  expect(telemetrySettings({ ...ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL: 'soon' })).toMatchObject({
    metricIntervalMs: 10_000,
    instanceId: undefined,
  })
})

test('an endpoint that is no URL is a problem that can be named', () => {
  expect(endpointProblem({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'nowhere' })).toContain('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT')
  expect(endpointProblem(ENDPOINT)).toBeUndefined()
})

test('the worker sees nothing else of the environment', () => {
  expect(
    exporterEnv({ ...ENDPOINT, SPANWRIGHT_URL: 'u', API_TOKEN: 'secret', PATH: '/bin', OTEL_NONE: undefined }),
  ).toEqual({ ...ENDPOINT, SPANWRIGHT_URL: 'u' })
})
