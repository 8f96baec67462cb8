// Owns: one attempt of a `run` node: the command, its files, what it said, the merged outcome.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RunAttempt } from '../core/commands.ts'
import type { JsonObject } from '../core/json.ts'
import type { Outcome } from '../core/outcome.ts'
import type { RunNode } from '../core/pipeline.ts'
import { toTimestamp } from '../core/time.ts'
import { prepare, startCommand, type CommandPlan, type Ground, type Prepared, type Ran } from './command-run.ts'
import { brokenOutcome } from './broken-outcome.ts'
import type { Report, Running } from './context.ts'
import { OUTCOME_FILE, OUTPUTS_FILE, RETRY_CONTEXT_FILE } from './environment.ts'
import { maskedOutcome } from './masked-outcome.ts'
import { endedObservation } from './processes.ts'
import { messageOf } from './reason.ts'
import { mergeOutcome, type Reported, type Subject } from './reported-outcome.ts'
import { retryContext } from './retry-context.ts'
import { lookBefore, readSaid, warningEvent, type Before, type Stay, type WorkingDirectories } from './status-files.ts'

export type CommandAttempt = RunAttempt & { readonly node: RunNode }

/** Starts the command of an attempt; the outcome is reported when nothing of it runs any more. */
export function startAttempt(
  ground: Ground,
  directories: WorkingDirectories,
  command: CommandAttempt,
  report: Report,
): Running {
  const { context, files } = ground
  const subject: Subject = {
    node: command.place.node,
    visit: command.place.visit,
    attempt: command.attempt,
    attempt_id: command.id,
  }
  const prepared = prepare(ground, { line: command.node.run, inputs: command.inputs, place: command.place })
  if ('failure' in prepared) return refuse(prepared, report)
  const directory = files.directory(command.id)
  const told = retryContext(command)
  if (told !== undefined) {
    files.write(directory, RETRY_CONTEXT_FILE, told)
    const prior = command.prior.map((before) => before.attempt_id)
    report.observed({
      type: 'retry_context.assembled',
      ...subject,
      bytes: Buffer.byteLength(told),
      prior_attempt_ids: prior,
    })
  }
  const stay = directories.enter(prepared.cwd)
  const before = lookBefore(prepared.cwd, context.runId)
  const run = startCommand(ground, planOf(ground, command, { directory, subject, report, prepared }), prepared)
  if ('failure' in run) {
    directories.leave(stay)
    return refuse(run, report)
  }
  try {
    // The child is at work meanwhile: only what it needs was written before its start.
    writeCommand(ground, command, prepared, directory)
  } catch (error) {
    run.stop({ code: 'store_unwritable', message: messageOf(error), now: true })
  }
  void run.done
    .finally(() => directories.leave(stay))
    .then((ran) => finish(ground, command, { directory, subject, report, prepared, before, stay }, ran))
    .catch(brokenOutcome)
    .then((outcome) => report.outcome(outcome))
  return run
}

function refuse({ failure }: Pick<Outcome, 'failure'>, report: Report): Running {
  queueMicrotask(() => report.outcome({ failure, duration_ms: 0 }))
  return { stop: () => {} }
}

interface Surroundings {
  readonly directory: string
  readonly subject: Subject
  readonly report: Report
  readonly prepared: Prepared
}

function planOf(
  { files }: Ground,
  command: CommandAttempt,
  { directory, subject, report, prepared }: Surroundings,
): CommandPlan {
  const { node } = command
  const capped = (stream: string) => (limitBytes: number) =>
    report.observed({ type: 'log.capped', ...subject, stream, limit_bytes: limitBytes })
  return {
    id: command.id,
    place: command.place,
    line: node.run,
    inputs: command.inputs,
    facts: { attemptId: command.id, attempt: command.attempt, maxAttempts: command.max, attemptDir: directory },
    source: 'command',
    graceMs: node.grace_ms,
    timeoutMs: node.timeout_ms,
    stallMs: node.stall_timeout_ms,
    leaveRunning: node.leave_running,
    stdout: files.openLog(directory, 'stdout.log', capped('stdout')),
    stderr: files.openLog(directory, 'stderr.log', capped('stderr')),
    stalled: (idleMs) =>
      report.observed({ type: 'stall.detected', ...subject, reason: 'no output', idle_ms: idleMs, action: 'TERM' }),
    progressed: ({ pid, outputBytes, lastOutputAt }) =>
      report.observed({
        type: 'attempt.progressed',
        ...subject,
        process: { pid, executable: prepared.executable.name },
        output_bytes: outputBytes,
        ...(lastOutputAt === undefined ? {} : { last_output_at: toTimestamp(lastOutputAt) }),
      }),
  }
}

