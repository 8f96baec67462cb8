// Owns: the fold of events of the run itself: created, canceled, interrupted, concluded, finished; its hooks; budgets.
import { addCommand, dropCommand, hookId, placeOf, timerId } from './command-queue.ts'
import type { EventOf } from './events.ts'
import type { Failure } from './failure.ts'
import { visitId } from './ids.ts'
import { LIMITS } from './limits.ts'
import type { HookEvent } from './pipeline.ts'
import { hookAt, newHooks } from './hook-list.ts'
import { isAsking } from './questions.ts'
import { openScope } from './readiness.ts'
import { enqueue } from './slots.ts'
import { newBudget, review } from './budgets.ts'
import { endWork, setAlarm, startWork, stopClocks, worksThroughout } from './work-clock.ts'
import { nodeAt, type Halt, type RunState, type Scope } from './state.ts'
import type { NodeState, Step } from './node-state.ts'
import { haltScope, stopEverythingNow, stopFor, stopNode } from './stopping.ts'

export function onCreated(state: RunState, event: EventOf<'run.created'>, at: number): void {
  Object.assign(state, {
    phase: 'running',
    runId: event.run_id,
    key: event.key,
    labels: event.labels,
    params: event.params,
    traceId: event.trace_id,
    inbound: event.inbound,
    execution: event.execution,
    startedAt: at,
    executionStartedAt: at,
    spanId: event.span_id,
    firstSpanId: event.span_id,
    slots: { limit: event.max_parallel, used: 0 },
  } satisfies Partial<RunState>)
  state.root.params = event.params
  state.root.spanId = event.span_id
  state.only = event.only
  state.from = event.from
  if (state.pipeline.budget) newBudget(state, '', state.pipeline.budget, undefined)
  openScope(state, state.root)
}

export function onCancelRequested(state: RunState, event: EventOf<'run.cancel_requested'>, at: number): void {
  const first = state.cancel === undefined
  if (first) for (const scope of state.scopes.values()) pauseEntries(state, scope)
  state.cancel ??= { failure: event.failure, force: false, at, expired: false }
  if (event.force) state.cancel.force = true
  if (first) {
    addCommand(state, { kind: 'timer', id: timerId.cancel, due: at + LIMITS.cancelCleanupMs })
    haltScope(state, state.root, { reason: 'canceled_run', by: undefined, failure: event.failure, cleanup: true })
  }
  if (event.force) endNow(state, event.failure)
}

/** Routes that were taken and not entered yet wait for a resume. */
function pauseEntries(state: RunState, scope: Scope): void {
  for (const target of scope.entering.keys()) {
    scope.active--
    state.agenda.delete(target)
  }
}

/** The time for clean-up is over, or somebody insists: whatever still runs ends now. */
function endNow(state: RunState, failure: Failure): void {
  if (!state.cancel) return
  state.cancel.expired = true
  haltScope(state, state.root, { reason: 'canceled_run', by: undefined, failure, cleanup: false })
  stopEverythingNow(state, failure)
}

export function onInterrupted(state: RunState, event: EventOf<'run.interrupted'>, _at: number, before = _at): void {
  endExecution(state, before)
  state.phase = 'interrupted'
  state.interruptedAfterMs = event.duration_ms
  state.result = 'error'
  state.failure = event.failure
  state.resumable = true
}

export function onConcluded(state: RunState, event: EventOf<'run.concluded'>): void {
  state.agenda.delete(state.root)
  state.concluded = { result: event.result, failure: event.failure }
  state.hooks = newHooks(state, undefined, event.result)
  goOnAfterHooks(state)
}

export function onFinished(state: RunState, event: EventOf<'run.finished'>, at: number): void {
  endExecution(state, at)
  state.phase = 'ended'
  state.result = event.result
  state.failure = event.failure
  state.resumable = event.resumable
}

function endExecution(state: RunState, at: number): void {
  stopClocks(state, at)
  for (const id of [...state.commands.keys()]) dropCommand(state, id)
  state.agenda.clear()
  state.queue.clear()
  state.spawning.clear()
  state.gates.clear()
  state.slots.used = 0
}

// -- hooks (of nodes and of the run: the event says which)

