// Owns: the one graph model, as it is after parsing: durations are milliseconds, implicit needs and defaults are
// written out, prompts and child files are embedded. YAML, TypeScript and DOT all become this value; pipeline.json
// holds it. Field names are those of the YAML. The core trusts it: pipeline/ validated it.
import type { AgentChoice, AgentSpec } from './agent.ts'
import type { StatusFunction } from './expressions.ts'
import type { Json, JsonObject } from './json.ts'

export interface Pipeline {
  readonly name: string
  readonly description?: string | undefined
  readonly params: { readonly [name: string]: Param }
  readonly secrets: readonly string[]
  /** `defaults.env`: templates, for every child of the run. */
  readonly env: { readonly [name: string]: string }
  readonly budget?: Budget | undefined
  readonly breaker: { readonly limit: number }
  readonly max_parallel: number
  readonly on_failure: OnFailure
  readonly hooks: Hooks
  /** One short model call that sums up failures with long or differing causes. */
  readonly summaries?: { readonly agent: AgentChoice } | undefined
  /** Prices that go before the built-in table: `<model>` or `<provider>/<model>` → USD per million tokens. */
  readonly prices?: { readonly [model: string]: Price } | undefined
  readonly nodes: readonly Node[]
  /** Child pipelines only: their `outputs:` (name → template over their nodes). */
  readonly outputs?: { readonly [name: string]: Json } | undefined
}

/** USD per million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
  /** Default: as input. */
  readonly cache_read?: number | undefined
  readonly cache_write?: number | undefined
}

export interface Param {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object'
  readonly default?: Json | undefined
  readonly description?: string | undefined
  readonly secret?: boolean | undefined
  readonly enum?: readonly Json[] | undefined
  /** Without a default a param must be given, unless false. */
  readonly required: boolean
}

export type OnFailure = 'continue' | 'fail_fast'
export type FanoutOnFailure = OnFailure | 'ignore'

export interface Budget {
  readonly usd?: number | undefined
  readonly tokens?: number | undefined
  readonly time_ms?: number | undefined
  readonly attempts?: number | undefined
  readonly mode: 'audit' | 'enforce'
}

/** A command: a script for a shell, in which expressions have become `bindings`, or argv of templates. */
export type CommandLine =
  | { readonly shell: 'sh' | 'bash'; readonly script: string; readonly bindings: readonly Binding[] }
  | { readonly argv: readonly string[] }
/** The value of `expression` reaches the script as environment variable `name` (`SPANWRIGHT_X1` …). */
export interface Binding {
  readonly name: string
  readonly expression: string
}

export interface Check {
  readonly name: string
  /** Exactly one of the two. */
  readonly run?: CommandLine | undefined
  readonly rule?: Rule | undefined
  readonly level: 'L0' | 'L1' | 'L2' | 'L3'
  readonly required: boolean
  readonly timeout_ms: number
}

/** A check that needs no command. Globs are relative to the working directory. */
export type Rule =
  /** Files that must be there and not be empty. */
  | { readonly required_files: readonly string[] }
  /** Files the attempt must not have touched, and text (regular expressions) that what it added must not hold. */
  | {
      readonly forbidden: {
        readonly paths: readonly string[]
        readonly patterns: readonly string[]
        readonly secrets: boolean
      }
    }
  /** Everything the attempt changed must match one of these. */
  | { readonly scope: readonly string[] }
  /** JSON Schema of all outputs of the attempt together. */
  | { readonly outputs_schema: JsonObject }

export interface Hook {
  readonly name: string
  readonly run: CommandLine
  readonly timeout_ms: number
}
export const HOOK_EVENTS = ['on_success', 'on_failure', 'on_finish', 'on_retry'] as const
export type HookEvent = (typeof HOOK_EVENTS)[number]
export type Hooks = { readonly [event in HookEvent]: readonly Hook[] }

export interface Retry {
  /** Includes the first attempt. */
  readonly max_attempts: number
  readonly initial_ms: number
  readonly factor: number
  readonly max_ms: number
  /** Share of the delay that is spread: a delay d becomes d·(1 ± jitter). */
  readonly jitter: number
  /** Failure codes or classes; absent = all that are not hopeless (failure.ts). */
  readonly on?: readonly string[] | undefined
}

