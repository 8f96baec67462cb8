// Owns: the TypeScript way to write a pipeline: typed functions that build a definition in camelCase. Must not: check or
// fill in anything; a definition goes through the same schema and rules as YAML (definition.ts).
import type { CallFunction } from '../core/call.ts'
import type { FailureClass, FailureCode } from '../core/failure.ts'
import type { Json, JsonObject } from '../core/json.ts'

/** `500ms`, `30s`, `1h30m`, `7d`. */
export type Duration = string
/** Text that may hold `${{ … }}` (CEL). */
export type Template = string
/** A script for the shell (string), or a program and its arguments without a shell (list). */
export type CommandOption = Template | readonly Template[]

export type RetryOption =
  | 'none'
  | 'standard'
  | 'aggressive'
  | 'linear'
  | 'patient'
  /** Attempts, with the delays of `standard`. */
  | number
  | {
      /** Includes the first attempt. */
      readonly maxAttempts: number
      /** Delay before the second attempt; default 200ms. */
      readonly initial?: Duration
      /** Default 2. */
      readonly factor?: number
      /** No delay is longer; default 60s. */
      readonly max?: Duration
      /** Share of a delay that is spread, 0 to 1; default 0.5. */
      readonly jitter?: number
      /** Codes or classes to retry; default: all that are not hopeless. */
      readonly on?: readonly (FailureCode | FailureClass)[]
    }

export interface BudgetOption {
  readonly usd?: number
  readonly tokens?: number
  /** While an execution is alive, without gates and waits for a limit. */
  readonly time?: Duration
  readonly attempts?: number
  /** `audit` only reports; default `enforce`. */
  readonly mode?: 'audit' | 'enforce'
}

export interface CheckOption {
  /** Default: the command. */
  readonly name?: string
  readonly run: CommandOption
  /** Checks run in order of level; default L1. */
  readonly level?: 'L0' | 'L1' | 'L2' | 'L3'
  /** Whether its failure fails the attempt; default true. */
  readonly required?: boolean
  /** Default 10m. */
  readonly timeout?: Duration
}

export type HookOption =
  | CommandOption
  | { readonly name?: string; readonly run: CommandOption; readonly timeout?: Duration }
export interface RunHooksOption {
  readonly onSuccess?: readonly HookOption[]
  readonly onFailure?: readonly HookOption[]
  readonly onFinish?: readonly HookOption[]
}
export interface HooksOption extends RunHooksOption {
  readonly onRetry?: readonly HookOption[]
}

export interface RouteOption {
  /** CEL over the node's outcome (`label`, `result`, `failure` …); none = always. */
  readonly when?: string | boolean
  /** A node of the same list, `end` or `fail`. */
  readonly to: string
}

/** What every kind of node takes. */
export interface NodeOptions {
  readonly description?: string
  /** Default: the nearest node above that is not `routed`; `[]` = starts at once. */
  readonly needs?: readonly string[]
  /** CEL; without a status function `success() &&` is put before it. */
  readonly when?: string | boolean
  readonly routes?: readonly RouteOption[]
  /** Starts only when a route leads to it. */
  readonly routed?: boolean
  /** Of one attempt (default 1h); of the visit on kinds without attempts. */
  readonly timeout?: Duration
  /** After the node, with the result: commands that never change it. */
  readonly hooks?: HooksOption
  readonly checks?: readonly CheckOption[]
  /** JSON Schema per output name. */
  readonly outputs?: { readonly [name: string]: JsonObject }
  readonly env?: { readonly [name: string]: Template }
  /** Secrets declared by the pipeline that this node gets. */
  readonly secrets?: readonly string[]
  /** Shell of string commands: `sh -ec` (default) or `bash -eo pipefail -c`. */
  readonly shell?: 'sh' | 'bash'
  readonly cwd?: Template
  readonly goalGate?: boolean
  readonly allowFailure?: boolean
  readonly budget?: BudgetOption
  /** Default 20. */
  readonly maxVisits?: number
}

