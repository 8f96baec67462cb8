// Owns: making a span of the run the active one while a user's function runs, so that spans of the user's own SDK nest
// under it. Uses the API only; without an SDK it does nothing. The API is loaded when the first function runs.
import type * as Api from '@opentelemetry/api'
import type { Place } from '../core/commands.ts'

let api: typeof Api | undefined
let loading: Promise<void> | undefined

/** Undefined once the API is there; before that a promise to wait for. */
export function loadSpanContext(): Promise<void> | undefined {
  if (api) return undefined
  loading ??= import('@opentelemetry/api').then((loaded) => {
    api = loaded
  })
  return loading
}

/** Calls the function with the place's span as the active one. */
export function withSpan<T>(place: Place, call: () => T): T {
  if (!api) return call()
  const span = {
    traceId: place.trace_id,
    spanId: place.span_id,
    traceFlags: place.sampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE,
    // It is recorded by another part, never by the user's SDK: for that one it is a remote parent.
    isRemote: true,
    ...(place.trace_state ? { traceState: api.createTraceState(place.trace_state) } : {}),
  }
  let active = api.trace.setSpanContext(api.ROOT_CONTEXT, span)
  if (place.baggage) active = api.propagation.setBaggage(active, baggageOf(place.baggage, api))
  return api.context.with(active, call)
}

/** W3C Baggage header → baggage; what is malformed in it is left out. */
function baggageOf(header: string, { propagation, baggageEntryMetadataFromString }: typeof Api): Api.Baggage {
  const entries: Record<string, Api.BaggageEntry> = {}
  for (const member of header.split(',')) {
    const [pair = '', ...metadata] = member.split(';')
    const at = pair.indexOf('=')
    if (at < 1) continue
    try {
      entries[pair.slice(0, at).trim()] = {
        value: decodeURIComponent(pair.slice(at + 1).trim()),
        ...(metadata.length > 0 ? { metadata: baggageEntryMetadataFromString(metadata.join(';')) } : {}),
      }
    } catch {
      continue
    }
  }
  return propagation.createBaggage(entries)
}
