// Owns: the events of attempts, retries, checks and hooks (a part of events.ts, which joins all).
import { z } from 'zod'
import { attempt, event, result, span, values, visit } from './event-values.ts'
import { failureSchema } from './failure.ts'
import { costSchema, processSchema, usageSchema } from './outcome.ts'

export const attemptEvents = [
  // -- attempts
  event('attempt.started', {
    ...attempt,
    kind: z.string(),
    max: z.number(),
    ...span,
    /** Agents: the span whose context the child gets. */
    agent_span_id: z.string().optional(),
    inputs: values,
    delay_ms: z.number().optional(),
    retry_of: z.string().optional(),
    model: z.string().optional(),
    /** How long its main action may take, and how long it may show no progress. */
    timeout_ms: z.number().optional(),
    stall_timeout_ms: z.number().optional(),
  }),
  event('attempt.progressed', {
    ...attempt,
    process: processSchema.optional(),
    output_bytes: z.number().optional(),
    last_output_at: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
    turn: z.number().optional(),
    text: z.string().optional(),
  }),
  event('attempt.waiting', { ...attempt, due_at: z.string(), failure: failureSchema, wait: z.number() }),
  /** The main action succeeded and checks follow; what it reported is on record before they run. */
  event('attempt.acted', {
    ...attempt,
    label: z.string().optional(),
    outputs: values.optional(),
    partial: z.boolean().optional(),
    skipped: z.boolean().optional(),
    next: z.string().optional(),
    notes: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
    process: processSchema.optional(),
    duration_ms: z.number(),
  }),
  event('attempt.finished', {
    ...attempt,
    result,
    failure: failureSchema.optional(),
    label: z.string().optional(),
    outputs: values.optional(),
    partial: z.boolean().optional(),
    next: z.string().optional(),
    notes: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
    process: processSchema.optional(),
    duration_ms: z.number(),
    span_id: z.string(),
  }),
  event('attempt.lost', { ...attempt, failure: failureSchema, span_id: z.string() }),
  /** `attempt` and `attempt_id` are those of the attempt that failed; `next_attempt` is the one to come. */
  event('retry.scheduled', {
    ...attempt,
    next_attempt: z.number(),
    max: z.number(),
    delay_ms: z.number(),
    due_at: z.string(),
    failure: failureSchema,
  }),
  event('retry_context.assembled', {
    ...attempt,
    bytes: z.number(),
    prior_attempt_ids: z.array(z.string()),
    text: z.string().optional(),
  }),

  // -- checks and hooks. A check of a fan-out has no attempt. Index counts within the node's list.
  event('check.started', {
    ...visit,
    attempt_id: z.string().optional(),
    name: z.string(),
    index: z.number(),
    level: z.string(),
    required: z.boolean(),
    inputs: values,
    ...span,
  }),
  event('check.finished', {
    ...visit,
    attempt_id: z.string().optional(),
    name: z.string(),
    index: z.number(),
    level: z.string(),
    required: z.boolean(),
    passed: z.boolean(),
    failure: failureSchema.optional(),
    process: processSchema.optional(),
    duration_ms: z.number(),
    span_id: z.string(),
  }),
  event('hook.started', {
    node: z.string().optional(),
    visit: z.number().optional(),
    hook: z.string(),
    name: z.string(),
    index: z.number(),
    result,
    inputs: values,
    ...span,
    /** What a node's hook is told (SPANWRIGHT_FAILURE). */
    failure: failureSchema.optional(),
  }),
  event('hook.finished', {
    node: z.string().optional(),
    visit: z.number().optional(),
    hook: z.string(),
    name: z.string(),
    index: z.number(),
    passed: z.boolean(),
    failure: failureSchema.optional(),
    process: processSchema.optional(),
    duration_ms: z.number(),
    span_id: z.string(),
  }),
] as const
