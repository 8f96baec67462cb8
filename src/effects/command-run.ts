// Owns: the one path by which commands run, be they the action of a node, a check or a hook: arguments, environment,
// process, failure reason. What an attempt may say beside its exit is told in attempt.ts.
import { resolve } from 'node:path'
import type { Place, Stop } from '../core/commands.ts'
import type { FailureReport, FailureSource } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import type { ProcessFacts } from '../core/outcome.ts'
import type { CommandLine } from '../core/pipeline.ts'
import { asText, fill } from '../core/template.ts'
import type { AgentTelemetry } from './agent-telemetry.ts'
import { toExecutable, type Executable } from './command-line.ts'
import type { EffectsContext } from './context.ts'
import { childEnvironment, declaredEnvironment, secretsOf, type Environment, type StepFacts } from './environment.ts'
import { markerOf } from './marker.ts'
import { processFailure } from './process-failure.ts'
import { ChildRun, type Ending, type Launch } from './process.ts'
import type { OomWatch } from './oom.ts'
import type { Log, StepFiles } from './run-files.ts'

/** Read once for all commands of a run. */
export interface Ground {
  readonly context: EffectsContext
  readonly files: StepFiles
  readonly inherited: Environment
  readonly agentTelemetry: AgentTelemetry
  readonly oom: OomWatch
  /** Process groups that `leave_running` kept. */
  readonly kept: Set<number>
}

export interface CommandPlan {
  /** Id of the attempt, check or hook: what its processes are marked with. */
  readonly id: string
  readonly place: Place
  readonly line: CommandLine
  readonly inputs: JsonObject
  readonly facts: Omit<StepFacts, 'runId' | 'runDir'>
  readonly source: FailureSource
  readonly graceMs: number
  readonly timeoutMs?: number | undefined
  readonly stallMs?: number | undefined
  readonly leaveRunning: boolean
  readonly stdout: Log
  readonly stderr: Log
  readonly stalled?: Launch['stalled']
  readonly progressed?: Launch['progressed']
}

export interface Prepared {
  readonly executable: Executable
  readonly cwd: string
  readonly declared: Environment
}

/** All that is known before the start, or why it cannot start. */
export function prepare(
  ground: Ground,
  plan: Pick<CommandPlan, 'line' | 'inputs' | 'place'>,
): Prepared | { readonly failure: FailureReport } {
  const executable = toExecutable(plan.line, plan.inputs)
  if ('failure' in executable) return executable
  const declared = declaredEnvironment(plan.place, plan.inputs)
  if ('failure' in declared) return declared
  return { executable, cwd: workingDirectory(ground.context, plan.place, plan.inputs), declared: declared.values }
}

/** A relative `cwd` is relative to where the run was called from. */
export const workingDirectory = (context: EffectsContext, place: Place, inputs: JsonObject): string =>
  place.cwd === undefined ? context.cwd : resolve(context.cwd, asText(fill(place.cwd, inputs)))

export interface Ran {
  /** Undefined when it exited with 0. */
  readonly failure: FailureReport | undefined
  readonly ending: Ending
  readonly process: ProcessFacts
}

export interface CommandRun {
  readonly done: Promise<Ran>
  stop(stop: Stop): void
}

/** Starts the command; what goes wrong with it is in the answer. */
export function startCommand(
  ground: Ground,
  plan: CommandPlan,
  prepared: Prepared,
): CommandRun | { readonly failure: FailureReport } {
  const { context } = ground
  const { executable, cwd } = prepared
  const secrets = secretsOf(plan.place, context.secrets)
  if ('failure' in secrets) return secrets
  const marker = markerOf(context.runId, plan.id)
  const facts = { ...plan.facts, runId: context.runId, runDir: context.runDir, marker }
  const child = new ChildRun({
    file: executable.file,
    args: executable.args,
    cwd,
    env: childEnvironment(
      ground.inherited,
      [ground.agentTelemetry(marker), prepared.declared, secrets.values, executable.bindings],
      plan.place,
      facts,
    ),
    timeoutMs: plan.timeoutMs,
    stallMs: plan.stallMs,
    graceMs: plan.graceMs,
    leaveRunning: plan.leaveRunning,
    marker,
    stdout: plan.stdout,
    stderr: plan.stderr,
    oom: ground.oom,
    stalled: plan.stalled,
    progressed: plan.progressed,
  })
  const done = child.done.then((ending): Ran => ({
    ending,
    failure: processFailure({
      executable,
      ending,
      cwd,
      graceMs: plan.graceMs,
      timeoutMs: plan.timeoutMs,
      source: plan.source,
    }),
    process: {
      executable: executable.name,
      ...(ending.pid === undefined ? {} : { pid: ending.pid }),
      ...(ending.exitCode === undefined ? {} : { exit_code: ending.exitCode }),
      ...(ending.signal === undefined ? {} : { signal: ending.signal }),
    },
  }))
  return { done, stop: (stop) => child.stop(stop) }
}
