// Owns: `gate answer`: a person's answer to a gate, on record with user, host and terminal.
import type { CommandFunction } from '../command-table.ts'
import { composeRecovery } from '../compose.ts'
import { openRun } from '../open-store.ts'
import { viewOf } from '../run-report.ts'

export const gateAnswer: CommandFunction = async (invocation) => {
  const { args, options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const [, node, choice] = args.map(String)
  const gate = viewOf(store, runId).gates.get(node!)
  const isTold = choice !== 'reject' && (gate?.questions.length ?? 0) > 0
  const comment = typeof options['comment'] === 'string' ? { comment: options['comment'] } : {}
  const { callingUser } = await import('../../runner/actor.ts')
  const { answerGate } = await import('../../runner/requests.ts')
  await answerGate(runId, { node: node!, choice: choice!, by: callingUser(), ...comment }, await composeRecovery(store))
  output.say(`${node}: ${choice} is on record.`)
  if (isTold && options['comment'] === undefined)
    output.say(`The agent of ${node} is told the choice only: --comment would have told it more.`)
  return 0
}
