// Owns: what an attempt is told when it starts: who does it, what was before it, what is left to spend. Only evolve calls it.
import { chosenFor, modelOf } from './choose-agent.ts'
import type { RunAttempt } from './commands.ts'
import { placeOf } from './command-queue.ts'
import { historyOf } from './history.ts'
import type { NodeState } from './node-state.ts'
import { sessionFor } from './sessions.ts'
import { leftFor } from './budgets.ts'
import { branchOf, type RunState } from './state.ts'

export function attemptCommand(state: RunState, node: NodeState, childSpanId: string): RunAttempt {
  const attempt = node.attempt!
  const agent = chosenFor(node)?.spec
  return {
    kind: 'attempt',
    id: attempt.id,
    place: placeOf(state, node.scope, node, childSpanId),
    node: node.def,
    attempt: attempt.number,
    max: attempt.max,
    inputs: node.inputs,
    params: node.scope.params,
    item: branchOf(node.scope)?.item,
    prior: node.prior.map(({ attempt_id, failure }) => ({ attempt_id, failure })),
    same_failure: node.memory.streak?.count,
    left: leftFor(state, node),
    agent: agent && { ...agent, model: modelOf(agent, node.inputs) },
    session: agent && sessionFor(state, node, agent),
    answers: node.answers,
    history: historyOf(node),
  }
}
