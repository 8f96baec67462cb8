// Owns: the shape of a pipeline file (DESIGN 3) and its JSON Schema. Must not: hold rules that need more than the value
// itself (rules-*.ts do).
import { z } from 'zod'
import type { JsonObject } from '../core/json.ts'
import { summaryAgent } from './schema-agent.ts'
import { nodeSchema } from './schema-node.ts'
import {
  budget,
  duration,
  environment,
  json,
  param,
  paramName,
  positive,
  price,
  retry,
  runHooks,
  says,
  secretName,
  text,
} from './schema-terms.ts'

const defaults = z.strictObject({
  timeout: duration.optional().describe('Timeout of attempts.'),
  retry: retry.optional().describe('Retry of run, agent and call nodes.'),
  env: environment.optional().describe('Environment variables of every node.'),
})

export const pipelineSchema = z.strictObject({
  name: text.max(200).describe('Name of the pipeline; shown in traces and metrics, so keep it the same for every run.'),
  description: z.string().optional(),
  params: z.record(paramName, param).optional().describe('What a run can be given (--param name=value).'),
  secrets: z
    .array(secretName)
    .optional()
    .describe('Environment variables that are masked everywhere; nodes list those they get.'),
  defaults: defaults.optional().describe('What holds for every node that says nothing else.'),
  budget: budget.optional().describe('What a run may use up.'),
  breaker: z
    .strictObject({ limit: positive.describe('Equal failure signatures before a loop is stopped; default 3.') })
    .optional(),
  max_parallel: positive.optional().describe('Attempts running at once in a run; default 8.'),
  on_failure: z
    .enum(['continue', 'fail_fast'])
    .optional()
    .describe('What a failed node does to nodes that do not depend on it; default continue.'),
  hooks: runHooks.optional().describe('Commands at the end of the run.'),
  summaries: z
    .strictObject({ agent: summaryAgent.describe('Who writes them.') })
    .optional()
    .describe('One short model call sums up failures with long or differing causes; it replaces no reason.'),
  prices: z
    .record(z.string(), price)
    .optional()
    .describe('Prices that go before the built-in table: <model> or <provider>/<model>.'),
  outputs: z
    .record(z.string(), json)
    .optional()
    .describe('As a child pipeline: what it gives its parent, from its own nodes.'),
  nodes: z.array(nodeSchema).min(1, says('a pipeline needs at least one node')).describe('The graph.'),
})
export type PipelineFile = z.infer<typeof pipelineSchema>

/** The JSON Schema of pipeline files (draft 2020-12), for editors; `spanwright schema` prints it. */
export function pipelineJsonSchema(): JsonObject {
  const generated = z.toJSONSchema(pipelineSchema, { io: 'input' }) as unknown
  const schema = withFreeKeys(generated) as { [key: string]: never }
  return { ...schema, title: 'Spanwright pipeline' }
}

/** Keys beginning `x-` are free wherever unknown keys are errors. */
function withFreeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFreeKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withFreeKeys(item)]))
  return entries['additionalProperties'] === false ? { ...entries, patternProperties: { '^x-': {} } } : entries
}
