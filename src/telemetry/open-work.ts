// Owns: what is open in a run while its journal is read, as far as metrics need it: attempts, branches, gates, joins,
// and the node ids seen. Memory is linear in what is open. No clock, no I/O, no SDK.
import type { EventOf } from '../core/events.ts'
import type { Cost, Usage } from '../core/outcome.ts'
import { ATTEMPT_KINDS, type NodeKind } from '../core/pipeline.ts'
import { nothingSpent, spentOf } from '../core/spent.ts'
import type { Spent } from '../core/node-state.ts'
import { visitId } from '../core/ids.ts'
import { BudgetBook } from './budget-use.ts'
import type { Measurement } from './measurement.ts'
import type { MetricKey } from './metric-names.ts'
import { ATTR } from './names.ts'
import { idOf } from './run-rows.ts'
import { bounded } from './span-attributes.ts'
import type { Attributes } from './span-record.ts'

/** An attempt that is open. Times are epoch microseconds. */
export interface OpenAttempt {
  readonly path: string
  /** The node id. */
  readonly node: string
  readonly kind: string
  readonly number: number
  readonly startedUs: number
  readonly timeoutUs: number | undefined
  readonly stallUs: number | undefined
  model: string | undefined
  spent: Spent
  /** Split by model, when there were several. */
  models: Usage['models']
  source: Cost['source']
  progressUs: number
  waiting: boolean
  /** Since when its clocks stand still: it waits for a limit, or its main action is over and checks run. */
  stoodSinceUs: number | undefined
  /** How long they stood still before. */
  stoodUs: number
}

/** A branch that is open; `counted` = an earlier execution recorded it already. */
interface OpenBranch {
  readonly node: string
  readonly startedUs: number
  readonly counted: boolean
}

interface OpenGate {
  readonly node: string
  readonly openedUs: number
  /** Answers after which nothing of its node goes on. */
  readonly reject: readonly string[]
}

/** Which gauges a node id has. An id may stand for several nodes: in branches and in child pipelines. */
export interface NodeSeen {
  attempts: boolean
  branches: boolean
  gates: boolean
  breaker: boolean
  branchesOpen: number
  breakerOpen: boolean
}

export class OpenWork {
  /** Bounded; undefined before `run.created`. */
  pipeline: string | undefined
  isOpen = false
  executionStartedUs = 0
  /** Time of the last entry of a process that was alive: a lost attempt ended no later than that, as far as known. */
  lastAliveUs = 0
  readonly nodes = new Map<string, NodeSeen>()
  readonly attempts = new Map<string, OpenAttempt>()
  /** By span id. */
  readonly branches = new Map<string, OpenBranch>()
  /** When they were opened, by visit id. Those of an execution that ended wait for the next one to go on with them. */
  readonly gates = new Map<string, OpenGate>()
  private readonly gatesLeft = new Map<string, OpenGate>()
  /** First end of a branch, by visit id of the fan-out. */
  private readonly firstEnds = new Map<string, number>()
  readonly budgets = new BudgetBook()
  measured: Measurement[] = []

  record(metric: MetricKey, value: number, attributes: Attributes): void {
    this.measured.push({ metric, value, attributes: { [ATTR.pipelineName]: this.pipeline ?? '', ...attributes } })
  }

  node(path: string): NodeSeen {
    const id = idOf(path)
    let seen = this.nodes.get(id)
    if (!seen) {
      seen = { attempts: false, branches: false, gates: false, breaker: false, branchesOpen: 0, breakerOpen: false }
      this.nodes.set(id, seen)
    }
    return seen
  }

  seen(path: string, kind: string): void {
    const node = this.node(path)
    if (ATTEMPT_KINDS.includes(kind as NodeKind)) node.attempts = true
    if (kind === 'fanout') node.branches = true
    if (kind === 'gate') node.gates = true
  }

