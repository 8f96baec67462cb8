// Owns: measurements → data points, aggregated by the SDK; times are given, never taken from a clock, so that a batch
// that is put together again has the same bytes.
import { ValueType, type Attributes } from '@opentelemetry/api'
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  MetricReader,
  type DataPoint,
  type MetricData,
} from '@opentelemetry/sdk-metrics'
import type { Measurement } from './measurement.ts'
import { METRIC, type MetricKey, type MetricSpec } from './metric-names.ts'
import type { GaugeBatch, MetricBatch } from './metric-points.ts'
import { hrTime } from './sdk.ts'

export type Temporality = 'delta' | 'cumulative'
export type Aggregate = (batch: MetricBatch) => Promise<MetricData[]>

/** Delta: every batch stands for itself. Cumulative: a batch also holds what this process sent before. */
export function createAggregation(temporality: Temporality): Aggregate {
  if (temporality === 'delta') return async (batch) => retimed(await new Aggregation('delta').collect(batch), batch)
  const all = new Aggregation('cumulative')
  let last: { of: Measurement | undefined; data: MetricData[] } | undefined
  let startUs: number | undefined
  return async (batch) => {
    startUs ??= batch.startUs
    const of = batch.measurements.at(-1)
    // A batch that was not accepted comes again, and is in the sum already.
    if (last === undefined || last.of !== of) last = { of, data: await all.collect(batch) }
    return retimed(last.data, { ...batch, startUs })
  }
}

/** The SDK folds what is beyond its limit of attribute sets (2,000) into one point: with us the batch is the limit. */
const NO_LIMIT = 1_000_000

class Aggregation {
  private readonly reader: OnDemandReader
  private readonly meter
  private readonly instruments = new Map<MetricKey, (value: number, attributes: Attributes) => void>()

  constructor(temporality: Temporality) {
    this.reader = new OnDemandReader({
      aggregationTemporalitySelector: () =>
        temporality === 'delta' ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
      cardinalitySelector: () => NO_LIMIT,
    })
    this.meter = new MeterProvider({ readers: [this.reader] }).getMeter('spanwright')
  }

  async collect({ measurements }: MetricBatch): Promise<MetricData[]> {
    for (const { metric, value, attributes } of measurements) this.instrument(metric)(value, attributes)
    const { resourceMetrics, errors } = await this.reader.collect()
    if (errors.length > 0) throw errors[0]
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
  }

  private instrument(key: MetricKey): (value: number, attributes: Attributes) => void {
    const known = this.instruments.get(key)
    if (known) return known
    const { name, instrument, unit, description, boundaries }: MetricSpec = METRIC[key]
    const options = { unit, description, ...(boundaries && { advice: { explicitBucketBoundaries: [...boundaries] } }) }
    let record: (value: number, attributes: Attributes) => void
    if (instrument === 'histogram') {
      const histogram = this.meter.createHistogram(name, options)
      record = (value, attributes) => histogram.record(value, attributes)
    } else {
      const counter = this.meter.createCounter(name, options)
      record = (value, attributes) => counter.add(value, attributes)
    }
    this.instruments.set(key, record)
    return record
  }
}

class OnDemandReader extends MetricReader {
  protected async onShutdown(): Promise<void> {}
  protected async onForceFlush(): Promise<void> {}
}

function retimed(data: readonly MetricData[], { startUs, timeUs }: { startUs: number; timeUs: number }): MetricData[] {
  const times = { startTime: hrTime(startUs), endTime: hrTime(timeUs) }
  return data.map(
    (metric) =>
      ({
        ...metric,
        dataPoints: (metric.dataPoints as DataPoint<unknown>[]).map((point) => ({ ...point, ...times })),
      }) as MetricData,
  )
}

/**
 * What a moment shows. Put together here and not by instruments of the SDK: those go on showing attribute sets that
 * nobody reports any more (reference: sdk-metrics 3.1, sticky gauges).
 */
export function gaugeData({ gauges, increments, startUs, timeUs }: GaugeBatch): MetricData[] {
  const times = { startTime: hrTime(startUs), endTime: hrTime(timeUs) }
  const points = (of: readonly Measurement[]): DataPoint<number>[] =>
    of.map(({ value, attributes }) => ({ ...times, value, attributes: attributes as Attributes }))
  const byMetric = (of: readonly Measurement[]): [MetricKey, Measurement[]][] => {
    const groups = new Map<MetricKey, Measurement[]>()
    for (const each of of) groups.set(each.metric, [...(groups.get(each.metric) ?? []), each])
    return [...groups]
  }
  return [
    ...byMetric(gauges).map(([key, of]): MetricData => ({
      descriptor: descriptorOf(key),
      aggregationTemporality: AggregationTemporality.DELTA,
      dataPointType: DataPointType.GAUGE,
      dataPoints: points(of),
    })),
    ...byMetric(increments).map(([key, of]): MetricData => ({
      descriptor: descriptorOf(key),
      aggregationTemporality: AggregationTemporality.DELTA,
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: points(of),
    })),
  ]
}

function descriptorOf(key: MetricKey): MetricData['descriptor'] {
  const { name, unit, description } = METRIC[key]
  return { name, unit, description, valueType: ValueType.DOUBLE }
}
