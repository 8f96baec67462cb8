// Owns: what a node on the agenda does next: enter, go on, conclude, run its hooks, finish, take its route.
import { decideRetryOf } from './decide-attempt.ts'
import { decideChecks } from './decide-check.ts'
import { budgets, decideEnter, nodeSpan, started } from './decide-enter.ts'
import { decideSummary } from './decide-summary.ts'
import { decideExpansion } from './decide-fanout.ts'
import { decideHook, hooksLeft } from './decide-hooks.ts'
import type { Event, EventOf } from './events.ts'
import { originalCause } from './failure.ts'
import { failure } from './failures.ts'
import { pathWithoutVisits } from './ids.ts'
import { innerSucceeded, outcomeOf, settledResult, type VisitOutcome } from './visit-outcome.ts'
import { openQuestion } from './questions.ts'
import { isQuiet } from './readiness.ts'
import { copyRollup } from './spend.ts'
import type { RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { asText, fill } from './template.ts'
import { toTimestamp } from './time.ts'

export function decideNode(state: RunState, node: NodeState, now: number): Event[] {
  if (node.scope.entering.has(node) && node.phase !== 'running') return decideEntry(state, node, now)
  switch (node.phase) {
    case 'ready':
      return decideEnter(state, node, now)
    case 'routing':
      return decideRouting(node)
    case 'running':
      return decideRunning(state, node, now)
    case 'idle':
    case 'done':
      throw new Error(`Nothing to decide for ${node.path} (${node.phase})`)
  }
}

// -- entering

function decideRunning(state: RunState, node: NodeState, now: number): Event[] {
  if (node.resuming) return [continued(state, node)]
  switch (node.step) {
    case 'gate':
      return openGate(node, now)
    case 'branches':
      if (node.fanout!.joined || (node.stop && node.fanout!.open.size === 0)) return conclude(state, node, now)
      return decideExpansion(state, node)
    case 'checking':
      return node.attempt?.open ? decideChecks(state, node) : conclude(state, node, now)
    case 'backoff':
      return decideHook(state, node, settledResult(node.attempt!.failure), { failure: node.attempt!.failure })
    case 'concluding':
    case 'settling':
    case 'scope':
      return conclude(state, node, now)
    default:
      throw new Error(`Nothing to decide for ${node.path} (${node.step})`)
  }
}

/** The visit goes on in this execution: a new span, linked to the one it continues. */
function continued(state: RunState, node: NodeState): Event {
  return {
    type: 'node.started',
    node: node.path,
    visit: node.visits,
    kind: node.def.kind,
    via: 'resume',
    span_id: nodeSpan(state, node, node.visits),
    parent_span_id: node.scope.spanId,
    continues: node.spanId,
    ...dueTimes(node),
    ...budgets(node),
  }
}

function dueTimes(node: NodeState): Partial<EventOf<'node.started'>> {
  const timeout = node.timeoutAt === undefined ? undefined : toTimestamp(node.timeoutAt)
  if (node.def.kind === 'fanout' || node.def.kind === 'child') return timeout === undefined ? {} : { due_at: timeout }
  return {
    ...(node.dueAt !== undefined && { due_at: toTimestamp(node.dueAt) }),
    ...(timeout !== undefined && { timeout_at: timeout }),
  }
}

function openGate(node: NodeState, now: number): Event[] {
  if (node.def.kind !== 'gate') throw new Error(`${node.path} is no gate`)
  const { gate } = node.def
  return [
    {
      type: 'gate.opened',
      node: node.path,
      visit: node.visits,
      question: asText(fill(gate.question, node.inputs)),
      choices: [...gate.choices],
      reject: [...gate.reject],
      ...(gate.default !== undefined && { default: gate.default }),
      ...(gate.timeout_ms !== undefined && { due_at: toTimestamp(now + gate.timeout_ms) }),
    },
  ]
}

// -- concluding: retry, breaker, checks of a fan-out, hooks, finished

export function conclude(state: RunState, node: NodeState, now: number): Event[] {
  const retry = decideRetryOf(state, node, now)
  if (retry) return [retry]
  // A default answers in place of a person, and says so.
  if (node.gateExpired && !node.settled && node.gate?.default !== undefined)
    return [
      {
        type: 'gate.answered',
        node: node.path,
        visit: node.visits,
        choice: node.gate.default,
        by: { kind: 'default' },
      },
    ]
  if (node.step !== 'settling') {
    const checks =
      node.def.checks.length > 0 &&
      (node.fanout || node.inner) &&
      !node.settled &&
      !node.stop &&
      innerSucceeded(state, node)
        ? decideChecks(state, node)
        : []
    if (checks.length > 0) return checks
    const outcome = outcomeOf(state, node)
    if (outcome.asks) return [openQuestion(node)]
    const counted = decideBreaker(state, node, outcome)
    if (counted) return [counted]
  }
  const outcome = outcomeOf(state, node)
  const summary = decideSummary(state, node, outcome)
  if (summary) return [summary]
  if (hooksLeft(state, node, outcome.result)) return decideHook(state, node, outcome.result, outcome)
  return [finished(node, outcome)]
}

const UNCOUNTED = new Set(['human', 'budget', 'breaker', 'skip'])
/** A fan-out that failed for such a reason does not count either. */
const WRAPPERS = new Set(['branch_failed', 'join_unsatisfied'])

/** Canonical signatures of final failures are counted per path; at the limit the node fails with `breaker_open`. */
function decideBreaker(state: RunState, node: NodeState, outcome: VisitOutcome): Event | undefined {
  const { failure: reason } = outcome
  if (
    !reason ||
    node.broken ||
    UNCOUNTED.has(reason.class) ||
    reason.code === 'worker_lost' ||
    outcome.result === 'cancellation'
  )
    return undefined
  if (WRAPPERS.has(reason.code) && UNCOUNTED.has(originalCause(reason).class)) return undefined
  const path = pathWithoutVisits(node.path)
  const count = (state.signatures.get(path)?.get(reason.signature) ?? 0) + (node.counted ? 0 : 1)
  const base = { node: node.path, visit: node.visits, path, signature: reason.signature, count }
  if (!node.counted) return { type: 'signature.counted', ...base }
  const { limit } = node.scope.pipeline.breaker
  if (count < limit) return undefined
  const opened = failure(
    'breaker_open',
    'scheduler',
    `${node.path} failed ${count} times with the same signature ${reason.signature} (${reason.code}); the breaker's limit is ${limit}`,
    { causes: [reason] },
  )
  return { type: 'breaker.opened', ...base, limit, failure: opened }
}

function finished(node: NodeState, outcome: VisitOutcome): Event {
  return {
    type: 'node.finished',
    node: node.path,
    visit: node.visits,
    kind: node.def.kind,
    result: outcome.result,
    ...(outcome.failure && { failure: outcome.failure }),
    ...(outcome.label !== undefined && { label: outcome.label }),
    ...(outcome.outputs && { outputs: outcome.outputs }),
    ...(outcome.partial && { partial: true }),
    retry_count: node.retriesInVisit,
    ...(outcome.children && { children: outcome.children }),
    rollup: copyRollup(node.rollup),
    ...(outcome.tolerated && { tolerated: true }),
    ...(outcome.route && { route: outcome.route }),
    ...(outcome.canceledRun && { canceled_run: true }),
    span_id: node.spanId,
  }
}

// -- routes

function decideRouting(node: NodeState): Event[] {
  const { to, index } = node.route!
  const base = { node: node.path, visit: node.visits, to }
  const target = node.scope.nodes.get(to)
  if (target !== node && (target?.phase === 'running' || target?.phase === 'routing'))
    return [{ type: 'route.ignored', ...base, reason: `${target.path} is running already` }]
  if (node.scope.halt) return [{ type: 'route.ignored', ...base, reason: node.scope.halt.failure.message }]
  return [{ type: 'route.taken', ...base, index, ...(node.label !== undefined && { label: node.label }) }]
}

/** A route was taken to this node: it is entered as soon as what is downstream of it has stopped. */
function decideEntry(state: RunState, node: NodeState, now: number): Event[] {
  if (!isQuiet(node.scope, node)) throw new Error(`${node.path} cannot be entered yet`)
  return [started(state, node, now, { via: 'route' })]
}
