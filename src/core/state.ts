// Owns: the state of a run = fold(journal) (I3). Only evolve writes it, in place, so that 10,000 branches stay linear;
// decide and pending read it. What has ended well shrinks to its result.
import type { Command, Stop } from './commands.ts'
import type { EventOf, HookFailure, InboundContext, Rollup } from './events.ts'
import type { Expressions } from './expressions.ts'
import type { Failure, Result } from './failure.ts'
import { graphOf, type Graph } from './graph.ts'
import { nodePath, pathWithoutVisits } from './ids.ts'
import type { Json, JsonObject } from './json.ts'
import type { Budget, HookEvent, Node, Pipeline } from './pipeline.ts'

export type RunPhase = 'new' | 'running' | 'interrupted' | 'ended'

export interface RunState {
  readonly pipeline: Pipeline
  readonly expressions: Expressions
  phase: RunPhase
  runId: string
  key: string | undefined
  labels: { readonly [name: string]: string }
  params: JsonObject
  only: string | undefined
  from: string | undefined
  traceId: string
  inbound: InboundContext | undefined
  execution: number
  /** Epoch ms of the first and the latest entry. */
  startedAt: number
  lastAt: number
  root: Scope
  /** Nodes and scopes in which something has to be decided, oldest first. Empty = the run waits for an input. */
  readonly agenda: Set<NodeState | Scope | BudgetState>
  /** Visits that wait for a slot, and fan-outs that could start another branch. */
  readonly queue: Set<NodeState>
  readonly spawning: Set<NodeState>
  slots: { limit: number; used: number }
  /** Effects and timers whose start is on record and whose outcome is not; `dirty` = ids changed since last asked. */
  readonly commands: Map<string, Command>
  readonly dirty: Set<string>
  /** Scopes that are open, or kept for a resume or a retry, by prefix. */
  readonly scopes: Map<string, Scope>
  /** Open attempts by id; open gates by node path. */
  readonly attempts: Map<string, NodeState>
  readonly gates: Map<string, NodeState>
  cancel: Cancel | undefined
  readonly signatures: Map<string, Map<string, number>>
  /** By `scopePath`. */
  readonly budgets: Map<string, BudgetState>
  hookFailures: HookFailure[]
  branches: number
  nodesFinished: number
  /** The judged result, from `run.concluded` on; hooks and the sweep follow. */
  concluded: { readonly result: Result; readonly failure: Failure | undefined } | undefined
  hooks: HookRun | undefined
  spanId: string
  firstSpanId: string
  /** Of the current execution. */
  executionStartedAt: number
  result: Result | undefined
  failure: Failure | undefined
  resumable: boolean
}

export interface Cancel {
  readonly failure: Failure
  force: boolean
  readonly at: number
  /** The time for clean-up nodes is over. */
  expired: boolean
}

/** The graph instance a node lives in: the run, a branch or a child pipeline. */
export interface Scope {
  readonly kind: 'run' | 'branch' | 'child'
  readonly owner: NodeState | undefined
  readonly graph: Graph
  readonly pipeline: Pipeline
  readonly prefix: string
  readonly branch: { readonly key: string; readonly index: number; readonly item: Json | undefined } | undefined
  /** Params of the nearest pipeline. */
  params: JsonObject
  readonly nodes: Map<string, NodeState>
  spanId: string
  phase: 'open' | 'ended'
  /** Nodes that run or are about to; 0 = the scope can be judged. */
  active: number
  /** Nodes in the order in which they got their latest result. */
  readonly finished: Set<NodeState>
  /** A route to `end` or `fail`, fail_fast, a join, a cancel of this scope: nothing new starts. */
  halt: Halt | undefined
  /** Routes taken whose downstream has still to stop. */
  readonly entering: Map<NodeState, NodeState>
  /** Child pipelines bound what runs inside them. */
  slots: { limit: number; used: number; readonly queue: Set<NodeState> } | undefined
  readonly rollup: Rollup
  result: Result | undefined
  failure: Failure | undefined
  /** To be announced again in this execution. */
  resuming: boolean
  /** Nodes with `leave_running` that are visited again after a resume: what is downstream of them waits. */
  readonly holding: Set<NodeState>
}

