// Receivers and environments for tests of delivery, and sums over what receivers got.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { createMeasurements } from '../../src/telemetry/measurements.ts'
import { METRIC } from '../../src/telemetry/metric-names.ts'
import { pointsOf, startSink, type Sink, type SinkPoint, type SinkRequest } from '../support/otlp-sink.ts'
import type { Allowance } from '../support/telemetry-validator.ts'

/** A receiver that is closed at the end of the test; what the registry does not know fails it. */
export async function sinkForTest(port = 0, allow: Allowance = {}): Promise<Sink> {
  const sink = await startSink(port, allow)
  onTestFinished(() => sink.close())
  return sink
}

/** A port that nobody listens at. */
export async function closedPort(): Promise<number> {
  const sink = await startSink()
  await sink.close()
  return sink.port
}

/** A directory of its own for the slots of instances. */
export function runtimeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'spanwright-slots-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(join(directory, 'spanwright'), { mode: 0o700 })
  return directory
}

/** Numbers of counters and histograms by name and attributes; of histograms the sum and the count. */
export type Totals = Record<string, number>

export function totalsOf(points: readonly SinkPoint[]): Totals {
  const totals: Totals = {}
  for (const { name, type, value, count, attrs } of points) {
    if (type === 'gauge' || name === METRIC.telemetryRefused.name) continue
    add(totals, keyOf(name, attrs), value)
    if (type === 'histogram') add(totals, `${keyOf(name, attrs)} count`, count!)
  }
  return rounded(totals)
}

export function expectedTotals(entries: readonly Entry[]): Totals {
  const totals: Totals = {}
  const measurements = createMeasurements()
  for (const { metric, value, attributes } of entries.flatMap((entry) => measurements.apply(entry))) {
    const { name, instrument } = METRIC[metric]
    add(totals, keyOf(name, attributes), value)
    if (instrument === 'histogram') add(totals, `${keyOf(name, attributes)} count`, 1)
  }
  return rounded(totals)
}

const keyOf = (name: string, attributes: object): string =>
  `${name} ${JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)))}`
const add = (totals: Totals, key: string, value: number): void => void (totals[key] = (totals[key] ?? 0) + value)
/** To the sixth decimal. */
const rounded = (totals: Totals): Totals =>
  Object.fromEntries(Object.entries(totals).map(([key, value]) => [key, Math.round(value * 1e6) / 1e6]))

/** Whether a request carries what is counted, not what is so at a moment. */
export const isCounted = (request: Pick<SinkRequest, 'signal' | 'body' | 'headers'>): boolean =>
  request.signal === 'metrics' &&
  pointsOf(request).some(({ type, name }) => type !== 'gauge' && name !== METRIC.telemetryRefused.name)
export const countedIn = (sink: Sink): SinkRequest[] => sink.requests.filter(isCounted)

export const gaugesOf = (sink: Sink, name: string): SinkPoint[] =>
  sink.points.filter((point) => point.type === 'gauge' && point.name === name)
