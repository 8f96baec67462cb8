// Owns: the next hook of a node or of the run.
import { commandExpressions, evaluateAll, type Site } from './evaluation.ts'
import type { Event, EventOf } from './events.ts'
import { hookAt, newHooks } from './hook-list.ts'
import type { Failure, Result } from './failure.ts'
import { failure } from './failures.ts'
import { spanIdOf, visitId } from './ids.ts'
import type { RunState } from './state.ts'
import type { HookRun, NodeState } from './node-state.ts'

/** Whether hooks still have to run before the node (or, without one, the run) is finished. */
export function hooksLeft(state: RunState, node: NodeState | undefined, result: Result): boolean {
  const hooks = hooksOf(state, node, result)
  return hooks.position < hooks.list.length && !state.cancel?.force
}

const hooksOf = (state: RunState, node: NodeState | undefined, result: Result): HookRun =>
  node ? (node.hooks ?? newHooks(state, node, result)) : state.hooks!

/** Starts the next hook; one whose expressions fail has failed (and is on record as such) without having run. */
export function decideHook(
  state: RunState,
  node: NodeState | undefined,
  result: Result,
  about: { readonly failure?: Failure | undefined; readonly label?: string | undefined },
): Event[] {
  const { event, index } = nextHook(state, node, result)
  const { hook: definition, scope, own } = hookAt(state, node, event, index)
  const site: Site = {
    scope,
    node: own ? node : undefined,
    what: `hook ${event} of ${node?.path ?? 'the run'}`,
    outcome: { result, label: about.label, failure: about.failure },
  }
  const evaluated = evaluateAll(state, site, commandExpressions(definition.run, scope, site.node))
  const owner = node ? visitId(node.path, node.visits) : 'run'
  const started: EventOf<'hook.started'> = {
    type: 'hook.started',
    ...(node && { node: node.path, visit: node.visits }),
    hook: event,
    name: definition.name,
    index,
    result,
    inputs: evaluated.value ?? {},
    ...(node && about.failure && { failure: about.failure }),
    span_id: spanIdOf(state.runId, state.execution, `hook ${owner}#${event}:${index}:${node?.attempt?.number ?? 0}`),
    parent_span_id: node?.spanId ?? state.spanId,
  }
  return evaluated.failure ? [started, hookEnd(started, evaluated.failure)] : [started]
}

const nextHook = (state: RunState, node: NodeState | undefined, result: Result): HookRun['list'][number] => {
  const hooks = hooksOf(state, node, result)
  return hooks.list[hooks.position]!
}

export function hookFailure(name: string, hook: string, cause: Failure): Failure {
  return failure('hook_failed', 'hook', `Hook ${hook} \`${name}\` failed: ${cause.message}`, { causes: [cause] })
}

/** A hook whose expressions could not be evaluated ends at once. */
function hookEnd(started: EventOf<'hook.started'>, cause: Failure): Event {
  const { node, visit, hook, name, index, span_id } = started
  return {
    type: 'hook.finished',
    ...(node !== undefined && { node, visit: visit! }),
    hook,
    name,
    index,
    passed: false,
    failure: hookFailure(name, hook, cause),
    duration_ms: 0,
    span_id,
  }
}
