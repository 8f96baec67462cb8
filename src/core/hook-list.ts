// Owns: which hooks run for a result, in which order, and what each one is. A child node has its own hooks and, before
// them, those of its child pipeline: they are counted as one list per event.
import type { Result } from './failure.ts'
import { HOOK_EVENTS, type Hook, type HookEvent, type Hooks, type Node } from './pipeline.ts'
import { isFailing } from './policy.ts'
import type { RunState, Scope } from './state.ts'
import type { HookRun, NodeState } from './node-state.ts'

const inherited = (def: Node | undefined, event: HookEvent): readonly Hook[] =>
  def?.kind === 'child' ? def.child.pipeline.hooks[event] : []

/** The hook of a node (or of the run), and the scope whose params, nodes and environment it sees. */
export function hookAt(
  state: RunState,
  node: NodeState | undefined,
  event: HookEvent,
  index: number,
): { hook: Hook; scope: Scope; own: boolean } {
  const before = inherited(node?.def, event)
  if (index < before.length) return { hook: before[index]!, scope: node!.inner ?? node!.scope, own: false }
  const hooks: Hooks = node?.def.hooks ?? state.pipeline.hooks
  return { hook: hooks[event][index - before.length]!, scope: node?.scope ?? state.root, own: true }
}

/** The hooks for a result: on_success or on_failure, then on_finish; after a cancel only on_finish, when it has to be now none. */
export function newHooks(state: RunState, node: NodeState | undefined, result: Result): HookRun {
  let events: HookEvent[] =
    result === 'success' ? ['on_success', 'on_finish'] : isFailing(result) ? ['on_failure', 'on_finish'] : ['on_finish']
  if (state.cancel) events = state.cancel.force ? [] : ['on_finish']
  const ofChild = node?.inner ? listOf(events, (event) => [0, inherited(node.def, event).length]) : []
  const own = listOf(events, (event) => {
    const from = inherited(node?.def, event).length
    return [from, from + (node?.def.hooks ?? state.pipeline.hooks)[event].length]
  })
  return { list: [...ofChild, ...own], position: 0, open: false, result }
}

export const retryHooks = (node: NodeState, result: Result): HookRun => ({
  list: listOf(['on_retry'], () => [0, node.def.hooks.on_retry.length]),
  position: 0,
  open: false,
  result,
})

function listOf(events: readonly HookEvent[], range: (event: HookEvent) => readonly [number, number]): HookRun['list'] {
  return HOOK_EVENTS.filter((event) => events.includes(event)).flatMap((event) => {
    const [from, to] = range(event)
    return Array.from({ length: to - from }, (_, i) => ({ event, index: from + i }))
  })
}
