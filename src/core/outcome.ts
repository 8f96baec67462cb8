// Owns: what an effect reports about one attempt, check or hook. An effect says what happened; whether that is
// retried, tolerated or final is decided by the core.
import { z } from 'zod'
import type { FailureReport } from './failure.ts'
import type { JsonObject } from './json.ts'

const tokens = {
  /** Uncached input. */
  input: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
  /** Includes reasoning. */
  output: z.number(),
  reasoning: z.number().optional(),
}
export const tokensSchema = z.looseObject(tokens)
export type Tokens = z.infer<typeof tokensSchema>

export const usageSchema = z.looseObject({
  ...tokens,
  /** The main one. */
  model: z.string().optional(),
  turns: z.number().optional(),
  /** Split by model, when there were several; the sums are the counts above. `usd` null = unknown. */
  models: z.record(z.string(), z.looseObject({ ...tokens, usd: z.number().nullable().optional() })).optional(),
  /** False: the client ended before it told everything; the counts are a lower bound. */
  complete: z.boolean().optional(),
})
export type Usage = z.infer<typeof usageSchema>

export const costSchema = z.looseObject({
  /** Null when unknown; unknown is counted as unpriced, never as 0. */
  usd: z.number().nullable(),
  source: z.enum(['reported', 'computed', 'unknown']),
  /** Besides the known part there is one without a price. */
  unpriced: z.boolean().optional(),
})
export type Cost = z.infer<typeof costSchema>

/** What is known of a process that ran. */
export const processSchema = z.looseObject({
  pid: z.number().optional(),
  executable: z.string().optional(),
  exit_code: z.number().optional(),
  signal: z.string().optional(),
})
export type ProcessFacts = z.infer<typeof processSchema>

/** A conversation of an agent that a later attempt may go on with. */
export const sessionSchema = z.looseObject({
  id: z.string(),
  agent: z.string().optional(),
  /** What the client counts for the whole conversation so far, where its totals accumulate. */
  totals: tokensSchema.extend({ cost_usd: z.number().optional() }).optional(),
  /** Some of what it used is not in `totals`: an attempt with it ended before the client told. */
  partial: z.boolean().optional(),
})
export type Session = z.infer<typeof sessionSchema>

/** What an agent has to know from a person before it can go on. */
export const questionSchema = z.looseObject({
  id: z.string(),
  question: z.string(),
  context: z.string().optional(),
  options: z
    .array(z.looseObject({ label: z.string(), value: z.string(), description: z.string().optional() }))
    .optional(),
})
export type Question = z.infer<typeof questionSchema>

export interface Outcome {
  /** Absent = success. Its code says which result it is. */
  readonly failure?: FailureReport | undefined
  readonly label?: string | undefined
  readonly outputs?: JsonObject | undefined
  /** A reported `partial`: a success that is marked. */
  readonly partial?: boolean | undefined
  /** A reported `skip` of the whole step. */
  readonly skipped?: boolean | undefined
  readonly usage?: Usage | undefined
  readonly cost?: Cost | undefined
  readonly notes?: string | undefined
  /** A reported next node; valid only if a route of the node leads there. */
  readonly next?: string | undefined
  readonly process?: ProcessFacts | undefined
  readonly session?: Session | undefined
  /** With the label `needs_input`. */
  readonly questions?: readonly Question[] | undefined
  /** Monotonic. */
  readonly duration_ms: number
}
