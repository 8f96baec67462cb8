// Owns: the name of a metric in Prometheus, as its OTLP receiver makes it (UnderscoreEscapingWithSuffixes).

export interface SeriesSource {
  readonly name: string
  readonly unit: string
  readonly instrument: 'counter' | 'histogram' | 'gauge'
}

/** Without the suffixes of a histogram (`_bucket`, `_sum`, `_count`). */
export function prometheusName({ name, unit, instrument }: SeriesSource): string {
  const base = prometheusLabel(name)
  const words = [base]
  const suffix = unit === 's' ? 'seconds' : unit === '1' && instrument === 'gauge' ? 'ratio' : ''
  if (suffix !== '' && !base.split('_').includes(suffix)) words.push(suffix)
  if (instrument === 'counter') words.push('total')
  return words.join('_')
}

/** The label that an attribute becomes. */
export const prometheusLabel = (attribute: string): string => attribute.replaceAll(/[^a-zA-Z0-9]/g, '_')
