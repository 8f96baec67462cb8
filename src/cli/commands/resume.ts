// Owns: `resume`: going on with an interrupted or canceled run, in a new execution of the same trace.
import type { CommandFunction } from '../command-table.ts'
import { goingOn } from '../going-on.ts'

export const resume: CommandFunction = async (invocation) => {
  const { store, runId, driven, options } = await goingOn(invocation)
  const { drive } = await import('../drive.ts')
  const { resumeRun } = await import('../../runner/resume.ts')
  return await drive({
    invocation,
    store,
    ...driven,
    goesOn: runId,
    start: (ports) => resumeRun({ runId, ...options }, ports),
  })
}
