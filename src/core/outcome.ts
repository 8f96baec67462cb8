// Owns: what an effect reports about one attempt, check or hook. An effect says what happened; whether that is
// retried, tolerated or final is decided by the core.
import { z } from 'zod'
import type { FailureReport } from './failure.ts'
import type { JsonObject } from './json.ts'

export const usageSchema = z.looseObject({
  /** Uncached input. */
  input: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
  /** Includes reasoning. */
  output: z.number(),
  reasoning: z.number().optional(),
  model: z.string().optional(),
  turns: z.number().optional(),
})
export type Usage = z.infer<typeof usageSchema>

export const costSchema = z.looseObject({
  /** Null when unknown; unknown is counted as unpriced, never as 0. */
  usd: z.number().nullable(),
  source: z.enum(['reported', 'computed', 'unknown']),
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
  /** Monotonic. */
  readonly duration_ms: number
}
