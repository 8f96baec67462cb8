// Owns: which failures of a visit a summary is about.
import { isOwnFailure } from './choose-agent.ts'
import type { Failure } from './failure.ts'
import { LIMITS } from './limits.ts'
import type { NodeState } from './node-state.ts'

/** Of its attempts, and the visit's own where that is another one (a decision). The newest are kept. */
export function failuresOf(node: NodeState, last: Failure): Failure[] {
  const failures = node.prior.map(({ failure }) => failure).filter(({ code }) => isOwnFailure(code))
  const known = last.class === 'breaker' || failures.some(({ signature }) => signature === last.signature)
  return (known && failures.length > 0 ? failures : [...failures, last]).slice(-LIMITS.causes)
}
