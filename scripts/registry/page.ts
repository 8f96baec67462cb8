// Owns: the registry → docs/telemetry.md: everything that is sent, as tables for readers.
import { prometheusName, type SeriesSource } from './prometheus-name.ts'
import {
  membersOf,
  type Attribute,
  type AttributeType,
  type AttributeUse,
  type Level,
  type Metric,
  type Registry,
  type Span,
  type SpanEvent,
} from './registry.ts'

export function pageText(registry: Registry): string {
  const sections = [
    intro(registry),
    spanSections(registry),
    sharedSection(registry),
    eventSection(registry),
    linkSection(registry),
    metricSection(registry),
    resourceSection(registry),
    attributeSection(registry),
    sourceSection(registry),
    changeSection(),
  ]
  return `${sections.map((lines) => lines.join('\n').trim()).join('\n\n')}\n`
}

const intro = ({ manifest }: Registry): string[] => [
  '# Telemetry',
  '',
  '<!-- Generated from src/telemetry/registry/ by `npm run registry`; change it there. -->',
  '',
  `${manifest.description} One reader of the journal makes all of it, off the main thread, with ids and times from the journal. What is sent where, and when, is in [Traces](traces.md).`,
  '',
  'Each attribute has a **cardinality**:',
  '',
  ...manifest.cardinalities.map(({ id, brief }) => `- \`${id}\`: ${brief}`),
  '',
  'and each name a **stability**:',
  '',
  ...manifest.stabilities.map(({ id, brief }) => `- \`${id}\`: ${brief}`),
  '',
  'Levels: *required* = always there; *if …* = there exactly then; *at the end* = known only when the span ends, so it is not on the marker.',
]

/** From the run down. */
const ORDER = ['run', 'branch', 'node', 'attempt', 'agent', 'chat', 'tool', 'check', 'hook', 'marker']
const byParent = (a: Span, b: Span): number => ORDER.indexOf(a.key) - ORDER.indexOf(b.key)

const spanSections = ({ spans }: Registry): string[] => {
  const sorted = [...spans].sort(byParent)
  return [
    '## Spans',
    '',
    ...table(
      ['span', 'name', 'kind', 'parent', 'links'],
      sorted.map((span) => [
        `[${span.key}](#${span.key}-span)`,
        code(span.name),
        span.span_kind.toUpperCase(),
        span.parents.map((parent) => PARENTS[parent] ?? parent).join(', '),
        (span.links ?? []).map(code).join(', '),
      ]),
    ),
    '',
    'Every span is at least 1 µs long. Its status is ERROR exactly when its result is `failure`, `error` or `timeout`, else there is none. What groups of attributes stand for is told [below](#groups-of-attributes).',
    '',
    ...sorted.flatMap(spanSection),
  ]
}
const PARENTS: { readonly [parent: string]: string } = { inbound: "the caller's span", none: 'none' }

