// Owns: what must hold of every journal, whole or cut anywhere: I1, I2, I4, order of events, slots, one trace in which
// every span is sent once. Throws with the entry at fault.
import type { Entry, Event } from '../../src/core/events.ts'
import { ATTEMPT_KINDS, type NodeKind, type Pipeline } from '../../src/core/pipeline.ts'
import { createMeasurements } from '../../src/telemetry/measurements.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import {
  logRecordViolations,
  measurementViolations,
  parentViolations,
  recordViolations,
  refuse,
} from './telemetry-validator.ts'

export function checkInvariants(entries: readonly Entry[], pipeline: Pipeline): void {
  checkOrder(entries)
  checkAttempts(entries, pipeline.max_parallel)
  checkVisits(entries)
  checkBudgets(entries)
  checkTrace(entries)
  checkMetrics(entries)
}

const fail = (entry: Entry, message: string): never => {
  throw new Error(`entry ${entry.seq} (${entry.event.type}): ${message}`)
}

function checkOrder(entries: readonly Entry[]): void {
  let at = ''
  for (const [index, entry] of entries.entries()) {
    if (entry.seq !== index + 1) fail(entry, 'gap in seq')
    if (entry.at < at) fail(entry, 'time goes back')
    at = entry.at
  }
}

/** I4: one start, one end, nothing after the end, never more at once than there are slots; only of nodes that have attempts. */
function checkAttempts(entries: readonly Entry[], slots: number): void {
  const open = new Set<string>()
  /** An attempt that waited for a limit may go on over the bound. */
  const waited = new Set<string>()
  const ended = new Set<string>()
  let execution = 0
  for (const entry of entries) {
    const { event } = entry
    if (event.type === 'run.created' || event.type === 'run.resumed') {
      if (open.size > 0) fail(entry, `attempts were left open: ${[...open].join(', ')}`)
      if (event.execution !== execution + 1) fail(entry, 'executions are not counted on')
      execution = event.execution
    }
    if ((event.type === 'run.finished' || event.type === 'run.interrupted') && open.size > 0)
      fail(entry, `attempts are open at the end: ${[...open].join(', ')}`)
    if (!('attempt_id' in event) || event.attempt_id === undefined) continue
    const id = event.attempt_id as string
    if (event.type === 'attempt.started') {
      if (open.has(id) || ended.has(id)) fail(entry, `${id} started twice`)
      if (!ATTEMPT_KINDS.includes(event.kind as NodeKind)) fail(entry, `a ${event.kind} node has no attempts`)
      if (event.attempt > event.max) fail(entry, `${id} is beyond its maximum of ${event.max}`)
      open.add(id)
      if (open.size - waited.size > slots) fail(entry, `${open.size} attempts run at once, ${slots} are allowed`)
    } else if (event.type === 'attempt.finished' || event.type === 'attempt.lost') {
      if (!open.delete(id)) fail(entry, `${id} ended without being open`)
      waited.delete(id)
      ended.add(id)
    } else if (event.type === 'attempt.waiting' && open.has(id)) waited.add(id)
    else if (!open.has(id) && !afterEnd.has(event.type)) fail(entry, `${id} is not open`)
  }
}
const afterEnd = new Set<Event['type']>(['retry.scheduled', 'processes.ended', 'warning.raised'])

/** A visit starts once per execution and ends once; what it runs lies between. */
function checkVisits(entries: readonly Entry[]): void {
  const open = new Set<string>()
  const ended = new Set<string>()
  for (const entry of entries) {
    const { event } = entry
    if (event.type === 'run.resumed') open.clear()
    if (!('visit' in event) || event.visit === undefined || !('node' in event)) continue
    const id = `${event.node as string}@${event.visit as number}`
    if (event.type === 'node.started') {
      if (open.has(id)) fail(entry, `${id} started twice in one execution`)
      open.add(id)
      ended.delete(id)
    } else if (event.type === 'node.finished') {
      if (!open.delete(id)) fail(entry, `${id} finished without being open`)
      ended.add(id)
    } else if (event.type === 'node.skipped') {
      if (open.has(id) || ended.has(id)) fail(entry, `${id} skipped although it ran`)
      ended.add(id)
    } else if (event.type.startsWith('attempt.') || event.type === 'branch.started' || event.type === 'check.started') {
      if (!open.has(id)) fail(entry, `${id} is not open`)
    }
  }
}

/** Once an enforced budget is used up, no attempt starts that it would pay for. */
function checkBudgets(entries: readonly Entry[]): void {
  const usedUp = new Set<string>()
  for (const entry of entries) {
    const { event } = entry
    if (event.type === 'budget.exceeded' && event.mode === 'enforce') usedUp.add(event.scope.replace(/\/$/, ''))
    if (event.type !== 'attempt.started') continue
    for (const scope of usedUp)
      if (scope === '' || event.node === scope || [...':/@'].some((c) => event.node.startsWith(scope + c)))
        fail(entry, `${event.attempt_id} started although the budget of \`${scope}\` is used up`)
  }
}

/** Every span once, as the registry knows it, with a parent in the trace, none backwards. */
function checkTrace(entries: readonly Entry[]): void {
  const projection = createProjection()
  const spans = new Map<string, SpanRecord>()
  for (const entry of entries) {
    for (const span of projection.apply(entry)) {
      if (spans.has(span.spanId)) fail(entry, `span ${span.name} ${span.spanId} is sent twice`)
      spans.set(span.spanId, span)
      refuse(recordViolations(span), `entry ${entry.seq}`)
      if (!(span.endUs > span.startUs)) fail(entry, `span ${span.name} has no length`)
    }
    refuse(projection.logs.flatMap(logRecordViolations), `entry ${entry.seq}`)
  }
  const last = entries.at(-1)!
  if (last.event.type !== 'run.finished' && last.event.type !== 'run.interrupted') return
  for (const { parentSpanId: parent } of spans.values())
    if (parent !== undefined && !spans.has(parent)) fail(last, `a span has the parent ${parent}, which was never sent`)
  refuse(parentViolations([...spans.values()]), 'the trace')
}

/** Every number is of a metric of the registry. */
function checkMetrics(entries: readonly Entry[]): void {
  const measurements = createMeasurements()
  for (const entry of entries)
    refuse(measurements.apply(entry).flatMap(measurementViolations), `entry ${entry.seq} (${entry.event.type})`)
  const last = Date.parse(entries.at(-1)!.at) * 1_000
  refuse([...measurements.gauges(last), ...measurements.closing()].flatMap(measurementViolations), 'the gauges')
}
