// Owns: how a node is entered: whether it runs or is skipped, with which values, or why it cannot begin.
import { configInvalid, environmentExpressions, evaluateAll, holds, type Site } from './evaluation.ts'
import { parseDuration } from './duration.ts'
import type { Event, EventOf } from './events.ts'
import { type Failure } from './failure.ts'
import { failure } from './failures.ts'
import { spanIdOf, visitId } from './ids.ts'
import type { JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import { childParams } from './child-params.ts'
import { blockingBudget } from './budgets.ts'
import type { RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { asText, fill } from './template.ts'
import { fromTimestamp, toTimestamp } from './time.ts'

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

export const nodeSpan = (state: RunState, node: NodeState, visit: number): string =>
  spanIdOf(state.runId, state.execution, `node ${visitId(node.path, visit)}`)

/** `node.started`: of a new visit, with the values its kind needs at once, or with the reason why it cannot begin. */
export function started(
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
    ...budgets(node),
  }
  const budget = blockingBudget(state, node)
  const cannot =
    reason ??
    (via === 'retry' ? undefined : visitLimit(node)) ??
    (budget && failure('budget_exhausted', 'scheduler', budget.blocked!.message, { causes: [budget.blocked] }))
  if (cannot) return { ...base, failure: cannot }
  return { ...base, ...begin(state, node, now) }
}

/** What may be spent here: readers of the journal know no pipeline. */
export const budgets = ({ def }: NodeState): Partial<EventOf<'node.started'>> => ({
  ...(def.budget && { budget: { ...def.budget } }),
  ...(def.kind === 'child' && def.child.pipeline.budget && { child_budget: { ...def.child.pipeline.budget } }),
})

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
