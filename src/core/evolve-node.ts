// Owns: the fold of a visit's events: started, skipped, finished; gates, timers, routes, the breaker's counts.
import { addCommand, dropTimers, setTimeoutTimer, timerId } from './command-queue.ts'
import { codesOf, isOwnFailure } from './choose-agent.ts'
import type { EventOf } from './events.ts'
import type { Failure } from './failure.ts'
import { rememberLine } from './history.ts'
import { childPrefix } from './ids.ts'
import { LIMITS } from './limits.ts'
import { endedWell, isFailing, isLeftOut } from './policy.ts'
import {
  forget,
  isQuiet,
  judgeIfIdle,
  letGo,
  occupy,
  openScope,
  release,
  resetDownstream,
  rest,
  settleEntering,
  withdraw,
} from './readiness.ts'
import { announce } from './evolve-resume.ts'
import { closeScope } from './node-summary.ts'
import { enqueue } from './slots.ts'
import { newBudget } from './budgets.ts'
import { endWork, startWork, worksThroughout } from './work-clock.ts'
import { newScope, nodeAt, type RunState, type Scope } from './state.ts'
import { emptyRollup, type FanoutState, type NodeState } from './node-state.ts'
import { haltScope } from './stopping.ts'
import { fromTimestamp } from './time.ts'

export function onStarted(state: RunState, event: EventOf<'node.started'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  if (event.via === 'resume' && event.visit === node.visits) return announce(state, node, event.span_id, at)
  beginVisit(state, node, event)
  holdEntries(state, node.scope)
  node.spanId = event.span_id
  node.startedAt = at
  if (event.failure) {
    node.settled = { failure: event.failure }
    node.step = 'concluding'
    state.agenda.add(node)
    return
  }
  if (worksThroughout(node)) startWork(state, node, at)
  startKind(state, node)
}

function beginVisit(state: RunState, node: NodeState, event: EventOf<'node.started'>): void {
  const { scope } = node
  scope.entering.delete(node)
  if (event.via === 'route' || event.via === 'retry') resetDownstream(state, node)
  // An entry by a route or a retry is under way already (scope.entering, phase ready); a resume's is not.
  state.agenda.delete(node)
  const wasUnderWay = node.phase === 'ready' || event.via === 'route'
  withdraw(node)
  scope.finished.delete(node)
  const carried = event.via === 'retry' ? node.retriesCarried : 0
  forget(state, node)
  if (!wasUnderWay) occupy(state, scope)
  Object.assign(node, {
    phase: 'running',
    visits: event.visit,
    visitsCounted: node.visitsCounted + 1,
    via: event.via,
    cleanup: event.cleanup ?? false,
    enterVia: undefined,
    attemptsInVisit: 0,
    retriesInVisit: 0,
    fallbacksInVisit: 0,
    answeredInVisit: 0,
    retriesCarried: carried,
    lostInVisit: 0,
    lostInARow: 0,
    limitWaits: 0,
    limitWaitMs: 0,
    limitedUntil: 0,
    notBefore: 0,
    delayMs: undefined,
    prior: [],
    rollup: emptyRollup(),
    inputs: event.inputs ?? {},
    ...dueTimes(node, event),
  } satisfies Partial<NodeState>)
  if (node.def.budget && !node.budget) node.budget = newBudget(state, node.path, node.def.budget, node)
}

/** Another route's target waits again if what has just started is downstream of it. */
function holdEntries(state: RunState, scope: Scope): void {
  for (const target of scope.entering.keys()) if (!isQuiet(scope, target)) state.agenda.delete(target)
}

function dueTimes(node: NodeState, event: EventOf<'node.started'>): Pick<NodeState, 'dueAt' | 'timeoutAt'> {
  const at = (text: string | undefined): number | undefined => (text === undefined ? undefined : fromTimestamp(text))
  if (node.def.kind === 'wait' || node.def.kind === 'gate')
    return { dueAt: at(event.due_at), timeoutAt: at(event.timeout_at) }
  return { dueAt: undefined, timeoutAt: at(event.due_at) }
}

function startKind(state: RunState, node: NodeState): void {
  const { def } = node
  node.began = true
  switch (def.kind) {
    case 'run':
    case 'agent':
    case 'call':
      return enqueue(state, node)
    case 'fanout':
      node.step = 'branches'
      node.fanout = newFanout()
      state.agenda.add(node)
      break
    case 'child':
      node.step = 'scope'
      node.inner = childScope(node, def.child.pipeline)
      if (def.child.pipeline.budget)
        node.childBudget ??= newBudget(state, `${node.path}/`, def.child.pipeline.budget, node)
      openScope(state, node.inner)
      break
    case 'gate':
      node.step = 'gate'
      state.agenda.add(node)
      break
    case 'wait':
      node.step = 'wait'
      addCommand(state, { kind: 'timer', id: timerId.wait(node), due: node.dueAt ?? state.lastAt })
      break
  }
  setTimeoutTimer(state, node)
}

