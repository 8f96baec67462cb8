// Owns: from a command of the core to the part that runs it. It assumes nothing about who hosts the run.
import { dirname } from 'node:path'
import type { RunAttempt } from '../core/commands.ts'
import type { AgentSteps } from './agents/agent-steps.ts'
import type { AgentAttemptCommand } from './agents/attempt.ts'
import { agentTelemetry } from './agent-telemetry.ts'
import { startAttempt, type CommandAttempt } from './attempt.ts'
import type { Ground } from './command-run.ts'
import { brokenOutcome } from './broken-outcome.ts'
import type { Effects, EffectsContext, Report, Running, StepCommand } from './context.ts'
import { inheritable } from './environment.ts'
import { CallRun, type CallAttempt } from './function.ts'
import { LateRunning } from './late-running.ts'
import { markerOf } from './marker.ts'
import { findOomSource, OomWatch } from './oom.ts'
import { hasProc } from './proc.ts'
import { endedObservation, endGroup, endMarked } from './processes.ts'
import { reason, stopReason } from './reason.ts'
import { createStepFiles } from './run-files.ts'
import { WorkingDirectories } from './status-files.ts'
import { startCheck, startHook } from './verification.ts'

/** At the end of a run what is left has this long between TERM and KILL. */
const SWEEP_KILL_MS = 1_000

/** Effects of one execution of one run. */
export function createEffects(context: EffectsContext): Effects {
  const ground: Ground = {
    context,
    files: createStepFiles(context.runDir, context.mask),
    inherited: inheritable(context.env, context.secretNames),
    agentTelemetry: agentTelemetry(context.env),
    oom: new OomWatch(context.oom ?? findOomSource()),
    kept: new Set(),
  }
  const directories = new WorkingDirectories()
  let steps: Promise<AgentSteps> | undefined
  const agents = (): Promise<AgentSteps> =>
    (steps ??= import('./agents/agent-steps.ts').then(({ createAgentSteps }) =>
      createAgentSteps(ground, directories, storeOf(context.runDir)),
    ))
  const shared: Shared = { ground, directories, agents }
  return {
    start(command, report) {
      const once = tellOnce(report)
      try {
        return startStep(shared, command, once)
      } catch (error) {
        queueMicrotask(() => once.outcome(brokenOutcome(error)))
        return { stop: () => {} }
      }
    },
    async sweep() {
      const ended = hasProc
        ? await endMarked(markerOf(context.runId), { killAfterMs: SWEEP_KILL_MS })
        : (await Promise.all([...ground.kept].map((group) => endGroup(group, SWEEP_KILL_MS)))).flat()
      return endedObservation(ended, 'left behind by the run')
    },
  }
}

/** Of `<store>/runs/<run id>`. */
const storeOf = (runDir: string): string => dirname(dirname(runDir))

interface Shared {
  readonly ground: Ground
  readonly directories: WorkingDirectories
  /** Loaded when the first agent is asked for. */
  readonly agents: () => Promise<AgentSteps>
}

function startStep(shared: Shared, command: StepCommand, report: Report): Running {
  const { ground } = shared
  if (command.stop) {
    const failure = stopReason(command.stop)
    queueMicrotask(() => report.outcome({ failure, duration_ms: 0 }))
    return { stop: () => {} }
  }
  switch (command.kind) {
    case 'check':
      return startCheck(ground, command, report)
    case 'hook':
      return startHook(ground, command, report)
    case 'summary':
      return late(shared, report, (agents) => agents.summary(command, report))
    case 'attempt':
      return startNode(shared, command, report)
  }
}

const late = ({ agents }: Shared, report: Report, start: (agents: AgentSteps) => Running): Running =>
  new LateRunning(
    agents().then((steps) => () => start(steps)),
    report,
  )

function startNode(shared: Shared, command: RunAttempt, report: Report): Running {
  const { ground, directories } = shared
  const { kind } = command.node
  if (kind === 'run') return startAttempt(ground, directories, command as CommandAttempt, report)
  if (kind === 'call') return new CallRun(ground.context, command as CallAttempt, report)
  if (kind === 'agent') return late(shared, report, (agents) => agents.attempt(command as AgentAttemptCommand, report))
  const failure = reason('config_invalid', `${kind} nodes are not in this version`, 'scheduler')
  queueMicrotask(() => report.outcome({ failure, duration_ms: 0 }))
  return { stop: () => {} }
}

/** Nothing is told after the outcome, and no outcome twice: late timers and streams fall silent. */
function tellOnce(report: Report): Report {
  let over = false
  return {
    outcome(outcome) {
      if (over) return
      over = true
      report.outcome(outcome)
    },
    observed: (observation) => void (over || report.observed(observation)),
    usage: (usage, cost) => void (over || report.usage(usage, cost)),
    waiting: async (resumesAt, failure) => !over && (await report.waiting(resumesAt, failure)),
    reserve: async (amount) => (over ? 'the attempt has ended' : await report.reserve(amount)),
  }
}
