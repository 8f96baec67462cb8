// Owns: the view model of a run: what the live view, the tables and the summary show. It is folded from the journal
// alone (fold.ts), so a run that is watched from another process looks the same as one's own. Small: what ended well
// inside a wide fan-out shrinks to counts. Must not: decide anything, or draw (render-live.ts).
import type { Failure, Result } from '../../core/failure.ts'
import { graphOf } from '../../core/graph.ts'
import type { Spent } from '../../core/node-state.ts'
import type { Question } from '../../core/outcome.ts'
import type { Node, Pipeline } from '../../core/pipeline.ts'
import type { Mark } from '../terminal/style.ts'

/** Attempts, retries, turns of agents, tokens and money of something, so far. */
export interface Spend {
  attempts: number
  retries: number
  turns: number
  /** With cache. */
  input: number
  cacheRead: number
  output: number
  usd: number
  unpriced: number
}

export interface AttemptView {
  readonly id: string
  readonly number: number
  readonly max: number
  readonly startedAt: number
  lastOutputAt: number
  /** The latest thing it said. */
  text: string | undefined
  turn: number | undefined
  waitingUntil: number | undefined
  /** What it waits for. */
  waitingFor: string | undefined
  /** What progress entries said it has spent: absolute. */
  spent: Spent
  turns: number
  /** Tools at work, by call id. */
  readonly tools: Map<string, string>
  /** Its main action is over. */
  acted: boolean
}

/** Who works on a node, over all its attempts; also of steps that are no agents and report usage. */
export interface AgentView {
  readonly name: string | undefined
  model: string | undefined
  /** Why it is not the first choice. */
  readonly chosen: string | undefined
  /** The latest conversation. */
  session: string | undefined
  /** Where the cost of earlier attempts comes from, and that of the latest. */
  readonly sources: Set<string>
  source: string | undefined
}

export interface GateView {
  readonly path: string
  readonly question: string
  readonly choices: readonly string[]
  readonly default: string | undefined
  readonly dueAt: number | undefined
  readonly openedAt: number
  /** An agent's, in its words. */
  readonly questions: readonly Question[]
}

export interface NodeView {
  readonly id: string
  readonly path: string
  readonly kind: string
  readonly def: Node | undefined
  readonly inside: ScopeView
  /** Queued = never started; else what it does now or how it ended. */
  mark: Mark
  visit: number
  startedAt: number | undefined
  finishedAt: number | undefined
  result: Result | undefined
  failure: Failure | undefined
  label: string | undefined
  tolerated: boolean
  /** Its outcome took a route: a failure is handled by it. */
  routed: boolean
  retryCount: number
  attempt: AttemptView | undefined
  agent: AgentView | undefined
  /** What a model wrote about its failures. */
  summary: string | undefined
  retry:
    | {
        readonly dueAt: number
        readonly delayMs: number
        readonly next: number
        readonly max: number
        readonly failure: Failure
      }
    | undefined
  gate: GateView | undefined
  dueAt: number | undefined
  /** Status files that were read in place of an outcome, breaker counts: said beside the name. */
  note: string | undefined
  breaker: { readonly count: number; readonly code: string } | undefined
  fanout: FanoutView | undefined
  inner: ScopeView | undefined
  readonly spend: Spend
}

export interface ScopeView {
  readonly owner: NodeView | undefined
  readonly key: string | undefined
  readonly index: number
  readonly defs: readonly Node[]
  readonly nodes: Map<string, NodeView>
  startedAt: number
  finishedAt: number | undefined
  result: Result | undefined
  failure: Failure | undefined
  readonly spend: Spend
}

export interface FailureGroup {
  readonly code: string
  readonly message: string
  readonly first: string
  count: number
}

export interface FanoutView {
  total: number | undefined
  started: number
  ok: number
  failed: number
  canceled: number
  skipped: number
  waiting: number
  retried: number
  /** Open lanes, failed ones (bounded), and all of a narrow fan-out. */
  readonly lanes: Map<string, ScopeView>
  readonly groups: Map<string, FailureGroup>
}

export interface RunView {
  readonly pipeline: Pipeline | undefined
  /** Keep every node of every branch (tables that were asked for all of it). */
  readonly keepAll: boolean
  runId: string
  name: string
  traceId: string
  phase: 'running' | 'canceling' | 'interrupted' | 'ended'
  startedAt: number
  /** Time of the latest entry. */
  lastAt: number
  lastSeq: number
  maxParallel: number
  openAttempts: number
  result: Result | undefined
  failure: Failure | undefined
  finishedAt: number | undefined
  warnings: number
  readonly root: ScopeView
  readonly gates: Map<string, GateView>
  readonly running: Map<string, NodeView>
}

/** Up to this many branches are listed one by one; more are counted. */
export const LISTED_LANES = 8
export const FAILED_LANES = 50
export const FAILURE_GROUPS = 100

