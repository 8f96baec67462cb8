// Owns: what a span is before any SDK sees it: plain data, a pure function of the journal.

export type AttributeValue = string | number | boolean | readonly string[]
export type Attributes = { [name: string]: AttributeValue }
export type SpanKind = 'SERVER' | 'INTERNAL' | 'CLIENT'
/** What a span stands for; not exported, readers of records use it. */
export type SpanSubject =
  | 'run'
  | 'branch'
  | 'node'
  | 'attempt'
  | 'agent'
  | 'chat'
  | 'tool'
  | 'check'
  | 'hook'
  | 'marker'

export interface SpanEvent {
  readonly name: string
  /** Epoch microseconds. */
  readonly atUs: number
  readonly attributes: Attributes
}

export interface SpanLink {
  readonly traceId: string
  readonly spanId: string
  readonly remote: boolean
  readonly attributes: Attributes
}

/** A finished span. Times are epoch microseconds (exact as numbers until the year 2255); `endUs` > `startUs`. */
export interface SpanRecord {
  readonly subject: SpanSubject
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  /** The parent is a span of whoever called us. */
  readonly parentIsRemote: boolean
  readonly traceState: string | undefined
  readonly name: string
  readonly kind: SpanKind
  readonly startUs: number
  readonly endUs: number
  readonly status: { readonly code: 'UNSET' } | { readonly code: 'ERROR'; readonly message: string }
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
  readonly droppedEvents: number
  readonly links: readonly SpanLink[]
}

/** A span that has not ended: the same, without end and status. */
export type OpenSpanRecord = Omit<SpanRecord, 'endUs' | 'status'> & {
  readonly endUs?: undefined
  readonly status?: undefined
}
