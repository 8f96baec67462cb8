// Owns: `attach`: follows a run to its end; the exit code is the run's.
import type { CommandFunction } from '../command-table.ts'
import { followToEnd } from '../follow.ts'
import { openRun } from '../open-store.ts'

export const attach: CommandFunction = async (invocation) => {
  const { store, runId } = await openRun(invocation)
  return await followToEnd({ store, runId, invocation })
}
