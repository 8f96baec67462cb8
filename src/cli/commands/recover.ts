// Owns: `recover`: runs whose process and sentinel died are put to rest now, and what is missing of their traces is sent.
import { SpanwrightError } from '../../core/error.ts'
import type { CommandFunction } from '../command-table.ts'
import type { Recovered } from '../../runner/recover.ts'
import { composeRecovery, tidyStore, whatNow } from '../compose.ts'
import { openRun, openStore } from '../open-store.ts'

export const recover: CommandFunction = async (invocation) => {
  const { args, options, output } = invocation
  const { recoverRun, recoverStore } = await import('../../runner/recover.ts')
  const failures: string[] = []
  const recovered: Recovered[] = []
  if (args[0] !== undefined && options['all'] === true) {
    throw new SpanwrightError(
      'usage.invalid',
      'a run and --all cannot be given together: name one run, or take all of them',
    )
  }
  const store = await openStore(options)
  const ports = await composeRecovery(store)
  if (args[0] !== undefined) {
    const { runId } = await openRun(invocation)
    const final = await recoverRun(runId, ports)
    if (final) recovered.push({ runId, final })
  } else {
    const done = await recoverStore(ports, (runId, error) =>
      failures.push(`${runId}: ${error instanceof Error ? error.message : String(error)}`),
    )
    recovered.push(...done)
  }
  const delivered = await tidyStore({ store, warn: (message) => output.say(`spanwright: ${message}`) })
  if (options['json'] === true) output.json({ recovered: recovered.map(({ runId }) => runId), failed: failures })
  else {
    output.say(
      ...recovered.map((run) => `Put to rest: ${run.runId}. ${whatNow(run)}.`),
      ...failures.map((text) => `Not put to rest: ${text}`),
    )
    if (recovered.length === 0 && failures.length === 0) output.say('No run has lost its process.')
  }
  await delivered()
  return failures.length > 0 ? 5 : 0
}
