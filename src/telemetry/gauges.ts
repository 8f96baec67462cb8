// Owns: what is open → gauge points. Counts of every node seen are always there, 0 included; times only while
// something is open. Linear in open attempts and gates and in node ids.
import type { GaugePoint } from './measurement.ts'
import type { MetricKey } from './metric-names.ts'
import { ATTR } from './names.ts'
import type { OpenAttempt, OpenWork } from './open-work.ts'
import type { Attributes } from './span-record.ts'

const seconds = (us: number): number => us / 1_000_000

/** The open attempts of one node id, taken together. Times are epoch microseconds. */
interface Together {
  open: number
  waiting: number
  oldestStart: number
  oldestProgress: number
  /** The longest: a node id may stand for several nodes. */
  stall: number | undefined
  deadline: number | undefined
}

export function gaugesOf(work: OpenWork, nowUs: number): GaugePoint[] {
  const points = new Points(work.pipeline)
  points.add('heartbeat', seconds(nowUs), {})
  if (work.pipeline === undefined) return points.all
  points.add('runsOpen', work.isOpen ? 1 : 0)
  const attempts = together(work.attempts.values(), nowUs)
  const gates = openGates(work)
  for (const [id, seen] of work.nodes) {
    const node = { [ATTR.taskName]: id }
    if (seen.attempts) addAttempts(points, node, attempts.get(id))
    if (seen.branches) points.add('branchesOpen', seen.branchesOpen, node)
    if (seen.gates) {
      const gate = gates.get(id)
      points.add('gatesOpen', gate?.open ?? 0, node)
      if (gate) points.add('gateOldest', seconds(gate.oldestUs), node)
    }
    if (seen.breaker) points.add('breakerOpen', seen.breakerOpen ? 1 : 0, node)
  }
  addBudgets(points, work, nowUs)
  return points.all
}

/** The last values of a run that ends: whatever could be open is not, so that nobody takes it for lost. */
export function closingOf(work: OpenWork): GaugePoint[] {
  const points = new Points(work.pipeline)
  if (work.pipeline === undefined) return []
  points.add('runsOpen', 0)
  for (const [id, seen] of work.nodes) {
    const node = { [ATTR.taskName]: id }
    if (seen.attempts) points.add('attemptsOpen', 0, node)
    if (seen.attempts) points.add('attemptsWaiting', 0, node)
    if (seen.branches) points.add('branchesOpen', 0, node)
    if (seen.gates) points.add('gatesOpen', 0, node)
    if (seen.breaker) points.add('breakerOpen', 0, node)
  }
  for (const { node, kind } of work.budgets.seen.values()) addBudget(points, { node, kind, ratio: 0 })
  return points.all
}

/** An id may stand for several nodes: the budget that is used most speaks for it. */
function addBudgets(points: Points, work: OpenWork, nowUs: number): void {
  const most = new Map<string, BudgetRatio>()
  for (const { node, kind, used, limit } of work.budgets.shares(nowUs)) {
    const id = `${kind} ${node ?? ''}`
    const ratio = limit > 0 ? used / limit : 1
    if (ratio >= (most.get(id)?.ratio ?? 0)) most.set(id, { node, kind, ratio })
  }
  for (const ratio of most.values()) addBudget(points, ratio)
}

interface BudgetRatio {
  readonly node: string | undefined
  readonly kind: string
  readonly ratio: number
}

function addBudget(points: Points, { node, kind, ratio }: BudgetRatio): void {
  points.add('budgetUsed', ratio, {
    ...(node === undefined ? {} : { [ATTR.taskName]: node }),
    [ATTR.budgetKind]: kind,
  })
}

class Points {
  readonly all: GaugePoint[] = []
  private readonly pipeline: Attributes

  constructor(pipeline: string | undefined) {
    this.pipeline = pipeline === undefined ? {} : { [ATTR.pipelineName]: pipeline }
  }

  add(metric: MetricKey, value: number, attributes?: Attributes): void {
    this.all.push({ metric, value, attributes: metric === 'heartbeat' ? {} : { ...this.pipeline, ...attributes } })
  }
}

function addAttempts(points: Points, node: Attributes, attempts: Together | undefined): void {
  points.add('attemptsOpen', attempts?.open ?? 0, node)
  points.add('attemptsWaiting', attempts?.waiting ?? 0, node)
  if (!attempts) return
  points.add('oldestStart', seconds(attempts.oldestStart), node)
  points.add('oldestProgress', seconds(attempts.oldestProgress), node)
  if (attempts.stall !== undefined) points.add('stallTimeout', seconds(attempts.stall), node)
  if (attempts.deadline !== undefined) points.add('attemptDeadline', seconds(attempts.deadline), node)
}

function together(attempts: Iterable<OpenAttempt>, nowUs: number): Map<string, Together> {
  const nodes = new Map<string, Together>()
  for (const attempt of attempts) {
    let node = nodes.get(attempt.node)
    if (!node) {
      node = {
        open: 0,
        waiting: 0,
        oldestStart: Number.POSITIVE_INFINITY,
        oldestProgress: Number.POSITIVE_INFINITY,
        stall: undefined,
        deadline: undefined,
      }
      nodes.set(attempt.node, node)
    }
    node.open += 1
    if (attempt.waiting) node.waiting += 1
    node.oldestStart = Math.min(node.oldestStart, attempt.startedUs)
    node.oldestProgress = Math.min(node.oldestProgress, progressOf(attempt, nowUs))
    if (attempt.stallUs !== undefined) node.stall = Math.max(node.stall ?? 0, attempt.stallUs)
    const deadline = deadlineOf(attempt, nowUs)
    if (deadline !== undefined) node.deadline = Math.min(node.deadline ?? deadline, deadline)
  }
  return nodes
}

/**
 * While its clocks stand still an attempt is not idle: it counts as making progress now. (To leave the value out would
 * keep its last one in the eyes of an alert that looks back.)
 */
const progressOf = (attempt: OpenAttempt, nowUs: number): number =>
  attempt.stoodSinceUs === undefined ? attempt.progressUs : Math.max(nowUs, attempt.progressUs)

/** It moves on while the clocks stand still. */
const deadlineOf = (attempt: OpenAttempt, nowUs: number): number | undefined =>
  attempt.timeoutUs === undefined
    ? undefined
    : attempt.startedUs +
      attempt.timeoutUs +
      attempt.stoodUs +
      (attempt.stoodSinceUs === undefined ? 0 : Math.max(0, nowUs - attempt.stoodSinceUs))

function openGates(work: OpenWork): Map<string, { open: number; oldestUs: number }> {
  const nodes = new Map<string, { open: number; oldestUs: number }>()
  for (const { node, openedUs } of work.gates.values()) {
    const gates = nodes.get(node)
    if (!gates) nodes.set(node, { open: 1, oldestUs: openedUs })
    else {
      gates.open += 1
      gates.oldestUs = Math.min(gates.oldestUs, openedUs)
    }
  }
  return nodes
}
