// Owns: the steps that agents do, for who loads them when the first one is asked for: most runs have none.
import type { RunSummary } from '../../core/commands.ts'
import type { Ground } from '../command-run.ts'
import type { Report, Running } from '../context.ts'
import type { WorkingDirectories } from '../status-files.ts'
import { startAgent, type AgentAttemptCommand } from './attempt.ts'
import { ClientVersions } from './attempt-version.ts'
import { startSummary } from './summary.ts'

export interface AgentSteps {
  attempt(command: AgentAttemptCommand, report: Report): Running
  summary(command: RunSummary, report: Report): Running
}

/** @param store where answers of clients about themselves are kept from run to run */
export function createAgentSteps(ground: Ground, directories: WorkingDirectories, store: string): AgentSteps {
  const shared = { ground, directories, versions: new ClientVersions(store) }
  return {
    attempt: (command, report) => startAgent(shared, command, report),
    summary: (command, report) => startSummary(ground, command, report),
  }
}
