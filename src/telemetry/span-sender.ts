// Owns: SpanRecords → OTLP, with the exporter of the SDK for the protocol that is asked for. Reads `process.env`.
import { createTraceState, SpanKind, SpanStatusCode, type SpanContext } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { exportBatch, hrTime, sdkResource, sdkScope } from './sdk.ts'
import type { SendOutcome } from './signal.ts'
import type { Protocol } from './settings.ts'
import type { SpanRecord } from './span-record.ts'

const SAMPLED = 1

/** Sends one batch at a time, as the OTEL_* variables of this process (or worker) say. */
export async function createSpanSender(
  protocol: Protocol,
): Promise<(spans: readonly SpanRecord[]) => Promise<SendOutcome>> {
  const exporter = await load(protocol)
  return (spans) => exportBatch(exporter, spans.map(toReadableSpan))
}

async function load(protocol: Protocol) {
  if (protocol === 'grpc') return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter()
  if (protocol === 'http/protobuf')
    return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
  return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
}

const KINDS = { SERVER: SpanKind.SERVER, INTERNAL: SpanKind.INTERNAL, CLIENT: SpanKind.CLIENT } as const

function toReadableSpan(span: SpanRecord): ReadableSpan {
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
    resource: sdkResource(),
    instrumentationScope: sdkScope(),
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