/** What the kinds with attempts (run, agent, call) take besides. */
export interface AttemptOptions extends NodeOptions {
  readonly retry?: RetryOption
  /** No output and no progress for this long ends the attempt; default 10m for agents, off otherwise. */
  readonly stallTimeout?: Duration | 'off'
  /** Between TERM and KILL; default 5s. */
  readonly grace?: Duration
  /** Labels of which the outcome must have one. */
  readonly decision?: readonly string[]
  /** The processes live until the run ends. */
  readonly leaveRunning?: boolean
}

export interface RunOptions extends AttemptOptions {
  readonly run: CommandOption
}
export interface CallOptions extends AttemptOptions {
  readonly call: CallFunction
}
interface AgentBase extends AttemptOptions {
  /** claude, codex, gemini, opencode … */
  readonly use: string
  readonly model?: string
  readonly maxTurns?: number
}
export type AgentOptions = AgentBase &
  (
    | { readonly prompt: Template; readonly promptFile?: never }
    /** Relative to the pipeline file. */
    | { readonly promptFile: string; readonly prompt?: never }
  )

interface FanoutBase extends NodeOptions {
  /** Name under which expressions see the item; `item` always works. */
  readonly as?: string
  /** Branches at once; default: no bound of its own. */
  readonly maxParallel?: number
  /** Default `all`. */
  readonly join?: 'all' | 'any' | { readonly atLeast: number } | { readonly quorum: number }
  readonly onFailure?: 'continue' | 'fail_fast' | 'ignore'
  readonly workspace?: 'shared' | 'worktree'
  readonly merge?: 'all' | 'best' | 'none'
}
export type FanoutOptions = FanoutBase &
  (
    | { readonly each: readonly Json[] | Template; readonly key?: Template; readonly nodes: readonly NodeDefinition[] }
    | { readonly count: number | Template; readonly nodes: readonly NodeDefinition[] }
    | {
        readonly matrix: { readonly [axis: string]: readonly Json[] | Template }
        readonly nodes: readonly NodeDefinition[]
      }
    | { readonly branches: { readonly [key: string]: readonly NodeDefinition[] } }
  )

export interface GateOptions extends Omit<NodeOptions, 'timeout'> {
  readonly question: Template
  /** Default approve, reject. */
  readonly choices?: readonly string[]
  /** Choices that fail the gate; default: the one named reject. */
  readonly reject?: readonly string[]
  /** How long to wait for the answer; default: for ever. */
  readonly timeout?: Duration
  /** The answer after that; without it the gate fails. */
  readonly default?: string
}
export interface ChildOptions extends NodeOptions {
  /** YAML or TypeScript, relative to this file. */
  readonly file: string
  readonly params?: { readonly [name: string]: Json }
}
export type WaitOptions = NodeOptions & ({ readonly for: Template } | { readonly until: Template })

export interface ParamOption {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object'
  readonly default?: Json
  readonly description?: string
  /** Masked everywhere, asked for again on resume. */
  readonly secret?: boolean
  readonly enum?: readonly Json[]
  readonly required?: boolean
}

export interface PipelineOptions {
  /** The same for every run of the pipeline. */
  readonly name: string
  readonly description?: string
  readonly params?: { readonly [name: string]: ParamOption }
  /** Environment variables that are masked everywhere. */
  readonly secrets?: readonly string[]
  readonly defaults?: {
    readonly timeout?: Duration
    readonly retry?: RetryOption
    readonly env?: { readonly [name: string]: Template }
  }
  readonly budget?: BudgetOption
  readonly breaker?: { readonly limit: number }
  /** Attempts at once in a run; default 8. */
  readonly maxParallel?: number
  readonly onFailure?: 'continue' | 'fail_fast'
  readonly hooks?: RunHooksOption
  /** As a child pipeline: what it gives its parent. */
  readonly outputs?: { readonly [name: string]: Json }
  readonly nodes: readonly NodeDefinition[]
}

