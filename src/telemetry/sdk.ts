// Owns: what all exporters of the OpenTelemetry SDK have in common here: resource, scope, one export awaited, what its
// outcome means. Loaded only where something is sent. No batch processors (they drop silently above their queue, and
// their flush does not wait), no resource detectors but the environment's (the others leak command lines and user names).
import { readFileSync } from 'node:fs'
import { diag, DiagLogLevel, type HrTime } from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  type Resource,
} from '@opentelemetry/resources'
import { ATTR, DEFAULT_SERVICE_NAME, SCOPE_NAME } from './names.ts'
import type { SendOutcome } from './signal.ts'

/** HTTP statuses that condemn the batch itself. All others may be mended by configuration or time. */
const REFUSED = new Set([400, 415, 422])
const TOO_LARGE = 413
/** Nothing listens at this path or to this method. */
const UNSUPPORTED = new Set([404, 405, 501])
/** The same as gRPC says it (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const GRPC = { invalidArgument: 3, resourceExhausted: 8, unimplemented: 12, last: 16 } as const

/** What the SDK's exporters of all signals and protocols look like. */
export interface SdkExporter<Batch> {
  export(batch: Batch, done: (result: { code: number; error?: Error }) => void): void
}

/** Sends one batch and says what became of it. Never throws. */
export function exportBatch<Batch>(exporter: SdkExporter<Batch>, batch: Batch): Promise<SendOutcome> {
  return new Promise((resolve) => {
    try {
      exporter.export(batch, ({ code, error }) => {
        // Said in the same turn, just before: with several exports under way it is this one's.
        const said = partial
        partial = undefined
        resolve(code === 0 ? partialOutcome(said) : outcomeOfError(error ?? new Error('export failed')))
      })
    } catch (thrown) {
      // Serialization of plain data failed: it will fail again.
      resolve({ kind: 'refused', message: String(thrown) })
    }
  })
}

function outcomeOfError(error: Error & { code?: unknown; data?: unknown }): SendOutcome {
  // gRPC's messages begin with the code.
  const named = error.message.startsWith(String(error.code)) ? '' : error.code
  const message = [named, error.message, typeof error.data === 'string' ? error.data.slice(0, 200) : '']
    .filter(Boolean)
    .join(' ')
  const { code } = error
  if (typeof code !== 'number') return { kind: 'unavailable', message }
  if (code <= GRPC.last) return { kind: grpcKind(code, error.message), message }
  if (code === TOO_LARGE) return { kind: 'too_large', message }
  if (UNSUPPORTED.has(code)) return { kind: 'unsupported', message }
  return { kind: REFUSED.has(code) ? 'refused' : 'unavailable', message }
}

function grpcKind(code: number, message: string): Exclude<SendOutcome['kind'], 'accepted'> {
  if (code === GRPC.invalidArgument) return 'refused'
  if (code === GRPC.unimplemented) return 'unsupported'
  return code === GRPC.resourceExhausted && /larger than/.test(message) ? 'too_large' : 'unavailable'
}

/** The fields in which the signals count what was refused (opentelemetry-proto, Export…PartialSuccess). */
const REJECTED_FIELDS = ['rejectedSpans', 'rejectedLogRecords', 'rejectedDataPoints'] as const

function partialOutcome(said: string | undefined): SendOutcome {
  if (said === undefined) return { kind: 'accepted', rejected: 0 }
  try {
    const partialSuccess = JSON.parse(said) as Record<string, unknown>
    const message = partialSuccess['errorMessage']
    return {
      kind: 'accepted',
      rejected: REJECTED_FIELDS.reduce((sum, field) => sum + (Number(partialSuccess[field] ?? 0) || 0), 0),
      message: typeof message === 'string' ? message.slice(0, 200) : '',
    }
  } catch {
    return { kind: 'accepted', rejected: 0, message: said.slice(0, 200) }
  }
}

/** The SDK reports partial success to its diagnostic logger only (otlp-exporter-base 0.301, logging-response-handler). */
let partial: string | undefined

/** `onDiagnostic` gets everything else that the SDK has to say. */
export function listenToSdk(onDiagnostic: (message: string) => void): void {
  const say = (message: string, ...rest: unknown[]): void => {
    if (message.startsWith('Received Partial Success')) partial = String(rest[0])
    else onDiagnostic([message, ...rest.map(String)].join(' ').slice(0, 1_000))
  }
  const quiet = (): void => {}
  diag.setLogger(
    { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}

/**
 * `service.*`, `telemetry.sdk.*` and what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say; nothing of the machine.
 * Who sends is a matter of metrics only: spans and log records are the same whoever sends them.
 */
export const sdkResource = (): Resource => (resource ??= makeResource())
let resource: Resource | undefined

function makeResource(): Resource {
  const { [ATTR.serviceInstanceId]: _, ...named } = detectResources({ detectors: [envDetector] }).attributes
  return defaultResource()
    .merge(resourceFromAttributes({ 'service.name': DEFAULT_SERVICE_NAME, 'service.version': packageVersion() }))
    .merge(resourceFromAttributes(named))
}

export const sdkScope = (): { name: string; version: string } =>
  (scope ??= { name: SCOPE_NAME, version: packageVersion() })
let scope: { name: string; version: string } | undefined

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Epoch microseconds as [seconds, nanoseconds]. */
export const hrTime = (us: number): HrTime => [Math.floor(us / 1_000_000), (us % 1_000_000) * 1_000]