const sharedSection = ({ shared, log }: Registry): string[] => [
  '## Groups of attributes',
  '',
  ...shared
    .filter(({ attributes }) => attributes !== log)
    .flatMap(({ id, brief, attributes }) => [`### ${capital(groupName(id))}`, '', brief, '', ...uses(attributes), '']),
]
const groupName = (id: string): string => id.replace('attributes.', '')
const groupLinks = ({ extends: groups }: Pick<Span, 'extends'>): string[] =>
  groups.length === 0 ? [] : ['', `Groups: ${groups.map((id) => `[${groupName(id)}](#${groupName(id)})`).join(', ')}.`]

const spanSection = (span: Span): string[] => [
  `### ${capital(span.key)} span`,
  '',
  span.brief,
  ...(span.note === undefined ? [] : ['', span.note]),
  '',
  ...Object.entries(span.name_values).map(([placeholder, from]) => `\`{${placeholder}}\` is the ${placeOf(from)}.`),
  ...groupLinks(span),
  '',
  ...uses(span.own),
  '',
]

const placeOf = (from: string): string =>
  from === 'span'
    ? 'name of the span that it announces'
    : `${from.startsWith('last segment') ? 'last segment' : 'value'} of ${code(from.replace('last segment of ', ''))}`

const eventSection = ({ events, log }: Registry): string[] => [
  '## Span events and log records',
  '',
  'Each event is on its span and, with the ids of the span, an OTLP log record: its event name is that of the span event, its body a sentence. On a span that has no room left (128 events) only the log record tells it.',
  '',
  ...table(
    ['event', 'severity', 'on', 'meaning'],
    events.map((event) => [
      `[\`${event.name}\`](#${anchor(event.name)})`,
      event.severity.toUpperCase(),
      event.spans.join(', '),
      event.brief,
    ]),
  ),
  '',
  'Every log record also has the following, from its span:',
  '',
  ...uses(log),
  '',
  ...events.flatMap((event: SpanEvent) => [
    `### ${event.name}`,
    '',
    event.brief,
    ...groupLinks(event),
    '',
    ...uses(event.own),
    '',
  ]),
]

const linkSection = ({ attributes }: Registry): string[] => [
  '## Links',
  '',
  'Every link carries `spanwright.link`:',
  '',
  ...members(attributes.get('spanwright.link')!),
]

const metricSection = ({ metrics, boundaries }: Registry): string[] => [
  '## Metrics',
  '',
  'Counters and histograms are made of the journal and sent as **deltas**, each increment once; the collector hands them to Prometheus so that a series reads 0, 3, 0, 5: every sample after a zero is one delivery. Sum them over time and never ask for a rate: `sum by (cicd_pipeline_name) (sum_over_time(spanwright_attempts_total[1h]))`. Gauges are pushed by the live process every 10 s, and once more at its end.',
  '',
  ...table(
    ['metric', 'in Prometheus', 'instrument', 'unit', 'meaning'],
    metrics.map((metric) => [
      code(metric.metric_name),
      seriesOf(metric),
      metric.instrument,
      code(metric.unit),
      metric.brief,
    ]),
  ),
  '',
  'Attributes, which in Prometheus are labels with `_` for every other character (beside `job`, the service name, and `instance`, the service instance):',
  '',
  ...table(
    ['metric', 'attributes', 'buckets', 'produced by', 'stability', 'source'],
    metrics.map((metric) => [
      code(metric.metric_name),
      metric.attributes.map(metricUse).join(', ') || 'none',
      metric.boundaries ?? '',
      metric.produced_by,
      metric.stability,
      metric.source,
    ]),
  ),
  '',
  ...Object.entries(boundaries).map(
    ([name, { brief, bounds }]) => `- Buckets of *${name}*: ${brief} ${bounds.map(String).join(', ')}.`,
  ),
]

const seriesOf = (metric: Metric): string => {
  const name = prometheusName({ ...metric, name: metric.metric_name } satisfies SeriesSource)
  return metric.instrument === 'histogram' ? `\`${name}_bucket\`, \`_sum\`, \`_count\`` : code(name)
}
const metricUse = ({ attribute, type, level }: AttributeUse): string =>
  `\`${attribute.id}\`${type === attribute.type ? '' : ` (${membersOf({ type }).join(', ')})`}${level === 'required' ? '' : ` (${levelOf(level)})`}`

const resourceSection = ({ resource, groups }: Registry): string[] => [
  '## Resource',
  '',
  `${groups.find(({ group }) => group.type === 'resource')!.group.brief} OTEL_RESOURCE_ATTRIBUTES adds to it.`,
  '',
  ...table(
    ['attribute', 'level', 'meaning', 'example'],
    resource.map(({ id, requirement_level: level, brief, examples }) => [
      code(id),
      levelOf(level ?? 'required'),
      brief,
      exampleOf(examples),
    ]),
  ),
]

const attributeSection = ({ groups }: Registry): string[] => [
  '## Attributes',
  '',
  ...groups
    .filter(({ group }) => group.type === 'attribute_group')
    .flatMap(({ group, attributes }) => [
      `### ${group.id.replace('registry.', '')} attributes`,
      '',
      `${group.brief} Source: ${group.source}; ${group.stability}.`,
      '',
      ...table(
        ['attribute', 'type', 'cardinality', 'meaning', 'example'],
        attributes.map(({ id, type, unit, cardinality, brief, note, examples }) => [
          code(id),
          `${typeOf(type)}${unit === undefined ? '' : `, ${code(unit)}`}`,
          cardinality,
          note === undefined ? brief : `${brief} ${note}`,
          exampleOf(examples),
        ]),
      ),
      '',
      ...attributes
        .filter(isOwnList)
        .flatMap((attribute) => [`Values of \`${attribute.id}\`:`, '', ...members(attribute), '']),
    ]),
]

/** Whether its values are told with it; codes and results are told once. */
const isOwnList = ({ id, type }: Attribute): boolean =>
  typeof type === 'object' &&
  (!SHARED.includes(type.members[0]!.value) || id === 'error.type' || id === 'cicd.pipeline.result')
const SHARED = ['exit_nonzero', 'success']

const sourceSection = ({ manifest }: Registry): string[] => [
  '## Where the names come from',
  '',
  ...table(
    ['source', 'what', 'version', 'about it'],
    manifest.sources.map(({ id, title, version, url, note }) => [
      code(id),
      url === undefined ? title : `[${title}](${url})`,
      version,
      note ?? '',
    ]),
  ),
]

const changeSection = (): string[] => [
  '## How names change',
  '',
  'The registry is the YAML in `src/telemetry/registry/`, in the `groups:` form of OpenTelemetry Weaver. `npm run registry` writes the constants and this page from it; a test fails when they are stale, and another when anything is sent that the registry does not know. To add a name: write it there with its type, cardinality and meaning, run `npm run registry`, use the constant.',
  '',
  'A rename of a stable name needs a new major version. A rename of a borrowed one follows its source, in one release, with an entry in the changelog that gives the query for both names. Dashboards and alert rules are checked against the registry, so a renamed metric fails the build until they follow.',
]

const uses = (list: readonly AttributeUse[]): string[] =>
  list.length === 0
    ? ['No attributes of its own.']
    : table(
        ['attribute', 'level', 'meaning'],
        list.map(({ attribute, level, atEnd }) => [
          code(attribute.id),
          `${levelOf(level)}${atEnd ? ', at the end' : ''}`,
          attribute.brief,
        ]),
      )

const levelOf = (level: Level): string =>
  typeof level === 'string'
    ? level.replace('_', '-')
    : `if ${level.conditionally_required}`.replace(/^if (on|never) /, '$1 ')
const typeOf = (type: AttributeType): string => (typeof type === 'object' ? 'enum' : type)
const exampleOf = (examples: Attribute['examples']): string =>
  (examples ?? [])
    .filter((example) => example !== '')
    .map((example) => code(String(example)))
    .join(', ')
const members = ({ type }: Attribute): string[] =>
  typeof type === 'object'
    ? table(
        ['value', 'meaning'],
        type.members.map(({ value, brief }) => [code(value), brief ?? '']),
      )
    : []

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`),
]
const code = (text: string): string => `\`${text}\``
const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')
