// Owns: reading agent.json, changes.json and verification.json as other versions may have written them: what is missing or
// of another form is left out.
import { z } from 'zod'

const text = z.string().nullish().catch(undefined)
const number = z.number().nullish().catch(undefined)
const tokens = z.looseObject({
  input: z.number().catch(0),
  cache_read: z.number().catch(0),
  cache_write: z.number().catch(0),
  output: z.number().catch(0),
  reasoning: z.number().optional().catch(undefined),
})

const toolCall = z.looseObject({
  name: z.string(),
  input: z.unknown().optional(),
  ok: z.boolean().nullish(),
  exit_code: number,
  started_at: text,
  ended_at: text,
})
export type ToolCallRow = z.infer<typeof toolCall>

const agentFile = z.looseObject({
  cli: z.string(),
  cli_version: text,
  session_id: text,
  model: text,
  models: z
    .record(z.string(), tokens.extend({ usd: number }))
    .optional()
    .catch(undefined),
  turns: number,
  tool_calls: z.array(toolCall).catch([]),
  tool_calls_total: number,
  tokens: tokens.optional().catch(undefined),
  cost_usd: number,
  cost_source: z.enum(['reported', 'computed', 'unknown']).catch('unknown'),
  final_text: text,
  status: text,
  error_class: text,
  error_message: text,
  http_status: number,
  retries: number,
  warnings: z.array(z.string()).catch([]),
  usage_complete: z.boolean().optional().catch(undefined),
})
export type AgentFile = z.infer<typeof agentFile>

/** agent.json; undefined when it is none. */
export const readAgentFile = (value: unknown): AgentFile | undefined => agentFile.safeParse(value).data

const diagnostic = z.looseObject({
  file: text,
  line: number,
  column: number,
  severity: text,
  code: text,
  rule: text,
  message: z.string(),
})
export type Diagnostic = z.infer<typeof diagnostic>

const check = z.looseObject({
  name: z.string(),
  level: text,
  required: z.boolean().catch(true),
  passed: z.boolean(),
  exit_code: number,
  duration_ms: number,
  failure: z.looseObject({ code: z.string(), message: z.string() }).optional().catch(undefined),
  diagnostics: z.array(diagnostic).catch([]),
  diagnostics_total: number,
})
export type CheckRow = z.infer<typeof check>

const checks = z.object({ checks: z.array(z.unknown()) })

/** The checks of verification.json; empty when it is none. */
export const readVerification = (value: unknown): CheckRow[] =>
  (checks.safeParse(value).data?.checks ?? []).flatMap((entry) => check.safeParse(entry).data ?? [])

const notRun = z.object({ not_run: z.array(z.looseObject({ name: z.string(), level: text })) })

/** Checks that did not run because an earlier one had failed. */
export const readChecksNotRun = (
  value: unknown,
): { readonly name: string; readonly level?: string | null | undefined }[] =>
  notRun.safeParse(value).data?.not_run ?? []

const paths = z.array(z.string()).catch([])
const changes = z.looseObject({
  source: text,
  problem: text,
  created: paths,
  modified: paths,
  deleted: paths,
  commits: z.array(z.unknown()).catch([]),
  total: number,
  overlapped: z.boolean().catch(false),
})
export type ChangesFile = z.infer<typeof changes>

/** changes.json; undefined when it is none. */
export const readChangesFile = (value: unknown): ChangesFile | undefined => changes.safeParse(value).data