const newSpend = (): Spend => ({
  attempts: 0,
  retries: 0,
  turns: 0,
  input: 0,
  cacheRead: 0,
  output: 0,
  usd: 0,
  unpriced: 0,
})

/** A run of which nothing is known yet but its definition. Nodes of the top level are there from the start, queued. */
export function newRunView(pipeline: Pipeline | undefined, options: { readonly keepAll?: boolean } = {}): RunView {
  const root = newScopeView({ defs: pipeline?.nodes ?? [], startedAt: 0 })
  for (const def of root.defs) newNodeView(root, def.id)
  return {
    pipeline,
    keepAll: options.keepAll ?? false,
    runId: '',
    name: pipeline?.name ?? '',
    traceId: '',
    phase: 'running',
    startedAt: 0,
    lastAt: 0,
    lastSeq: -1,
    maxParallel: pipeline?.max_parallel ?? 0,
    openAttempts: 0,
    result: undefined,
    failure: undefined,
    finishedAt: undefined,
    warnings: 0,
    root,
    gates: new Map(),
    running: new Map(),
  }
}

function newScopeView(init: {
  readonly defs: readonly Node[]
  readonly startedAt: number
  readonly owner?: NodeView
  readonly key?: string
  readonly index?: number
}): ScopeView {
  return {
    owner: init.owner,
    key: init.key,
    index: init.index ?? 0,
    defs: init.defs,
    nodes: new Map(),
    startedAt: init.startedAt,
    finishedAt: undefined,
    result: undefined,
    failure: undefined,
    spend: newSpend(),
  }
}

export function newNodeView(inside: ScopeView, id: string, kind?: string): NodeView {
  const def = graphOf(inside.defs).byId.get(id)
  const node: NodeView = {
    id,
    path: prefixOf(inside) + id,
    kind: kind ?? def?.kind ?? 'run',
    def,
    inside,
    mark: 'queued',
    visit: 0,
    startedAt: undefined,
    finishedAt: undefined,
    result: undefined,
    failure: undefined,
    label: undefined,
    tolerated: false,
    routed: false,
    retryCount: 0,
    attempt: undefined,
    agent: undefined,
    summary: undefined,
    retry: undefined,
    gate: undefined,
    dueAt: undefined,
    note: undefined,
    breaker: undefined,
    fanout: undefined,
    inner: undefined,
    spend: newSpend(),
  }
  inside.nodes.set(id, node)
  return node
}

/** Path of a scope, as it is put before the ids of its nodes. */
export function prefixOf(scope: ScopeView): string {
  const { owner } = scope
  if (!owner) return ''
  const path = owner.visit > 1 ? `${owner.path}@${owner.visit}` : owner.path
  return scope.key === undefined ? `${path}/` : `${path}:${scope.key}/`
}

const SEGMENT = /^([A-Za-z_][A-Za-z0-9_-]*)(?:@\d+)?(?::(.*))?$/

/** The node at a path; its scopes are made where they are missing. Undefined when the path is none. */
export function nodeAt(view: RunView, path: string): NodeView | undefined {
  const segments = path.split('/')
  let scope = view.root
  for (const [depth, segment] of segments.entries()) {
    const match = SEGMENT.exec(segment)
    if (!match) return undefined
    const node = scope.nodes.get(match[1]!) ?? newNodeView(scope, match[1]!)
    if (depth === segments.length - 1) return node
    const key = match[2]
    scope = key === undefined ? childScope(node) : laneOf(node, { key, index: 0 })
  }
  return undefined
}

/** Scope of a child pipeline. */
function childScope(node: NodeView): ScopeView {
  const defs = node.def?.kind === 'child' ? node.def.child.pipeline.nodes : []
  node.inner ??= newScopeView({ defs, owner: node, startedAt: node.startedAt ?? 0 })
  return node.inner
}

/** Lane of a fan-out; made where it is missing. */
export function laneOf(node: NodeView, branch: { readonly key: string; readonly index: number }): ScopeView {
  const fanout = fanoutOf(node)
  let lane = fanout.lanes.get(branch.key)
  if (!lane) {
    const over = node.def?.kind === 'fanout' ? node.def.fanout : undefined
    const defs = over && 'branches' in over.over ? (over.over.branches[branch.key] ?? []) : (over?.nodes ?? [])
    lane = newScopeView({ defs, owner: node, key: branch.key, index: branch.index, startedAt: 0 })
    fanout.lanes.set(branch.key, lane)
  }
  return lane
}

export function fanoutOf(node: NodeView): FanoutView {
  node.fanout ??= {
    total: undefined,
    started: 0,
    ok: 0,
    failed: 0,
    canceled: 0,
    skipped: 0,
    waiting: 0,
    retried: 0,
    lanes: new Map(),
    groups: new Map(),
  }
  return node.fanout
}

/** The node, then everything around it, innermost first. */
export function* around(node: NodeView): Generator<{ readonly node: NodeView; readonly scope: ScopeView }> {
  for (let at: NodeView | undefined = node; at; at = at.inside.owner) yield { node: at, scope: at.inside }
}
