// Owns: the fold of journal entries into the view model; constant work per entry. One row per event type, so that a new
// event does not compile without its line here. Must not: look at a clock, or judge (verdict.ts).
import type { Entry, Event, EventOf, EventType } from '../../core/events.ts'
import { originalCause, type Failure, type Result } from '../../core/failure.ts'
import { fromTimestamp } from '../../core/time.ts'
import { markOf, type Mark } from '../terminal/style.ts'
import { countRetried, finishBranch, loseOpen, uncount } from './fold-branch.ts'
import { ATTEMPT_FOLD, openAttempt } from './fold-attempt.ts'
import { add, spendOnce } from './fold-spend.ts'
import { stopWaiting } from './fold-wait.ts'
import { fanoutOf, laneOf, newNodeView, nodeAt, type RunView } from './run-view.ts'

/** Takes one entry into the view, in place. */
export function foldEntry(view: RunView, entry: Entry): void {
  const at = fromTimestamp(entry.at)
  view.lastAt = at
  view.lastSeq = entry.seq
  const fold = FOLD[entry.event.type] as ((view: RunView, event: Event, at: number) => void) | undefined
  fold?.(view, entry.event, at)
}

export type Fold<T extends EventType> = (view: RunView, event: EventOf<T>, at: number) => void
const nothing = (): void => {}

const FOLD: { readonly [T in EventType]: Fold<T> } = {
  'run.created': (view, event, at) => {
    view.runId = event.run_id
    view.name = event.pipeline.name
    view.traceId = event.trace_id
    view.startedAt = at
    view.maxParallel = event.max_parallel
  },
  'run.resumed': (view, event) => {
    view.phase = 'running'
    view.result = undefined
    view.failure = undefined
    view.finishedAt = undefined
    view.maxParallel = event.max_parallel
  },
  'run.cancel_requested': (view) => void (view.phase = 'canceling'),
  'run.interrupted': (view, event, at) => {
    view.phase = 'interrupted'
    loseOpen(view.root, event.failure)
    view.failure = event.failure
    view.result = 'error'
    view.finishedAt = at
  },
  'run.concluded': nothing,
  'run.finished': (view, event, at) => {
    view.phase = 'ended'
    view.result = event.result
    view.failure = event.failure
    view.finishedAt = at
  },
  'node.started': startNode,
  'node.skipped': (view, event, at) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    Object.assign(node, {
      mark: 'skipped',
      result: 'skip',
      failure: event.failure,
      startedAt: at,
      finishedAt: at,
      visit: event.visit,
    })
  },
  'node.finished': finishNode,
  'fanout.expanded': (view, event) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    const fanout = fanoutOf(node)
    if (event.offset === 0 && fanout.total !== undefined) node.fanout = undefined
    fanoutOf(node).total = event.total
  },
  'branch.started': (view, event, at) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    const known = fanoutOf(node).lanes.get(event.branch.key)
    // A lane that ended and goes on (a retry, a resume) is open again.
    if (known?.result !== undefined) uncount(node, known.result)
    const lane = laneOf(node, event.branch)
    if (lane.startedAt === 0) lane.startedAt = at
    lane.result = undefined
    lane.finishedAt = undefined
    if (known === undefined || event.continues === undefined) fanoutOf(node).started++
  },
  'branch.finished': finishBranch,
  ...ATTEMPT_FOLD,
  'retry.scheduled': (view, event) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    node.mark = 'retrying'
    node.retry = {
      dueAt: fromTimestamp(event.due_at),
      delayMs: event.delay_ms,
      next: event.next_attempt,
      max: event.max,
      failure: event.failure,
    }
    add(node, { retries: 1 })
  },
  'retry_context.assembled': nothing,
  'check.started': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.note = `check ${event.name}`
  },
  'check.finished': (view, event) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    node.note = event.passed || event.required ? undefined : `optional check ${event.name} failed`
  },
  'hook.started': nothing,
  'hook.finished': nothing,
  'gate.opened': (view, event, at) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    node.mark = 'gate'
    node.gate = {
      path: event.node,
      question: event.question,
      choices: event.choices,
      default: event.default,
      openedAt: at,
      dueAt: event.due_at === undefined ? undefined : fromTimestamp(event.due_at),
      questions: event.questions ?? [],
    }
    view.gates.set(event.node, node.gate)
  },
  'gate.answered': (view, event) => {
    closeGate(view, event.node)
    const node = nodeAt(view, event.node)
    if (node) node.note = `${event.choice}, answered by ${event.by.user ?? event.by.kind}`
  },
  'gate.expired': (view, event) => closeGate(view, event.node),
  'timer.fired': (view, event) => {
    const attempt = event.timer === 'limit' && event.attempt_id !== undefined && openAttempt(view, event.attempt_id)
    if (attempt) stopWaiting(attempt.node)
  },
  'route.taken': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.routed = true
  },
  'route.ignored': nothing,
  'signature.counted': nothing,
  'breaker.opened': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.breaker = { count: event.count, code: originalCause(event.failure).code }
  },
  'budget.warned': nothing,
  'budget.exceeded': nothing,
  'outcome.normalized': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.note = `outcome read from ${event.source}`
  },
  'outcome.conflict': nothing,
  'stall.detected': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.note = 'stalled'
  },
  'processes.ended': nothing,
  'log.capped': nothing,
  'budget.reserved': nothing,
  'summary.started': (view, event) => {
    const node = nodeAt(view, event.node)
    if (node) node.note = 'its failures are summed up'
  },
  'summary.failed': (view, event) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    node.note = undefined
    spendOnce(node, event.usage, event.cost)
  },
  'failure.summarized': (view, event) => {
    const node = nodeAt(view, event.node)
    if (!node) return
    node.note = undefined
    node.summary = event.text
    spendOnce(node, event.usage, event.cost)
  },
  'warning.raised': (view) => void view.warnings++,
}