/** What was asked of the step, for people who look into the run afterwards. */
function writeCommand({ files }: Ground, command: CommandAttempt, prepared: Prepared, directory: string): void {
  const { executable, cwd, declared } = prepared
  const { node, place } = command
  const record: JsonObject = {
    attempt_id: command.id,
    ...('argv' in node.run
      ? { argv: [executable.file, ...executable.args] }
      : { shell: node.run.shell, script: node.run.script, bindings: executable.bindings }),
    cwd,
    env: declared,
    secrets: place.secrets,
    ...(node.timeout_ms === undefined ? {} : { timeout_ms: node.timeout_ms }),
    traceparent: `00-${place.trace_id}-${place.span_id}-${place.sampled ? '01' : '00'}`,
  }
  files.write(directory, 'command.json', record)
}

function finish(
  { context, files, kept }: Ground,
  command: CommandAttempt,
  {
    directory,
    subject,
    report,
    prepared,
    before,
    stay,
  }: Surroundings & { readonly before: Before; readonly stay: Stay },
  { ending, failure, process }: Ran,
): Outcome {
  const ended = endedObservation(
    ending.ended,
    ending.halt ? 'the attempt was ended' : 'left behind by the attempt',
    command.id,
  )
  if (ended) report.observed(ended)
  if (ending.left > 0) {
    kept.add(ending.pid!)
    const message = `${ending.left} ${ending.left === 1 ? 'process stays' : 'processes stay'} until the run ends (leave_running)`
    report.observed(warningEvent({ code: 'left_running', message }, subject.node, command.id))
  }
  const said = readSaid({ cwd: prepared.cwd, attemptDir: directory, before, overlapped: stay.overlapped })
  for (const warning of said.warnings) report.observed(warningEvent(warning, subject.node, command.id))
  const merged = mergeOutcome(
    {
      failure,
      said,
      ended: ending.halt !== undefined || ending.spawnError !== undefined,
      text: ending.stdout.tail,
      decision: command.node.decision !== undefined,
      declared: command.node.outputs,
      source: 'command',
    },
    subject,
  )
  for (const observation of merged.observations) report.observed(context.mask.event(observation))
  const { outcome, warning } = maskedOutcome(merged.outcome, context.mask)
  if (warning) report.observed(warningEvent(warning, subject.node, command.id))
  writeAfter(
    files,
    directory,
    outcome,
    said.source !== undefined || said.faults.length > 0 || Object.keys(said.textOutputs).length > 0,
  )
  return { ...outcome, process, duration_ms: ending.durationMs }
}

/** The outcome as it was understood takes the place of what the step wrote unmasked. */
function writeAfter(files: Ground['files'], directory: string, outcome: Reported, spoke: boolean): void {
  // A step may have made a directory of either.
  if (spoke)
    for (const name of [OUTPUTS_FILE, OUTCOME_FILE]) rmSync(join(directory, name), { force: true, recursive: true })
  if (!spoke && !outcome.failure && outcome.label === undefined) return
  const result = outcome.skipped ? 'skip' : outcome.failure ? 'failure' : outcome.partial ? 'partial' : 'success'
  const { skipped: _skipped, partial: _partial, ...rest } = outcome
  files.write(directory, OUTCOME_FILE, JSON.parse(JSON.stringify({ result, ...rest })) as JsonObject)
}
