// Owns: OTEL_…_EXPORTER=console: one JSON line for each thing on stderr (stdout is for results).
import { writeSync } from 'node:fs'
import { METRIC } from './metric-names.ts'
import type { GaugeBatch, MetricBatch } from './metric-points.ts'
import type { Measurement } from './measurement.ts'
import type { SendOutcome } from './signal.ts'

const STDERR = 2

/** Prints; an stderr that is closed is a receiver that is away. */
export async function print(items: readonly object[]): Promise<SendOutcome> {
  try {
    writeSync(STDERR, items.map((item) => `${JSON.stringify(item)}\n`).join(''))
    return { kind: 'accepted', rejected: 0 }
  } catch (error) {
    return { kind: 'unavailable', message: String(error) }
  }
}

export const printMeasurements = ({ measurements, ...rest }: MetricBatch): Promise<SendOutcome> =>
  print(measurements.map((each) => toLine(each, rest)))

export const printGauges = ({ gauges, increments, ...rest }: GaugeBatch): Promise<SendOutcome> =>
  print([...gauges, ...increments].map((each) => toLine(each, rest)))

function toLine({ metric, value, attributes }: Measurement, at: { timeUs: number; instance: string }): object {
  const { name, instrument, unit } = METRIC[metric]
  return { name, instrument, unit, value, attributes, timeUs: at.timeUs, instance: at.instance }
}