  attempt(event: EventOf<'attempt.started'>, atUs: number): void {
    const { timeout_ms: timeout, stall_timeout_ms: stall, model } = event
    this.node(event.node).attempts = true
    this.attempts.set(event.attempt_id, {
      path: event.node,
      node: idOf(event.node),
      kind: event.kind,
      number: event.attempt,
      startedUs: atUs,
      timeoutUs: timeout === undefined ? undefined : timeout * 1_000,
      stallUs: stall === undefined ? undefined : stall * 1_000,
      model,
      spent: nothingSpent(),
      models: undefined,
      source: 'unknown',
      progressUs: atUs,
      waiting: false,
      stoodSinceUs: undefined,
      stoodUs: 0,
    })
  }

  /** Books a report of what the attempt has used so far. */
  book(attempt: OpenAttempt, report: { readonly usage?: Usage | undefined; readonly cost?: Cost | undefined }): void {
    const { usage, cost } = report
    if (usage?.model !== undefined) attempt.model = usage.model
    if (!usage && !cost) return
    const before = attempt.spent
    attempt.spent = spentOf(usage, cost, before)
    if (usage) attempt.models = usage.models
    if (cost) attempt.source = cost.source
    this.budgets.addSpend(attempt.path, before, attempt.spent)
  }

  openBranch(event: EventOf<'branch.started'>, atUs: number): void {
    const node = this.node(event.node)
    node.branches = true
    node.branchesOpen += 1
    this.branches.set(event.span_id, {
      node: idOf(event.node),
      startedUs: atUs,
      counted: event.continues !== undefined,
    })
  }

  /** Takes a branch that ends. */
  closeBranch(spanId: string): OpenBranch | undefined {
    const branch = this.branches.get(spanId)
    if (!branch) return undefined
    this.branches.delete(spanId)
    this.node(branch.node).branchesOpen -= 1
    return branch
  }

  openGate(event: EventOf<'gate.opened'>, atUs: number): void {
    this.node(event.node).gates = true
    const { node, visit, reject } = event
    this.gates.set(visitId(node, visit), { node: idOf(node), openedUs: atUs, reject })
  }

  /** A gate that was left open when an execution ended is open again, for as long as it has been. */
  reopenGate(event: { readonly node: string; readonly visit: number }): boolean {
    const id = visitId(event.node, event.visit)
    const gate = this.gatesLeft.get(id)
    if (gate) this.gates.set(id, gate)
    return this.gatesLeft.delete(id)
  }

  /** `isLeft`: nobody can answer any more, but a resume may go on with it. */
  closeGate(event: { readonly node: string; readonly visit: number }, isLeft = false): OpenGate | undefined {
    const id = visitId(event.node, event.visit)
    const gate = this.gates.get(id)
    this.gates.delete(id)
    if (!isLeft) this.gatesLeft.delete(id)
    else if (gate) this.gatesLeft.set(id, gate)
    return gate
  }

  noteBranchEnd(fanout: string, atUs: number): void {
    if (!this.firstEnds.has(fanout)) this.firstEnds.set(fanout, atUs)
  }

  /** Takes the time of the first end of a branch. */
  takeFirstEnd(fanout: string): number | undefined {
    const first = this.firstEnds.get(fanout)
    this.firstEnds.delete(fanout)
    return first
  }

  /** The process has ended, or is gone: nothing is under way any longer. */
  endExecution(): void {
    this.isOpen = false
    this.budgets.endExecution(this.lastAliveUs)
    this.attempts.clear()
    this.branches.clear()
    for (const [id, gate] of this.gates) this.gatesLeft.set(id, gate)
    this.gates.clear()
    this.firstEnds.clear()
    for (const node of this.nodes.values()) {
      node.branchesOpen = 0
      node.breakerOpen = false
    }
  }
}

/** Its clocks stand still from now on. */
export function stand(attempt: OpenAttempt, atUs: number): void {
  attempt.stoodSinceUs ??= atUs
}

/** They go on; that it could go on is progress. */
export function goOn(attempt: OpenAttempt, atUs: number): void {
  if (attempt.stoodSinceUs === undefined) return
  attempt.stoodUs += Math.max(0, atUs - attempt.stoodSinceUs)
  attempt.stoodSinceUs = undefined
  attempt.progressUs = atUs
}

export const modelOf = (attempt: OpenAttempt): string | undefined =>
  attempt.model === undefined ? undefined : bounded(attempt.model)
