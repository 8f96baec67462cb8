// Generated from src/telemetry/registry/ by `npm run registry`; change it there.
// Owns: every metric: name, instrument, unit, buckets, attributes. Never an id of a run, attempt or branch.
import { ATTR } from './names.ts'

export type Instrument = 'counter' | 'histogram' | 'gauge'

export interface MetricSpec {
  readonly name: string
  readonly instrument: Instrument
  /** UCUM; `{…}` is an annotation and no part of the Prometheus name. */
  readonly unit: string
  readonly description: string
  /** Upper bounds of the buckets of a histogram. */
  readonly boundaries?: readonly number[]
  readonly attributes: readonly string[]
}

/** Seconds, for work of 10 ms to 8 h. */
const DURATION = [
  0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800,
]
/** Powers of four: the boundaries of the GenAI semantic conventions. */
const TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]

export const METRIC = {
  runDuration: {
    name: 'cicd.pipeline.run.duration',
    instrument: 'histogram',
    unit: 's',
    description: 'Duration of runs that ended.',
    boundaries: DURATION,
    attributes: [ATTR.pipelineName, ATTR.pipelineRunState, ATTR.pipelineResult, ATTR.errorType],
  },
  attemptDuration: {
    name: 'spanwright.attempt.duration',
    instrument: 'histogram',
    unit: 's',
    description: 'Duration of attempts that ended.',
    boundaries: DURATION,
    attributes: [
      ATTR.pipelineName,
      ATTR.taskName,
      ATTR.nodeKind,
      ATTR.taskRunResult,
      ATTR.errorType,
      ATTR.attemptNumber,
    ],
  },
  branchDuration: {
    name: 'spanwright.branch.duration',
    instrument: 'histogram',
    unit: 's',
    description:
      'Duration of fan-out branches that ended, each once; one that a resume goes on with counts at its first end.',
    boundaries: DURATION,
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.taskRunResult],
  },
  joinWait: {
    name: 'spanwright.join.wait.duration',
    instrument: 'histogram',
    unit: 's',
    description: 'Time a fan-out went on after its first branch had ended.',
    boundaries: DURATION,
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  attempts: {
    name: 'spanwright.attempts',
    instrument: 'counter',
    unit: '{attempt}',
    description: 'Attempts that ended.',
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.taskRunResult],
  },
  retries: {
    name: 'spanwright.retries',
    instrument: 'counter',
    unit: '{retry}',
    description: 'Retries; error.type is the code of the failure that was retried.',
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.errorType],
  },
  breakersOpened: {
    name: 'spanwright.breakers.opened',
    instrument: 'counter',
    unit: '{breaker}',
    description: 'Times the breaker stopped a node that failed in the same way again and again.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  tokenUsage: {
    name: 'gen_ai.client.token.usage',
    instrument: 'histogram',
    unit: '{token}',
    description:
      'Tokens of one attempt and model. The types input (uncached), cache_read, cache_creation and output add up.',
    boundaries: TOKENS,
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.genAiRequestModel, ATTR.genAiTokenType],
  },
  cost: {
    name: 'spanwright.cost',
    instrument: 'counter',
    unit: '{USD}',
    description: 'Known cost of attempts, by model where there were several, and of failure summaries.',
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.genAiRequestModel, ATTR.costSource, ATTR.taskRunResult],
  },
  unpriced: {
    name: 'spanwright.cost.unpriced',
    instrument: 'counter',
    unit: '{attempt}',
    description: 'Attempts and failure summaries that used tokens of which some have no known price.',
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.genAiRequestModel],
  },
  heartbeat: {
    name: 'spanwright.heartbeat.time',
    instrument: 'gauge',
    unit: 's',
    description: 'Unix time at which the process that runs a run was last seen.',
    attributes: [],
  },
  runsOpen: {
    name: 'spanwright.runs.open',
    instrument: 'gauge',
    unit: '{run}',
    description: 'Runs under way.',
    attributes: [ATTR.pipelineName],
  },
  branchesOpen: {
    name: 'spanwright.branches.open',
    instrument: 'gauge',
    unit: '{branch}',
    description: 'Fan-out branches under way.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  attemptsOpen: {
    name: 'spanwright.attempts.open',
    instrument: 'gauge',
    unit: '{attempt}',
    description: 'Attempts under way.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  attemptsWaiting: {
    name: 'spanwright.attempts.waiting',
    instrument: 'gauge',
    unit: '{attempt}',
    description: 'Attempts that wait for a limit to pass; they count as open too.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  gatesOpen: {
    name: 'spanwright.gates.open',
    instrument: 'gauge',
    unit: '{gate}',
    description: 'Gates that wait for an answer.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  gateOldest: {
    name: 'spanwright.gate.oldest_open.time',
    instrument: 'gauge',
    unit: 's',
    description: 'Unix time at which the oldest open gate was opened.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  oldestStart: {
    name: 'spanwright.attempt.oldest_start.time',
    instrument: 'gauge',
    unit: 's',
    description: 'Unix time at which the oldest open attempt started.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  oldestProgress: {
    name: 'spanwright.attempt.oldest_progress.time',
    instrument: 'gauge',
    unit: 's',
    description:
      'Unix time of the last progress of the open attempt that is idle for longest; one that waits for a limit or is being checked counts as making progress.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  stallTimeout: {
    name: 'spanwright.attempt.stall_timeout',
    instrument: 'gauge',
    unit: 's',
    description: 'How long an attempt of the node may make no progress.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  attemptDeadline: {
    name: 'spanwright.attempt.deadline.time',
    instrument: 'gauge',
    unit: 's',
    description:
      'Unix time at which the first open attempt reaches its timeout; it moves on while the attempt waits for a limit or is being checked.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  breakerOpen: {
    name: 'spanwright.breaker.open',
    instrument: 'gauge',
    unit: '{breaker}',
    description: '1 from the opening of a breaker until its run ends.',
    attributes: [ATTR.pipelineName, ATTR.taskName],
  },
  budgetUsed: {
    name: 'spanwright.budget.used_ratio',
    instrument: 'gauge',
    unit: '1',
    description: 'Used share of a budget; without a node it is the budget of the run.',
    attributes: [ATTR.pipelineName, ATTR.taskName, ATTR.budgetKind],
  },
  telemetryBacklog: {
    name: 'spanwright.telemetry.backlog',
    instrument: 'gauge',
    unit: '{entry}',
    description: 'Journal entries whose spans are not delivered yet.',
    attributes: [],
  },
  telemetryRefused: {
    name: 'spanwright.telemetry.refused',
    instrument: 'counter',
    unit: '{item}',
    description: 'Spans, log records and data points that the receiver refused for good.',
    attributes: [ATTR.telemetrySignal],
  },
} as const satisfies { readonly [key: string]: MetricSpec }

export type MetricKey = keyof typeof METRIC
