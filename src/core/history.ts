// Owns: what a later visit is told about the nodes around it: one line for each that ended, its latest state only.
import type { HistoryLine } from './commands.ts'
import type { EventOf } from './events.ts'
import { LIMITS } from './limits.ts'
import type { NodeState } from './node-state.ts'
import { visibleScopes } from './state.ts'

const NOTES_CHARS = 500
const FAILURE_CHARS = 300

/** A visit ended. A scope remembers as many nodes as anyone is ever told of. */
export function rememberLine(node: NodeState, event: EventOf<'node.finished'>, at: number): void {
  const { history } = node.scope
  const notes = node.attempt?.notes
  const { failure } = event
  const line: HistoryLine = {
    node: node.path,
    visit: event.visit,
    result: event.result,
    ...(event.label !== undefined && { label: event.label }),
    ...(notes !== undefined && { notes: cut(notes, NOTES_CHARS) }),
    ...(failure && { failure: cut(`${failure.code}: ${failure.message}`, FAILURE_CHARS) }),
  }
  node.memory.line = { at, line }
  history.delete(node)
  history.add(node)
  for (const oldest of history) {
    if (history.size <= LIMITS.historyLines) break
    history.delete(oldest)
  }
}

/** For agents in a loop, oldest first: nodes of the own scope, then outward as far as the pipeline file reaches. */
export function historyOf(node: NodeState): HistoryLine[] | undefined {
  if (node.def.kind !== 'agent' || !isLater(node)) return undefined
  const outermostFirst = [...visibleScopes(node.scope)].reverse()
  const lines = outermostFirst.flatMap(({ history }) => [...history].map((other) => other.memory.line!))
  return lines
    .toSorted((a, b) => a.at - b.at)
    .slice(-LIMITS.historyLines)
    .map(({ line }) => line)
}

/** It, or something around it, was entered before. */
function isLater(node: NodeState): boolean {
  for (let at: NodeState | undefined = node; at; at = at.scope.owner) if (at.visits > 1) return true
  return false
}

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`)
