// Owns: the comparison of a trace as a real Jaeger gives it with the journal it comes from: every span of the journal,
// each once, with its name, times, parent, result and links, and nothing that Jaeger complains about.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import type { Entry } from '../../../src/core/events.ts'
import { createProjection } from '../../../src/telemetry/projection.ts'
import type { SpanRecord } from '../../../src/telemetry/span-record.ts'
import { latestRun } from '../../support/run-record.ts'
import type { JaegerClient, JaegerSpan, JaegerTrace } from './jaeger-client.ts'
import type { Deadline } from './until.ts'

const MARKER = 'spanwright.marker'
/** Not a marker. */
export const isWork = ({ tags }: JaegerSpan): boolean => tags[MARKER] === undefined

/** Spans that the journal of the latest run in `cwd` makes, in the order of their ends. */
export function spansOfJournal(cwd: string): SpanRecord[] {
  const lines = readFileSync(path.join(latestRun(cwd), 'journal.ndjson'), 'utf8')
    .split('\n')
    .slice(0, -1)
  const projection = createProjection()
  return lines.flatMap((line) => projection.apply(JSON.parse(line) as Entry))
}

/** Waits until Jaeger has the whole trace of the latest run, and compares. `inbound`: a parent that is not ours. */
export async function expectWholeTrace(
  jaeger: JaegerClient,
  cwd: string,
  { inbound, ...deadline }: Deadline & { readonly inbound?: string } = {},
): Promise<JaegerTrace> {
  const spans = spansOfJournal(cwd)
  expect(spans.length).toBeGreaterThan(0)
  const wanted = new Set(spans.map(({ spanId }) => spanId))
  const trace = await jaeger.untilTrace(
    spans[0]!.traceId,
    (seen) => new Set(seen.spans.map(({ spanId }) => spanId)).isSupersetOf(wanted),
    { withinMs: 60_000, ...deadline },
  )
  const own = trace.spans.filter(isWork)
  expect(own.map(({ spanId }) => spanId).toSorted()).toEqual(spans.map(({ spanId }) => spanId).toSorted())
  const seen = new Map(own.map((span) => [span.spanId, span]))
  for (const span of spans) expect(shownOf(seen.get(span.spanId)!, span)).toEqual(wantedOf(span))
  const ids = new Set(trace.spans.map(({ spanId }) => spanId))
  const orphans = trace.spans.filter(
    ({ parentId }) => parentId !== undefined && parentId !== inbound && !ids.has(parentId),
  )
  expect(orphans.map(({ name }) => name)).toEqual([])
  expect([
    ...trace.warnings,
    ...trace.spans.flatMap(({ name, warnings }) => warnings.map((w) => `${name}: ${w}`)),
  ]).toEqual([])
  return trace
}

const RESULTS = ['cicd.pipeline.result', 'cicd.pipeline.task.run.result', 'error.type'] as const

function wantedOf(span: SpanRecord): object {
  return {
    name: span.name,
    parentId: span.parentSpanId,
    startUs: span.startUs,
    durationUs: span.endUs - span.startUs,
    results: RESULTS.map((name) => span.attributes[name]),
    error: span.status.code === 'ERROR' ? true : undefined,
    events: span.events.map(({ name }) => name),
    links: span.links.map(({ spanId }) => spanId).toSorted(),
  }
}

/** Where a link leads to the parent, Jaeger keeps one reference for both and calls it a link; its page nests by either. */
function shownOf(span: JaegerSpan, wanted: SpanRecord): object {
  const linked = span.links.some(({ spanId }) => spanId === wanted.parentSpanId)
  return {
    name: span.name,
    parentId: span.parentId ?? (linked ? wanted.parentSpanId : undefined),
    startUs: span.startUs,
    durationUs: span.durationUs,
    results: RESULTS.map((name) => span.tags[name]),
    error: span.tags['error'],
    events: span.events.map(({ fields }) => fields['event']),
    links: span.links.map(({ spanId }) => spanId).toSorted(),
  }
}
