// Owns: the state of a run = fold(journal) (I3). Only evolve writes it, in place, so that 10,000 branches stay linear;
// decide and pending read it. What has ended well shrinks to its result.
import type { AgentChoice } from './agent.ts'
import type { Command } from './commands.ts'
import type { HookFailure, InboundContext, Rollup } from './event-values.ts'
import type { Expressions } from './expressions.ts'
import type { Failure, Result } from './failure.ts'
import { graphOf, type Graph } from './graph.ts'
import { pathWithoutVisits } from './ids.ts'
import type { Json, JsonObject } from './json.ts'
import type { Session } from './outcome.ts'
import type { Node, Pipeline } from './pipeline.ts'

import { newNode } from './new-node.ts'
import type { BudgetState, HookRun, NodeState } from './node-state.ts'
import { emptyRollup } from './node-state.ts'

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
  /** Milliseconds from the run's start to the last sign of life of the process that was lost. */
  interruptedAfterMs: number | undefined
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
  /** Conversations of agents by id, the latest last. */
  readonly sessions: Map<string, Session>
  readonly signatures: Map<string, Map<string, number>>
  /** By `scopePath`. */
  readonly budgets: Map<string, BudgetState>
  hookFailures: HookFailure[]
  branches: number
  /** Lines kept of nodes in scopes that ended well. */
  linesKept: number
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
  /** The nodes that ended last, newest last, also those that a loop has reset since. */
  readonly history: Set<NodeState>
  /** A route to `end` or `fail`, fail_fast, a join, a cancel of this scope: nothing new starts. */
  halt: Halt | undefined
  /** Routes taken whose downstream has still to stop. */
  readonly entering: Map<NodeState, NodeState>
  /** Child pipelines bound what runs inside them. */
  slots: { limit: number; used: number; readonly queue: Set<NodeState | Scope> } | undefined
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
    interruptedAfterMs: undefined,
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
    sessions: new Map(),
    signatures: new Map(),
    budgets: new Map(),
    hookFailures: [],
    branches: 0,
    linesKept: 0,
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
    history: new Set(),
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

/** The chain of scopes from the innermost outward. */
export function* scopesOutward(scope: Scope): Generator<Scope> {
  for (let at: Scope | undefined = scope; at; at = at.owner?.scope) yield at
}

/** The own scope, then outward, as far as the pipeline file reaches. */
export function* visibleScopes(scope: Scope): Generator<Scope> {
  for (const at of scopesOutward(scope)) {
    yield at
    if (at.kind === 'child') return
  }
}

/** Who sums up failures: what the nearest pipeline says. */
export function summaryAgentOf(scope: Scope): AgentChoice | undefined {
  for (const at of scopesOutward(scope)) if (at.pipeline.summaries) return at.pipeline.summaries.agent
  return undefined
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
