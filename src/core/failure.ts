// Owns: the structured failure reason (DESIGN 6) and what follows from its code: class, result, whether it may be
// retried, whether the breaker counts it. No other file maps codes.
import { z } from 'zod'
import type { Json } from './json.ts'

export const FAILURE_CLASSES = {
  deterministic: [
    'exit_nonzero',
    'check_failed',
    'invalid_output',
    'agent_failed',
    'turn_limit',
    'context_overflow',
    'visit_limit',
    'branch_failed',
    'merge_conflict',
    'hook_failed',
    'goal_gate_unmet',
    'join_unsatisfied',
  ],
  transient: ['rate_limited', 'provider_unavailable', 'network', 'spawn_throttled'],
  timeout: ['timed_out', 'stalled'],
  crash: ['signaled', 'oom_killed', 'agent_crashed', 'worker_lost', 'spawn_failed'],
  configuration: ['config_invalid', 'config_missing', 'auth_failed', 'workspace_error', 'store_unwritable'],
  budget: ['budget_exhausted', 'dispatch_exhausted'],
  human: ['gate_rejected', 'gate_expired', 'canceled', 'forced', 'superseded'],
  breaker: ['breaker_open'],
  internal: ['internal_error', 'journal_corrupt'],
  skip: ['upstream_failed', 'when_false', 'not_reached'],
} as const

export type FailureClass = keyof typeof FAILURE_CLASSES
export type FailureCode = (typeof FAILURE_CLASSES)[FailureClass][number]
export const FAILURE_SOURCES = [
  'command',
  'agent',
  'provider',
  'check',
  'hook',
  'gate',
  'scheduler',
  'workspace',
  'journal',
  'user',
] as const
export type FailureSource = (typeof FAILURE_SOURCES)[number]

export const RESULTS = ['success', 'failure', 'error', 'timeout', 'cancellation', 'skip'] as const
export type Result = (typeof RESULTS)[number]

const CLASS_OF = new Map<string, FailureClass>(
  Object.entries(FAILURE_CLASSES).flatMap(([name, codes]) =>
    codes.map((code) => [code, name as FailureClass] as const),
  ),
)
export const FAILURE_CODES = [...CLASS_OF.keys()] as FailureCode[]

/** Why something did not succeed. `causes` hold the reasons below it verbatim, the original one deepest. */
export interface Failure {
  code: FailureCode
  class: FailureClass
  /** One actionable sentence. */
  message: string
  source: FailureSource
  /** Exit code, signal, tails, files, the last dispatch error. */
  details?: { readonly [key: string]: Json } | undefined
  causes?: Failure[] | undefined
  /** Canonical signature: equal for the same cause, whatever the noise (core/signature.ts). */
  signature: string
  attempt_id?: string | undefined
}

/** A reason as an effect or a user gives it: class and signature are the core's to add. */
export type FailureReport = Omit<Failure, 'class' | 'signature' | 'causes'> & { causes?: Failure[] | undefined }

export const failureSchema: z.ZodType<Failure> = z.lazy(() =>
  z.looseObject({
    code: z.enum(FAILURE_CODES as [FailureCode, ...FailureCode[]]),
    class: z.enum(Object.keys(FAILURE_CLASSES) as [FailureClass, ...FailureClass[]]),
    message: z.string(),
    source: z.enum(FAILURE_SOURCES),
    details: z.record(z.string(), z.json()).optional(),
    causes: z.array(failureSchema).optional(),
    signature: z.string(),
    attempt_id: z.string().optional(),
  }),
) as z.ZodType<Failure>

export const classOf = (code: FailureCode): FailureClass => CLASS_OF.get(code) ?? 'internal'

/** The result that a failure code stands for (DESIGN 6). */
export function resultOf(code: FailureCode): Result {
  if (code === 'canceled' || code === 'superseded') return 'cancellation'
  switch (classOf(code)) {
    case 'timeout':
      return 'timeout'
    case 'crash':
    case 'configuration':
    case 'internal':
    case 'transient':
      return 'error'
    case 'skip':
      return 'skip'
    case 'deterministic':
    case 'budget':
    case 'breaker':
    case 'human':
      return 'failure'
  }
}

const NEVER_RETRIED = new Set<FailureCode>([
  'canceled',
  'forced',
  'superseded',
  'budget_exhausted',
  'dispatch_exhausted',
  'breaker_open',
  'visit_limit',
  'config_invalid',
  'config_missing',
  'auth_failed',
  'merge_conflict',
  'gate_rejected',
  'gate_expired',
  'journal_corrupt',
])

/** Whether a retry policy covers this code: `on` lists codes or classes; without it, all but the hopeless ones. */
export function isRetryable(code: FailureCode, on: readonly string[] | undefined): boolean {
  return on ? on.includes(code) || on.includes(classOf(code)) : !NEVER_RETRIED.has(code)
}

/** The innermost first cause: what really happened. */
export function originalCause(failure: Failure): Failure {
  let cause = failure
  while (cause.causes?.[0]) cause = cause.causes[0]
  return cause
}
