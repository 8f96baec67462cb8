// Owns: state = fold(journal) (I3): the state of a run from what is on record.
import type { Entry } from '../core/events.ts'
import { evolve } from '../core/evolve.ts'
import type { Expressions } from '../core/expressions.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { newRun, type RunState } from '../core/state.ts'
import { fromTimestamp } from '../core/time.ts'

/** Throws what reading throws (`journal.corrupt`); `upTo` is then given the state of what could be read. */
export function foldRun(
  entries: Iterable<Entry>,
  definition: { readonly pipeline: Pipeline; readonly expressions: Expressions },
  seen?: (entry: Entry, state: RunState) => void,
): RunState {
  const state = newRun(definition.pipeline, definition.expressions)
  // Entries of one turn share their time.
  let at = ''
  let atMs = 0
  for (const entry of entries) {
    if (entry.at !== at) {
      at = entry.at
      atMs = fromTimestamp(at)
    }
    evolve(state, entry.event, atMs)
    seen?.(entry, state)
  }
  return state
}
