// Owns: every telemetry name: spans, attributes, span events, link kinds. Dashboards and the collector's configuration
// use these words; nothing else spells them.
// Copied constants: `cicd.*`, `error.type`, `process.*`, `service.*` from OpenTelemetry semantic conventions 1.45.0
// (cicd: release candidate); `gen_ai.*` from semantic-conventions-genai, main of 2026-08 (development, may be renamed).
import type { HookEvent } from '../core/pipeline.ts'

export const SCOPE_NAME = 'spanwright'
export const DEFAULT_SERVICE_NAME = 'spanwright'
/** Where task URLs lead unless `SPANWRIGHT_URL` says otherwise: the web page of `spanwright ui`. */
export const DEFAULT_PAGE_URL = 'http://127.0.0.1:4600'

/** Span names. Low cardinality: never an id, a key or a number. */
export const spanName = {
  run: (pipeline: string) => `RUN ${pipeline}`,
  branch: (fanoutId: string) => `branch ${fanoutId}`,
  node: (nodeId: string) => nodeId,
  attempt: (nodeId: string) => `${nodeId} attempt`,
  agent: (agent: string) => `invoke_agent ${agent}`,
  check: (name: string) => `check ${name}`,
  hook: (event: HookEvent | string) => `hook ${event}`,
  marker: (name: string) => `${name} started`,
} as const

export const ATTR = {
  // OpenTelemetry semantic conventions
  pipelineName: 'cicd.pipeline.name',
  pipelineRunId: 'cicd.pipeline.run.id',
  pipelineActionName: 'cicd.pipeline.action.name',
  pipelineResult: 'cicd.pipeline.result',
  taskName: 'cicd.pipeline.task.name',
  taskRunId: 'cicd.pipeline.task.run.id',
  /** Also on branch, check, hook and agent spans, so that one word asks every span how it ended. */
  taskRunResult: 'cicd.pipeline.task.run.result',
  taskRunUrl: 'cicd.pipeline.task.run.url.full',
  errorType: 'error.type',
  processExecutableName: 'process.executable.name',
  processPid: 'process.pid',
  processExitCode: 'process.exit.code',
  genAiOperationName: 'gen_ai.operation.name',
  genAiAgentName: 'gen_ai.agent.name',
  genAiRequestModel: 'gen_ai.request.model',
  /** Total, with cache. */
  genAiInputTokens: 'gen_ai.usage.input_tokens',
  genAiOutputTokens: 'gen_ai.usage.output_tokens',
  genAiCacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  genAiCacheCreationTokens: 'gen_ai.usage.cache_creation.input_tokens',
  // Our own
  nodeKind: 'spanwright.node.kind',
  nodePath: 'spanwright.node.path',
  nodeVisit: 'spanwright.node.visit',
  nodeLabel: 'spanwright.node.label',
  nodePartial: 'spanwright.node.partial',
  branchKey: 'spanwright.branch.key',
  branchIndex: 'spanwright.branch.index',
  branchCount: 'spanwright.branch.count',
  execution: 'spanwright.execution',
  attemptId: 'spanwright.attempt.id',
  attemptNumber: 'spanwright.attempt.number',
  attemptMax: 'spanwright.attempt.max',
  retryCount: 'spanwright.retry.count',
  retryDelayMs: 'spanwright.retry.delay_ms',
  processSignal: 'spanwright.process.signal',
  failureCode: 'spanwright.failure.code',
  failureClass: 'spanwright.failure.class',
  failureSource: 'spanwright.failure.source',
  failureMessage: 'spanwright.failure.message',
  failureSignature: 'spanwright.failure.signature',
  /** The original cause, where the failure passes on another one. */
  causeCode: 'spanwright.failure.cause.code',
  causeMessage: 'spanwright.failure.cause.message',
  /** Why a span was skipped or canceled: these are no failures, so they carry no `error.type`. */
  reasonCode: 'spanwright.reason.code',
  reasonMessage: 'spanwright.reason.message',
  costUsd: 'spanwright.cost.usd',
  costSource: 'spanwright.cost.source',
  turns: 'spanwright.turns',
  childrenTotal: 'spanwright.children.total',
  childrenFailed: 'spanwright.children.failed',
  childrenRetried: 'spanwright.children.retried',
  childrenSkipped: 'spanwright.children.skipped',
  rollupAttempts: 'spanwright.rollup.attempts',
  rollupRetries: 'spanwright.rollup.retries',
  rollupTokensInput: 'spanwright.rollup.tokens.input',
  rollupTokensOutput: 'spanwright.rollup.tokens.output',
  rollupCostUsd: 'spanwright.rollup.cost.usd',
  checkName: 'spanwright.check.name',
  checkLevel: 'spanwright.check.level',
  checkRequired: 'spanwright.check.required',
  hookName: 'spanwright.hook.name',
  hookEvent: 'spanwright.hook.event',
  link: 'spanwright.link',
  /** Join links left out because a span carries at most 100. */
  linksOmitted: 'spanwright.links.omitted',
  marker: 'spanwright.marker',
  // Only on span events
  delayMs: 'spanwright.delay_ms',
  dueAt: 'spanwright.due_at',
  nextAttempt: 'spanwright.attempt.next',
  idleMs: 'spanwright.stall.idle_ms',
  stallReason: 'spanwright.stall.reason',
  stallAction: 'spanwright.stall.action',
  routeTo: 'spanwright.route.to',
  routeIndex: 'spanwright.route.index',
  routeLabel: 'spanwright.route.label',
  gateChoices: 'spanwright.gate.choices',
  gateChoice: 'spanwright.gate.choice',
  gateDefault: 'spanwright.gate.default',
  gateBy: 'spanwright.gate.by',
  breakerSignature: 'spanwright.breaker.signature',
  breakerCount: 'spanwright.breaker.count',
  breakerLimit: 'spanwright.breaker.limit',
  budgetScope: 'spanwright.budget.scope',
  budgetKind: 'spanwright.budget.kind',
  budgetUsed: 'spanwright.budget.used',
  budgetLimit: 'spanwright.budget.limit',
  budgetMode: 'spanwright.budget.mode',
} as const

/** Span events; later each is also an OTLP log record with the span's ids. */
export const SPAN_EVENT = {
  attemptFailed: 'spanwright.attempt.failed',
  retryScheduled: 'spanwright.retry.scheduled',
  attemptWaiting: 'spanwright.attempt.waiting',
  stallDetected: 'spanwright.stall.detected',
  checkFailed: 'spanwright.check.failed',
  hookFailed: 'spanwright.hook.failed',
  routeTaken: 'spanwright.route.taken',
  gateOpened: 'spanwright.gate.opened',
  gateAnswered: 'spanwright.gate.answered',
  gateExpired: 'spanwright.gate.expired',
  breakerOpened: 'spanwright.breaker.opened',
  budgetWarned: 'spanwright.budget.warned',
  budgetExceeded: 'spanwright.budget.exceeded',
} as const

/** Values of `spanwright.link`. `inbound`: the caller's context where it is not the parent. */
export const LINK = {
  retryOf: 'retry_of',
  join: 'join',
  resumes: 'resumes',
  continues: 'continues',
  inbound: 'inbound',
} as const
