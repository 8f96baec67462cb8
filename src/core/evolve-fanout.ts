// Owns: the fold of fan-outs: their branches become known, start, end; the join is decided as early as it can be.
import type { EventOf } from './events.ts'
import { branchPrefix } from './ids.ts'
import { endedWell } from './policy.ts'
import { countBranch, decideJoin, planBranches } from './branches.ts'
import { openScope } from './readiness.ts'
import { announceScope } from './evolve-resume.ts'
import { newScope, nodeAt, type RunState, type Scope } from './state.ts'
import type { BranchResult, FanoutState, NodeState } from './node-state.ts'
import type { FanoutNode, Node } from './pipeline.ts'
import { LIMITS } from './limits.ts'
import type { JsonObject } from './json.ts'
import { closeScope } from './node-summary.ts'
import { outputsOf } from './scope-view.ts'

export function onExpanded(state: RunState, event: EventOf<'fanout.expanded'>): void {
  const node = nodeAt(state, event.node)
  const fanout = node?.fanout
  if (!node || !fanout) return
  if (event.failure) {
    node.settled = { failure: event.failure }
    node.step = 'concluding'
    state.agenda.add(node)
    return
  }
  for (const branch of event.branches) {
    fanout.keys.push(branch.key)
    fanout.items.push(branch.item ?? null)
  }
  if (fanout.keys.length < event.total) return
  fanout.total = event.total
  state.agenda.delete(node)
  decideJoin(state, node, fanout)
  if (node.stop || fanout.decided || event.total === 0) joinNow(state, node)
  else planBranches(state, node)
}

export function onBranchStarted(state: RunState, event: EventOf<'branch.started'>): void {
  const node = nodeAt(state, event.node)
  const fanout = node?.fanout
  if (!node || !fanout) return
  const { index, key } = event.branch
  const known = fanout.open.get(index)
  if (known) return announceScope(state, known, event.span_id)
  const { def } = node as NodeState & { def: FanoutNode }
  const scope = newScope({
    kind: 'branch',
    pipeline: node.scope.pipeline,
    nodes: laneOf(def, key),
    prefix: branchPrefix(node.path, node.visits, key),
    params: node.scope.params,
    owner: node,
    branch: { key, index, item: itemOf(def, fanout, index) },
    spanId: event.span_id,
  })
  fanout.open.set(index, scope)
  fanout.next = index + 1
  fanout.spanCount++
  if (fanout.spans.length < LIMITS.spanLinks) fanout.spans.push(event.span_id)
  state.branches++
  planBranches(state, node)
  openScope(state, scope)
}

const laneOf = (def: FanoutNode, key: string): readonly Node[] =>
  'branches' in def.fanout.over ? (def.fanout.over.branches[key] ?? []) : def.fanout.nodes

const itemOf = (def: FanoutNode, fanout: FanoutState, index: number): BranchItem =>
  'branches' in def.fanout.over ? undefined : fanout.items[index]
type BranchItem = NonNullable<Scope['branch']>['item']

export function onBranchFinished(state: RunState, event: EventOf<'branch.finished'>): void {
  const node = nodeAt(state, event.node)
  const fanout = node?.fanout
  const scope = fanout?.open.get(event.branch.index)
  if (!node || !fanout || !scope) return
  state.agenda.delete(scope)
  scope.phase = 'ended'
  scope.result = event.result
  scope.failure = event.failure
  fanout.open.delete(event.branch.index)
  const branch: BranchResult = {
    key: event.branch.key,
    index: event.branch.index,
    result: event.result,
    failure: event.failure,
    outputs: outputsIn(scope),
    rollup: event.rollup,
    retried: event.children.retried > 0,
    canceledRun: event.canceled_run ?? false,
    scope: undefined,
    closed: undefined,
  }
  // A branch that did not end well may be gone back into by a resume or a retry; the others shrink to their result.
  if (endedWell(event.result)) branch.closed = closeScope(state, scope)
  else branch.scope = scope
  fanout.ended.set(branch.index, branch)
  countBranch(fanout, branch)
  decideJoin(state, node, fanout)
  planBranches(state, node)
  if (fanout.open.size === 0 && (fanout.next === fanout.total || fanout.decided || node.stop)) joinNow(state, node)
}

/** Node id → outputs, of the nodes that have any. */
function outputsIn(scope: Scope): BranchResult['outputs'] {
  const outputs: Record<string, JsonObject> = {}
  for (const node of scope.nodes.values()) {
    if (node.fanout || (node.outputs && Object.keys(node.outputs).length > 0)) outputs[node.def.id] = outputsOf(node)
  }
  return outputs
}

function joinNow(state: RunState, node: NodeState): void {
  node.fanout!.joined = true
  state.spawning.delete(node)
  state.agenda.add(node)
}
