// Owns: final.json, there exactly while a run is ended (DESIGN 5). A view of the journal: it can be made again from it.
import { z } from 'zod'
import { hookFailureSchema, totalsSchema } from '../core/event-values.ts'
import { failureSchema, RESULTS } from '../core/failure.ts'

const result = z.enum(RESULTS)

export const finalSchema = z.looseObject({
  run_id: z.string(),
  result,
  failure: failureSchema.optional(),
  hook_failures: z.array(hookFailureSchema),
  /** Of the first execution. RFC 3339 in microseconds. */
  started_at: z.string(),
  finished_at: z.string(),
  duration_ms: z.number(),
  totals: totalsSchema,
  /** The first LIMITS.finalNodes nodes; `node_count` says how many there are. */
  nodes: z.array(
    z.looseObject({
      path: z.string(),
      kind: z.string(),
      result,
      visits: z.number(),
      attempts: z.number(),
      failure: failureSchema.optional(),
    }),
  ),
  node_count: z.number(),
  trace_id: z.string(),
  resumable: z.boolean(),
})
export type Final = z.infer<typeof finalSchema>
