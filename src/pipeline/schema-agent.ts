// Owns: the shape of `agent:` of a node, and of who may take its place. Must not: hold rules that need more than the value
// itself (rules-*.ts do).
import { z } from 'zod'
import { AGENT_NAMES, PERMISSIONS, PROVIDERS } from '../core/agent.ts'
import { command, duration, json, positive, says, text } from './schema-terms.ts'

const use = z
  .enum(AGENT_NAMES, says(`expected one of ${AGENT_NAMES.join(', ')}`))
  .describe('Which agent: a client (claude, codex, gemini, opencode), a model API, or a command that reads the prompt.')

const who = {
  model: text.optional().describe('Model name as the agent knows it.'),
  program: text.optional().describe("Program in place of the agent's own name on PATH."),
  args: z.array(z.string()).optional().describe('More arguments for the client.'),
  command: command.optional().describe('command only: reads the prompt on its standard input.'),
  provider: z.enum(PROVIDERS).optional().describe('api only: wire format of the endpoint; default anthropic.'),
  base_url: text.optional().describe("api only: endpoint in place of the provider's own."),
  api_key_env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, says('expected the name of an environment variable'))
    .optional()
    .describe('api only: variable that holds the key; default ANTHROPIC_API_KEY or OPENAI_API_KEY.'),
}

/** Who takes over; `use` left out = the same agent, with another model. */
const other = z.strictObject({ use: use.optional(), ...who })
/** Who writes summaries of failures. */
export const summaryAgent = z.strictObject({ use, ...who })

const action = z.enum(['end', 'wait']).optional()

const stalls = z.strictObject({
  start: duration.optional().describe('Without any event since the start for this long it hangs; default 60s.'),
  on_start: action.describe('end (default): the attempt ends as stalled, retry goes on from there; wait: only say so.'),
  on_silence: action.describe('The same for silence longer than stall_timeout.'),
  repeats: z
    .int(says('expected a whole number'))
    .min(2, says('must be at least 2'))
    .optional()
    .describe('The same call with the same result so many times is a loop; default 8.'),
  on_loop: action.describe('The same for a loop.'),
  linger: duration.optional().describe('It gave its result and lives on: ended after this time; default 5s.'),
})

export const agent = z.strictObject({
  use,
  ...who,
  prompt: text.optional().describe('What to do; may hold ${{ … }}.'),
  prompt_file: text.optional().describe('File with the prompt, relative to the pipeline file.'),
  max_turns: positive.optional().describe('Turns after which the agent is stopped (turn_limit).'),
  permission: z
    .enum(PERMISSIONS)
    .optional()
    .describe('read: look only; workspace (default): edit and run commands in its directory; full: no bounds.'),
  allowed_tools: z
    .array(text)
    .optional()
    .describe("Tools it may use besides those of its permission level, in the agent's own names."),
  denied_tools: z
    .array(text)
    .optional()
    .describe("Tools it may not use, whatever its permission level says, in the agent's own names."),
  output_schema: z
    .record(z.string(), json)
    .optional()
    .describe('JSON Schema of its final answer; the keys of the answer become outputs.'),
  session: text
    .optional()
    .describe('new (default), continue (the conversation of the last attempt), or an id: ${{ nodes.plan.session }}.'),
  env_allow: z
    .array(z.string().regex(/^(?:[A-Za-z_][A-Za-z0-9_]*\*?|\*)$/, says('expected NAME or PREFIX_*')))
    .optional()
    .describe('Inherited variables it gets (NAME or PREFIX_*); default: all.'),
  home: z.enum(['user', 'isolated']).optional().describe("isolated: a home directory of the run's own; default user."),
  fallback: z.array(other).optional().describe('Who takes over when it is rate limited or its provider is down.'),
  escalate: other
    .extend({ after: positive.describe('Failed attempts after which it takes over.') })
    .optional()
    .describe('A stronger model after so many failures.'),
  stalls: stalls.optional().describe('How stalls are told and what follows from them.'),
})
