// Owns: SpanRecords → OTLP/HTTP, with the OpenTelemetry SDK's exporter; the only file that loads the SDK. One batch at
// a time, each awaited: no batch processor (it drops silently above its queue and its flush does not wait), no
// resource detectors but the environment's (the others leak command lines and user names). Reads `process.env`.
import { readFileSync, writeSync } from 'node:fs'
import {
  createTraceState,
  diag,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  type SpanContext,
  type HrTime,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  type Resource,
} from '@opentelemetry/resources'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { DEFAULT_SERVICE_NAME, SCOPE_NAME } from './names.ts'
import type { SpanRecord } from './span-record.ts'

export type SendOutcome =
  | { readonly kind: 'accepted'; readonly rejected: number; readonly message?: string }
  /** The receiver will never take this batch. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'too_large'; readonly message: string }
  /** Nobody is there, or not for us: worth another try later. */
  | { readonly kind: 'unavailable'; readonly message: string }

export interface SpanSender {
  send(spans: readonly SpanRecord[]): Promise<SendOutcome>
}

/** HTTP statuses that condemn the batch itself. All others may be mended by configuration or time. */
const REFUSED = new Set([400, 415, 422])
const TOO_LARGE = 413
const SAMPLED = 1

/** OTEL_TRACES_EXPORTER=console: one JSON line for each span on stderr (stdout is for results). */
export function createConsoleSender(): SpanSender {
  return {
    async send(spans) {
      try {
        writeSync(STDERR, spans.map((span) => `${JSON.stringify(span)}\n`).join(''))
        return { kind: 'accepted', rejected: 0 }
      } catch (error) {
        return { kind: 'unavailable', message: String(error) }
      }
    },
  }
}
const STDERR = 2

/** A sender as the OTEL_* variables of this process (or worker) say. `onDiagnostic` gets what the SDK has to say. */
export function createOtlpSender(onDiagnostic: (message: string) => void): SpanSender {
  const partial = listenToSdk(onDiagnostic)
  const exporter: SpanExporter = new OTLPTraceExporter()
  const version = packageVersion()
  const resource = resourceOf(version)
  const scope = { name: SCOPE_NAME, version }
  return {
    async send(spans) {
      partial.last = undefined
      let error: Error | undefined
      try {
        error = await exported(
          exporter,
          spans.map((span) => toReadableSpan(span, resource, scope)),
        )
      } catch (thrown) {
        // Serialization of plain data failed: it will fail again.
        return { kind: 'refused', message: String(thrown) }
      }
      return error ? outcomeOfError(error) : partialOutcome(partial.last)
    },
  }
}

const exported = (exporter: SpanExporter, spans: ReadableSpan[]): Promise<Error | undefined> =>
  new Promise((resolve) => {
    exporter.export(spans, (result) =>
      resolve(result.code === 0 ? undefined : (result.error ?? new Error('export failed'))),
    )
  })

function outcomeOfError(error: Error & { code?: unknown; data?: unknown }): SendOutcome {
  const message = [error.code, error.message, typeof error.data === 'string' ? error.data.slice(0, 200) : '']
    .filter(Boolean)
    .join(' ')
  if (error.code === TOO_LARGE) return { kind: 'too_large', message }
  if (typeof error.code === 'number' && REFUSED.has(error.code)) return { kind: 'refused', message }
  return { kind: 'unavailable', message }
}

function partialOutcome(partial: string | undefined): SendOutcome {
  if (partial === undefined) return { kind: 'accepted', rejected: 0 }
  try {
    const said = JSON.parse(partial) as { rejectedSpans?: unknown; errorMessage?: unknown }
    return {
      kind: 'accepted',
      rejected: Number(said.rejectedSpans ?? 0) || 0,
      message: typeof said.errorMessage === 'string' ? said.errorMessage.slice(0, 200) : '',
    }
  } catch {
    return { kind: 'accepted', rejected: 0, message: partial.slice(0, 200) }
  }
}

/** The SDK reports partial success to its diagnostic logger only (otlp-exporter-base 0.301, logging-response-handler). */
function listenToSdk(onDiagnostic: (message: string) => void): { last: string | undefined } {
  const partial: { last: string | undefined } = { last: undefined }
  const say = (message: string, ...rest: unknown[]): void => {
    if (message.startsWith('Received Partial Success')) partial.last = String(rest[0])
    else onDiagnostic([message, ...rest.map(String)].join(' ').slice(0, 1_000))
  }
  const quiet = (): void => {}
  diag.setLogger(
    { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  return partial
}

/** `service.*`, `telemetry.sdk.*` and what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say; nothing of the machine. */
function resourceOf(version: string): Resource {
  return defaultResource()
    .merge(resourceFromAttributes({ 'service.name': DEFAULT_SERVICE_NAME, 'service.version': version }))
    .merge(detectResources({ detectors: [envDetector] }))
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

const KINDS = { SERVER: SpanKind.SERVER, INTERNAL: SpanKind.INTERNAL, CLIENT: SpanKind.CLIENT } as const

function toReadableSpan(span: SpanRecord, resource: Resource, scope: { name: string; version: string }): ReadableSpan {
  const context = contextOf(span.traceId, span.spanId, span.traceState)
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(span.parentSpanId === undefined
      ? {}
      : {
          parentSpanContext: {
            traceId: span.traceId,
            spanId: span.parentSpanId,
            traceFlags: SAMPLED,
            isRemote: span.parentIsRemote,
          },
        }),
    startTime: hrTime(span.startUs),
    endTime: hrTime(span.endUs),
    duration: hrTime(span.endUs - span.startUs),
    status:
      span.status.code === 'ERROR'
        ? { code: SpanStatusCode.ERROR, message: span.status.message }
        : { code: SpanStatusCode.UNSET },
    attributes: span.attributes,
    links: span.links.map((link) => ({
      context: { traceId: link.traceId, spanId: link.spanId, traceFlags: SAMPLED, isRemote: link.remote },
      attributes: link.attributes as ReadableSpan['attributes'],
    })),
    events: span.events.map((event) => ({
      name: event.name,
      time: hrTime(event.atUs),
      attributes: event.attributes as ReadableSpan['attributes'],
    })),
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: span.droppedEvents,
    droppedLinksCount: 0,
  }
}

const contextOf = (traceId: string, spanId: string, traceState: string | undefined): SpanContext => ({
  traceId,
  spanId,
  traceFlags: SAMPLED,
  ...(traceState === undefined ? {} : { traceState: createTraceState(traceState) }),
})

/** Epoch microseconds as [seconds, nanoseconds]. */
const hrTime = (us: number): HrTime => [Math.floor(us / 1_000_000), (us % 1_000_000) * 1_000]
