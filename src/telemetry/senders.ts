// Owns: which sender stands behind a signal: the SDK's exporter, the console, or both. The SDK is loaded with the first
// thing that is sent, traces first: a worker begins to read before everything is loaded.
import { print, printGauges, printMeasurements } from './console-sender.ts'
import type { LogRecord } from './log-record.ts'
import type { MetricSender } from './metric-sender.ts'
import type { SignalSettings, TelemetrySettings } from './settings.ts'
import type { SendOutcome } from './signal.ts'
import type { SpanRecord } from './span-record.ts'

type Send<Batch> = (batch: Batch) => Promise<SendOutcome>

/** The signals that are on. */
export interface Senders {
  readonly traces?: Send<readonly SpanRecord[]>
  readonly logs?: Send<readonly LogRecord[]>
  readonly metrics?: MetricSender
}

/** Senders as the OTEL_* variables of this process (or worker) say. `onDiagnostic` gets what the SDK has to say. */
export function createSenders(
  { signals, temporality }: TelemetrySettings,
  onDiagnostic: (message: string) => void,
): Senders {
  const { traces, logs, metrics } = signals
  return {
    ...(traces && {
      traces: both(traces, print, async () => {
        const sender = (await loadSdk(onDiagnostic), await import('./span-sender.ts'))
        return sender.createSpanSender(traces.protocol)
      }),
    }),
    ...(logs && {
      logs: both(logs, print, async () => {
        const sender = (await loadSdk(onDiagnostic), await import('./log-sender.ts'))
        return sender.createLogSender(logs.protocol)
      }),
    }),
    ...(metrics && { metrics: metricSender(metrics, temporality, onDiagnostic) }),
  }
}

function metricSender(
  metrics: SignalSettings,
  temporality: TelemetrySettings['temporality'],
  onDiagnostic: (message: string) => void,
): MetricSender {
  let loading: Promise<MetricSender> | undefined
  const load = (): Promise<MetricSender> =>
    (loading ??= loadSdk(onDiagnostic)
      .then(() => import('./metric-sender.ts'))
      .then(({ createMetricSender }) => createMetricSender(metrics.protocol, temporality)))
  return {
    send: both(metrics, printMeasurements, async () => (await load()).send),
    sendGauges: both(metrics, printGauges, async () => (await load()).sendGauges),
  }
}

const loadSdk = (onDiagnostic: (message: string) => void): Promise<void> =>
  import('./sdk.ts').then(({ listenToSdk }) => listenToSdk(onDiagnostic))

/** Where both are asked for, the console shows what the receiver took. */
function both<Batch>(settings: SignalSettings, show: Send<Batch>, load: () => Promise<Send<Batch>>): Send<Batch> {
  if (!settings.exporters.includes('otlp')) return show
  let loading: Promise<Send<Batch>> | undefined
  return async (batch) => {
    let send: Send<Batch>
    try {
      send = await (loading ??= load())
    } catch (error) {
      return { kind: 'unavailable', message: String(error) }
    }
    const outcome = await send(batch)
    if (outcome.kind === 'accepted' && settings.exporters.includes('console')) await show(batch)
    return outcome
  }
}
