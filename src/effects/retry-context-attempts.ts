// Owns: the attempts before one, as a retry context sees them: the last with all its files, those before it in a line each.
import { join } from 'node:path'
import type { RunAttempt } from '../core/commands.ts'
import { originalCause, type Failure } from '../core/failure.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import { readRegularJson } from '../journal/regular-file.ts'
import { attemptDirectory } from '../journal/run-directory.ts'
import { readChanges, type Changes } from './changes/changes.ts'
import { readVerification, type Verification } from './checks/verification-record.ts'
import { oneLine, shortened } from './reason.ts'
import type { Part } from './retry-context.ts'

export interface PriorAttempt {
  readonly id: string
  readonly directory: string
  readonly failure: Failure
  /** What really happened. */
  readonly cause: Failure
  readonly verification: Verification
  readonly changes: Changes | undefined
  /** agent.json. */
  readonly agent: JsonObject | undefined
}

type Prior = RunAttempt['prior']
/** Attempts that get a line. */
const LINES = 10
const LINE_CHARS = 300

export function lastAttempt(prior: Prior, runDir: string): PriorAttempt | undefined {
  const last = prior.at(-1)
  return last && priorAttempt(last, runDir)
}

/** The last one that was not just cut off: from one that was lost there is little to learn. */
export function tellingAttempt(prior: Prior, runDir: string): PriorAttempt | undefined {
  const telling = prior.findLast(({ failure }) => failure.code !== 'worker_lost')
  return telling && priorAttempt(telling, runDir)
}

function priorAttempt({ attempt_id: id, failure }: Prior[number], runDir: string): PriorAttempt {
  const directory = attemptDirectory(runDir, id)
  return {
    id,
    directory,
    failure,
    cause: originalCause(failure),
    verification: readVerification(directory),
    changes: readChanges(directory),
    agent: agentRecord(join(directory, 'agent.json')),
  }
}

function agentRecord(path: string): JsonObject | undefined {
  const value = readRegularJson(path, LIMITS.recordFileBytes)
  return isJsonObject(value) ? value : undefined
}

/** All but the last, oldest first; those in a row that failed for the same reason share a line. */
export function attemptsBefore(prior: Prior, runDir: string): Part[] {
  const earlier = prior.slice(0, -1)
  if (earlier.length === 0) return []
  const groups: Prior[number][][] = []
  for (const attempt of earlier) {
    const group = groups.at(-1)
    if (group?.at(-1)?.failure.signature === attempt.failure.signature) group.push(attempt)
    else groups.push([attempt])
  }
  const shown = groups.slice(-LINES)
  const omitted = earlier.length - shown.flat().length
  return [
    { rank: 5, text: omitted > 0 ? `Earlier attempts (${omitted} older ones are not listed):` : 'Earlier attempts:' },
    // The oldest tells least.
    ...shown.map((group, index): Part => ({ rank: 6 + shown.length - index, text: lineOf(group, runDir) })),
  ]
}

function lineOf(group: readonly Prior[number][], runDir: string): string {
  const first = group[0]!
  const { id, failure, verification, changes } = priorAttempt(group.at(-1)!, runDir)
  const ids = group.length > 1 ? `${first.attempt_id} to ${id} (${group.length} times)` : id
  const failed = verification.checks.filter((check) => !check.passed).map(({ name }) => name)
  const facts = [
    ...(failed.length > 0 ? [`checks failed: ${failed.join(', ')}`] : []),
    ...(changes && changes.total > 0 ? [`${changes.total} ${changes.total === 1 ? 'file' : 'files'} changed`] : []),
  ]
  return `- ${ids}: ${failure.code}: ${shortened(oneLine(failure.message), LINE_CHARS)}${facts.length > 0 ? ` (${facts.join('; ')})` : ''}`
}