export interface Halt {
  /** canceled_run and budget are lifted by a resume; the others are part of what the run decided. */
  readonly reason: 'end' | 'fail' | 'fail_fast' | 'stopped' | 'budget' | 'canceled_run'
  readonly by: NodeState | undefined
  readonly failure: Failure
  /** Idle nodes that call always() or canceled() still start. */
  readonly cleanup: boolean
}

/** What a running visit is doing. `settling` = its outcome is known, hooks may run. */
export type Step =
  | 'entering'
  | 'queued'
  | 'acting'
  | 'limited'
  | 'checking'
  | 'concluding'
  | 'backoff'
  | 'branches'
  | 'scope'
  | 'gate'
  | 'wait'
  | 'settling'
  | 'suspended'

export interface NodeState {
  readonly def: Node
  readonly scope: Scope
  readonly path: string
  /** ready = may be entered; routing = has its result and takes a route. */
  phase: 'idle' | 'ready' | 'running' | 'routing' | 'done'
  step: Step
  /** Needs without a result that counts. */
  unmet: number
  /** Has a result that releases its dependents. */
  released: boolean
  visits: number
  /** The open or latest visit got as far as its kind's work. */
  began: boolean
  /** Entries that count towards max_visits (a manual retry with --reset-count starts again). */
  visitsCounted: number
  via: EventOf<'node.started'>['via']
  cleanup: boolean
  /** Open in an earlier execution; `node.started` will announce it again. */
  resuming: boolean
  /** How it is to be entered next, when not by its needs. */
  enterVia: 'route' | 'retry' | 'resume' | undefined
  result: Result | undefined
  label: string | undefined
  outputs: JsonObject | undefined
  failure: Failure | undefined
  partial: boolean
  tolerated: boolean
  route: { readonly index: number; readonly to: string } | undefined
  canceledRun: boolean
  /** Over the needs and itself: did any fail, was any canceled. Dependents judge `success()` by it. */
  failed: Failure | undefined
  canceled: boolean
  startedAt: number
  finishedAt: number
  spanId: string
  /** Why the open visit has to end. */
  stop: Stop | undefined
  /** Known outcome of the open visit before its hooks ran (kinds without attempts, and visits that could not begin). */
  settled: Settled | undefined
  inputs: JsonObject
  attempt: AttemptState | undefined
  /** Over all visits. */
  attemptsTotal: number
  retriesTotal: number
  attemptsInVisit: number
  retriesInVisit: number
  /** Retries that earlier visits used and a manual retry did not reset. */
  retriesCarried: number
  lostInVisit: number
  lostInARow: number
  limitWaits: number
  limitWaitMs: number
  /** It waits for a limit until then (epoch ms), also over the loss of the attempt. */
  limitedUntil: number
  /** The next attempt starts no sooner (epoch ms), and the delay that was announced. */
  notBefore: number
  delayMs: number | undefined
  prior: { readonly attempt_id: string; readonly span_id: string; readonly failure: Failure }[]
  counted: boolean
  broken: Failure | undefined
  hooks: HookRun | undefined
  inner: Scope | undefined
  fanout: FanoutState | undefined
  /** Checks that are done, in the order in which they run. */
  checkIndex: number
  checkOpen: boolean
  checkFailure: Failure | undefined
  /** When its wait or gate is due, and when the visit (of a kind without attempts) times out. */
  dueAt: number | undefined
  timeoutAt: number | undefined
  mode: 'clean' | 'continue' | undefined
  gate:
    | {
        readonly question: string
        readonly choices: readonly string[]
        readonly reject: readonly string[]
        readonly default: string | undefined
      }
    | undefined
  gateExpired: boolean
  rollup: Rollup
  budget: BudgetState | undefined
  /** Of its child pipeline, over all visits. */
  childBudget: BudgetState | undefined
  /** Execution in which it counts as work on the clocks of time budgets (0 = it does not). */
  workingIn: number
}

