// Owns: the registry → the text of src/telemetry/names.ts and metric-names.ts, before formatting.
import type { Registry, Span } from './registry.ts'

const HEADER = (owns: string): string =>
  `// Generated from src/telemetry/registry/ by \`npm run registry\`; change it there.\n// ${owns}`

export function namesText(registry: Registry): string {
  const { manifest } = registry
  const attributes = registry.groups.flatMap(({ group, attributes: list }) => [
    `  // ${group.brief}`,
    ...list.flatMap(({ key, id, brief }) => (key === undefined ? [] : [...jsdoc(brief), `  ${key}: ${quoted(id)},`])),
  ])
  const members = registry.attributes.get('spanwright.link')?.type
  const links = typeof members === 'object' ? members.members : []
  return [
    HEADER('Owns: every telemetry name: spans, attributes, span events, link kinds. Nothing else spells them.'),
    `// Borrowed names: ${manifest.sources
      .filter(({ id }) => id !== 'own')
      .map(({ title, version }) => `${title} (${version})`)
      .join('; ')}.`,
    '',
    `export const SCOPE_NAME = ${quoted(manifest.scope_name)}`,
    `export const DEFAULT_SERVICE_NAME = ${quoted(manifest.default_service_name)}`,
    '/** Where task URLs lead unless `SPANWRIGHT_URL` says otherwise: the web page of `spanwright ui`. */',
    `export const DEFAULT_PAGE_URL = ${quoted(manifest.default_page_url)}`,
    '',
    '/** Span names. Low cardinality: never an id, a key or a number. */',
    'export const spanName = {',
    ...registry.spans.flatMap((span) => [...jsdoc(span.brief), `  ${span.key}: ${spanFunction(span)},`]),
    '} as const',
    '',
    'export const ATTR = {',
    ...attributes,
    '} as const',
    '',
    "/** Span events; each is also an OTLP log record with the span's ids. */",
    'export const SPAN_EVENT = {',
    ...registry.events.flatMap((event) => [...jsdoc(event.brief), `  ${event.key}: ${quoted(event.name)},`]),
    '} as const',
    '',
    '/** Values of `spanwright.link`. */',
    'export const LINK = {',
    ...links.flatMap((link) => [...jsdoc(link.brief ?? ''), `  ${link.id}: ${quoted(link.value)},`]),
    '} as const',
    '',
  ].join('\n')
}

export function metricNamesText(registry: Registry): string {
  return [
    HEADER('Owns: every metric: name, instrument, unit, buckets, attributes. Never an id of a run, attempt or branch.'),
    "import { ATTR } from './names.ts'",
    '',
    "export type Instrument = 'counter' | 'histogram' | 'gauge'",
    '',
    'export interface MetricSpec {',
    '  readonly name: string',
    '  readonly instrument: Instrument',
    '  /** UCUM; `{…}` is an annotation and no part of the Prometheus name. */',
    '  readonly unit: string',
    '  readonly description: string',
    '  /** Upper bounds of the buckets of a histogram. */',
    '  readonly boundaries?: readonly number[]',
    '  readonly attributes: readonly string[]',
    '}',
    '',
    ...Object.entries(registry.boundaries).flatMap(([name, { brief, bounds }]) => [
      `/** ${brief} */`,
      `const ${name.toUpperCase()} = [${bounds.map(numeral).join(', ')}]`,
    ]),
    '',
    'export const METRIC = {',
    ...registry.metrics.flatMap((metric) => [
      `  ${metric.key}: {`,
      `    name: ${quoted(metric.metric_name)},`,
      `    instrument: ${quoted(metric.instrument)},`,
      `    unit: ${quoted(metric.unit)},`,
      `    description: ${quoted(metric.brief)},`,
      ...(metric.boundaries === undefined ? [] : [`    boundaries: ${metric.boundaries.toUpperCase()},`]),
      `    attributes: [${metric.attributes.map(({ attribute }) => constantOf(attribute)).join(', ')}],`,
      '  },',
    ]),
    '} as const satisfies { readonly [key: string]: MetricSpec }',
    '',
    'export type MetricKey = keyof typeof METRIC',
    '',
  ].join('\n')
}

/** A function of the placeholders of the name. */
function spanFunction({ name, name_values: values }: Span): string {
  const parameters = Object.keys(values).map((parameter) => `${parameter}: string`)
  const only = /^\{(\w+)\}$/.exec(name)
  const body = only ? only[1]! : `\`${name.replaceAll('{', '${')}\``
  return `(${parameters.join(', ')}) => ${body}`
}

const constantOf = ({ key, id }: { readonly key?: string | undefined; readonly id: string }): string =>
  key === undefined ? quoted(id) : `ATTR.${key}`
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`
const numeral = (value: number): string =>
  value >= 1_000 ? String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_') : String(value)

/** A comment above a member, broken at the width of the code. */
function jsdoc(brief: string): string[] {
  if (brief.length <= 108) return [`  /** ${brief} */`]
  const lines = ['']
  for (const word of brief.split(' ')) {
    if (lines.at(-1)!.length + word.length > 112) lines.push(word)
    else lines[lines.length - 1] = `${lines.at(-1)!} ${word}`.trim()
  }
  return ['  /**', ...lines.map((line) => `   * ${line}`), '   */']
}
