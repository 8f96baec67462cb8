// Owns: what may be said to a run. All nondeterminism enters here: time (`now`, epoch ms), ids, what effects saw.
import type { Observation } from './events.ts'
import type { Actor, InboundContext } from './event-values.ts'
import type { FailureReport } from './failure.ts'
import type { JsonObject } from './json.ts'
import type { Cost, Outcome, ProcessFacts, Usage } from './outcome.ts'

export type Input = { readonly now: number } & (
  | {
      readonly type: 'create'
      readonly run_id: string
      readonly key?: string | undefined
      readonly labels: { readonly [name: string]: string }
      readonly pipeline_hash: string
      readonly params: JsonObject
      readonly max_parallel: number
      readonly only?: string | undefined
      readonly from?: string | undefined
      readonly trace_id: string
      readonly inbound?: InboundContext | undefined
    }
  /** Decide the next thing on the agenda (the host says it until nothing is left, then waits for an input). */
  | { readonly type: 'proceed' }
  /** Go on with an interrupted or canceled run. */
  | {
      readonly type: 'resume'
      readonly max_parallel?: number | undefined
      readonly inbound?: InboundContext | undefined
      readonly pipeline_hash?: string | undefined
    }
  /** Manual retry: the given node (path) or all failed ones. */
  | {
      readonly type: 'retry'
      readonly node?: string | undefined
      readonly reset_count: boolean
      readonly mode: 'clean' | 'continue'
      readonly max_parallel?: number | undefined
      readonly inbound?: InboundContext | undefined
    }
  /** The process that ran this execution is gone. */
  | { readonly type: 'interrupt'; readonly message: string }
  | { readonly type: 'cancel'; readonly by: Actor; readonly force: boolean; readonly message?: string | undefined }
  | {
      readonly type: 'gate.answer'
      readonly node: string
      readonly choice: string
      readonly by: Actor
      readonly comment?: string | undefined
    }
  | { readonly type: 'timer.fired'; readonly id: string }
  | { readonly type: 'attempt.outcome'; readonly attempt_id: string; readonly outcome: Outcome }
  | { readonly type: 'attempt.observed'; readonly attempt_id: string; readonly event: Observation }
  /** Spend so far in this attempt (absolute, not a difference): budgets look at it while money is being spent. */
  | {
      readonly type: 'attempt.usage'
      readonly attempt_id: string
      readonly usage: Usage
      readonly cost?: Cost | undefined
    }
  /** Client or provider named a reset time (epoch ms). */
  | {
      readonly type: 'attempt.waiting'
      readonly attempt_id: string
      readonly resumes_at: number
      readonly failure: FailureReport
    }
  /** Before a call that costs: may so much (absolute, for all calls of the attempt under way) be spent? Refused if not. */
  | {
      readonly type: 'attempt.reserve'
      readonly attempt_id: string
      readonly usd?: number | undefined
      readonly tokens?: number | undefined
      /** The client makes the call without waiting for the answer: only what certainly fits is granted. */
      readonly unasked?: boolean | undefined
    }
  | {
      readonly type: 'summary.outcome'
      readonly id: string
      readonly text?: string | undefined
      readonly model?: string | undefined
      readonly usage?: Usage | undefined
      readonly cost?: Cost | undefined
    }
  | {
      readonly type: 'check.outcome'
      readonly id: string
      readonly failure?: FailureReport | undefined
      readonly process?: ProcessFacts | undefined
      readonly duration_ms: number
    }
  | {
      readonly type: 'hook.outcome'
      readonly id: string
      readonly failure?: FailureReport | undefined
      readonly process?: ProcessFacts | undefined
      readonly duration_ms: number
    }
  /** The end-of-run scan is done. */
  | { readonly type: 'sweep.outcome'; readonly ended?: Observation | undefined }
  /** Something to put on record that belongs to no attempt. */
  | { readonly type: 'observed'; readonly event: Observation }
  /** The store cannot be written any more, or the journal is damaged: end with this reason. */
  | { readonly type: 'abort'; readonly failure: FailureReport }
)
export type InputOf<T extends Input['type']> = Extract<Input, { type: T }>

/** An answer to the sender; nothing is recorded. */
export interface Refusal {
  readonly refused: RefusalCode
  readonly message: string
}
export const REFUSAL_CODES = ['not_found', 'conflict', 'invalid', 'stale'] as const
/** not_found = exit 3, conflict = exit 4, invalid = exit 2; stale = the thing it speaks of has ended, ignore it. */
export type RefusalCode = (typeof REFUSAL_CODES)[number]
export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'refused' in value
