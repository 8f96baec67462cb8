// Owns: the values that several events share: sums, counts, who did something, the caller's trace context.
import { z } from 'zod'
import { failureSchema, RESULTS } from './failure.ts'
import type { Json, JsonObject } from './json.ts'

export const json = z.json() as unknown as z.ZodType<Json>
export const values = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>
export const result = z.enum(RESULTS)
export const branch = z.looseObject({ key: z.string(), index: z.number() })
export const span = { span_id: z.string(), parent_span_id: z.string().optional() }
/** Which visit of which node. `node` is its path. */
export const visit = { node: z.string(), visit: z.number() }
export const attempt = { ...visit, attempt: z.number(), attempt_id: z.string() }

export const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.looseObject({ type: z.literal(type), ...shape })

/** Sums over all attempts below (final, over all executions). */
export const rollupSchema = z.looseObject({
  attempts: z.number(),
  retries: z.number(),
  tokens: z.looseObject({
    input: z.number(),
    cache_read: z.number(),
    cache_write: z.number(),
    output: z.number(),
    reasoning: z.number(),
  }),
  cost_usd: z.number(),
  /** Attempts with usage and no known price. */
  cost_unpriced: z.number(),
})
export type Rollup = z.infer<typeof rollupSchema>

/** Direct children: nodes of a scope, or branches of a fan-out. */
export const childrenSchema = z.looseObject({
  total: z.number(),
  failed: z.number(),
  retried: z.number(),
  skipped: z.number(),
})
export type Children = z.infer<typeof childrenSchema>

export const totalsSchema = rollupSchema.extend({ branches: z.number(), nodes: z.number() })
export type Totals = z.infer<typeof totalsSchema>

export const hookFailureSchema = z.looseObject({
  /** Node path; absent = the run's own hook. */
  node: z.string().optional(),
  hook: z.string(),
  name: z.string(),
  failure: failureSchema,
})
export type HookFailure = z.infer<typeof hookFailureSchema>

export const actorSchema = z.looseObject({
  kind: z.enum(['signal', 'user', 'process', 'default', 'program']),
  user: z.string().optional(),
  host: z.string().optional(),
  terminal: z.string().optional(),
  signal: z.string().optional(),
})
export type Actor = z.infer<typeof actorSchema>

/** What may be spent: on the run, a node over all its visits, or a child pipeline. Readers sum the use themselves. */
export const budgetSchema = z.looseObject({
  usd: z.number().optional(),
  tokens: z.number().optional(),
  time_ms: z.number().optional(),
  attempts: z.number().optional(),
  mode: z.enum(['audit', 'enforce']),
})

export const inboundSchema = z.looseObject({
  trace_id: z.string(),
  span_id: z.string(),
  trace_flags: z.number(),
  trace_state: z.string().optional(),
  baggage: z.string().optional(),
  /** What the inbound context became: the parent of the run span, or a link on it. */
  relation: z.enum(['parent', 'link']),
})
export type InboundContext = z.infer<typeof inboundSchema>
