// Owns: the TypeScript way to write a pipeline: typed functions that build a definition in camelCase. Must not: check or
// fill in anything; a definition goes through the same schema and rules as YAML (definition.ts).
import type { AgentName, Permission, Provider, StallAction } from '../core/agent.ts'
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

interface CheckBase {
  /** Default: what it checks. */
  readonly name?: string
  /** Checks run in order of level; default L1. */
  readonly level?: 'L0' | 'L1' | 'L2' | 'L3'
  /** Whether its failure fails the attempt; default true. */
  readonly required?: boolean
  /** Default 10m. */
  readonly timeout?: Duration
}
/** Exactly one of run, files, forbid, scope, outputs. Globs are relative to the working directory. */
export type CheckOption = CheckBase &
  (
    | { readonly run: CommandOption }
    /** Files that must be there and not be empty. */
    | { readonly files: readonly Template[] }
    /** What the attempt must not have touched (globs) or added (regular expressions; keys of well-known formats). */
    | {
        readonly forbid: {
          readonly paths?: readonly Template[]
          readonly patterns?: readonly string[]
          readonly secrets?: boolean
        }
      }
    /** Everything the attempt changed must match one of these. */
    | { readonly scope: readonly Template[] }
    /** JSON Schema of all its outputs together. */
    | { readonly outputs: JsonObject }
  )

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
/** Who does the work; the part that a fallback or an escalation replaces. */
export interface AgentChoiceOption {
  readonly use: AgentName
  readonly model?: Template
  /** Program in place of the client's own name on PATH. */
  readonly program?: Template
  /** More arguments for the client. */
  readonly args?: readonly Template[]
  /** `command` only: what reads the prompt on its standard input. */
  readonly command?: CommandOption
  /** `api` only; default anthropic. */
  readonly provider?: Provider
  readonly baseUrl?: Template
  /** `api` only: variable that holds the key; default ANTHROPIC_API_KEY or OPENAI_API_KEY. */
  readonly apiKeyEnv?: string
}
/** Without `use`: the same agent; what is left out stays as it was. */
export type OtherAgentOption = Omit<AgentChoiceOption, 'use'> & { readonly use?: AgentName }

interface AgentBase extends AttemptOptions, AgentChoiceOption {
  readonly maxTurns?: number
  /** read: look only; workspace (default): edit and run commands in its directory; full: no bounds. */
  readonly permission?: Permission
  readonly allowedTools?: readonly Template[]
  readonly deniedTools?: readonly Template[]
  /** JSON Schema of its final answer; the keys of the answer become outputs. */
  readonly outputSchema?: JsonObject
  /** `new` (default), `continue`, or the id of a conversation: `${{ nodes.plan.session }}`. */
  readonly session?: Template
  /** Inherited variables it gets (`NAME` or `PREFIX_*`); default: all. */
  readonly envAllow?: readonly string[]
  readonly home?: 'user' | 'isolated'
  /** Who takes over when it is rate limited or its provider is down. */
  readonly fallback?: readonly OtherAgentOption[]
  /** Who takes over after so many failed attempts. */
  readonly escalate?: OtherAgentOption & { readonly after: number }
  readonly stalls?: {
    /** Without any event since the start for this long it hangs; default 60s. */
    readonly start?: Duration
    readonly onStart?: StallAction
    /** When it is silent for longer than `stallTimeout`. */
    readonly onSilence?: StallAction
    /** The same call with the same result so many times is a loop; default 8. */
    readonly repeats?: number
    readonly onLoop?: StallAction
    /** It gave its result and lives on: ended after this time; default 5s. */
    readonly linger?: Duration
  }
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

/** US dollars per million tokens. */
export interface PriceOption {
  readonly input: number
  readonly output: number
  /** Default: as input. */
  readonly cacheRead?: number
  readonly cacheWrite?: number
}

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
  /** One short model call sums up failures with long or differing causes. */
  readonly summaries?: { readonly agent: AgentChoiceOption }
  /** Prices that go before the built-in table: `<model>` or `<provider>/<model>`. */
  readonly prices?: { readonly [model: string]: PriceOption }
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

const AGENT_KEYS = [
  'use',
  'model',
  'program',
  'args',
  'command',
  'provider',
  'baseUrl',
  'apiKeyEnv',
  'prompt',
  'promptFile',
  'maxTurns',
  'permission',
  'allowedTools',
  'deniedTools',
  'outputSchema',
  'session',
  'envAllow',
  'home',
  'fallback',
  'escalate',
  'stalls',
] as const satisfies readonly (keyof AgentOptions)[]

/** A coding agent. */
export function agent(id: string, options: AgentOptions): NodeDefinition {
  return kind(id, 'agent', AGENT_KEYS, options)
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
