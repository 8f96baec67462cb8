// Owns: who does the next attempt of an agent node: its first choice, a fallback when that one could not be reached, an
// escalation after enough failures. Pure, so that the decision and the fold agree.
import type { AgentChoice, AgentSpec } from './agent.ts'
import type { FailureCode } from './failure.ts'
import type { JsonObject } from './json.ts'
import type { NodeState } from './node-state.ts'
import { asText, fill } from './template.ts'

export interface Chosen {
  /** Its `fallback` holds those that are left after it. */
  readonly spec: AgentSpec
  /** Why it is not the first choice. */
  readonly chosen?: 'fallback' | 'escalation' | undefined
}

/** The work was not tried: another agent may be reached. */
const UNREACHED: readonly string[] = ['rate_limited', 'provider_unavailable', 'network'] satisfies FailureCode[]
/** Ends that say nothing of the agent. */
const NOT_ITS_OWN: readonly string[] = [
  'worker_lost',
  'canceled',
  'superseded',
  'forced',
  'budget_exhausted',
] satisfies FailureCode[]

/** Of the failures of attempts, those that the agent is to blame for (lost and canceled attempts are none). */
export const isOwnFailure = (code: FailureCode): boolean => !NOT_ITS_OWN.includes(code)

/**
 * @param failures codes of the visit's failed attempts, oldest first
 * @param before failed attempts of earlier visits that failed
 *
 * After a failure to reach the agent the next fallback takes over, and stays for the rest of the visit; else, once
 * `escalate.after` attempts have failed in all, the escalation.
 */
export function agentFor(spec: AgentSpec, failures: readonly FailureCode[], before = 0): Chosen {
  const own = failures.filter(isOwnFailure)
  const unreached = own.filter((code) => UNREACHED.includes(code)).length
  const tried = Math.min(unreached, spec.fallback.length)
  const fallback = spec.fallback.slice(tried)
  const next = spec.fallback[tried - 1]
  const last = own.at(-1)
  const takesOver = next && last !== undefined && UNREACHED.includes(last) && unreached <= spec.fallback.length
  const { escalate } = spec
  if (escalate && before + own.length >= escalate.after && !takesOver)
    return { spec: { ...replaced(spec, escalate), fallback }, chosen: 'escalation' }
  return next ? { spec: { ...replaced(spec, next), fallback }, chosen: 'fallback' } : { spec }
}

/** Whether somebody else is there to take over after this failure. */
export function hasFallback(spec: AgentSpec, failures: readonly FailureCode[]): boolean {
  const last = failures.filter(isOwnFailure).at(-1)
  if (last === undefined || !UNREACHED.includes(last)) return false
  return failures.filter((code) => UNREACHED.includes(code)).length <= spec.fallback.length
}

/** Who does it is replaced as a whole; what is to be done stays. */
function replaced(spec: AgentSpec, by: AgentChoice): AgentSpec {
  const { use, model, program, args, command, provider, base_url, api_key_env } = by
  const who = { use, model, program, args, command, provider, base_url, api_key_env }
  return { ...spec, ...who }
}

/** Who does the next attempt of a node; undefined for nodes that are no agents. */
export function chosenFor(node: NodeState): Chosen | undefined {
  if (node.def.kind !== 'agent') return undefined
  return agentFor(node.def.agent, codesOf(node), node.memory.failedBefore)
}

export const codesOf = (node: NodeState): FailureCode[] => node.prior.map(({ failure }) => failure.code)

/** The model's name with its expressions filled; undefined = the agent's own default. */
export const modelOf = ({ model }: AgentChoice, inputs: JsonObject): string | undefined =>
  model === undefined ? undefined : asText(fill(model, inputs)) || undefined