export interface Settled {
  readonly failure?: Failure | undefined
  readonly label?: string | undefined
  readonly outputs?: JsonObject | undefined
  readonly partial?: boolean | undefined
  readonly skipped?: boolean | undefined
}

export interface AttemptState {
  readonly id: string
  readonly number: number
  readonly spanId: string
  readonly max: number
  readonly startedAt: number
  open: boolean
  waiting: boolean
  /** What the main action reported, once it is on record. */
  acted: EventOf<'attempt.acted'> | undefined
  result: Result | undefined
  failure: Failure | undefined
  settled: Settled | undefined
  next: string | undefined
  notes: string | undefined
  spent: Spent
  lost: boolean
}

/** What an attempt has spent so far: absolute, so that reports can be repeated. */
export interface Spent {
  tokens: Rollup['tokens']
  costUsd: number
  unpriced: number
}

export interface HookRun {
  readonly list: readonly { readonly event: HookEvent; readonly index: number }[]
  position: number
  open: boolean
  readonly result: Result
}

export interface FanoutState {
  /** Undefined until the branches are known. */
  total: number | undefined
  readonly keys: string[]
  readonly items: Json[]
  next: number
  readonly open: Map<number, Scope>
  /** Ended branches. `scope` is kept where a retry or a resume may have to go back in. */
  readonly ended: Map<number, BranchResult>
  succeeded: number
  failed: number
  canceledCount: number
  retried: number
  skipped: number
  firstFailure: Failure | undefined
  worst: Result | undefined
  /** Set when the join can be judged before all branches ended. */
  decided: 'satisfied' | 'unreachable' | 'fail_fast' | 'blocked' | undefined
  blocked: Failure | undefined
  /** Spans of the branches for join links (the first ones), and how many branches have spans. */
  readonly spans: string[]
  spanCount: number
  joined: boolean
}

export interface BranchResult {
  readonly key: string
  readonly index: number
  readonly result: Result
  readonly failure: Failure | undefined
  readonly outputs: { readonly [node: string]: JsonObject }
  readonly rollup: Rollup
  readonly retried: boolean
  readonly canceledRun: boolean
  scope: Scope | undefined
}

export interface BudgetState {
  /** Path of the node; with a `/` behind it for a child pipeline's own; empty for the run's. */
  readonly scopePath: string
  readonly limits: Budget
  readonly owner: NodeState | undefined
  usd: number
  tokens: number
  attempts: number
  /** Time used up to `since`; the clock runs while `busy` > 0. */
  timeMs: number
  since: number
  busy: number
  readonly warned: Set<string>
  readonly exceeded: Set<string>
  /** Enforced and used up: nothing new starts. */
  blocked: Failure | undefined
}

export const emptyRollup = (): Rollup => ({
  attempts: 0,
  retries: 0,
  tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
  cost_usd: 0,
  cost_unpriced: 0,
})

/** A run before its first event. */
export function newRun(pipeline: Pipeline, expressions: Expressions): RunState {
  const state: RunState = {
    pipeline,
    expressions,
    phase: 'new',
    runId: '',
    key: undefined,
    labels: {},
    params: {},
    only: undefined,
    from: undefined,
    traceId: '',
    inbound: undefined,
    execution: 0,
    startedAt: 0,
    lastAt: 0,
    root: undefined as unknown as Scope,
    agenda: new Set(),
    queue: new Set(),
    spawning: new Set(),
    slots: { limit: pipeline.max_parallel, used: 0 },
    commands: new Map(),
    dirty: new Set(),
    scopes: new Map(),
    attempts: new Map(),
    gates: new Map(),
    cancel: undefined,
    signatures: new Map(),
    budgets: new Map(),
    hookFailures: [],
    branches: 0,
    nodesFinished: 0,
    concluded: undefined,
    hooks: undefined,
    spanId: '',
    firstSpanId: '',
    executionStartedAt: 0,
    result: undefined,
    failure: undefined,
    resumable: false,
  }
  state.root = newScope({ kind: 'run', pipeline, nodes: pipeline.nodes, prefix: '', params: {} })
  state.scopes.set('', state.root)
  return state
}

