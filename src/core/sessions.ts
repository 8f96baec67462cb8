// Owns: which conversations of agents are known, what they had used up, and which one an attempt goes on with.
import type { AgentSpec } from './agent.ts'
import { LIMITS } from './limits.ts'
import type { NodeState } from './node-state.ts'
import type { Session } from './outcome.ts'
import type { RunState } from './state.ts'
import { asText, fill } from './template.ts'

/** An attempt told its conversation, or more about it. The oldest are forgotten. */
export function rememberSession(state: RunState, node: NodeState, told: Session | undefined): void {
  if (!told || told.id === '') return
  const { sessions } = state
  const agent = told.agent ?? node.attempt?.agent
  const { partial: _, ...before }: Partial<Session> = sessions.get(told.id) ?? {}
  // Whoever uses a conversation without telling its new totals leaves the old ones behind it.
  const partial = told.totals ? told.partial : before.totals !== undefined
  const session = { ...before, ...told, ...(agent !== undefined && { agent }), ...(partial && { partial }) }
  sessions.delete(told.id)
  sessions.set(told.id, session)
  for (const id of sessions.keys()) {
    if (sessions.size <= LIMITS.sessions) break
    sessions.delete(id)
  }
  node.memory.session = told.id
}

/**
 * The conversation that the next attempt goes on with, as `session:` says; undefined = it begins one. Nobody goes on
 * with a conversation of another agent, which would not know it.
 */
export function sessionFor(state: RunState, node: NodeState, spec: AgentSpec): Session | undefined {
  const own = spec.session === 'continue' || (node.mode === 'continue' && node.via === 'retry')
  const id = own ? node.memory.session : spec.session === 'new' ? '' : asText(fill(spec.session, node.inputs))
  if (id === undefined || id === '') return undefined
  const known = state.sessions.get(id) ?? { id }
  return known.agent === undefined || known.agent === spec.use ? known : undefined
}
