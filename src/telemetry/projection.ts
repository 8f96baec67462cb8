// Owns: journal entries → finished spans and log records, pure: the same entries give the same, byte for byte, in every
// process.
// No clock (markers get theirs as an argument), no I/O, no SDK.
import type { Entry, Event } from '../core/events.ts'
import { hash64 } from '../core/hash.ts'
import { fromTimestamp } from '../core/time.ts'
import type { LogRecord } from './log-record.ts'
import { ATTR, DEFAULT_PAGE_URL, spanName } from './names.ts'
import { RunSpans, type OpenSpan } from './run-spans.ts'
import { SPAN_ROWS } from './span-rows.ts'
import type { OpenSpanRecord, SpanRecord } from './span-record.ts'

/** An attempt gets its marker when it is still open after this long; the run gets it at once. */
const ATTEMPT_MARKER_US = 1_000_000
const MARKER_LENGTH_US = 1_000

export interface ProjectionOptions {
  /** Base of `cicd.pipeline.task.run.url.full` (`SPANWRIGHT_URL`). */
  readonly pageUrl?: string | undefined
  /** Whether `markersDue` will be asked (a live run); otherwise nothing is kept for it. */
  readonly markers?: boolean | undefined
}

export interface Projection {
  /** The spans that ended with this entry, in order, children before parents. O(1) but for what it ends. */
  apply(entry: Entry): SpanRecord[]
  /** The log records of the entry applied last: one for each span event, also for one that the span has no room for. */
  readonly logs: readonly LogRecord[]
  /** The spans that have not ended, parents first. */
  open(): OpenSpanRecord[]
  readonly openCount: number
  /**
   * Markers of spans that are open at `nowUs` (epoch µs), each once. They say in a trace store that something runs:
   * its own span arrives only at its end. They have no place in the order of the other spans.
   */
  markersDue(nowUs: number): SpanRecord[]
}

type AnyRow = (spans: RunSpans, event: Event, atUs: number) => void
const ROWS = SPAN_ROWS as unknown as { readonly [type: string]: AnyRow | null | undefined }

export function createProjection(options: ProjectionOptions = {}): Projection {
  const spans = new RunSpans({ pageUrl: options.pageUrl ?? DEFAULT_PAGE_URL, markers: options.markers ?? false })
  return {
    apply(entry) {
      spans.ended = []
      spans.logs = []
      // A journal of a later version may hold events that this one does not know.
      const row = ROWS[entry.event.type]
      row?.(spans, entry.event, toMicros(entry.at))
      return spans.ended
    },
    get logs() {
      return spans.logs
    },
    open: () => spans.openRecords(),
    get openCount() {
      return spans.size
    },
    markersDue: (nowUs) => spans.takeForMarkers(nowUs, markerDelayUs).map(toMarker),
  }
}

/** Epoch microseconds of a journal time. */
const toMicros = (at: string): number => Math.round(fromTimestamp(at) * 1_000)

const markerDelayUs = (span: OpenSpan): number => (span.opening.subject === 'run' ? 0 : ATTEMPT_MARKER_US)

function toMarker(span: OpenSpanRecord): SpanRecord {
  return {
    ...span,
    subject: 'marker',
    spanId: hash64(`${span.spanId} started`),
    parentSpanId: span.spanId,
    parentIsRemote: false,
    name: spanName.marker(span.name),
    kind: 'INTERNAL',
    endUs: span.startUs + MARKER_LENGTH_US,
    status: { code: 'UNSET' },
    attributes: { ...span.attributes, [ATTR.marker]: 'started' },
    events: [],
    droppedEvents: 0,
    links: [],
  }
}
