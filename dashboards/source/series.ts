// Owns: how a metric and an attribute of the project are called in Prometheus. No dashboard spells such a name: a metric
// that is renamed in src/telemetry/metric-names.ts is renamed here, or does not compile.
import { METRIC, type MetricKey, type MetricSpec } from '../../src/telemetry/metric-names.ts'

type SpecOf<K extends MetricKey> = (typeof METRIC)[K]
type KeyOf<I extends MetricSpec['instrument']> = {
  [K in MetricKey]: SpecOf<K>['instrument'] extends I ? K : never
}[MetricKey]

export type CounterKey = KeyOf<'counter'>
export type HistogramKey = KeyOf<'histogram'>
export type GaugeKey = KeyOf<'gauge'>
/** Attributes that the metric has; anything else does not compile. */
export type AttributeOf<K extends MetricKey> = SpecOf<K>['attributes'][number]

const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: 'seconds', '1': 'ratio' }

/** The name under which OTLP makes a label of an attribute: every character that no label may have becomes `_`. */
export const labelOf = (attribute: string): string => attribute.replaceAll(/[^A-Za-z0-9_]/g, '_')

/**
 * Base name of the series of a metric, as Prometheus makes it from OTLP (UnderscoreEscapingWithSuffixes): dots become
 * `_`; the unit is a suffix unless the name has it as a word already; `{…}` is no unit; counters end in `_total`.
 * https://prometheus.io/docs/guides/opentelemetry/
 */
export function seriesOf(key: MetricKey): string {
  const spec: MetricSpec = METRIC[key]
  const name = labelOf(spec.name)
  const suffix = UNIT_SUFFIX[spec.unit]
  const withUnit = suffix === undefined || name.split('_').includes(suffix) ? name : `${name}_${suffix}`
  return spec.instrument === 'counter' ? `${withUnit}_total` : withUnit
}

export const hasAttribute = (key: MetricKey, attribute: string): boolean =>
  (METRIC[key] as MetricSpec).attributes.includes(attribute)
