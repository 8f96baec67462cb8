// Owns: measurements and gauges → OTLP, with the exporter of the SDK for the protocol that is asked for. Reads
// `process.env`. The only signal whose resource says who sends (`service.instance.id`).
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { createAggregation, gaugeData, type Temporality } from './metric-aggregation.ts'
import type { GaugeBatch, MetricBatch } from './metric-points.ts'
import { ATTR } from './names.ts'
import { exportBatch, sdkResource, sdkScope } from './sdk.ts'
import type { Protocol } from './settings.ts'
import type { SendOutcome } from './signal.ts'

export interface MetricSender {
  send(batch: MetricBatch): Promise<SendOutcome>
  sendGauges(batch: GaugeBatch): Promise<SendOutcome>
}

/** Sends one batch at a time, as the OTEL_* variables of this process (or worker) say. */
export async function createMetricSender(protocol: Protocol, temporality: Temporality): Promise<MetricSender> {
  const exporter = await load(protocol)
  const aggregate = createAggregation(temporality)
  const send = (metrics: MetricData[], instance: string): Promise<SendOutcome> =>
    exportBatch(exporter, resourceMetrics(metrics, instance))
  return {
    async send(batch) {
      try {
        return await send(await aggregate(batch), batch.instance)
      } catch (error) {
        // Of the same numbers the same becomes again.
        return { kind: 'refused', message: String(error) }
      }
    },
    sendGauges: (batch) => send(gaugeData(batch), batch.instance),
  }
}

async function load(protocol: Protocol) {
  if (protocol === 'grpc') return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter()
  if (protocol === 'http/protobuf')
    return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter()
  return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter()
}

const resourceMetrics = (metrics: MetricData[], instance: string): ResourceMetrics => ({
  resource: sdkResource().merge(resourceFromAttributes({ [ATTR.serviceInstanceId]: instance })),
  scopeMetrics: [{ scope: sdkScope(), metrics }],
})
