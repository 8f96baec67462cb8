// Owns: running checks and hooks: commands by the same path as those of nodes, rules of checks without a process.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunCheck, RunHook } from '../core/commands.ts'
import type { FailureReport } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { Rule } from '../core/pipeline.ts'
import { asText, fill } from '../core/template.ts'
import { brokenOutcome } from './broken-outcome.ts'
import { readChanges } from './changes/changes.ts'
import { diagnosticsIn } from './checks/diagnostics.ts'
import { readLog, recordCheck } from './checks/verification-record.ts'
import { prepare, startCommand, workingDirectory, type CommandPlan, type Ground, type Ran } from './command-run.ts'
import type { Report, Running } from './context.ts'
import { maskedOutcome } from './masked-outcome.ts'
import { endedObservation } from './processes.ts'
import { lastBytes, reason } from './reason.ts'

/** Grace of hooks: they are short, and last. */
const HOOK_GRACE_MS = 1_000
/** A failure given to a hook as an environment variable has to fit one. */
const FAILURE_BYTES = 96 * 1024

export function startCheck(ground: Ground, command: RunCheck, report: Report): Running {
  const { files } = ground
  const directory = files.directory(command.attempt_id ?? command.id.slice(0, command.id.lastIndexOf('#')))
  if (command.rule) return startRule(ground, { command, rule: command.rule, directory }, report)
  const name = `check-${indexOf(command)}`
  const plan: CommandPlan = {
    id: command.id,
    place: command.place,
    line: command.run ?? { argv: ['false'] },
    inputs: command.inputs,
    facts: { attemptId: command.attempt_id, attemptDir: directory },
    source: 'check',
    graceMs: command.grace_ms,
    timeoutMs: command.timeout_ms,
    leaveRunning: false,
    stdout: files.openLog(directory, `${name}.stdout.log`),
    stderr: files.openLog(directory, `${name}.stderr.log`),
  }
  return run(ground, plan, report, (failure, ran) => {
    const { ending } = ran ?? {}
    const printed = ['stdout', 'stderr'].map((stream) => readLog(join(directory, `${name}.${stream}.log`)))
    const tails = [ending?.stderr.tail, ending?.stdout.tail].filter((text) => text).join('\n')
    const record = {
      passed: failure === undefined,
      exit_code: ending?.exitCode ?? null,
      signal: ending?.signal,
      duration_ms: Math.round(ending?.durationMs ?? 0),
      failure,
      diagnostics: diagnosticsIn(printed.join('\n'), workingDirectory(ground.context, command.place, command.inputs)),
      tail: lastBytes(tails, LIMITS.failureTailBytes),
    }
    recordCheck(files, directory, record, command)
  })
}

/** Position in the node's list. */
const indexOf = ({ id }: RunCheck): number => Number(id.slice(id.lastIndexOf(':') + 1))

interface RuleCheck {
  readonly command: RunCheck
  readonly rule: Rule
  readonly directory: string
}

/** A check without a process. It is short: being stopped, it is waited for. */
function startRule({ context, files }: Ground, { command, rule, directory }: RuleCheck, report: Report): Running {
  const startedAt = performance.now()
  const ground = {
    runId: context.runId,
    cwd: workingDirectory(context, command.place, command.inputs),
    changes: readChanges(directory),
    outputs: command.outputs ?? {},
    index: indexOf(command),
  }
  const over = new AbortController()
  const late = { failure: lateRule(command.timeout_ms), diagnostics: [] }
  const timedOut = delay(command.timeout_ms, late, { ref: false, signal: over.signal }).catch(() => late)
  const verdict = import('./checks/rules.ts').then(({ runRule }) => runRule(filledRule(rule, command.inputs), ground))
  void Promise.race([verdict, timedOut])
    .finally(() => over.abort())
    .then(({ failure, diagnostics }) => {
      const { outcome } = maskedOutcome({ failure }, context.mask)
      const duration = performance.now() - startedAt
      const tail = lastBytes(outcome.failure?.message ?? '', LIMITS.failureTailBytes)
      const record = {
        passed: !failure,
        exit_code: null,
        duration_ms: Math.round(duration),
        failure: outcome.failure,
        diagnostics,
        tail,
      }
      recordCheck(files, directory, record, command)
      report.outcome({ ...outcome, duration_ms: duration })
    })
    .catch((error: unknown) => report.outcome(brokenOutcome(error)))
  return { stop: () => {} }
}

/** Globs with their expressions filled in; patterns and schemas hold none. */
function filledRule(rule: Rule, inputs: JsonObject): Rule {
  const all = (globs: readonly string[]): string[] => globs.map((glob) => asText(fill(glob, inputs)))
  if ('required_files' in rule) return { required_files: all(rule.required_files) }
  if ('scope' in rule) return { scope: all(rule.scope) }
  if ('outputs_schema' in rule) return rule
  return { forbidden: { ...rule.forbidden, paths: all(rule.forbidden.paths) } }
}

const lateRule = (ms: number): FailureReport =>
  reason('timed_out', `the check took longer than ${ms} ms`, 'check', { timeout_ms: ms })

export function startHook(ground: Ground, command: RunHook, report: Report): Running {
  const { context, files } = ground
  const failure = command.failure && context.mask.json(command.failure as unknown as JsonObject)
  const plan: CommandPlan = {
    id: command.id,
    place: command.place,
    line: command.run,
    inputs: command.inputs,
    facts: { result: command.result, failure: failure ? fitting(failure) : '' },
    source: 'hook',
    graceMs: HOOK_GRACE_MS,
    timeoutMs: command.timeout_ms,
    leaveRunning: false,
    stdout: files.openTail(),
    stderr: files.openTail(),
  }
  return run(ground, plan, report, () => {})
}

/** The failure as JSON; one that is too large loses its details, then its causes. */
function fitting(failure: JsonObject): string {
  const { details: _details, ...withoutDetails } = failure
  const { causes: _causes, ...bare } = withoutDetails
  const texts = [failure, withoutDetails, bare].map((value) => JSON.stringify(value))
  return texts.find((text) => Buffer.byteLength(text) <= FAILURE_BYTES) ?? '{}'
}

type Finished = (failure: FailureReport | undefined, ran: Ran | undefined) => void

function run(ground: Ground, plan: CommandPlan, report: Report, finished: Finished): Running {
  const end = (failure: FailureReport | undefined, ran?: Ran): void => {
    const { outcome } = maskedOutcome({ failure }, ground.context.mask)
    finished(outcome.failure, ran)
    report.outcome({ ...outcome, ...(ran ? { process: ran.process } : {}), duration_ms: ran?.ending.durationMs ?? 0 })
  }
  const prepared = prepare(ground, plan)
  const started = 'failure' in prepared ? prepared : startCommand(ground, plan, prepared)
  if ('failure' in started) {
    queueMicrotask(() => end(started.failure))
    return { stop: () => {} }
  }
  void started.done
    .then((ran) => {
      const ended = endedObservation(ran.ending.ended, `left behind by ${plan.source} ${plan.id}`, plan.facts.attemptId)
      if (ended) report.observed(ended)
      end(ran.failure, ran)
    })
    .catch((error: unknown) => report.outcome(brokenOutcome(error)))
  return started
}
