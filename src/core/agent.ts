// Owns: what an agent node asks for, after parsing: which agent with which model, prompt, permissions, session and limits.
// Which agent an attempt really gets (fallback, escalation) is decided from it and put on record with the attempt's start.
// Must not: know how any of the agents is started.
import type { CommandLine } from './pipeline.ts'
import type { JsonObject } from './json.ts'

export const AGENT_NAMES = ['claude', 'codex', 'gemini', 'opencode', 'api', 'command'] as const
export type AgentName = (typeof AGENT_NAMES)[number]

/**
 * What an agent may do by itself, nobody being there to ask: `read` looks only; `workspace` edits files and runs commands
 * as far as its client confines them to the working directory; `full` everything the user may do.
 */
export const PERMISSIONS = ['read', 'workspace', 'full'] as const
export type Permission = (typeof PERMISSIONS)[number]

export const PROVIDERS = ['anthropic', 'openai', 'openai-compatible'] as const
export type Provider = (typeof PROVIDERS)[number]

/** Who does the work; the part that a fallback or an escalation replaces. Strings are templates. */
export interface AgentChoice {
  readonly use: AgentName
  readonly model?: string | undefined
  /** Program in place of the agent's own name on PATH. */
  readonly program?: string | undefined
  /** More arguments for the client, before the prompt. */
  readonly args: readonly string[]
  /** `command` only: what reads the prompt on its stdin. */
  readonly command?: CommandLine | undefined
  /** `api` only: wire format, endpoint, and the environment variable that holds the key. */
  readonly provider?: Provider | undefined
  readonly base_url?: string | undefined
  readonly api_key_env?: string | undefined
}

/** What follows from a stall: `end` ends the attempt as `stalled` (the retry policy goes on from there), `wait` only says so. */
export type StallAction = 'end' | 'wait'

export interface Stalls {
  /** Nothing at all from the client since its start. */
  readonly start_ms: number
  readonly start: StallAction
  /** No output for the node's `stall_timeout`. */
  readonly silence: StallAction
  /** The same tool call with the same result, or the same error, so many times in a row while output flows. */
  readonly loop_repeats: number
  readonly loop: StallAction
  /** The result was seen, the client still runs: it is ended after this time; the result counts. */
  readonly linger_ms: number
}

export interface AgentSpec extends AgentChoice {
  /** A template, the text of the prompt file included. */
  readonly prompt: string
  readonly max_turns?: number | undefined
  readonly permission: Permission
  readonly allowed_tools?: readonly string[] | undefined
  readonly denied_tools?: readonly string[] | undefined
  /** JSON Schema of the structured answer; its keys become outputs. */
  readonly output_schema?: JsonObject | undefined
  /**
   * `new`: every attempt begins a conversation. `continue`: it goes on with the one of this node's last attempt. Else a
   * template with the id of a conversation, e.g. `${{ nodes.plan.session }}`.
   */
  readonly session: string
  /** Names (`*` at the end stands for any rest) of inherited variables that the client gets; absent = all. */
  readonly env_allow?: readonly string[] | undefined
  readonly home: 'user' | 'isolated'
  /** Tried one after another when the one before is rate limited or its provider is down. */
  readonly fallback: readonly AgentChoice[]
  /** From the attempt after so many failed ones on. */
  readonly escalate?: (AgentChoice & { readonly after: number }) | undefined
  readonly stalls: Stalls
}
