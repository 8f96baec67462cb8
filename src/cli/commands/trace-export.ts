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
    warn: (message) => output.say(`spanwright: ${message}`),
  })
  const left = sent.pending ?? 0
  if (options['json'] === true)
    output.json({ run_id: runId, delivered: sent.delivered, rejected: sent.rejected, pending: sent.pending ?? null })
  else
    output.say(
      `${counted(sent.delivered, 'span')} delivered${sent.rejected > 0 ? `, ${sent.rejected} rejected` : ''}${left > 0 ? `, ${left} still to send` : ''}.`,
    )
  return left > 0 || sent.pending === undefined ? 5 : 0
}
