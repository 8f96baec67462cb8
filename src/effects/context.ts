// Owns: what effects are given and what they answer with. The host brings the run, its directory and its secrets; effects
// bring back outcomes and observations, and never decide what follows from them.
import type { AgentName } from '../core/agent.ts'
import type { CallFunction } from '../core/call.ts'
import type { RunAttempt, RunCheck, RunHook, RunSummary, Stop } from '../core/commands.ts'
import type { Observation } from '../core/events.ts'
import type { FailureReport } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import type { Cost, Outcome, Usage } from '../core/outcome.ts'
import type { Mask } from '../journal/masking.ts'
import type { AgentAdapter } from './agents/adapter.ts'
import type { Prices } from './agents/pricing.ts'
import type { OomSource } from './oom.ts'

export interface StepLogger {
  info(message: string, fields?: JsonObject): void
  warn(message: string, fields?: JsonObject): void
  error(message: string, fields?: JsonObject): void
}

export interface EffectsContext {
  readonly runId: string
  readonly runDir: string
  /** Where the command was called from: steps run here unless they name a cwd. */
  readonly cwd: string
  /** Environment of the orchestrator; copied once. */
  readonly env: NodeJS.ProcessEnv
  /** Values of the declared secrets that have one. Names of all declared ones, so that none is inherited. */
  readonly secrets: ReadonlyMap<string, string>
  readonly secretNames: readonly string[]
  readonly mask: Mask
  /** Functions of a TypeScript pipeline by `call.name`. */
  readonly functions: ReadonlyMap<string, CallFunction>
  /** `prices:` of the pipeline; they go before the built-in table. */
  readonly prices?: Prices | undefined
  readonly logger: StepLogger
  /** For tests: adapters in place of the built-in ones. */
  readonly adapterOf?: ((name: AgentName) => AgentAdapter) | undefined
  /** For tests: where to look for out-of-memory kills. Default: what the system has. */
  readonly oom?: OomSource | undefined
}

export interface Reservation {
  readonly usd?: number
  readonly tokens?: number
  /** The client makes the call without waiting for the answer. */
  readonly unasked?: boolean
}

/** What a started command tells. Nothing is told after the outcome, and the outcome exactly once. */
export interface Report {
  outcome(outcome: Outcome): void
  observed(observation: Observation): void
  /** Spend so far (absolute). */
  usage(usage: Usage, cost?: Cost): void
  /** Client or provider named a reset time (epoch ms). True: wait for it; false: it waited too often or too long already. */
  waiting(resumesAt: number, failure: FailureReport): Promise<boolean>
  /** Before a call that costs (absolute, for all calls under way). Undefined: go on; else why not. */
  reserve(amount: Reservation): Promise<string | undefined>
}

export interface Running {
  /** Asks it to end. The outcome still comes, within the grace and a moment (`now`: at once). */
  stop(stop: Stop): void
}

export type StepCommand = RunAttempt | RunCheck | RunHook | RunSummary

export interface Effects {
  /** Starts a command. Never throws: what prevents it from running is its outcome. */
  start(command: StepCommand, report: Report): Running
  /** Ends everything that still carries the run's mark, and what `leave_running` kept. Undefined: there was nothing. */
  sweep(): Promise<Observation | undefined>
}
