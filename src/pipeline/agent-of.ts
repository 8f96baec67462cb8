// Owns: `agent:` of the pipeline file in the form of the model: defaults written out, fallbacks complete.
import type { z } from 'zod'
import type { AgentChoice, AgentName, AgentSpec } from '../core/agent.ts'
import { parseDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import { expressionsIn } from '../core/template.ts'
import { commandOf, type Shell } from './commands-of.ts'
import type { agent } from './schema-agent.ts'

type AgentFile = z.infer<typeof agent>
type ChoiceFile = Omit<NonNullable<AgentFile['fallback']>[number], 'use'>

/** @param prompt the text of its prompt file, if it names one */
export function agentOf(file: AgentFile, prompt: string | undefined, shell: Shell): AgentSpec {
  const { fallback = [], escalate, stalls = {} } = file
  return defined({
    ...choiceOf(file.use, file, shell),
    prompt: prompt ?? file.prompt ?? '',
    max_turns: file.max_turns,
    permission: file.permission ?? 'workspace',
    allowed_tools: file.allowed_tools,
    denied_tools: file.denied_tools,
    output_schema: file.output_schema,
    session: file.session ?? 'new',
    env_allow: file.env_allow,
    home: file.home ?? 'user',
    fallback: fallback.map((next) => replacing(file, next, shell)),
    escalate: escalate && { ...replacing(file, escalate, shell), after: escalate.after },
    stalls: {
      start_ms: ms(stalls.start) ?? LIMITS.agentStartMs,
      start: stalls.on_start ?? 'end',
      silence: stalls.on_silence ?? 'end',
      loop_repeats: stalls.repeats ?? LIMITS.agentLoopRepeats,
      loop: stalls.on_loop ?? 'end',
      linger_ms: ms(stalls.linger) ?? LIMITS.agentLingerMs,
    },
  })
}

/** Every expression of an agent and of who may take its place: of templates, and of scripts, whose values travel as bindings. */
export function agentExpressions({ output_schema: _, ...agent }: AgentSpec): Set<string> {
  const found = expressionsIn(agent)
  for (const { command } of [agent, ...agent.fallback, ...(agent.escalate ? [agent.escalate] : [])]) {
    if (command && 'script' in command) for (const { expression } of command.bindings) found.add(expression)
  }
  return found
}

/** What is left out stays as it was as long as the agent is the same. */
function replacing(
  file: AgentFile,
  { use, ...next }: ChoiceFile & { use?: AgentName | undefined },
  shell: Shell,
): AgentChoice {
  const same = use === undefined || use === file.use
  return choiceOf(use ?? file.use, same ? { ...file, ...defined(next) } : next, shell)
}

export function choiceOf(use: AgentName, from: ChoiceFile, shell: Shell): AgentChoice {
  return defined({
    use,
    model: from.model,
    program: from.program,
    args: from.args ?? [],
    command: from.command === undefined ? undefined : commandOf(from.command, shell),
    provider: from.provider,
    base_url: from.base_url,
    api_key_env: from.api_key_env,
  })
}

const ms = (duration: string | undefined): number | undefined =>
  duration === undefined ? undefined : parseDuration(duration)

/** Without the keys whose value is undefined, so that the value is the same after a round trip through JSON. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T
}
