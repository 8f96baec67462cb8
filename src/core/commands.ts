// Owns: what a state asks the world to do. A command is pending from the event that started it until its outcome is
// on record; its id makes it idempotent: a host that already runs it does nothing.
import type { AgentChoice, AgentSpec } from './agent.ts'
import type { HookEvent, Node, CommandLine, Rule } from './pipeline.ts'
import type { FailureCode, Failure, Result } from './failure.ts'
import type { Json, JsonObject } from './json.ts'
import type { Session } from './outcome.ts'

/** Where a step stands: everything its environment and its directory are made of. */
export interface Place {
  /** Path of the node; empty for hooks of the run. */
  readonly node: string
  readonly visit: number
  readonly branch?: { readonly key: string; readonly index: number } | undefined
  /** Templates of the pipeline (and child pipeline) around it, outermost first, then the node's own. */
  readonly env: readonly { readonly [name: string]: string }[]
  readonly secrets: readonly string[]
  readonly cwd?: string | undefined
  /** The span whose context children get as TRACEPARENT. */
  readonly trace_id: string
  readonly span_id: string
  readonly trace_state?: string | undefined
  readonly baggage?: string | undefined
  readonly sampled: boolean
}

export interface Stop {
  readonly code: FailureCode
  readonly message: string
  /** KILL at once, without TERM and grace. */
  readonly now: boolean
}

export interface RunAttempt {
  readonly kind: 'attempt'
  /** The attempt id. */
  readonly id: string
  readonly place: Place
  readonly node: Node
  readonly attempt: number
  readonly max: number
  readonly inputs: JsonObject
  readonly params: JsonObject
  readonly item?: Json | undefined
  /** The attempts before it in this visit, newest last: what a retry context is made of. */
  readonly prior: readonly { readonly attempt_id: string; readonly failure: Failure }[]
  /** How often in a row the last failure came with the same signature, this visit and earlier ones together. */
  readonly same_failure?: number | undefined
  /** What the enforced budgets around it leave (the smallest of each), when the attempt started. */
  readonly left: Left
  /** Agent nodes: who does it this time. */
  readonly agent?: AgentSpec | undefined
  /** The conversation to go on with, and what it had used up in all by then. */
  readonly session?: Session | undefined
  /** What a person answered to the questions of the attempt before. */
  readonly answers?:
    | { readonly question?: string | undefined; readonly choice: string; readonly comment?: string | undefined }
    | undefined
  /** Agent nodes in a later visit: what happened around them, oldest first, each node once. */
  readonly history?: readonly HistoryLine[] | undefined
  /** Set once the attempt has to end; the host tells the effect, the effect still reports an outcome. */
  readonly stop?: Stop | undefined
}

export interface Left {
  readonly usd?: number | undefined
  readonly tokens?: number | undefined
  readonly time_ms?: number | undefined
  readonly attempts?: number | undefined
}

/** The last visit of a node in one line. */
export interface HistoryLine {
  readonly node: string
  readonly visit: number
  readonly result: Result
  readonly label?: string | undefined
  readonly notes?: string | undefined
  readonly failure?: string | undefined
}

export interface RunCheck {
  readonly kind: 'check'
  /** `<attempt id or visit id>#check:<index>`. */
  readonly id: string
  readonly place: Place
  readonly attempt_id?: string | undefined
  readonly run?: CommandLine | undefined
  readonly rule?: Rule | undefined
  /** Of the attempt. */
  readonly outputs?: JsonObject | undefined
  readonly name: string
  readonly level: string
  readonly required: boolean
  readonly inputs: JsonObject
  readonly timeout_ms: number
  readonly grace_ms: number
  readonly stop?: Stop | undefined
}

export interface RunHook {
  readonly kind: 'hook'
  /** `<visit id, or empty>#<on_…>:<index>`. */
  readonly id: string
  readonly place: Place
  readonly hook: HookEvent
  readonly run: CommandLine
  readonly name: string
  readonly inputs: JsonObject
  readonly timeout_ms: number
  readonly result: Result
  readonly failure?: Failure | undefined
  readonly stop?: Stop | undefined
}

/** Sum up why a visit failed, in a few sentences. It is told whatever comes of it. */
export interface RunSummary {
  readonly kind: 'summary'
  /** `<visit id>#summary`. */
  readonly id: string
  readonly place: Place
  readonly agent: AgentChoice
  readonly failures: readonly Failure[]
  readonly left: Left
  readonly stop?: Stop | undefined
}

export interface Timer {
  readonly kind: 'timer'
  readonly id: string
  /** Epoch ms. */
  readonly due: number
}

/** A gate waits for a person; a host with a terminal may ask there. */
export interface AskGate {
  readonly kind: 'gate'
  readonly id: string
  readonly node: string
  readonly question: string
  readonly choices: readonly string[]
}

/** End everything that carries the run's marker, then say so; the last thing before `run.finished`. */
export interface Sweep {
  readonly kind: 'sweep'
  readonly id: 'sweep'
}

export type Command = RunAttempt | RunCheck | RunHook | RunSummary | Timer | AskGate | Sweep
