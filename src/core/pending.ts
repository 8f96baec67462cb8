// Owns: what a state wants done: effects and timers whose start is on record and whose outcome is not. Level-triggered:
// it is the same question after a step and after a crash, so there is no recovery code to forget.
import type { Command } from './commands.ts'
import { nextInQueue } from './slots.ts'
import type { RunState } from './state.ts'

/** Whether `proceed` has something to decide. */
export function hasWork(state: RunState): boolean {
  if (state.phase !== 'running') return false
  return (
    state.agenda.size > 0 || nextInQueue(state) !== undefined || (state.queue.size === 0 && state.spawning.size > 0)
  )
}

/** All pending commands by id. */
export const pending = (state: RunState): ReadonlyMap<string, Command> => state.commands

/** Ids whose command appeared, changed or disappeared since the last call; after a fold from a journal: all of them. */
export function takeDirty(state: RunState): string[] {
  if (state.dirty.size === 0) return []
  const ids = [...state.dirty]
  state.dirty.clear()
  return ids
}
