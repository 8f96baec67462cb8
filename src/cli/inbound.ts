// Owns: the trace context this process was called with (`--trace-parent`), for the run it starts or goes on with.
import type { InboundContext } from '../core/event-values.ts'
import type { Invocation } from './command-table.ts'
import type { Output } from './output.ts'

/** Undefined without a TRACEPARENT, or with `--trace-parent ignore`. Malformed values are said and ignored. */
export async function readInboundContext(
  options: Invocation['options'],
  output: Output,
): Promise<InboundContext | undefined> {
  if (!process.env['TRACEPARENT']) return undefined
  const { readInbound } = await import('../telemetry/context.ts')
  const how = options['traceParent']
  const { inbound, warnings } = readInbound(process.env, how === 'link' || how === 'ignore' ? how : 'parent')
  for (const warning of warnings) output.say(`warning: ${warning}`)
  return inbound
}
