// Owns: events for tests of the journal: one of every type, and small streams of them.
import type { Event } from '../../src/core/events.ts'
import type { Failure } from '../../src/core/failure.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import type { RunIdentity } from '../../src/journal/run-identity.ts'

export const NOW = Date.parse('2026-11-21T10:00:00Z')
export const SPAN = '00f067aa0ba902b7'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

const failure: Failure = {
  code: 'exit_nonzero',
  class: 'deterministic',
  message: 'the command exited with code 2: make: *** no rule to make target',
  source: 'command',
  details: { exit_code: 2, stderr_tail: 'make: *** no rule to make target' },
  signature: '0a1b2c3d',
  attempt_id: 'implement:api/build@1.1',
}
const wrapped: Failure = {
  ...failure,
  code: 'branch_failed',
  message: 'branch api failed',
  source: 'scheduler',
  causes: [failure],
}
const at = { node: 'implement:api/build', visit: 1 }
const attempt = { ...at, attempt: 1, attempt_id: 'implement:api/build@1.1' }
const span = { span_id: SPAN, parent_span_id: '00f067aa0ba902b8' }
const tokens = { input: 10, cache_read: 2, cache_write: 0, output: 5, reasoning: 1 }
const rollup = { attempts: 2, retries: 1, tokens, cost_usd: 0.25, cost_unpriced: 0 }
const children = { total: 1, failed: 0, retried: 1, skipped: 0 }
const usage = { input: 10, cache_read: 2, cache_write: 0, output: 5, model: 'claude-sonnet-5', turns: 3 }
const cost = { usd: null, source: 'unknown' as const }
const process = { pid: 4711, executable: 'make', exit_code: 2 }
const DUE = '2026-11-21T10:00:05.000000Z'

