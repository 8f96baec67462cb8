// Owns: `trace export`: sends what was not delivered of a run's trace.
import type { CommandFunction } from '../command-table.ts'
import { openRun } from '../open-store.ts'
import { counted } from '../terminal/amounts.ts'

export const traceExport: CommandFunction = async (invocation) => {
  const { options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const { exportRun } = await import('../../telemetry/export-run.ts')
  const endpoint = typeof options['endpoint'] === 'string' ? options['endpoint'] : undefined
  const sent = await exportRun({
    runDir: store.paths(runId).directory,
    env: process.env,
    endpoint,
    all: options['all'] === true,
    warn: (message) => output.say(`spanwright: ${message}`),
  })
  const { delivered, rejected, pending, unfinished = [] } = sent
  if (options['json'] === true)
    output.json({ run_id: runId, delivered, rejected, pending: pending ?? null, unfinished })
  else {
    const left = [...(pending ? [`${pending} of the trace`] : []), ...unfinished]
    const refused = rejected > 0 ? `, ${rejected} rejected` : ''
    output.say(
      `${counted(delivered, 'span')} delivered${refused}${left.length > 0 ? `; still to send: ${left.join(', ')}` : ''}.`,
    )
  }
  return pending !== 0 || unfinished.length > 0 ? 5 : 0
}