export function onHookStarted(state: RunState, event: EventOf<'hook.started'>, at: number): void {
  const node = event.node === undefined ? undefined : nodeAt(state, event.node)
  const hooks = node ? (node.hooks ??= newHooks(state, node, event.result)) : state.hooks!
  hooks.open = true
  if (node) {
    if (event.hook !== 'on_retry') node.step = 'settling'
    startWork(state, node, at)
    state.agenda.delete(node)
    if (node.inner) state.agenda.delete(node.inner)
  } else state.agenda.delete(state.root)
  const hook = event.hook as HookEvent
  const { hook: definition, scope, own } = hookAt(state, node, hook, event.index)
  const place = placeOf(state, scope, own ? node : undefined, event.span_id)
  addCommand(state, {
    kind: 'hook',
    id: hookId(node ? visitId(node.path, node.visits) : '', hook, event.index),
    place: node ? { ...place, node: node.path, visit: node.visits } : place,
    hook,
    run: definition.run,
    name: event.name,
    inputs: event.inputs,
    timeout_ms: state.cancel ? Math.min(definition.timeout_ms, LIMITS.hookAfterCancelMs) : definition.timeout_ms,
    result: event.result,
    failure: node ? event.failure : state.concluded?.failure,
  })
}

export function onHookFinished(state: RunState, event: EventOf<'hook.finished'>, at: number): void {
  const node = event.node === undefined ? undefined : nodeAt(state, event.node)
  dropCommand(state, hookId(node ? visitId(node.path, node.visits) : '', event.hook, event.index))
  if (event.failure) {
    state.hookFailures.push({
      ...(event.node !== undefined && { node: event.node }),
      hook: event.hook,
      name: event.name,
      failure: event.failure,
    })
  }
  const hooks = node ? node.hooks : state.hooks
  const current = hooks?.list[hooks.position]
  if (hooks && current?.event === event.hook && current.index === event.index) {
    hooks.open = false
    hooks.position++
  }
  if (node && !worksThroughout(node)) endWork(state, node, at)
  if (node) goOnInNode(state, node, event.hook)
  else goOnAfterHooks(state)
}

function goOnInNode(state: RunState, node: NodeState, hook: string): void {
  const left = node.hooks !== undefined && node.hooks.position < node.hooks.list.length
  if (hook !== 'on_retry') state.agenda.add(node)
  else if (node.step === 'concluding') {
    node.hooks = undefined
    state.agenda.add(node)
  } else if (node.step === 'backoff' && left) state.agenda.add(node)
  else if (node.step === 'backoff' && node.notBefore === 0) enqueue(state, node)
}

/** With the run's hooks behind it, what carries its marker is ended; `run.finished` follows the sweep. */
function goOnAfterHooks(state: RunState): void {
  if (state.hooks!.position < state.hooks!.list.length) state.agenda.add(state.root)
  else addCommand(state, { kind: 'sweep', id: 'sweep' })
}

// -- budgets

export function onBudgetWarned(state: RunState, event: EventOf<'budget.warned'>): void {
  const budget = state.budgets.get(event.scope)
  if (!budget) return
  budget.warned.add(event.budget)
  review(state, budget)
  setAlarm(state, budget)
}

export function onBudgetExceeded(state: RunState, event: EventOf<'budget.exceeded'>): void {
  const budget = state.budgets.get(event.scope)
  if (!budget) return
  budget.exceeded.add(event.budget)
  budget.warned.add(event.budget)
  review(state, budget)
  dropCommand(state, timerId.budget(event.scope))
  if (event.mode === 'audit' || budget.blocked) return
  budget.blocked = event.failure
  blockScope(state, budget.owner, event.failure, event.budget === 'attempts')
}

/** Nothing new starts under the budget; what spends it is ended, unless it is attempts that have run out. */
function blockScope(state: RunState, owner: NodeState | undefined, failure: Failure, onlyNew: boolean): void {
  const halt: Halt = { reason: 'budget', by: undefined, failure, cleanup: false }
  const ended: readonly Step[] = onlyNew
    ? ['queued', 'backoff']
    : ['queued', 'backoff', 'acting', 'limited', 'wait', 'gate']
  for (const node of openNodes(owner ? [owner] : state.root.nodes.values())) {
    if (node.fanout && !node.fanout.decided && !node.fanout.joined) {
      state.spawning.delete(node)
      node.fanout.decided = 'blocked'
      node.fanout.blocked = failure
      if (node.fanout.open.size === 0 && node.fanout.total !== undefined) {
        node.fanout.joined = true
        state.agenda.add(node)
      }
    } else if (ended.includes(node.step) || isAsking(node)) stopNode(state, node, stopFor(failure), halt)
  }
}

function* openNodes(nodes: Iterable<NodeState>): Generator<NodeState> {
  for (const node of nodes) {
    // What was not announced in this execution yet meets its budget then.
    if (node.phase !== 'running' || node.resuming) continue
    yield node
    if (node.inner) yield* openNodes(node.inner.nodes.values())
    for (const branch of node.fanout?.open.values() ?? []) if (!branch.resuming) yield* openNodes(branch.nodes.values())
  }
}
