// Owns: one attempt of a `run` node: the command, its files, what it said, the merged outcome.
import type { RunAttempt } from '../core/commands.ts'
import type { JsonObject } from '../core/json.ts'
import type { Outcome } from '../core/outcome.ts'
import type { RunNode } from '../core/pipeline.ts'
import { toTimestamp } from '../core/time.ts'
import { conclude, recordLeftovers, subjectOf, tellRetryContext, type Standing } from './attempt-conclusion.ts'
import { prepare, startCommand, type CommandPlan, type Ground, type Prepared, type Ran } from './command-run.ts'
import { brokenOutcome } from './broken-outcome.ts'
import { asksForChanges, changesSince, forget, lookAtFiles, recordChanges, type Snapshot } from './changes/changes.ts'
import type { Report, Running } from './context.ts'
import { LateRunning } from './late-running.ts'
import { messageOf } from './reason.ts'
import { lookBefore, type Before, type Stay, type WorkingDirectories } from './status-files.ts'

export type CommandAttempt = RunAttempt & { readonly node: RunNode }

/** Starts the command of an attempt; the outcome is reported when nothing of it runs any more. */
export function startAttempt(
  ground: Ground,
  directories: WorkingDirectories,
  command: CommandAttempt,
  report: Report,
): Running {
  const prepared = prepare(ground, { line: command.node.run, inputs: command.inputs, place: command.place })
  if ('failure' in prepared) return refuse(prepared, report)
  const directory = ground.files.directory(command.id)
  const standing: Standing = { ground, command, directory, subject: subjectOf(command), report }
  const start = (snapshot?: Snapshot): Running => begin(standing, directories, { command, prepared, snapshot })
  if (!asksForChanges(command.node.checks)) return start()
  let seen: Snapshot | undefined
  const look = lookAtFiles(prepared.cwd, ground.context.env, standing).then((snapshot) => {
    seen = snapshot
    return () => start(snapshot)
  })
  return new LateRunning(look, report, () => seen && forget(seen))
}

interface Start {
  readonly command: CommandAttempt
  readonly prepared: Prepared
  readonly snapshot: Snapshot | undefined
}

function begin(standing: Standing, directories: WorkingDirectories, { command, prepared, snapshot }: Start): Running {
  const { ground, directory, report } = standing
  const { context } = ground
  tellRetryContext(standing)
  const stay = directories.enter(prepared.cwd)
  const before = lookBefore(prepared.cwd, context.runId)
  const run = startCommand(ground, planOf(standing, command, prepared), prepared)
  if ('failure' in run) {
    directories.leave(stay)
    if (snapshot) forget(snapshot)
    return refuse(run, report)
  }
  try {
    // The child is at work meanwhile: only what it needs was written before its start.
    writeCommand(ground, command, prepared, directory)
  } catch (error) {
    run.stop({ code: 'store_unwritable', message: messageOf(error), now: true })
  }
  void run.done
    .then(async (ran) => {
      const outcome = finish(standing, { prepared, before, stay }, ran)
      // Who cancels does not want to wait for what nobody will ask.
      if (snapshot && outcome.failure?.source === 'user') forget(snapshot)
      else if (snapshot) {
        const found = await changesSince(snapshot, command.node.checks, stay.overlapped)
        recordChanges(ground.files, directory, found)
      }
      return outcome
    })
    .finally(() => directories.leave(stay))
    .catch(brokenOutcome)
    .then((outcome) => report.outcome(outcome))
  return run
}

function refuse({ failure }: Pick<Outcome, 'failure'>, report: Report): Running {
  queueMicrotask(() => report.outcome({ failure, duration_ms: 0 }))
  return { stop: () => {} }
}

function planOf(
  { ground: { files }, directory, subject, report }: Standing,
  command: CommandAttempt,
  prepared: Prepared,
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
  standing: Standing,
  { prepared, before, stay }: { readonly prepared: Prepared; readonly before: Before; readonly stay: Stay },
  { ending, failure, process }: Ran,
): Outcome {
  recordLeftovers(standing, ending)
  const outcome = conclude(
    standing,
    { cwd: prepared.cwd, before, stay },
    {
      failure,
      ended: ending.halt !== undefined || ending.spawnError !== undefined,
      text: ending.stdout.tail,
      source: 'command',
    },
  )
  return { ...outcome, process, duration_ms: ending.durationMs }
}
