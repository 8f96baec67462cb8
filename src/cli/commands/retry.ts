// Owns: `retry`: the next visit of failed nodes, in a new execution.
import type { CommandFunction } from '../command-table.ts'
import { goingOn } from '../going-on.ts'

export const retry: CommandFunction = async (invocation) => {
  const { args, options: given } = invocation
  const { store, runId, driven, options } = await goingOn(invocation)
  const { refuseInside } = await import('../../runner/requests.ts')
  refuseInside(runId, 'retry', { env: process.env })
  const node = args[1] === undefined ? undefined : String(args[1])
  const mode = given['mode'] === 'continue' ? 'continue' : 'clean'
  const { drive } = await import('../drive.ts')
  const { retryRun } = await import('../../runner/resume.ts')
  const start = { runId, node, resetCount: given['resetCount'] === true, mode, ...options } as const
  return await drive({ invocation, store, ...driven, goesOn: runId, start: (ports) => retryRun(start, ports) })
}
