// Owns: the fold of routes: what runs downstream of the target is ended, then the target can be entered.
import type { EventOf } from './events.ts'
import type { Failure } from './failure.ts'
import { rest, settleEntering } from './readiness.ts'
import { nodeAt, type RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { haltScope, stopNode } from './stopping.ts'

export function onRouteTaken(state: RunState, event: EventOf<'route.taken'>): void {
  const node = nodeAt(state, event.node)
  if (!node || node.phase !== 'routing') return
  const { scope } = node
  node.phase = 'done'
  state.agenda.delete(node)
  if (event.to === 'end' || event.to === 'fail') {
    const failure = endedBy(node, event.to)
    haltScope(state, scope, { reason: event.to, by: node, failure, cleanup: true })
    return rest(state, scope)
  }
  const target = scope.nodes.get(event.to)!
  // The entry is under way in the place of the node that routed: scope.active stays as it is.
  if (target.phase === 'ready') {
    scope.active--
    state.agenda.delete(target)
    target.phase = 'idle'
  }
  const known = scope.entering.has(target)
  scope.entering.set(target, node)
  target.enterVia = 'route'
  if (known || state.cancel) rest(state, scope)
  const failure: Failure = {
    code: 'superseded',
    class: 'human',
    source: 'scheduler',
    message: `Superseded: a route from ${node.path} enters ${target.path} again`,
    signature: '',
  }
  for (const id of scope.graph.downstream(target.def.id)) {
    stopNode(
      state,
      scope.nodes.get(id)!,
      { code: 'superseded', message: failure.message, now: false },
      { reason: 'stopped', by: undefined, failure, cleanup: false },
    )
  }
  settleEntering(state, scope)
}

const endedBy = (node: NodeState, to: string): Failure => ({
  code: 'canceled',
  class: 'human',
  source: 'scheduler',
  message: `Canceled because ${node.path} took the route to ${to}`,
  signature: '',
  ...(node.failure && { causes: [node.failure] }),
})

export function onRouteIgnored(state: RunState, event: EventOf<'route.ignored'>): void {
  const node = nodeAt(state, event.node)
  if (!node || node.phase !== 'routing') return
  node.phase = 'done'
  state.agenda.delete(node)
  rest(state, node.scope)
  settleEntering(state, node.scope)
}

// -- the breaker
