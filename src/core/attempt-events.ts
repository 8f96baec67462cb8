// Owns: the events of attempts, retries, checks and hooks (a part of events.ts, which joins all).
import { z } from 'zod'
import { attempt, event, result, span, values, visit } from './event-values.ts'
import { failureSchema } from './failure.ts'
import { costSchema, processSchema, questionSchema, sessionSchema, usageSchema } from './outcome.ts'

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
    /** Agents: who does it this time, and why it is not the first choice. */
    agent: z.string().optional(),
    model: z.string().optional(),
    chosen: z.enum(['fallback', 'escalation']).optional(),
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
    session: sessionSchema.optional(),
  }),
  /** What the attempt may still spend on the call it is about to make, absolute; 0 gives it back. */
  event('budget.reserved', { ...attempt, usd: z.number().optional(), tokens: z.number().optional() }),
  // -- what an agent did: each with a span below the agent's. Times are those of the client or of arrival.
  event('model.called', {
    ...attempt,
    ...span,
    started_at: z.string(),
    ended_at: z.string(),
    model: z.string().optional(),
    response_id: z.string().optional(),
    finish_reason: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
    /** Failure code and what the provider said. */
    error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
    /** Only when content is captured. */
    input: z.string().optional(),
    output: z.string().optional(),
  }),
  event('tool.started', {
    ...attempt,
    ...span,
    started_at: z.string(),
    call_id: z.string(),
    tool: z.string(),
    /** Only when content is captured. */
    input: z.string().optional(),
  }),
  event('tool.finished', {
    ...attempt,
    span_id: z.string(),
    ended_at: z.string(),
    call_id: z.string(),
    tool: z.string(),
    ok: z.boolean(),
    exit_code: z.number().optional(),
    error: z.string().optional(),
    /** Only when content is captured. */
    output: z.string().optional(),
  }),
  /** A visit failed for good and its reasons are long or differ: a model sums them up before the visit ends. */
  event('summary.started', { ...visit, failure: failureSchema }),
  /** Generated text beside the reasons of a failed visit; it replaces none of them. */
  event('failure.summarized', {
    ...visit,
    text: z.string(),
    model: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
  }),
  /** There is no summary; what was spent on it counts all the same. */
  event('summary.failed', {
    ...visit,
    model: z.string().optional(),
    usage: usageSchema.optional(),
    cost: costSchema.optional(),
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
    session: sessionSchema.optional(),
    questions: z.array(questionSchema).optional(),
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
    session: sessionSchema.optional(),
    questions: z.array(questionSchema).optional(),
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
    /** Agents: another one takes over; it uses no retry of the policy. */
    fallback: z.boolean().optional(),
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
