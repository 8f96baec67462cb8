// Owns: what the `api` agent's program is given and what it says, for both ends of the pipe.
//
// The first line of its standard input is the request (`requestSchema`), with the provider's key: no command that it runs
// can read it from an environment. It writes one JSON object per line to standard output, each with `n` (1, 2, 3 …, so
// that a lost or doubled line is noticed), `at` (epoch ms) and `type`:
//   session           id, model, version: the first line
//   request.started   id, model: a request to the provider is on its way
//   request.finished  id, started_at, model, tokens (null: not known), finish_reason, text, error
//   retry             message, http_status, error_class, delay_ms: the same request again, after that time
//   text              text: of the assistant, a whole answer
//   tool.started      id, name, input
//   tool.finished     id, ok, exit_code, output, error
//   alive             something arrives
//   warning           message
//   reserve           id, usd, tokens: may it spend so much on one request? It waits for a line on standard input:
//                     {"type":"grant","id":…} or {"type":"refuse","id":…,"reason":…}; refused while others hold what is
//                     left, it asks again. The request's end gives back what it did not need.
//   result            the last line: status, what it is about, final text, structured answer, number of requests
import { z } from 'zod'
import { PERMISSIONS, PROVIDERS } from '../../../core/agent.ts'
import { tokensSchema } from '../../../core/outcome.ts'
import { ERROR_CLASSES } from '../adapter.ts'

export const TOOL_NAMES = ['shell', 'read', 'write', 'edit', 'patch'] as const
export type ToolName = (typeof TOOL_NAMES)[number]

const count = z.number().int().nonnegative()
const price = z.looseObject({
  input: z.number(),
  output: z.number(),
  cache_read: z.number().optional(),
  cache_write: z.number().optional(),
})

export const requestSchema = z.object({
  session: z.object({ id: z.string(), resume: z.boolean() }),
  version: z.string(),
  provider: z.enum(PROVIDERS),
  model: z.string(),
  base_url: z.string().optional(),
  /** Empty: the endpoint wants none. */
  api_key: z.string(),
  /** As a bearer token where the provider also knows another header. */
  bearer: z.boolean(),
  prompt: z.string(),
  cwd: z.string(),
  /** Where conversations are kept. */
  conversations: z.string(),
  permission: z.enum(PERMISSIONS),
  tools: z.array(z.enum(TOOL_NAMES)),
  output_schema: z.record(z.string(), z.json()).optional(),
  max_turns: count,
  prices: z.record(z.string(), price).optional(),
  max_output_tokens: count,
  /** A request of which nothing arrives for so long has failed. */
  idle_timeout_ms: count,
  command_timeout_ms: count,
  max_retries: count,
  /** Before the first repetition; doubled each time. */
  retry_delay_ms: count,
  temperature: z.number().optional(),
  reasoning_effort: z.string().optional(),
})
export type ApiRequest = z.infer<typeof requestSchema>

const errorClass = z.enum(ERROR_CLASSES)
const line = { n: count, at: z.number() }
const tokens = tokensSchema.extend({
  input: z.number().nonnegative(),
  cache_read: z.number().nonnegative(),
  cache_write: z.number().nonnegative(),
  output: z.number().nonnegative(),
  reasoning: z.number().nonnegative().optional(),
})

const message = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ ...line, type: z.literal(type), ...shape })

export const messageSchema = z.discriminatedUnion('type', [
  message('session', { id: z.string(), model: z.string(), version: z.string() }),
  message('request.started', { id: z.string(), model: z.string() }),
  message('request.finished', {
    id: z.string(),
    started_at: z.number(),
    model: z.string(),
    /** Null: not known. With an error they are a lower bound. */
    tokens: tokens.nullable(),
    finish_reason: z.string().optional(),
    text: z.string().optional(),
    error: z.object({ error_class: errorClass, message: z.string(), http_status: count.optional() }).optional(),
  }),
  message('retry', {
    message: z.string(),
    http_status: count.optional(),
    error_class: errorClass,
    delay_ms: z.number(),
  }),
  message('text', { text: z.string() }),
  message('tool.started', { id: z.string(), name: z.string(), input: z.unknown() }),
  message('tool.finished', {
    id: z.string(),
    ok: z.boolean(),
    exit_code: z.number().int().optional(),
    output: z.string(),
    error: z.string().optional(),
  }),
  message('alive', {}),
  message('warning', { message: z.string() }),
  message('reserve', { id: z.string(), usd: z.number().optional(), tokens: z.number() }),
  message('result', {
    status: z.enum(['ok', 'error', 'limit', 'killed', 'denied']),
    error_class: errorClass.optional(),
    message: z.string().optional(),
    http_status: count.optional(),
    resets_at: z.number().optional(),
    text: z.string().optional(),
    structured: z.unknown().optional(),
    /** How many `request.finished` there were. */
    requests: count,
    usage_complete: z.boolean(),
  }),
])
export type ApiMessage = z.infer<typeof messageSchema>
type Bare<T> = T extends unknown ? Omit<T, 'n' | 'at'> : never
/** A message before it gets its number and time. */
export type ApiWord = Bare<ApiMessage>
export type ApiResult = Omit<Extract<ApiWord, { type: 'result' }>, 'type'>

export const answerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('grant'), id: z.string() }),
  z.object({ type: z.literal('refuse'), id: z.string(), reason: z.string().optional() }),
])
export type Answer = z.infer<typeof answerSchema>