export interface Route {
  readonly when?: string | undefined
  /** A node of the same scope, or `end`, or `fail`. */
  readonly to: string
}

export interface NodeBase {
  readonly id: string
  readonly description?: string | undefined
  /** Written out: implicit needs are resolved. */
  readonly needs: readonly string[]
  /** Complete: `success() && (…)` is already put before an expression that calls no status function. Absent = success(). */
  readonly when?: { readonly expression: string; readonly calls: readonly StatusFunction[] } | undefined
  readonly routes: readonly Route[]
  readonly routed: boolean
  readonly retry: Retry
  /** Of one attempt; of the whole visit on kinds without attempts. Absent = unbounded (those kinds only). */
  readonly timeout_ms?: number | undefined
  readonly stall_timeout_ms?: number | undefined
  readonly grace_ms: number
  readonly checks: readonly Check[]
  /** JSON Schema per output name. */
  readonly outputs?: { readonly [name: string]: JsonObject } | undefined
  readonly env: { readonly [name: string]: string }
  readonly secrets: readonly string[]
  readonly cwd?: string | undefined
  readonly hooks: Hooks
  readonly decision?: readonly string[] | undefined
  readonly goal_gate: boolean
  readonly allow_failure: boolean
  readonly budget?: Budget | undefined
  readonly max_visits: number
  readonly leave_running: boolean
  /** Every expression in the node's action, env and cwd (not in when, routes, checks, hooks): evaluated at each start. */
  readonly expressions: readonly string[]
}

export interface RunNode extends NodeBase {
  readonly kind: 'run'
  readonly run: CommandLine
}
export interface AgentNode extends NodeBase {
  readonly kind: 'agent'
  readonly agent: AgentSpec
}
/** `call.name` is looked up among the functions of the TypeScript pipeline. */
export interface CallNode extends NodeBase {
  readonly kind: 'call'
  readonly call: { readonly name: string }
}
export interface FanoutNode extends NodeBase {
  readonly kind: 'fanout'
  readonly fanout: Fanout
}
export interface GateNode extends NodeBase {
  readonly kind: 'gate'
  readonly gate: Gate
}
export interface ChildNode extends NodeBase {
  readonly kind: 'child'
  readonly child: Child
}
export interface WaitNode extends NodeBase {
  readonly kind: 'wait'
  readonly wait: Wait
}
export type Node = RunNode | AgentNode | CallNode | FanoutNode | GateNode | ChildNode | WaitNode
export type NodeKind = Node['kind']
/** Kinds that have attempts. */
export const ATTEMPT_KINDS: readonly NodeKind[] = ['run', 'agent', 'call']

export interface Fanout {
  readonly over:
    | { readonly each: Json }
    | { readonly count: number | string }
    | { readonly branches: { readonly [key: string]: readonly Node[] } }
    | { readonly matrix: { readonly [axis: string]: Json }; readonly include: Json; readonly exclude: Json }
  /** Name under which an item is visible; `item` always is. */
  readonly as?: string | undefined
  /** Template of a branch key (each only). */
  readonly key?: string | undefined
  readonly max_parallel?: number | undefined
  readonly join: Join
  readonly on_failure: FanoutOnFailure
  readonly workspace: 'shared' | 'worktree'
  readonly merge: 'all' | 'best' | 'none'
  /** The lane's graph; empty when `over.branches` holds one per branch. */
  readonly nodes: readonly Node[]
}
export type Join =
  | { readonly kind: 'all' }
  | { readonly kind: 'any' }
  | { readonly kind: 'at_least'; readonly count: number }
  | { readonly kind: 'quorum'; readonly share: number }

export interface Gate {
  readonly question: string
  readonly choices: readonly string[]
  readonly reject: readonly string[]
  readonly timeout_ms?: number | undefined
  readonly default?: string | undefined
}
export interface Child {
  /** As written in the parent; shown, never opened again. */
  readonly file: string
  readonly pipeline: Pipeline
  readonly params: JsonObject
}
/** Either a duration (`5m`, a template) or a point in time (RFC 3339, a template). */
export type Wait = { readonly for: string } | { readonly until: string }
