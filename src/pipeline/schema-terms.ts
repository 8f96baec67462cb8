// Owns: the small parts of the pipeline file that appear in many places: durations, ids, templates, commands, budgets.
// Must not: hold rules that need more than the value itself (rules-*.ts do).
import { z } from 'zod'
import { FAILURE_CLASSES, FAILURE_CODES } from '../core/failure.ts'
import { NODE_ID } from '../core/ids.ts'
import { LIMITS } from '../core/limits.ts'

export const RETRY_PRESETS = ['none', 'standard', 'aggressive', 'linear', 'patient'] as const
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/
const DURATION_OR_TEMPLATE = /^(?:(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+|[\s\S]*\$\{\{[\s\S]*\}\}[\s\S]*)$/
const TEMPLATE = /^\s*\$\{\{[\s\S]*\}\}\s*$/
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** A message of our own for values that are wrong; missing ones are said to be missing. */
export const says = (message: string) => ({
  error: (issue: { input?: unknown }) => (issue.input === undefined ? undefined : message),
})

const needsUnit = says('a duration needs a unit (ms, s, m, h or d), like 30s or 1h30m')
export const duration = z.string(needsUnit).regex(DURATION, needsUnit)
export const durationOrTemplate = z.string(needsUnit).regex(DURATION_OR_TEMPLATE, needsUnit)
export const template = z.string().regex(TEMPLATE, says('expected one expression: ${{ … }}'))
export const json = z.json().meta({ id: 'json' })
export const text = z.string().min(1, says('must not be empty'))
export const positive = z.int(says('expected a whole number')).min(1, says('must be at least 1'))

const idRule = 'ids begin with a letter or _ and hold letters, digits, _ and - only'
export const nodeId = z.string(says('expected a node id')).regex(NODE_ID, says(idRule))
export const paramName = z.string().regex(NODE_ID, says(`param ${idRule.replace('ids', 'names')}`))
export const secretName = z.string().regex(ENV_NAME, says('expected the name of an environment variable'))
export const environment = z.record(
  z.string().regex(ENV_NAME, says('names of environment variables hold letters, digits and _ only')),
  z.string(says('values of env are text: put quotes around it')),
)

const commandRule = 'expected a string (run by a shell) or a list of strings (a program and its arguments)'
export const command = z.union([text, z.array(z.string()).min(1)], says(commandRule))

const hook = z.union(
  [
    text,
    z.array(z.string()).min(1),
    z.strictObject({
      name: text.optional().describe('Shown in the journal and in traces; default: the command.'),
      run: command.describe('A shell command (string) or a program with arguments (list).'),
      timeout: duration.optional().describe('Default 60s.'),
    }),
  ],
  says('expected a command: a string, a list of strings, or a map with `run`'),
)

const runHookLists = {
  on_success: z.array(hook).optional().describe('Run after success.'),
  on_failure: z.array(hook).optional().describe('Run after failure, error or timeout.'),
  on_finish: z.array(hook).optional().describe('Always run at the end; after a cancel only these run.'),
}
export const runHooks = z.strictObject(runHookLists)
export const nodeHooks = z.strictObject({
  ...runHookLists,
  on_retry: z.array(hook).optional().describe('Run before each retry.'),
})

const globs = z.array(text).min(1)
export const check = z.strictObject({
  name: text.optional().describe('Shown in the journal and in traces; default: what it checks.'),
  run: command.optional().describe('A shell command (string) or a program with arguments (list).'),
  files: globs.optional().describe('Files (globs) that must be there and not be empty.'),
  forbid: z
    .strictObject({
      paths: globs.optional().describe('Files (globs) the attempt must not have created, changed or deleted.'),
      patterns: globs.optional().describe('Regular expressions that no line it added may match.'),
      secrets: z.boolean().optional().describe('true: no line it added may hold a key of a well-known format.'),
    })
    .optional()
    .describe('What the attempt must not have done.'),
  scope: globs.optional().describe('Everything the attempt changed must match one of these globs.'),
  outputs: z.record(z.string(), json).optional().describe('JSON Schema of all its outputs together.'),
  level: z.enum(['L0', 'L1', 'L2', 'L3']).optional().describe('Checks run in order of level; default L1.'),
  required: z.boolean().optional().describe('Whether its failure fails the attempt; default true.'),
  timeout: duration.optional().describe('Default 10m.'),
})

const dollars = z.number(says('expected US dollars per million tokens')).min(0, says('must not be negative'))
export const price = z.strictObject({
  input: dollars.describe('US dollars per million input tokens.'),
  output: dollars.describe('US dollars per million output tokens.'),
  cache_read: dollars.optional().describe('Default: as input.'),
  cache_write: dollars.optional().describe('Default: as input.'),
})

const retryCodes = [...Object.keys(FAILURE_CLASSES).filter((name) => name !== 'skip'), ...FAILURE_CODES] as [
  string,
  ...string[],
]
const preset = z.enum(RETRY_PRESETS)
const attemptCount = z.int().min(1, says('must be at least 1 (the first attempt counts)')).max(LIMITS.attempts)
const retryMap = z.strictObject({
  max_attempts: attemptCount.describe('Includes the first attempt.'),
  initial: duration.optional().describe('Delay before the second attempt; default 200ms.'),
  factor: z.number().min(1).optional().describe('Each delay is the one before times this; default 2.'),
  max: duration.optional().describe('No delay is longer; default 60s.'),
  jitter: z.number().min(0).max(1).optional().describe('Share of a delay that is spread; default 0.5.'),
  on: z
    .array(z.enum(retryCodes))
    .optional()
    .describe('Failure codes or classes to retry; default: all that are not hopeless.'),
})
export const retry = z.union(
  [preset, attemptCount, retryMap],
  says(`expected one of ${RETRY_PRESETS.join(', ')}, a number of attempts, or a map with max_attempts`),
)

export const budget = z.strictObject({
  usd: z.number().positive().optional().describe('US dollars.'),
  tokens: positive.optional().describe('Input, cache and output tokens together.'),
  time: duration.optional().describe('While an execution is alive, without gates and waits for a limit.'),
  attempts: positive.optional().describe('Attempts that may start.'),
  mode: z.enum(['audit', 'enforce']).optional().describe('audit only reports; default enforce.'),
})

export const param = z.strictObject({
  type: z.enum(['string', 'integer', 'number', 'boolean', 'array', 'object']).describe('How --param is read.'),
  default: json.optional().describe('Value when none is given.'),
  description: z.string().optional(),
  secret: z.boolean().optional().describe('Masked everywhere and asked for again on resume.'),
  enum: z.array(json).min(1).optional().describe('The values allowed.'),
  required: z.boolean().optional().describe('Default true for params without a default.'),
})
