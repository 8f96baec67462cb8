// Generated from src/telemetry/registry/ by `npm run registry`; change it there.
// Owns: every telemetry name: spans, attributes, span events, link kinds. Nothing else spells them.
// Borrowed names: OpenTelemetry semantic conventions (1.45.0); OpenTelemetry semantic conventions for generative AI (main of 2026-08).

export const SCOPE_NAME = 'spanwright'
export const DEFAULT_SERVICE_NAME = 'spanwright'
/** Where task URLs lead unless `SPANWRIGHT_URL` says otherwise: the web page of `spanwright ui`. */
export const DEFAULT_PAGE_URL = 'http://127.0.0.1:4600'

/** Span names. Low cardinality: never an id, a key or a number. */
export const spanName = {
  /**
   * Says that a run or an attempt is open: its own span arrives at its end only. 1 ms long; the run's at once, an
   * attempt's if it is open after 1 s; none when a run is caught up. Its id is derived from that of the span.
   */
  marker: (name: string) => `${name} started`,
  /** One execution of a run. */
  run: (pipeline: string) => `RUN ${pipeline}`,
  /** One try of a visit. */
  attempt: (nodeId: string) => `${nodeId} attempt`,
  /**
   * An agent client at work, up to the end of its main action; its context is what the client gets as TRACEPARENT.
   */
  agent: (agent: string) => `invoke_agent ${agent}`,
  /** A call of a model, where the agent client tells of it. */
  chat: (model: string) => `chat ${model}`,
  /** A tool that the agent used, where the agent client tells of it. */
  tool: (tool: string) => `execute_tool ${tool}`,
  /** A check of an attempt, or of a fan-out. */
  check: (name: string) => `check ${name}`,
  /** A hook of the run or of a node. */
  hook: (event: string) => `hook ${event}`,
  /** One lane of a fan-out. A branch that never started has no span. */
  branch: (fanoutId: string) => `branch ${fanoutId}`,
  /** One visit of a node, all its attempts. Its result is the final one. */
  node: (nodeId: string) => nodeId,
} as const

