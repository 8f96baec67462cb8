// Owns: every event of the journal (DESIGN 5). Facts in past tense; they say everything that state and telemetry
// need, so that a reader never has to ask anyone. Fields are snake_case and mean the same everywhere.
// Must not: hold anything that can be computed from earlier events, except what readers would need the whole state for.
import { z } from 'zod'
import { attemptEvents } from './attempt-events.ts'
import { failureSchema } from './failure.ts'
import { questionSchema } from './outcome.ts'
import {
  actorSchema,
  budgetSchema,
  childrenSchema,
  hookFailureSchema,
  inboundSchema,
  rollupSchema,
  totalsSchema,
  attempt,
  branch,
  event,
  json,
  result,
  span,
  values,
  visit,
} from './event-values.ts'

export const eventSchema = z.discriminatedUnion('type', [
  // -- run
  event('run.created', {
    run_id: z.string(),
    key: z.string().optional(),
    labels: z.record(z.string(), z.string()),
    pipeline: z.looseObject({ name: z.string(), hash: z.string() }),
    params: values,
    max_parallel: z.number(),
    budget: budgetSchema.optional(),
    execution: z.number(),
    /** `--only` / `--from`: the other nodes are skipped as not_reached / count as done. */
    only: z.string().optional(),
    from: z.string().optional(),
    trace_id: z.string(),
    inbound: inboundSchema.optional(),
    ...span,
  }),
  /** A new execution of an ended or interrupted run. `retry` lists the node paths of a manual retry. */
  event('run.resumed', {
    execution: z.number(),
    max_parallel: z.number(),
    links: z.array(z.string()),
    inbound: inboundSchema.optional(),
    pipeline_hash: z.string().optional(),
    budget: budgetSchema.optional(),
    retry: z
      .looseObject({ nodes: z.array(z.string()), reset_count: z.boolean(), mode: z.enum(['clean', 'continue']) })
      .optional(),
    ...span,
  }),
  event('run.cancel_requested', { by: actorSchema, force: z.boolean(), failure: failureSchema }),
  /** The execution's process is gone (worker_lost); written by the sentinel or by recovery. */
  /** `duration_ms`: from the run's start to the last sign of life. */
  event('run.interrupted', { execution: z.number(), failure: failureSchema, duration_ms: z.number().optional() }),
  /** All nodes have their results: what the run's hooks are told. Only a failing hook can still change it. */
  event('run.concluded', { result, failure: failureSchema.optional() }),
  event('run.finished', {
    execution: z.number(),
    result,
    failure: failureSchema.optional(),
    hook_failures: z.array(hookFailureSchema),
    totals: totalsSchema,
    children: childrenSchema,
    duration_ms: z.number(),
    resumable: z.boolean(),
  }),

  // -- nodes and branches. A second `started` of the same visit is its continuation in a later execution (`continues`
  //    = the span it goes on from).
  event('node.started', {
    ...visit,
    kind: z.string(),
    via: z.enum(['needs', 'route', 'retry', 'resume']),
    ...span,
    continues: z.string().optional(),
    inputs: values.optional(),
    /** wait: when it fires; fan-outs and children: when the visit times out. */
    due_at: z.string().optional(),
    /** wait and gate: when the visit times out. */
    timeout_at: z.string().optional(),
    /** The node's own, and that of the child pipeline which starts with this visit. */
    budget: budgetSchema.optional(),
    child_budget: budgetSchema.optional(),
    /** After a join: the spans of the branches it joins (capped), and how many were left out. */
    join_links: z.array(z.string()).optional(),
    join_links_omitted: z.number().optional(),
    /** Started while the run was being canceled (`always()`, `canceled()`). */
    cleanup: z.boolean().optional(),
    /** The visit cannot begin (expression, budget, visit limit): it is settled with this reason. */
    failure: failureSchema.optional(),
  }),
  event('node.skipped', { ...visit, kind: z.string(), failure: failureSchema, ...span }),
  event('node.finished', {
    ...visit,
    kind: z.string(),
    result,
    failure: failureSchema.optional(),
    label: z.string().optional(),
    outputs: values.optional(),
    partial: z.boolean().optional(),
    retry_count: z.number(),
    children: childrenSchema.optional(),
    rollup: rollupSchema,
    tolerated: z.boolean().optional(),
    /** The route this outcome takes; `route.taken` follows. */
    route: z.looseObject({ index: z.number(), to: z.string() }).optional(),
    /** Ended by the cancellation of the run: a resume goes on here. */
    canceled_run: z.boolean().optional(),
    span_id: z.string(),
  }),
  /** The branches of a fan-out, in chunks that fit an entry; `total` says how many there will be. */
  event('fanout.expanded', {
    ...visit,
    offset: z.number(),
    total: z.number(),
    branches: z.array(z.looseObject({ key: z.string(), item: json.optional() })),
    /** The list could not be made: the visit is settled with this reason. */
    failure: failureSchema.optional(),
  }),
  event('branch.started', { ...visit, branch, ...span, continues: z.string().optional() }),
  event('branch.finished', {
    ...visit,
    branch,
    result,
    failure: failureSchema.optional(),
    children: childrenSchema,
    rollup: rollupSchema,
    canceled_run: z.boolean().optional(),
    span_id: z.string(),
  }),

  ...attemptEvents,

  // -- gates
  event('gate.opened', {
    ...visit,
    question: z.string(),
    choices: z.array(z.string()),
    reject: z.array(z.string()),
    default: z.string().optional(),
    due_at: z.string().optional(),
    /** An agent's, when it needs input: `question` is a summary of them. */
    questions: z.array(questionSchema).optional(),
  }),
  event('gate.answered', { ...visit, choice: z.string(), by: actorSchema, comment: z.string().optional() }),
  event('gate.expired', { ...visit, default: z.string().optional() }),

  /** A timer went off: the end of a retry delay, a wait, a limit (the attempt goes on), a visit's or a cancel's time. */
  event('timer.fired', {
    timer: z.enum(['retry', 'wait', 'limit', 'timeout', 'cancel', 'budget']),
    id: z.string(),
    node: z.string().optional(),
    visit: z.number().optional(),
    attempt_id: z.string().optional(),
  }),

  // -- routes, breaker, budgets
  event('route.taken', { ...visit, to: z.string(), label: z.string().optional(), index: z.number() }),
  /** The target was running already and was not entered again. */
  event('route.ignored', { ...visit, to: z.string(), reason: z.string() }),
  event('signature.counted', { ...visit, path: z.string(), signature: z.string(), count: z.number() }),
  event('breaker.opened', {
    ...visit,
    path: z.string(),
    signature: z.string(),
    count: z.number(),
    limit: z.number(),
    failure: failureSchema,
  }),
  /** `scope` is the node path, or empty for the run. */
  event('budget.warned', {
    scope: z.string(),
    budget: z.enum(['usd', 'tokens', 'time', 'attempts']),
    used: z.number(),
    limit: z.number(),
  }),
  event('budget.exceeded', {
    scope: z.string(),
    budget: z.enum(['usd', 'tokens', 'time', 'attempts']),
    used: z.number(),
    limit: z.number(),
    mode: z.enum(['audit', 'enforce']),
    failure: failureSchema,
  }),

  // -- what effects saw
  event('outcome.normalized', {
    ...attempt,
    source: z.string(),
    result: z.string().optional(),
    label: z.string().optional(),
    message: z.string().optional(),
  }),
  event('outcome.conflict', {
    ...attempt,
    source: z.string(),
    reported: z.string(),
    actual: z.string(),
    message: z.string(),
  }),
  event('stall.detected', { ...attempt, reason: z.string(), idle_ms: z.number(), action: z.string() }),
  event('processes.ended', {
    attempt_id: z.string().optional(),
    reason: z.string(),
    processes: z.array(z.looseObject({ pid: z.number(), command: z.string(), signal: z.string() })),
    omitted: z.number().optional(),
  }),
  event('log.capped', { ...attempt, stream: z.string(), limit_bytes: z.number() }),
  event('warning.raised', {
    code: z.string(),
    message: z.string(),
    node: z.string().optional(),
    attempt_id: z.string().optional(),
  }),
])

export type Event = z.infer<typeof eventSchema>
export type EventType = Event['type']
export type EventOf<T extends EventType> = Extract<Event, { type: T }>
export const EVENT_TYPES: readonly EventType[] = eventSchema.options.map((option) => option.shape.type.value)

/** What effects may put on record about an attempt while it is open; nothing of it changes a decision. */
export const OBSERVATIONS = [
  'attempt.progressed',
  'retry_context.assembled',
  'model.called',
  'tool.started',
  'tool.finished',
  'outcome.normalized',
  'outcome.conflict',
  'stall.detected',
  'processes.ended',
  'log.capped',
  'warning.raised',
] as const satisfies readonly EventType[]
export type Observation = EventOf<(typeof OBSERVATIONS)[number]>

/** One line of the journal. `at`: RFC 3339 in microseconds, never going back. */
export interface Entry {
  readonly v: number
  readonly seq: number
  readonly at: string
  readonly event: Event
}
export const JOURNAL_VERSION = 1
