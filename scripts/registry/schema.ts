// Owns: the form of the registry's YAML files. Unknown keys are errors, so that a misspelt one is not silently ignored.
import { z } from 'zod'

const text = z.string().min(1)
const identifier = z.string().regex(/^[a-z][a-zA-Z0-9]*$/)
const dotted = z.string().regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/)

const stability = z.enum(['stable', 'release_candidate', 'development'])
const cardinality = z.enum(['constant', 'low', 'bounded', 'high'])
const memberSchema = z.strictObject({ id: text, value: text, brief: text.optional() })
const typeSchema = z.union([
  z.enum(['string', 'int', 'double', 'boolean', 'string[]']),
  z.strictObject({ members: z.array(memberSchema).min(1) }),
])
const levelSchema = z.union([
  z.enum(['required', 'recommended', 'opt_in']),
  z.strictObject({ conditionally_required: text }),
])
const example = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])

export const attributeSchema = z.strictObject({
  id: dotted,
  /** Name of the constant in names.ts; without one there is none. */
  key: identifier.optional(),
  type: typeSchema,
  unit: text.optional(),
  cardinality,
  stability: stability.optional(),
  source: text.optional(),
  brief: text,
  note: text.optional(),
  examples: z.array(example).optional(),
  /** Resource attributes only. */
  requirement_level: levelSchema.optional(),
  /** Resource attributes: the signals that have it; all when absent. */
  signals: z.array(z.enum(['traces', 'logs', 'metrics'])).optional(),
})

const useSchema = z.strictObject({
  ref: dotted,
  requirement_level: levelSchema,
  /** Where a metric narrows the attribute's type. */
  type: typeSchema.optional(),
  /** `failed`: exactly on spans with status ERROR, and always on events. */
  condition: z.literal('failed').optional(),
  set_at: z.enum(['start', 'end']).optional(),
})

const group = { id: dotted, brief: text, note: text.optional() }
const named = { ...group, key: identifier, stability }

export const definitionGroup = z.strictObject({
  ...group,
  type: z.enum(['attribute_group', 'resource']),
  source: text,
  stability,
  attributes: z.array(attributeSchema).min(1),
})
export const useGroup = z.strictObject({
  ...group,
  type: z.literal('attribute_group'),
  attributes: z.array(useSchema).min(1),
})
export const spanGroup = z.strictObject({
  ...named,
  type: z.literal('span'),
  name: text,
  /** Placeholder → the attribute whose value, or last path segment, stands there; `span` = the name of another span. */
  name_values: z.record(identifier, z.string().regex(/^(last segment of )?[a-z_.]+$/)),
  /** The attribute, or `attribute=value`, that only this span has among those that come later in the file. */
  recognized_by: text,
  span_kind: z.enum(['server', 'client', 'internal']),
  parents: z.array(text).min(1),
  links: z.array(text).optional(),
  source: text,
  extends: z.array(dotted).optional(),
  attributes: z.array(useSchema),
})
export const eventGroup = z.strictObject({
  ...named,
  type: z.literal('event'),
  name: dotted,
  severity: z.enum(['info', 'warn', 'error']),
  spans: z.array(text).min(1),
  extends: z.array(dotted).optional(),
  attributes: z.array(useSchema),
})
export const metricGroup = z.strictObject({
  ...named,
  type: z.literal('metric'),
  metric_name: dotted,
  instrument: z.enum(['counter', 'histogram', 'gauge']),
  unit: text,
  /** Name of a list of bucket bounds; histograms only. */
  boundaries: identifier.optional(),
  source: text,
  produced_by: z.enum(['journal reader', 'live process']),
  attributes: z.array(useSchema),
})

const described = z.strictObject({ id: text, brief: text })
export const FILES = {
  manifest: z.strictObject({
    name: text,
    description: text,
    scope_name: text,
    default_service_name: text,
    default_page_url: z.url(),
    sources: z.array(
      z.strictObject({ id: text, title: text, version: text, url: z.url().optional(), note: text.optional() }),
    ),
    stabilities: z.array(described),
    cardinalities: z.array(described),
  }),
  attributes: z.strictObject({ groups: z.array(definitionGroup) }),
  spans: z.strictObject({ groups: z.array(z.discriminatedUnion('type', [useGroup, spanGroup])) }),
  events: z.strictObject({ groups: z.array(z.discriminatedUnion('type', [useGroup, eventGroup])) }),
  metrics: z.strictObject({
    boundaries: z.record(identifier, z.strictObject({ brief: text, bounds: z.array(z.number()).min(1) })),
    groups: z.array(metricGroup),
  }),
} as const
export type FileName = keyof typeof FILES
export type FileContent = { readonly [F in FileName]: z.infer<(typeof FILES)[F]> }
