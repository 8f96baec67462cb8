// Owns: `cancel`: asks the process that runs the run, and waits for the run's end. A lost run is put to rest.
import { composeRecovery } from '../compose.ts'
import type { CommandFunction } from '../command-table.ts'
import { openRun } from '../open-store.ts'
import { resultWord } from '../run-report.ts'
import { elapsed } from '../terminal/amounts.ts'

export const cancel: CommandFunction = async (invocation) => {
  const { options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const ports = await composeRecovery(store)
  const { callingUser } = await import('../../runner/actor.ts')
  const { cancelRun } = await import('../../runner/requests.ts')
  const lost = await cancelRun(runId, { by: callingUser(), force: options['force'] === true }, ports)
  if (lost) {
    output.say(`Run ${runId} had lost its process already and was put to rest.`)
    return 0
  }
  const { followRun } = await import('../../runner/follow.ts')
  const { final } = await followRun(runId, ports)
  output.say(`Run ${runId} has ended: ${resultWord(final.result)} after ${elapsed(final.duration_ms)}.`)
  return 0
}
