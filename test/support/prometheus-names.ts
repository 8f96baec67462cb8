// Owns: the series that our metrics become in Prometheus (OTLP with UnderscoreEscapingWithSuffixes), for tests of
// dashboards and alert rules: a name or label that is not here is a mistake.
import { prometheusLabel, prometheusName } from '../../scripts/registry/prometheus-name.ts'
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
    const labels = [...metric.attributes.map(prometheusLabel), ...OF_RESOURCE]
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
