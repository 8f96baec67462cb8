// Owns: the fold of summaries of a visit's failures: started, given, not given.
import { leftFor } from './budgets.ts'
import { addCommand, dropCommand, placeOf, summaryId } from './command-queue.ts'
import type { EventOf } from './events.ts'
import { addToVisit } from './spend.ts'
import { nodeAt, summaryAgentOf, type RunState } from './state.ts'
import { failuresOf } from './summed-failures.ts'
import { startWork } from './work-clock.ts'

export function onSummaryStarted(state: RunState, event: EventOf<'summary.started'>, at: number): void {
  const node = nodeAt(state, event.node)
  const agent = node && summaryAgentOf(node.scope)
  if (!agent) return
  node.step = 'settling'
  node.summary = { open: true, text: undefined }
  state.agenda.delete(node)
  startWork(state, node, at)
  addCommand(state, {
    kind: 'summary',
    id: summaryId(node),
    place: placeOf(state, node.scope, node, node.spanId),
    agent,
    failures: failuresOf(node, event.failure),
    left: leftFor(state, node),
  })
}

export function onSummaryEnded(
  state: RunState,
  event: EventOf<'failure.summarized'> | EventOf<'summary.failed'>,
): void {
  const node = nodeAt(state, event.node)
  if (!node?.summary?.open) return
  dropCommand(state, summaryId(node))
  node.summary = { open: false, text: event.type === 'failure.summarized' ? event.text : undefined }
  addToVisit(state, node, event.usage, event.cost)
  state.agenda.add(node)
}
