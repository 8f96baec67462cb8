// Owns: running checks and hooks, by the same path as commands, and the record of checks in verification.json.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunCheck, RunHook } from '../core/commands.ts'
import type { FailureReport } from '../core/failure.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import { prepare, startCommand, type CommandPlan, type Ground, type Ran } from './command-run.ts'
import { brokenOutcome } from './broken-outcome.ts'
import type { Report, Running } from './context.ts'
import { maskedOutcome } from './masked-outcome.ts'
import { endedObservation } from './processes.ts'
import { lastBytes } from './reason.ts'

const VERIFICATION_FILE = 'verification.json'
/** Grace of hooks: they are short, and last. */
const HOOK_GRACE_MS = 1_000
/** A failure given to a hook as an environment variable has to fit one. */
const FAILURE_BYTES = 96 * 1024

export function startCheck(ground: Ground, command: RunCheck, report: Report): Running {
  const { files } = ground
  const directory = files.directory(command.attempt_id ?? command.id.slice(0, command.id.lastIndexOf('#')))
  const name = `check-${command.id.slice(command.id.lastIndexOf(':') + 1)}`
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
  return run(ground, plan, report, (failure, ran) => record(ground, { command, directory }, failure, ran))
}

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

/** Checks of an attempt run one after another, so the record is read, extended and replaced. */
function record(
  { files }: Ground,
  { command, directory }: { readonly command: RunCheck; readonly directory: string },
  failure: FailureReport | undefined,
  ran: Ran | undefined,
): void {
  const before = readRecord(join(directory, VERIFICATION_FILE))
  const output = [ran?.ending.stderr.tail, ran?.ending.stdout.tail].filter((text) => text).join('\n')
  const check: JsonObject = {
    id: command.id,
    name: command.name,
    level: command.level,
    required: command.required,
    passed: failure === undefined,
    exit_code: ran?.ending.exitCode ?? null,
    ...(ran?.ending.signal === undefined ? {} : { signal: ran.ending.signal }),
    duration_ms: Math.round(ran?.ending.durationMs ?? 0),
    ...(failure ? { failure: failure as unknown as JsonObject } : {}),
    tail: lastBytes(output, LIMITS.failureTailBytes),
  }
  files.write(directory, VERIFICATION_FILE, { checks: [...before, check] })
}

function readRecord(path: string): readonly Json[] {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Json
    const checks = isJsonObject(value) ? value['checks'] : undefined
    return Array.isArray(checks) ? checks : []
  } catch {
    return []
  }
}
