// Owns: the cheap prompt that shows before a run whether an agent answers at all: client, credentials, model, network.
import type { AgentSpec } from '../../core/agent.ts'
import { LIMITS } from '../../core/limits.ts'
import type { AgentAdapter } from './adapter.ts'
import { askOnce } from './ask-once.ts'

const QUESTION = 'Reply with the single word ok. Use no tools.'

/** Why the agent does not answer, in a sentence; undefined = it does. */
export async function probeAgent(
  adapter: AgentAdapter,
  spec: AgentSpec,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const timeoutMs = LIMITS.agentProbeMs
  const { problem } = await askOnce({ adapter, spec, question: QUESTION, env, price: () => undefined, timeoutMs })
  return problem
}