const DEFINITION = Symbol.for('spanwright.definition')

/** One node as a builder made it; goes into `nodes`. */
export interface NodeDefinition {
  readonly id: string
  readonly [DEFINITION]: 'node'
}
/** A pipeline as `pipeline()` made it: what a TypeScript pipeline file exports by default. */
export interface PipelineDefinition {
  readonly name: string
  readonly [DEFINITION]: 'pipeline'
}

/** Whether a value was made by `pipeline()` (of any copy of this package). */
export const isPipelineDefinition = (value: unknown): value is PipelineDefinition =>
  typeof value === 'object' && value !== null && DEFINITION in value && value[DEFINITION] === 'pipeline'

/**
 * A pipeline. The default export of a TypeScript pipeline file.
 *
 * @example
 * export default pipeline({
 *   name: 'sums',
 *   params: { numbers: { type: 'array', default: [1, 2, 3] } },
 *   nodes: [
 *     fanout('double', {
 *       each: '${{ params.numbers }}',
 *       as: 'n',
 *       nodes: [call('times2', ({ item }) => ({ n: Number(item) * 2 }))],
 *     }),
 *     run('report', { run: 'echo "${{ nodes.double.outputs.branches }}"', retry: { maxAttempts: 3, initial: '1s' } }),
 *   ],
 * })
 */
export function pipeline(options: PipelineOptions): PipelineDefinition {
  return { ...options, [DEFINITION]: 'pipeline' }
}

/** A command: `run('build', { run: 'make' })`, or short `run('build', 'make')`. */
export function run(id: string, options: RunOptions | CommandOption): NodeDefinition {
  return node(id, typeof options === 'string' || isList(options) ? { run: options } : options)
}

/**
 * A function: `call('sum', async ({ params }) => ({ sum: 1 }))`, with options after it (`{ retry: 3 }`) or around it
 * (`call('sum', { call: fn, retry: 3 })`). What it returns are the node's outputs, what it throws is its failure.
 */
export function call(id: string, step: CallFunction | CallOptions, options: AttemptOptions = {}): NodeDefinition {
  return node(id, typeof step === 'function' ? { ...options, call: step } : step)
}

/** A coding agent. */
export function agent(id: string, options: AgentOptions): NodeDefinition {
  return kind(id, 'agent', ['use', 'model', 'prompt', 'promptFile', 'maxTurns'], options)
}

/** The same nodes in several branches. */
export function fanout(id: string, options: FanoutOptions): NodeDefinition {
  const keys = [
    'each',
    'count',
    'matrix',
    'branches',
    'as',
    'key',
    'maxParallel',
    'join',
    'onFailure',
    'workspace',
    'merge',
    'nodes',
  ]
  return kind(id, 'fanout', keys, options)
}

/** Waits for a person. */
export function gate(id: string, options: GateOptions): NodeDefinition {
  return kind(id, 'gate', ['question', 'choices', 'reject', 'timeout', 'default'], options)
}

/** Another pipeline as a part of this run. */
export function child(id: string, options: ChildOptions): NodeDefinition {
  return kind(id, 'child', ['file', 'params'], options)
}

/** Waits for a time: `wait('pause', { for: '5m' })`. */
export function wait(id: string, options: WaitOptions): NodeDefinition {
  return kind(id, 'wait', ['for', 'until'], options)
}

const isList = (value: unknown): value is readonly string[] => Array.isArray(value)
const node = (id: string, options: object): NodeDefinition => ({ ...options, id, [DEFINITION]: 'node' })

/** Moves the options of a kind under its key (unless they already are, as in YAML); the others are common to all nodes. */
function kind(id: string, name: string, keys: readonly string[], options: object): NodeDefinition {
  if (name in options) return node(id, options)
  const own = Object.entries(options).filter(([key]) => keys.includes(key))
  const common = Object.entries(options).filter(([key]) => !keys.includes(key))
  return node(id, { ...Object.fromEntries(common), [name]: Object.fromEntries(own) })
}