const newFanout = (): FanoutState => ({
  total: undefined,
  keys: [],
  items: [],
  next: 0,
  open: new Map(),
  ended: new Map(),
  succeeded: 0,
  failed: 0,
  canceledCount: 0,
  retried: 0,
  skipped: 0,
  firstFailure: undefined,
  worst: undefined,
  decided: undefined,
  blocked: undefined,
  spans: [],
  spanCount: 0,
  joined: false,
})

function childScope(node: NodeState, pipeline: Scope['pipeline']): Scope {
  const scope = newScope({
    kind: 'child',
    pipeline,
    nodes: pipeline.nodes,
    prefix: childPrefix(node.path, node.visits),
    params: node.inputs,
    owner: node,
    spanId: node.spanId,
  })
  scope.slots = { limit: pipeline.max_parallel, used: 0, queue: new Set() }
  return scope
}

export function onSkipped(state: RunState, event: EventOf<'node.skipped'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node) return
  const ready = node.phase === 'ready'
  state.agenda.delete(node)
  Object.assign(node, {
    phase: 'done',
    visits: event.visit,
    result: 'skip',
    failure: event.failure,
    spanId: event.span_id,
    finishedAt: at,
    startedAt: at,
    // Judged while the run was being canceled: a resume judges it again.
    canceledRun: state.cancel !== undefined,
  } satisfies Partial<NodeState>)
  inheritHealth(node)
  if (event.failure.code === 'not_reached' && !isLeftOut(node)) {
    if (node.scope.halt) node.canceled = true
    else node.failed ??= event.failure
  }
  node.scope.finished.add(node)
  state.nodesFinished++
  release(state, node)
  if (ready) rest(state, node.scope)
  else judgeIfIdle(state, node.scope)
  settleEntering(state, node.scope)
}

export function onFinished(state: RunState, event: EventOf<'node.finished'>, at: number): void {
  const node = nodeAt(state, event.node)
  if (!node || node.phase !== 'running') return
  const { scope } = node
  state.agenda.delete(node)
  if (node.inner) state.agenda.delete(node.inner)
  dropTimers(state, node)
  Object.assign(node, {
    phase: event.route ? 'routing' : 'done',
    result: event.result,
    failure: event.failure,
    label: event.label,
    outputs: event.outputs,
    partial: event.partial ?? false,
    tolerated: event.tolerated ?? false,
    route: event.route,
    canceledRun: event.canceled_run ?? false,
    finishedAt: at,
    stop: node.stop,
  } satisfies Partial<NodeState>)
  endWork(state, node, at)
  if (!event.canceled_run) remember(node, event, at)
  if (node.inner && endedWell(event.result)) closeInner(state, node)
  inheritHealth(node)
  const counts = isFailing(event.result) && !node.tolerated && !event.route
  if (counts) node.failed = event.failure
  if (event.result === 'cancellation') node.canceled = true
  scope.finished.delete(node)
  scope.finished.add(node)
  state.nodesFinished++
  if (event.route) {
    state.agenda.add(node)
    letGo(state, node)
  } else {
    if (counts && onFailureOf(scope) === 'fail_fast' && !scope.halt) failFast(state, node, event.failure!)
    release(state, node)
    rest(state, scope)
  }
  settleEntering(state, scope)
}

/** What later visits, and agents in loops around it, are told. */
function remember(node: NodeState, event: EventOf<'node.finished'>, at: number): void {
  rememberLine(node, event, at)
  if (isFailing(event.result)) node.memory.failedBefore += codesOf(node).filter(isOwnFailure).length
}

/** A child pipeline that ended well shrinks to its outputs; a resume or a retry may go back into the others. */
function closeInner(state: RunState, node: NodeState): void {
  node.closed = closeScope(state, node.inner!)
  node.inner = undefined
}

function failFast(state: RunState, node: NodeState, failure: Failure): void {
  const halted: Failure = {
    code: 'canceled',
    class: 'human',
    source: 'scheduler',
    message: `Canceled because ${node.path} failed and on_failure is fail_fast`,
    signature: failure.signature,
    causes: [failure],
  }
  haltScope(state, node.scope, { reason: 'fail_fast', by: node, failure: halted, cleanup: true })
}

const onFailureOf = (scope: Scope): 'continue' | 'fail_fast' => scope.pipeline.on_failure

/** What the needs had gone through is passed on (all ancestors count, not only the nearest). */
function inheritHealth(node: NodeState): void {
  node.failed = undefined
  node.canceled = false
  for (const id of node.def.needs) {
    const need = node.scope.nodes.get(id)!
    node.failed ??= need.failed
    node.canceled ||= need.canceled
  }
}

// -- gates and timers

export function onSignatureCounted(state: RunState, event: EventOf<'signature.counted'>): void {
  let counts = state.signatures.get(event.path)
  if (!counts) state.signatures.set(event.path, (counts = new Map()))
  if (counts.size < LIMITS.signaturesPerPath || counts.has(event.signature)) counts.set(event.signature, event.count)
  const node = nodeAt(state, event.node)
  if (node) node.counted = true
}

export function onBreakerOpened(state: RunState, event: EventOf<'breaker.opened'>): void {
  const node = nodeAt(state, event.node)
  if (node) node.broken = event.failure
}