function startNode(view: RunView, event: EventOf<'node.started'>, at: number): void {
  const known = nodeAt(view, event.node)
  if (!known) return
  const node =
    known.kind === event.kind
      ? known
      : Object.assign(newNodeView(known.inside, known.id, event.kind), { spend: known.spend })
  if (event.visit !== node.visit) {
    node.fanout = undefined
    node.inner = undefined
    node.startedAt = at
  }
  Object.assign(node, {
    mark: 'running',
    visit: event.visit,
    startedAt: node.startedAt ?? at,
    finishedAt: undefined,
    result: undefined,
    failure: event.failure,
    label: undefined,
    routed: false,
    tolerated: false,
    retry: undefined,
    note: undefined,
    breaker: undefined,
    dueAt: event.due_at === undefined ? undefined : fromTimestamp(event.due_at),
    retryCount: 0,
    summary: undefined,
  })
  if (event.kind === 'wait') node.mark = 'waiting'
  // A gate that goes on after a resume was opened before.
  if (node.gate) {
    node.mark = 'gate'
    view.gates.set(event.node, node.gate)
  }
}

function finishNode(view: RunView, event: EventOf<'node.finished'>, at: number): void {
  const node = nodeAt(view, event.node)
  if (!node) return
  stopWaiting(node)
  closeGate(view, event.node)
  Object.assign(node, {
    result: event.result,
    failure: event.failure,
    label: event.label,
    finishedAt: at,
    tolerated: event.tolerated === true,
    routed: event.route !== undefined,
    retryCount: event.retry_count,
    retry: undefined,
    attempt: undefined,
    gate: undefined,
    mark: endMark(event.result, event.failure),
  })
  if (event.retry_count > 0) countRetried(node)
}

const endMark = (result: Result, failure: Failure | undefined): Mark =>
  failure?.code === 'breaker_open' ? 'breaker' : markOf(result)

function closeGate(view: RunView, path: string): void {
  view.gates.delete(path)
  const node = nodeAt(view, path)
  if (node?.gate === undefined) return
  node.gate = undefined
  if (node.mark === 'gate') node.mark = 'running'
}
