// Owns: `trace`: the spans of a run as a waterfall; made from the journal, whether or not they were delivered anywhere.
import type { CommandFunction } from '../command-table.ts'
import { openRun } from '../open-store.ts'
import { runFacts } from '../run-report.ts'
import { counted } from '../terminal/amounts.ts'

/** More rows than this are cut, unless --all. */
const ROWS = 200

export const trace: CommandFunction = async (invocation) => {
  const { options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const { createProjection } = await import('../../telemetry/projection.ts')
  const projection = createProjection()
  const ended = []
  let lastAt = ''
  for (const entry of store.read(runId)) {
    ended.push(...projection.apply(entry))
    lastAt = entry.at
  }
  const spans = [...ended, ...projection.open()]
  if (options['json'] === true) {
    output.json(spans)
    return 0
  }
  const { toWaterfall } = await import('../../telemetry/waterfall.ts')
  const { condition, identity } = runFacts(store, runId)
  const nowMs = condition === 'running' ? Date.now() : Date.parse(lastAt)
  const { columns, color, ascii } = output.look
  const lines = toWaterfall(spans, { width: columns, color, ascii, nowMs })
  const shown = options['all'] === true ? lines : lines.slice(0, ROWS)
  output.result(...shown)
  if (shown.length < lines.length) output.say(`${counted(lines.length - shown.length, 'more row')}: --all shows them.`)
  output.say(`trace ${identity.trace_id}`)
  return 0
}
