// Owns: how branches are counted in the view model: by result, by cause, by retry; and which lanes are kept.
import type { EventOf } from '../../core/events.ts'
import { originalCause, type Failure, type Result } from '../../core/failure.ts'
import { shortMessage } from '../cause.ts'
import type { Mark } from '../terminal/style.ts'
import {
  around,
  FAILED_LANES,
  FAILURE_GROUPS,
  fanoutOf,
  laneOf,
  LISTED_LANES,
  nodeAt,
  prefixOf,
  type NodeView,
  type RunView,
  type ScopeView,
} from './run-view.ts'

export function finishBranch(view: RunView, event: EventOf<'branch.finished'>, at: number): void {
  const node = nodeAt(view, event.node)
  if (!node) return
  const fanout = fanoutOf(node)
  const lane = laneOf(node, event.branch)
  Object.assign(lane, { result: event.result, failure: event.failure, finishedAt: at })
  count(node, event.result, 1)
  if (event.failure !== undefined && ['failure', 'error', 'timeout'].includes(event.result))
    group(node, lane, event.failure)
  if (view.keepAll) return
  const failed = event.result !== 'success' && event.result !== 'skip' && fanout.failed <= FAILED_LANES
  if ((fanout.total ?? 0) > LISTED_LANES && !failed) fanout.lanes.delete(event.branch.key)
  else if (event.result === 'success') lane.nodes.clear()
}

function group(node: NodeView, lane: ScopeView, failure: Failure): void {
  const cause = originalCause(failure)
  const groups = fanoutOf(node).groups
  const known = groups.get(cause.signature)
  if (known) known.count++
  else if (groups.size < FAILURE_GROUPS) {
    groups.set(cause.signature, {
      code: cause.code,
      message: shortMessage(cause),
      count: 1,
      first: lane.key ?? prefixOf(lane),
    })
  }
}

function count(node: NodeView, result: Result, by: 1 | -1): void {
  const fanout = fanoutOf(node)
  if (result === 'success') fanout.ok += by
  else if (result === 'skip') fanout.skipped += by
  else if (result === 'cancellation') fanout.canceled += by
  else fanout.failed += by
}
export const uncount = (node: NodeView, result: Result): void => count(node, result, -1)

const retriedLanes = new WeakSet<ScopeView>()
/** Each lane around a node that was tried again counts once. */
export function countRetried(node: NodeView): void {
  for (const { scope } of around(node)) if (scope.key !== undefined) markRetried(scope)
}

function markRetried(lane: ScopeView): void {
  if (retriedLanes.has(lane) || lane.owner?.fanout === undefined) return
  retriedLanes.add(lane)
  lane.owner.fanout.retried++
}

const OPEN: readonly Mark[] = ['running', 'retrying', 'waiting', 'gate']

/** The process of the run is gone: what was open is lost until a resume goes on with it. */
export function loseOpen(scope: ScopeView, failure: Failure): void {
  for (const node of scope.nodes.values()) {
    if (OPEN.includes(node.mark)) Object.assign(node, { mark: 'error', failure })
    if (node.inner) loseOpen(node.inner, failure)
    for (const lane of node.fanout?.lanes.values() ?? []) if (lane.result === undefined) loseOpen(lane, failure)
  }
}