export function newScope(init: {
  kind: Scope['kind']
  pipeline: Pipeline
  nodes: readonly Node[]
  prefix: string
  params: JsonObject
  owner?: NodeState
  branch?: Scope['branch']
  spanId?: string
}): Scope {
  const scope: Scope = {
    kind: init.kind,
    owner: init.owner,
    graph: graphOf(init.nodes),
    pipeline: init.pipeline,
    prefix: init.prefix,
    branch: init.branch,
    params: init.params,
    nodes: new Map(),
    spanId: init.spanId ?? '',
    phase: 'open',
    active: 0,
    finished: new Set(),
    halt: undefined,
    entering: new Map(),
    slots: undefined,
    rollup: emptyRollup(),
    result: undefined,
    failure: undefined,
    resuming: false,
    holding: new Set(),
  }
  for (const def of init.nodes) scope.nodes.set(def.id, newNode(def, scope))
  return scope
}

function newNode(def: Node, scope: Scope): NodeState {
  return {
    def,
    scope,
    path: nodePath(scope.prefix, def.id),
    phase: 'idle',
    step: 'entering',
    unmet: def.needs.length,
    released: false,
    visits: 0,
    began: false,
    visitsCounted: 0,
    via: 'needs',
    cleanup: false,
    resuming: false,
    enterVia: undefined,
    result: undefined,
    label: undefined,
    outputs: undefined,
    failure: undefined,
    partial: false,
    tolerated: false,
    route: undefined,
    canceledRun: false,
    failed: undefined,
    canceled: false,
    startedAt: 0,
    finishedAt: 0,
    spanId: '',
    stop: undefined,
    settled: undefined,
    inputs: {},
    attempt: undefined,
    attemptsTotal: 0,
    retriesTotal: 0,
    attemptsInVisit: 0,
    retriesInVisit: 0,
    retriesCarried: 0,
    lostInVisit: 0,
    lostInARow: 0,
    limitWaits: 0,
    limitWaitMs: 0,
    notBefore: 0,
    delayMs: undefined,
    prior: [],
    counted: false,
    broken: undefined,
    hooks: undefined,
    inner: undefined,
    fanout: undefined,
    checkIndex: 0,
    checkOpen: false,
    checkFailure: undefined,
    dueAt: undefined,
    timeoutAt: undefined,
    mode: undefined,
    gate: undefined,
    gateExpired: false,
    rollup: emptyRollup(),
    budget: undefined,
    childBudget: undefined,
    workingIn: 0,
    limitedUntil: 0,
  }
}

/** The chain of scopes from the innermost outward. */
export function* scopesOutward(scope: Scope): Generator<Scope> {
  for (let at: Scope | undefined = scope; at; at = at.owner?.scope) yield at
}

/** The innermost branch around a scope. */
export function branchOf(scope: Scope): Scope['branch'] {
  for (const at of scopesOutward(scope)) if (at.branch) return at.branch
  return undefined
}

/** The node at an exact path, if its scope is open or kept. */
export function nodeAt(state: RunState, path: string): NodeState | undefined {
  const slash = path.lastIndexOf('/') + 1
  return state.scopes.get(path.slice(0, slash))?.nodes.get(path.slice(slash))
}

/** The node a person means: the exact path, or the same path in the latest visit that is still held. */
export function findNode(state: RunState, path: string): NodeState | undefined {
  const exact = nodeAt(state, path)
  if (exact) return exact
  let found: NodeState | undefined
  for (const scope of state.scopes.values()) {
    for (const node of scope.nodes.values()) if (pathWithoutVisits(node.path) === path) found = node
  }
  return found
}