/** One event of every type, in an order in which a run could record most of them. */
export const EVERY_EVENT: readonly Event[] = [
  {
    type: 'run.created',
    run_id: '01K9ZZZZZZZZZZZZZZZZZZZZZZ',
    key: 'nightly',
    labels: { team: 'core' },
    pipeline: { name: 'release', hash: 'b5bb9d80' },
    params: { tasks: ['api', 'web'], deep: { n: 1.5, none: null } },
    max_parallel: 8,
    execution: 1,
    trace_id: TRACE,
    span_id: SPAN,
    inbound: { trace_id: TRACE, span_id: SPAN, trace_flags: 1, relation: 'parent' },
  },
  {
    type: 'node.started',
    node: 'implement',
    visit: 1,
    kind: 'fanout',
    via: 'needs',
    ...span,
    inputs: { 'params.tasks': ['api', 'web'] },
  },
  {
    type: 'fanout.expanded',
    node: 'implement',
    visit: 1,
    offset: 0,
    total: 2,
    branches: [
      { key: 'api', item: 'api' },
      { key: 'web', item: 'web' },
    ],
  },
  { type: 'branch.started', node: 'implement', visit: 1, branch: { key: 'api', index: 0 }, ...span },
  { type: 'node.started', ...at, kind: 'run', via: 'needs', ...span },
  { type: 'attempt.started', ...attempt, kind: 'run', max: 3, ...span, inputs: { task: 'api' } },
  {
    type: 'attempt.progressed',
    ...attempt,
    process: { pid: 4711, executable: 'make' },
    output_bytes: 10,
    last_output_at: DUE,
    usage,
    cost,
  },
  {
    type: 'attempt.waiting',
    ...attempt,
    due_at: DUE,
    failure: { ...failure, code: 'rate_limited', class: 'transient' },
    wait: 1,
  },
  { type: 'stall.detected', ...attempt, reason: 'no output', idle_ms: 600_000, action: 'stopped' },
  { type: 'outcome.normalized', ...attempt, source: '.ai/status.json', result: 'success', label: 'done' },
  {
    type: 'outcome.conflict',
    ...attempt,
    source: '.ai/status.json',
    reported: 'success',
    actual: 'failure',
    message: 'the exit code wins',
  },
  { type: 'log.capped', ...attempt, stream: 'stdout', limit_bytes: 67_108_864 },
  { type: 'attempt.acted', ...attempt, label: 'done', outputs: { version: '1.2.3' }, process, duration_ms: 1_234.5 },
  {
    type: 'check.started',
    ...at,
    attempt_id: attempt.attempt_id,
    name: 'tests',
    index: 0,
    level: 'L1',
    required: true,
    inputs: {},
    ...span,
  },
  {
    type: 'check.finished',
    ...at,
    attempt_id: attempt.attempt_id,
    name: 'tests',
    index: 0,
    level: 'L1',
    required: true,
    passed: false,
    failure,
    duration_ms: 10,
    span_id: SPAN,
  },
  {
    type: 'attempt.finished',
    ...attempt,
    result: 'failure',
    failure,
    usage,
    cost: { usd: 0.25, source: 'reported' },
    process,
    duration_ms: 1_250,
    span_id: SPAN,
  },
  { type: 'retry.scheduled', ...attempt, next_attempt: 2, max: 3, delay_ms: 5_000, due_at: DUE, failure },
  {
    type: 'retry_context.assembled',
    ...attempt,
    bytes: 120,
    prior_attempt_ids: [attempt.attempt_id],
    text: 'Attempt 1 failed.',
  },
  { type: 'attempt.lost', ...attempt, failure: { ...failure, code: 'worker_lost', class: 'crash' }, span_id: SPAN },
  {
    type: 'hook.started',
    node: 'implement',
    visit: 1,
    hook: 'on_failure',
    name: 'page',
    index: 0,
    result: 'failure',
    inputs: {},
    ...span,
  },
  {
    type: 'hook.finished',
    node: 'implement',
    visit: 1,
    hook: 'on_failure',
    name: 'page',
    index: 0,
    passed: true,
    process,
    duration_ms: 20,
    span_id: SPAN,
  },
  {
    type: 'gate.opened',
    node: 'ship',
    visit: 1,
    question: 'Ship it?',
    choices: ['approve', 'reject'],
    reject: ['reject'],
    default: 'reject',
    due_at: DUE,
  },
  { type: 'gate.expired', node: 'ship', visit: 1, default: 'reject' },
  { type: 'gate.answered', node: 'ship', visit: 1, choice: 'reject', by: { kind: 'default' }, comment: 'too late' },
  { type: 'route.taken', node: 'review', visit: 1, to: 'fix', label: 'rework', index: 0 },
  { type: 'route.ignored', node: 'review', visit: 1, to: 'fix', reason: 'it is running already' },
  { type: 'signature.counted', ...at, path: 'implement:api/build', signature: failure.signature, count: 2 },
  {
    type: 'breaker.opened',
    ...at,
    path: 'implement:api/build',
    signature: failure.signature,
    count: 3,
    limit: 3,
    failure: wrapped,
  },
  { type: 'budget.warned', scope: '', budget: 'usd', used: 4.1, limit: 5 },
  {
    type: 'budget.exceeded',
    scope: '',
    budget: 'usd',
    used: 5.1,
    limit: 5,
    mode: 'enforce',
    failure: { ...failure, code: 'budget_exhausted', class: 'budget' },
  },
  {
    type: 'processes.ended',
    attempt_id: attempt.attempt_id,
    reason: 'left over',
    processes: [{ pid: 4712, command: 'sleep 1000', signal: 'SIGTERM' }],
  },
  { type: 'warning.raised', code: 'outputs_masked', message: 'a secret was masked', node: at.node },
  {
    type: 'node.skipped',
    node: 'deploy',
    visit: 1,
    kind: 'run',
    failure: { ...wrapped, code: 'upstream_failed', class: 'skip' },
    ...span,
  },
  {
    type: 'node.finished',
    ...at,
    kind: 'run',
    result: 'success',
    label: 'done',
    outputs: { version: '1.2.3' },
    retry_count: 1,
    rollup,
    span_id: SPAN,
  },
  {
    type: 'branch.finished',
    node: 'implement',
    visit: 1,
    branch: { key: 'api', index: 0 },
    result: 'success',
    outputs: { build: { version: '1.2.3' } },
    children,
    rollup,
    span_id: SPAN,
  },
  {
    type: 'run.cancel_requested',
    by: { kind: 'signal', signal: 'SIGINT' },
    force: false,
    failure: { ...failure, code: 'canceled', class: 'human' },
  },
  { type: 'run.interrupted', execution: 1, failure: { ...failure, code: 'worker_lost', class: 'crash' } },
  {
    type: 'run.resumed',
    execution: 2,
    max_parallel: 8,
    links: [SPAN],
    retry: { nodes: ['review'], reset_count: false, mode: 'clean' },
    ...span,
  },
  { type: 'timer.fired', timer: 'retry', id: 'retry:implement:api/build@1.2', ...attempt },
  { type: 'run.concluded', result: 'failure', failure: wrapped },
  {
    type: 'run.finished',
    execution: 2,
    result: 'failure',
    failure: wrapped,
    hook_failures: [{ hook: 'on_success', name: 'announce', failure }],
    totals: { ...rollup, branches: 2, nodes: 4 },
    children,
    duration_ms: 9_000,
    resumable: false,
  },
]

export const warning = (message: string): Event => ({ type: 'warning.raised', code: 'test', message })

export const identity = (runId: string): RunIdentity => ({
  run_id: runId,
  labels: {},
  pipeline: { name: 'release', hash: 'b5bb9d80' },
  params: {},
  created: '2026-11-21T10:00:00.000000Z',
  cwd: '/work',
  versions: { spanwright: '0.1.0', node: 'v24.0.0' },
  trace_id: TRACE,
})

export const pipeline: Pipeline = {
  name: 'release',
  params: {},
  secrets: [],
  env: {},
  breaker: { limit: 3 },
  max_parallel: 8,
  on_failure: 'continue',
  hooks: { on_success: [], on_failure: [], on_finish: [], on_retry: [] },
  nodes: [],
}