export const ATTR = {
  // Pipelines and runs, named by the conventions for CI/CD.
  /** Name of the pipeline. */
  pipelineName: 'cicd.pipeline.name',
  /** Id of the run, a ULID; the same over all executions of the run. */
  pipelineRunId: 'cicd.pipeline.run.id',
  /** What was done with the pipeline. */
  pipelineActionName: 'cicd.pipeline.action.name',
  /** How the run (or this execution of it) ended. */
  pipelineResult: 'cicd.pipeline.result',
  /** Which stretch of a run's life a duration covers. */
  pipelineRunState: 'cicd.pipeline.run.state',
  /** Id of the node. Never with a branch key, so that all branches of a fan-out are one node. */
  taskName: 'cicd.pipeline.task.name',
  /** Visit id on a node, attempt id on an attempt. */
  taskRunId: 'cicd.pipeline.task.run.id',
  /** How it ended. Also on branch, check, hook and agent spans, so that one word asks every span how it ended. */
  taskRunResult: 'cicd.pipeline.task.run.result',
  /** Address of the visit or attempt on the web page of the run; SPANWRIGHT_URL is its base. */
  taskRunUrl: 'cicd.pipeline.task.run.url.full',
  // The one word for what went wrong.
  /** Failure code. On every span with status ERROR and on no other; the same word on metrics. */
  errorType: 'error.type',
  // The process of a command. Never its arguments or its environment.
  /** Name of the program, without its folder. */
  processExecutableName: 'process.executable.name',
  /** Id of the process. */
  processPid: 'process.pid',
  /** Exit code; absent when a signal ended the process. */
  processExitCode: 'process.exit.code',
  // Agents and models. An attempt has the usage of all its requests, a `chat` span that of its own request: a sum over spans takes the one or the other. What was spent in all is a matter of the metrics.
  /** Kind of span among those of agents. */
  genAiOperationName: 'gen_ai.operation.name',
  /** Name of the agent client. */
  genAiAgentName: 'gen_ai.agent.name',
  /** Conversation of the agent, as its client names it; a later attempt may go on with it. */
  genAiConversationId: 'gen_ai.conversation.id',
  /** Who makes the model, read off its name. */
  genAiProviderName: 'gen_ai.provider.name',
  /** Model that was asked for, or that the agent says it used. */
  genAiRequestModel: 'gen_ai.request.model',
  /** Model that answered. */
  genAiResponseModel: 'gen_ai.response.model',
  /** Id of the answer, as the provider names it. */
  genAiResponseId: 'gen_ai.response.id',
  /** Why the model stopped. */
  genAiFinishReasons: 'gen_ai.response.finish_reasons',
  /** What the model was asked, as JSON. With `--capture content` only. */
  genAiInputMessages: 'gen_ai.input.messages',
  /** What the model answered, as JSON. With `--capture content` only. */
  genAiOutputMessages: 'gen_ai.output.messages',
  /** Tool that the agent used. */
  genAiToolName: 'gen_ai.tool.name',
  /** Id of the call, as the agent names it. */
  genAiToolCallId: 'gen_ai.tool.call.id',
  /** What the tool was asked. With `--capture content` only. */
  genAiToolCallArguments: 'gen_ai.tool.call.arguments',
  /** What the tool answered. With `--capture content` only. */
  genAiToolCallResult: 'gen_ai.tool.call.result',
  /** Kind of tokens. The four are disjoint and add up to the tokens of final.json. */
  genAiTokenType: 'gen_ai.token.type',
  /** Input tokens in total, cache included. */
  genAiInputTokens: 'gen_ai.usage.input_tokens',
  /** Output tokens, reasoning included. */
  genAiOutputTokens: 'gen_ai.usage.output_tokens',
  /** Part of the output tokens that was reasoning. */
  genAiReasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  /** Part of the input tokens that was read from the cache. */
  genAiCacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  /** Part of the input tokens that was written to the cache. */
  genAiCacheCreationTokens: 'gen_ai.usage.cache_creation.input_tokens',
  // Nodes, branches and executions.
  /** Kind of the node. */
  nodeKind: 'spanwright.node.kind',
  /** Path of the node from the run down, with the keys of the branches that it lies in. */
  nodePath: 'spanwright.node.path',
  /** Which visit of the node this is, counted from 1. */
  nodeVisit: 'spanwright.node.visit',
  /** Label of a decision or gate. */
  nodeLabel: 'spanwright.node.label',
  /** Whether a success was reported as partial; absent otherwise. */
  nodePartial: 'spanwright.node.partial',
  /** Key of the branch. */
  branchKey: 'spanwright.branch.key',
  /** Index of the branch, counted from 0. */
  branchIndex: 'spanwright.branch.index',
  /** Number of branches of the fan-out. */
  branchCount: 'spanwright.branch.count',
  /** Which execution of the run this is, counted from 1; every `resume` or `retry` starts one. */
  execution: 'spanwright.execution',
  /** Why a span was skipped or canceled: these are no failures, so they carry no `error.type`. */
  reasonCode: 'spanwright.reason.code',
  /** The same as a sentence. */
  reasonMessage: 'spanwright.reason.message',
  // Attempts and retries.
  /** Attempt id. */
  attemptId: 'spanwright.attempt.id',
  /** Which attempt of its visit this is, counted from 1. */
  attemptNumber: 'spanwright.attempt.number',
  /** How many attempts the visit may have. */
  attemptMax: 'spanwright.attempt.max',
  /** Number of the attempt that is to come. */
  nextAttempt: 'spanwright.attempt.next',
  /** Why the agent is not the node's first choice; absent where it is. */
  attemptChosen: 'spanwright.attempt.chosen',
  /** Retries of the visit. Above 0 on a node that succeeded in the end; lost attempts do not count. */
  retryCount: 'spanwright.retry.count',
  /** Delay before the attempt. */
  retryDelayMs: 'spanwright.retry.delay_ms',
  /** Signal that ended the process. */
  processSignal: 'spanwright.process.signal',
  /** When what was planned is due, RFC 3339. */
  dueAt: 'spanwright.due_at',
  /** How long nothing had moved. */
  idleMs: 'spanwright.stall.idle_ms',
  /** How it got stuck. */
  stallReason: 'spanwright.stall.reason',
  /** What was done about it; `wait` is nothing. */
  stallAction: 'spanwright.stall.action',
  // The structured reason of a failure.
  /** Failure code, the same as `error.type`. */
  failureCode: 'spanwright.failure.code',
  /** Class of the failure code. */
  failureClass: 'spanwright.failure.class',
  /** Who found the failure. */
  failureSource: 'spanwright.failure.source',
  /** One sentence that says what to do, at most 1,000 characters. */
  failureMessage: 'spanwright.failure.message',
  /** Canonical form of the failure: equal for the same cause, whatever the noise. */
  failureSignature: 'spanwright.failure.signature',
  /** What a model wrote about the failures of a visit, at most 1,000 characters. It replaces no reason. */
  summaryText: 'spanwright.summary.text',
  /** That a model wrote it; always true. */
  summaryGenerated: 'spanwright.summary.generated',
  /** Code of the original cause, where the failure passes on another one. */
  causeCode: 'spanwright.failure.cause.code',
  /** Message of the original cause. */
  causeMessage: 'spanwright.failure.cause.message',
  // Cost, and sums over what lies below a span (over all executions of the run).
  /** Cost of the attempt; absent when it is unknown. */
  costUsd: 'spanwright.cost.usd',
  /** Cost of one request to a model, where it is known. It is part of the cost of its attempt. */
  requestCostUsd: 'spanwright.request.cost.usd',
  /** Exit code of a command that a tool ran, where the client tells it. */
  toolExitCode: 'spanwright.tool.exit_code',
  /** Where the cost comes from. */
  costSource: 'spanwright.cost.source',
  /** Turns that the agent took. */
  turns: 'spanwright.turns',
  /** Nodes of the scope, or branches of the fan-out. */
  childrenTotal: 'spanwright.children.total',
  /** Those that failed, also where that was tolerated. */
  childrenFailed: 'spanwright.children.failed',
  /** Those with at least one retry. */
  childrenRetried: 'spanwright.children.retried',
  /** Those that were not started. */
  childrenSkipped: 'spanwright.children.skipped',
  /** Attempts below. */
  rollupAttempts: 'spanwright.rollup.attempts',
  /** Retries below. */
  rollupRetries: 'spanwright.rollup.retries',
  /** Input tokens below, cache included. */
  rollupTokensInput: 'spanwright.rollup.tokens.input',
  /** Output tokens below. */
  rollupTokensOutput: 'spanwright.rollup.tokens.output',
  /** Known cost below. */
  rollupCostUsd: 'spanwright.rollup.cost.usd',
  // Checks and hooks.
  /** Name of the check. */
  checkName: 'spanwright.check.name',
  /** Level of the check; lower ones run first. */
  checkLevel: 'spanwright.check.level',
  /** Whether its failure fails the attempt. */
  checkRequired: 'spanwright.check.required',
  /** Name of the hook. */
  hookName: 'spanwright.hook.name',
  /** What the hook runs after. */
  hookEvent: 'spanwright.hook.event',
  // What holds a trace together.
  /** Kind of a link. */
  link: 'spanwright.link',
  /** Join links left out because a span carries at most 100. */
  linksOmitted: 'spanwright.links.omitted',
  /** On marker spans only. */
  marker: 'spanwright.marker',
  // Details of events: routes, gates, breakers, budgets.
  /** Node that was entered, or `end`, or `fail`. */
  routeTo: 'spanwright.route.to',
  /** Which of the node's routes it was, counted from 0. */
  routeIndex: 'spanwright.route.index',
  /** Label that the node had ended with. */
  routeLabel: 'spanwright.route.label',
  /** What can be answered. */
  gateChoices: 'spanwright.gate.choices',
  /** What was answered. */
  gateChoice: 'spanwright.gate.choice',
  /** What is answered when nobody does in time. */
  gateDefault: 'spanwright.gate.default',
  /** What kind of actor answered. Who it was is in the journal only. */
  gateBy: 'spanwright.gate.by',
  /** Signature of the failures that are the same. */
  breakerSignature: 'spanwright.breaker.signature',
  /** How often it occurred. */
  breakerCount: 'spanwright.breaker.count',
  /** How often it may occur. */
  breakerLimit: 'spanwright.breaker.limit',
  /** Path of the node that the budget is for; empty for the run. */
  budgetScope: 'spanwright.budget.scope',
  /** What the budget limits. */
  budgetKind: 'spanwright.budget.kind',
  /** What is used, in the unit of the budget (time in milliseconds). */
  budgetUsed: 'spanwright.budget.used',
  /** What may be used. */
  budgetLimit: 'spanwright.budget.limit',
  /** What happens when it is used up. */
  budgetMode: 'spanwright.budget.mode',
  // Telemetry about telemetry.
  /** What was refused. */
  telemetrySignal: 'spanwright.telemetry.signal',
  // Who sends. Nothing of the machine, the user or the command line.
  /**
   * Hash of host and user, and a slot that each live process has for itself, so that a series has one writer and the
   * number of series is bounded; the Prometheus label `instance`.
   */
  serviceInstanceId: 'service.instance.id',
} as const

