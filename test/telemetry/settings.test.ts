// Where traces go is what the standard variables say; nothing is assumed.
import { expect, test } from 'vitest'
import { exporterEnv, isConfigured, telemetrySettings, withEndpoint } from '../../src/telemetry/settings.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

test.each([
  [{}, undefined],
  [ENDPOINT, 'http://collector:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/otlp/' }, 'http://collector:4318/otlp/v1/traces'],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://other/x' }, 'https://other/x'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, undefined],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, undefined],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, undefined],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }, undefined],
  [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, undefined],
  [{ OTEL_TRACES_EXPORTER: 'console' }, 'console:'],
])('%j', (env: Record<string, string>, endpoint) => {
  expect(telemetrySettings(env)?.endpoint).toBe(endpoint)
  expect(isConfigured(env)).toBe(endpoint !== undefined)
})

test('another protocol than http/json is said once, without the credentials of the URL', () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:pass@collector:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
  expect(telemetrySettings(env)?.warnings).toEqual([
    'OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported; traces are sent as http/json to http://collector:4318/v1/traces',
  ])
  expect(telemetrySettings({ ...env, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' })?.warnings).toEqual([])
})

test('a named endpoint wins over everything that is configured', () => {
  const env = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other/x',
    OTEL_SDK_DISABLED: 'true',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=b',
  }
  expect(telemetrySettings(withEndpoint(env, 'http://named:1'))?.endpoint).toBe('http://named:1/v1/traces')
  expect(telemetrySettings(withEndpoint(env, 'http://named:1/v1/traces'))?.endpoint).toBe('http://named:1/v1/traces')
  expect(withEndpoint(env, 'http://named:1')['OTEL_EXPORTER_OTLP_HEADERS']).toBe('a=b')
})

test('the worker sees nothing else of the environment', () => {
  expect(
    exporterEnv({ ...ENDPOINT, SPANWRIGHT_URL: 'u', API_TOKEN: 'secret', PATH: '/bin', OTEL_NONE: undefined }),
  ).toEqual({ ...ENDPOINT, SPANWRIGHT_URL: 'u' })
})
