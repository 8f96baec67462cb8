// Owns: LogRecords → OTLP, with the exporter of the SDK for the protocol that is asked for. Reads `process.env`.
import { SeverityNumber } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { LogRecord } from './log-record.ts'
import { exportBatch, hrTime, sdkResource, sdkScope } from './sdk.ts'
import type { SendOutcome } from './signal.ts'
import type { Protocol } from './settings.ts'

const SAMPLED = 1

/** Sends one batch at a time, as the OTEL_* variables of this process (or worker) say. */
export async function createLogSender(
  protocol: Protocol,
): Promise<(records: readonly LogRecord[]) => Promise<SendOutcome>> {
  const exporter = await load(protocol)
  return (records) => exportBatch(exporter, records.map(toReadableLogRecord))
}

async function load(protocol: Protocol) {
  if (protocol === 'grpc') return new (await import('@opentelemetry/exporter-logs-otlp-grpc')).OTLPLogExporter()
  if (protocol === 'http/protobuf')
    return new (await import('@opentelemetry/exporter-logs-otlp-proto')).OTLPLogExporter()
  return new (await import('@opentelemetry/exporter-logs-otlp-http')).OTLPLogExporter()
}

const SEVERITY = { INFO: SeverityNumber.INFO, WARN: SeverityNumber.WARN, ERROR: SeverityNumber.ERROR } as const

/** Observed when it happened: a clock would make a repetition differ. */
function toReadableLogRecord(record: LogRecord): ReadableLogRecord {
  const at = hrTime(record.atUs)
  return {
    hrTime: at,
    hrTimeObserved: at,
    spanContext: { traceId: record.traceId, spanId: record.spanId, traceFlags: SAMPLED },
    severityText: record.severity,
    severityNumber: SEVERITY[record.severity],
    body: record.body,
    eventName: record.name,
    resource: sdkResource(),
    instrumentationScope: sdkScope(),
    attributes: record.attributes,
    droppedAttributesCount: 0,
  }
}