/** Span events; each is also an OTLP log record with the span's ids. */
export const SPAN_EVENT = {
  /** An attempt failed, or was lost with its process. */
  attemptFailed: 'spanwright.attempt.failed',
  /** Another attempt follows. */
  retryScheduled: 'spanwright.retry.scheduled',
  /** An attempt waits for a limit to pass. It holds no slot, and its timeout stands still. */
  attemptWaiting: 'spanwright.attempt.waiting',
  /** An attempt made no progress: it did not begin, fell silent, went round in circles, or did not end. */
  stallDetected: 'spanwright.stall.detected',
  /** A check failed. Where it is required, the attempt fails with it. */
  checkFailed: 'spanwright.check.failed',
  /** A hook failed. The result of its node stays as it is. */
  hookFailed: 'spanwright.hook.failed',
  /** The node led to another one. */
  routeTaken: 'spanwright.route.taken',
  /** A model wrote a summary of the failures of a visit. On the run where the span of the node has ended. */
  failureSummarized: 'spanwright.failure.summarized',
  /** A gate waits for an answer. */
  gateOpened: 'spanwright.gate.opened',
  /** A gate was answered. */
  gateAnswered: 'spanwright.gate.answered',
  /** Nobody answered in time. With a default, that is the answer. */
  gateExpired: 'spanwright.gate.expired',
  /** The same failure again and again was stopped. */
  breakerOpened: 'spanwright.breaker.opened',
  /** Most of a budget is used. */
  budgetWarned: 'spanwright.budget.warned',
  /** A budget is used up. */
  budgetExceeded: 'spanwright.budget.exceeded',
} as const

/** Values of `spanwright.link`. */
export const LINK = {
  /** From an attempt to the one before it. */
  retryOf: 'retry_of',
  /** From the node after a join to the branches that were joined. */
  join: 'join',
  /** From the run span of a later execution to that of an earlier one. */
  resumes: 'resumes',
  /** From a node or branch span of a later execution to the one that an interruption had ended. */
  continues: 'continues',
  /** To the caller's span, where it is not the parent. */
  inbound: 'inbound',
} as const
