// Owns: the series that our metrics become in Prometheus (OTLP with UnderscoreEscapingWithSuffixes), for tests of
// dashboards and alert rules: a name or label that is not here is a mistake.
import { METRIC, type MetricSpec } from '../../src/telemetry/metric-names.ts'

export interface PrometheusSeries {
  /** Sorted; every series has `job` and `instance`. */
  readonly labels: readonly string[]
  readonly type: 'counter' | 'histogram' | 'gauge'
}

const OF_RESOURCE = ['job', 'instance']

/** Concrete series names, as `spanwright_attempt_duration_seconds_bucket`, → their labels. */
export function prometheusSeries(): ReadonlyMap<string, PrometheusSeries> {
  const series = new Map<string, PrometheusSeries>()
  for (const metric of Object.values<MetricSpec>(METRIC)) {
    const labels = [...metric.attributes.map(escaped), ...OF_RESOURCE]
    const add = (suffix: string, more: readonly string[] = []): void => {
      series.set(`${prometheusName(metric)}${suffix}`, { labels: [...labels, ...more].sort(), type: metric.instrument })
    }
    if (metric.instrument !== 'histogram') add('')
    else {
      add('_bucket', ['le'])
      add('_sum')
      add('_count')
    }
  }
  return series
}

/** Name of a metric without the suffixes of a histogram. */
export function prometheusName({ name, unit, instrument }: Pick<MetricSpec, 'name' | 'unit' | 'instrument'>): string {
  const words = [escaped(name)]
  const suffix = unit === 's' ? 'seconds' : unit === '1' && instrument === 'gauge' ? 'ratio' : ''
  if (suffix !== '' && !words[0]!.split('_').includes(suffix)) words.push(suffix)
  if (instrument === 'counter') words.push('total')
  return words.join('_')
}

const escaped = (name: string): string => name.replaceAll(/[^a-zA-Z0-9]/g, '_')
