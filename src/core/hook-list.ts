// Owns: which hooks run for a result, in which order.
import type { Result } from './failure.ts'
import type { HookEvent, Hooks } from './pipeline.ts'
import { isFailing } from './policy.ts'
import type { HookRun, RunState } from './state.ts'

/** The hooks for a result: on_success or on_failure, then on_finish; after a cancel only on_finish, when it has to be now none. */
export function newHooks(state: RunState, hooks: Hooks, result: Result): HookRun {
  let events: HookEvent[] = result === 'success' ? ['on_success', 'on_finish'] : isFailing(result) ? ['on_failure', 'on_finish'] : ['on_finish']
  if (state.cancel) events = state.cancel.force ? [] : ['on_finish']
  return { list: events.flatMap((event) => hooks[event].map((_, index) => ({ event, index }))), position: 0, open: false, result }
}
