// Owns: the state of one node of a scope: its visits, attempts, branches, and what it may spend. Only evolve writes it.
import type { HistoryLine, RunAttempt, Stop } from './commands.ts'
import type { EventOf } from './events.ts'
import type { Rollup } from './event-values.ts'
import type { Failure, Result } from './failure.ts'
import type { Json, JsonObject } from './json.ts'
import type { Question } from './outcome.ts'
import type { Budget, HookEvent, Node } from './pipeline.ts'
import type { ClosedScope } from './node-summary.ts'
import type { Scope } from './state.ts'

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
  /** What outlives its visits. */
  readonly memory: Memory
  /** Over all visits. */
  attemptsTotal: number
  retriesTotal: number
  attemptsInVisit: number
  retriesInVisit: number
  /** Of those, the ones that use none of the retry policy: another agent took over. */
  fallbacksInVisit: number
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
  /** Of the failures of the latest visit. */
  summary: { readonly open: boolean; readonly text: string | undefined } | undefined
  inner: Scope | undefined
  /** In place of `inner` once it ended well. */
  closed: ClosedScope | undefined
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
  /** What a person answered to its latest questions; the attempts that follow are told. */
  answers: RunAttempt['answers']
  /** Attempts of the visit that an answer led to: they use no retry. */
  answeredInVisit: number
  rollup: Rollup
  budget: BudgetState | undefined
  /** Of its child pipeline, over all visits. */
  childBudget: BudgetState | undefined
  /** Execution in which it counts as work on the clocks of time budgets (0 = it does not). */
  workingIn: number
}

export interface Memory {
  /** Id of the latest conversation of its agents. */
  session: string | undefined
  /** Failed attempts of the visits before that failed. */
  failedBefore: number
  /** Failed attempts in a row with an equal signature, over its visits. */
  streak: { readonly signature: string; readonly count: number } | undefined
  /** Its latest end in short, and when that was. */
  line: { readonly at: number; readonly line: HistoryLine } | undefined
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
  /** Agents: who does it. */
  readonly agent: string | undefined
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
  questions: readonly Question[] | undefined
  spent: Spent
  /** What calls under way may still cost. */
  reserved: Amount
  lost: boolean
}

/** What an attempt has spent so far: absolute, so that reports can be repeated. */
export interface Spent {
  tokens: Rollup['tokens']
  costUsd: number
  unpriced: number
}

/** Of money and tokens, for what is reserved. */
export interface Amount {
  readonly usd: number
  readonly tokens: number
}
export const NOTHING: Amount = { usd: 0, tokens: 0 }

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
  /** In place of `scope` once it ended well. */
  closed: ClosedScope | undefined
}

export interface BudgetState {
  /** Path of the node; with a `/` behind it for a child pipeline's own; empty for the run's. */
  readonly scopePath: string
  readonly limits: Budget
  readonly owner: NodeState | undefined
  usd: number
  tokens: number
  attempts: number
  /** By all open attempts, besides what is spent. */
  reserved: Amount
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
