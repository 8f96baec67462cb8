// Owns: what the retry presets mean (the Attractor pipeline specification, section 3.5) and how a retry map is filled up.
import { parseDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import type { Retry } from '../core/pipeline.ts'
import type { NodeFile } from './schema-node.ts'
import type { RETRY_PRESETS } from './schema-terms.ts'

const SHAPE = { max_ms: 60_000, jitter: 0.5 }
const PRESETS: { readonly [name in (typeof RETRY_PRESETS)[number]]: Retry } = {
  none: { max_attempts: 1, initial_ms: 0, factor: 1, ...SHAPE },
  standard: { max_attempts: 5, initial_ms: 200, factor: 2, ...SHAPE },
  aggressive: { max_attempts: 5, initial_ms: 500, factor: 2, ...SHAPE },
  linear: { max_attempts: 3, initial_ms: 500, factor: 1, ...SHAPE },
  patient: { max_attempts: 3, initial_ms: 2_000, factor: 3, ...SHAPE },
}

/** An agent node with a decision and no retry of its own: only an invalid decision is asked for again. */
export const DECISION_RETRY: Retry = {
  ...PRESETS.none,
  max_attempts: LIMITS.decisionAttempts,
  jitter: 0,
  on: ['invalid_output'],
}

/** A preset, n attempts with the delays of `standard`, or a map over the delays of `standard`. */
export function retryOf(retry: NonNullable<NodeFile['retry']>): Retry {
  if (typeof retry === 'string') return PRESETS[retry]
  if (typeof retry === 'number') return { ...PRESETS.standard, max_attempts: retry }
  const { standard } = PRESETS
  return {
    max_attempts: retry.max_attempts,
    initial_ms: durationMs(retry.initial) ?? standard.initial_ms,
    factor: retry.factor ?? standard.factor,
    max_ms: durationMs(retry.max) ?? standard.max_ms,
    jitter: retry.jitter ?? standard.jitter,
    ...(retry.on ? { on: retry.on } : {}),
  }
}

const durationMs = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text)
