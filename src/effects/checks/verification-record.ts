// Owns: verification.json of an attempt: every check with its result, and those that did not run. Checks of an attempt run
// one after another, so the file is read, extended and replaced.
import { join } from 'node:path'
import type { RunCheck } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Check } from '../../core/pipeline.ts'
import { readPart, readRegularJson, withRegularFile } from '../../journal/regular-file.ts'
import type { StepFiles } from '../run-files.ts'
import type { Diagnostic } from './diagnostics.ts'

const VERIFICATION_FILE = 'verification.json'
/** Of a log that is longer, so much of its beginning and of its end is read for diagnostics. */
const READ_BYTES = 512 * 1024

/** One check that ran. Others may be added to it; absent = it does not apply. */
export interface CheckRecord {
  readonly id: string
  readonly name: string
  readonly level: string
  readonly required: boolean
  readonly passed: boolean
  readonly exit_code: number | null
  readonly signal?: string | undefined
  readonly duration_ms: number
  readonly failure?: FailureReport | undefined
  readonly diagnostics: readonly Diagnostic[]
  /** The end of what it printed. */
  readonly tail: string
}

export interface PlannedCheck {
  readonly id: string
  readonly name: string
  readonly level: string
  readonly required: boolean
}

export interface Verification {
  readonly checks: readonly CheckRecord[]
  /** Because one before it failed, or the attempt was ended. */
  readonly not_run: readonly PlannedCheck[]
  /** Levels of which no check ran. */
  readonly skipped_levels: readonly string[]
}

/** Before the first check of an attempt: none of them ran. */
export function planChecks(files: StepFiles, directory: string, attemptId: string, checks: readonly Check[]): void {
  const planned = checks.map(({ name, level, required }, index) => ({
    id: `${attemptId}#check:${index}`,
    name,
    level,
    required,
  }))
  if (planned.length > 0) write(files, directory, { checks: [], not_run: planned })
}

/** Adds a check that ran. */
export function recordCheck(
  files: StepFiles,
  directory: string,
  record: Omit<CheckRecord, keyof PlannedCheck>,
  command: RunCheck,
): void {
  const { checks, not_run: planned } = readVerification(directory)
  const { id, name, level, required } = command
  write(files, directory, {
    checks: [...checks, { id, name, level, required, ...record }],
    not_run: planned.filter((other) => other.id !== id),
  })
}

function write(files: StepFiles, directory: string, { checks, not_run }: Omit<Verification, 'skipped_levels'>): void {
  const ran = new Set(checks.map(({ level }) => level))
  const skipped = [...new Set(not_run.map(({ level }) => level))].filter((level) => !ran.has(level)).toSorted()
  const record: Verification = { checks, not_run, skipped_levels: skipped }
  files.write(directory, VERIFICATION_FILE, JSON.parse(JSON.stringify(record)) as JsonObject)
}

/** verification.json of an attempt; empty when it has none. */
export function readVerification(directory: string): Verification {
  // Nothing where no check ran, or the file was cut by a full disk: the journal has what counts.
  const value = readRegularJson(join(directory, VERIFICATION_FILE), LIMITS.recordFileBytes) as Json | undefined
  const list = (key: string): readonly Json[] => {
    const items = isJsonObject(value) ? value[key] : undefined
    return Array.isArray(items) ? items.filter(isJsonObject) : []
  }
  return {
    checks: list('checks') as unknown as CheckRecord[],
    not_run: list('not_run') as unknown as PlannedCheck[],
    skipped_levels: list('skipped_levels') as unknown as string[],
  }
}

/** A log, or its beginning and its end; empty when there is none. */
export const readLog = (path: string): string =>
  withRegularFile(path, (fd, size) =>
    size <= 2 * READ_BYTES
      ? readPart(fd, 0, size)
      : `${readPart(fd, 0, READ_BYTES)}\n${readPart(fd, size - READ_BYTES, READ_BYTES)}`,
  ) ?? ''
