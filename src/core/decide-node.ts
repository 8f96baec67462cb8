// Owns: what a node on the agenda does next: enter, go on, conclude, run its hooks, finish, take its route.
import { configInvalid, environmentExpressions, evaluateAll, holds, type Site } from './evaluation.ts'
import { decideChecks, decideRetryOf } from './decide-attempt.ts'
import { decideExpansion } from './decide-fanout.ts'
import { decideHook, hooksLeft } from './decide-hooks.ts'
import { parseDuration } from './duration.ts'
import type { Event, EventOf } from './events.ts'
import { originalCause, type Failure } from './failure.ts'
import { failure } from './failures.ts'
import { pathWithoutVisits, spanIdOf, visitId } from './ids.ts'
import type { JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import { innerSucceeded, outcomeOf, settledResult, type VisitOutcome } from './visit-outcome.ts'
import { isQuiet } from './readiness.ts'
import { childParams } from './child-params.ts'
import { blockingBudget, copyRollup } from './spend.ts'
import type { NodeState, RunState } from './state.ts'
import { asText, fill } from './template.ts'
import { fromTimestamp, toTimestamp } from './time.ts'

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

/** A node that may start: its visit, or why it is skipped. */
export function decideEnter(state: RunState, node: NodeState, now: number): Event[] {
  if (node.enterVia) return [started(state, node, now, { via: node.enterVia })]
  const out = selectedOut(state, node)
  if (out) return [skipped(state, node, out)]
  const { when } = node.def
  const healthy =
    !node.def.needs.some((id) => node.scope.nodes.get(id)!.failed || node.scope.nodes.get(id)!.canceled) &&
    !state.cancel
  if (!when) return [healthy ? started(state, node, now, { via: 'needs' }) : skipped(state, node, upstreamFailed(node))]
  const held = holds(state, { scope: node.scope, node, what: `when of node ${node.path}` }, when.expression)
  if (held.failure) return [started(state, node, now, { via: 'needs', reason: held.failure })]
  if (!held.value) {
    const because = !healthy && when.calls.every((call) => call === 'success')
    return [
      skipped(
        state,
        node,
        because ? upstreamFailed(node) : failure('when_false', 'scheduler', `Skipped: \`${when.expression}\` is false`),
      ),
    ]
  }
  return [started(state, node, now, { via: 'needs' })]
}

function upstreamFailed(node: NodeState): Failure {
  for (const id of node.def.needs) {
    const need = node.scope.nodes.get(id)!
    if (need.failed)
      return failure('upstream_failed', 'scheduler', `Skipped: ${need.path} did not succeed (${need.failed.code})`, {
        causes: [need.failed.code === 'upstream_failed' ? (need.failed.causes?.[0] ?? need.failed) : need.failed],
      })
    if (need.canceled)
      return failure('upstream_failed', 'scheduler', `Skipped: ${need.path} was canceled`, { causes: [need.failure] })
  }
  return failure('upstream_failed', 'scheduler', 'Skipped: the run is being canceled')
}

/** `--only` and `--from` leave the other nodes of the run out; what they would have given is not waited for. */
function selectedOut(state: RunState, node: NodeState): Failure | undefined {
  if (node.scope.kind !== 'run') return undefined
  const { id } = node.def
  if (state.only !== undefined && state.only !== id) return leftOut('--only', state.only)
  if (state.from !== undefined && !node.scope.graph.leadsTo(state.from, id)) return leftOut('--from', state.from)
  return undefined
}
const leftOut = (option: string, id: string): Failure =>
  failure('not_reached', 'user', `Left out by ${option} ${id}`, { details: { selection: option } })

export function skipped(state: RunState, node: NodeState, reason: Failure): EventOf<'node.skipped'> {
  const visit = node.visits + 1
  return {
    type: 'node.skipped',
    node: node.path,
    visit,
    kind: node.def.kind,
    failure: reason,
    span_id: nodeSpan(state, node, visit),
    parent_span_id: node.scope.spanId,
  }
}

const nodeSpan = (state: RunState, node: NodeState, visit: number): string =>
  spanIdOf(state.runId, state.execution, `node ${visitId(node.path, visit)}`)

/** `node.started`: of a new visit, with the values its kind needs at once, or with the reason why it cannot begin. */
function started(
  state: RunState,
  node: NodeState,
  now: number,
  { via, reason }: { via: EventOf<'node.started'>['via']; reason?: Failure },
): EventOf<'node.started'> {
  const visit = node.visits + 1
  const base: EventOf<'node.started'> = {
    type: 'node.started',
    node: node.path,
    visit,
    kind: node.def.kind,
    via,
    span_id: nodeSpan(state, node, visit),
    parent_span_id: node.scope.spanId,
    ...joinLinks(node),
    ...(state.cancel && { cleanup: true }),
  }
  const budget = blockingBudget(state, node)
  const cannot =
    reason ??
    (via === 'retry' ? undefined : visitLimit(node)) ??
    (budget && failure('budget_exhausted', 'scheduler', budget.blocked!.message, { causes: [budget.blocked] }))
  if (cannot) return { ...base, failure: cannot }
  return { ...base, ...begin(state, node, now) }
}

function visitLimit(node: NodeState): Failure | undefined {
  if (node.visitsCounted < node.def.max_visits) return undefined
  return failure(
    'visit_limit',
    'scheduler',
    `${node.path} was entered ${node.visitsCounted} times and may not be entered again (max_visits: ${node.def.max_visits})`,
    { causes: [node.scope.entering.get(node)?.failure] },
  )
}

/** Kinds without attempts evaluate what they need when they start; attempts do so each time. */
function begin(state: RunState, node: NodeState, now: number): Partial<EventOf<'node.started'>> {
  const { def } = node
  const timeoutAt = def.timeout_ms === undefined ? undefined : toTimestamp(now + def.timeout_ms)
  const timeout = timeoutAt === undefined ? {} : { due_at: timeoutAt }
  if (def.kind === 'run' || def.kind === 'agent' || def.kind === 'call') return {}
  if (def.kind === 'fanout') return timeout
  const site: Site = { scope: node.scope, node, what: `node ${node.path}` }
  const evaluated = evaluateAll(state, site, environmentExpressions(node.scope, node, new Set(def.expressions)))
  if (evaluated.failure) return { failure: evaluated.failure }
  const inputs = evaluated.value
  if (def.kind === 'gate') return { inputs, ...(timeoutAt !== undefined && { timeout_at: timeoutAt }) }
  if (def.kind === 'wait')
    return { ...waitUntil(def.wait, inputs, now, node.path), ...(timeoutAt !== undefined && { timeout_at: timeoutAt }) }
  const params = childParams(def.child.pipeline.params, fill(def.child.params, inputs) as JsonObject)
  return 'problem' in params
    ? { failure: configInvalid(`node ${node.path}: the child pipeline ${def.child.file} ${params.problem}`) }
    : { inputs: params.value, ...timeout }
}

function waitUntil(
  wait: { readonly for: string } | { readonly until: string },
  inputs: JsonObject,
  now: number,
  path: string,
): Partial<EventOf<'node.started'>> {
  const text = asText(fill('for' in wait ? wait.for : wait.until, inputs))
  if ('for' in wait) {
    const ms = parseDuration(text)
    return ms === undefined
      ? { failure: configInvalid(`node ${path}: \`${text}\` is no duration (write a number with a unit, e.g. 5m)`) }
      : { due_at: toTimestamp(now + ms) }
  }
  const at = fromTimestamp(text)
  return Number.isNaN(at)
    ? { failure: configInvalid(`node ${path}: \`${text}\` is no time (write RFC 3339, e.g. 2030-01-31T08:00:00Z)`) }
    : { due_at: toTimestamp(at) }
}

function joinLinks(node: NodeState): Partial<EventOf<'node.started'>> {
  const links: string[] = []
  let count = 0
  for (const id of node.def.needs) {
    const fanout = node.scope.nodes.get(id)!.fanout
    if (!fanout) continue
    links.push(...fanout.spans)
    count += fanout.spanCount
  }
  if (count === 0) return {}
  const kept = links.slice(0, LIMITS.spanLinks)
  return { join_links: kept, ...(count > kept.length && { join_links_omitted: count - kept.length }) }
}

// -- running

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
    const counted = decideBreaker(state, node, outcomeOf(state, node))
    if (counted) return [counted]
  }
  const outcome = outcomeOf(state, node)
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
