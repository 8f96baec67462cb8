// Owns: what was found wrong with an attempt, as parts of a retry context: failed checks, the end of its output, how it
// ended, the files it changed.
import { join } from 'node:path'
import { formatDuration } from '../core/duration.ts'
import type { Failure } from '../core/failure.ts'
import { LIMITS } from '../core/limits.ts'
import type { Changes } from './changes/changes.ts'
import type { Diagnostic } from './checks/diagnostics.ts'
import { readLog, type CheckRecord } from './checks/verification-record.ts'
import { lastBytes, oneLine, shortened } from './reason.ts'
import type { PriorAttempt } from './retry-context-attempts.ts'
import type { Part } from './retry-context.ts'

/** Checks told with what they printed; of the others only the names. */
const CHECKS = 8
const DIAGNOSTICS = 20
const PATHS = 40
const COMMITS = 5
const COMMAND_CHARS = 500

/** Failed checks: required ones first, each with its problems and the end of its output. */
export function checkParts({ verification }: PriorAttempt): Part[] {
  const failed = verification.checks.filter((check) => !check.passed)
  const required = failed.filter((check) => check.required)
  const optional = failed.filter((check) => !check.required)
  const names = (checks: readonly { readonly name: string }[]): string => checks.map(({ name }) => name).join(', ')
  const told = new Set<string>()
  const parts: Part[] = []
  if (required.length > 0) parts.push({ rank: 0, text: `Required check failures (must fix): ${names(required)}` })
  parts.push(
    ...required.slice(0, CHECKS).map((check, index) => ({ rank: index === 0 ? 1 : 2, text: checkText(check, told) })),
  )
  if (verification.not_run.length > 0 && required.length > 0)
    parts.push({ rank: 3, text: `Checks that did not run after it: ${names(verification.not_run)}` })
  if (optional.length > 0) parts.push({ rank: 3, text: `Optional check failures: ${names(optional)}` })
  parts.push(...optional.slice(0, CHECKS).map((check) => ({ rank: 12, text: checkText(check, told) })))
  return parts
}

function checkText(check: CheckRecord, told: Set<string>): string {
  const { name, exit_code: exitCode, signal, failure, diagnostics } = check
  const ended = exitCode !== null ? [`exit_code=${exitCode}`] : signal !== undefined ? [`signal=${signal}`] : []
  const message = failure && exitCode === null ? [failure.message] : []
  const command = failure?.details?.['command']
  // A rule's message names its first findings itself.
  const named =
    exitCode === null && diagnostics.every((found) => failure?.message.includes(`${found.file}:${found.line}`))
  const problems = named ? [] : diagnostics.slice(0, DIAGNOSTICS).map(problemLine)
  const more = named ? 0 : diagnostics.length - problems.length
  return [
    `--- Check: ${name}`,
    ...(typeof command === 'string' ? [`command=${shortened(oneLine(command), COMMAND_CHARS)}`] : []),
    ...ended,
    ...message,
    ...(problems.length > 0 ? ['problems:', ...problems] : []),
    ...(more > 0 ? [`(and ${more} more)`] : []),
    ...(message.includes(check.tail) ? [] : quoted('output (its end):', check.tail, told)),
  ].join('\n')
}

const problemLine = ({ file, line, column, severity, code, message }: Diagnostic): string =>
  `${file}:${line}${column === undefined ? '' : `:${column}`}: ${severity}${code === undefined ? '' : ` ${code}`}: ${message}`

/** The end of an output, fenced; what was told once is not told again. */
export function quoted(title: string, output: string, told: Set<string> = new Set()): string[] {
  const text = lastBytes(output, LIMITS.retryOutputBytes).trim()
  if (text === '') return []
  if (told.has(text)) return [title, '(the same as above)']
  told.add(text)
  return [title, `\`\`\`text\n${text.replaceAll('```', "'''")}\n\`\`\``]
}

/** How the main action ended, when that is what failed. */
export function outputParts(attempt: PriorAttempt): Part[] {
  const { failure, cause, verification } = attempt
  if (verification.checks.some((check) => check.required && !check.passed)) return []
  const { exit_code: exitCode, signal } = cause.details ?? {}
  const lines = [
    ...(cause === failure ? [] : [`Cause: ${cause.code}: ${cause.message}`]),
    ...(typeof exitCode === 'number' ? [`Exit code: ${exitCode}`] : []),
    ...terminated(cause, typeof signal === 'string' ? signal : undefined),
  ]
  return [
    ...(lines.length > 0 ? [{ rank: 1, text: lines.join('\n') }] : []),
    ...outputs(attempt).map(({ title, text }, index) => ({ rank: 2 + index, text: quoted(title, text).join('\n') })),
  ].filter(({ text }) => text !== '')
}

/** Why it ended before it was done. */
function terminated({ code, details }: Failure, signal: string | undefined): string[] {
  const after = details?.['timeout_ms'] ?? details?.['idle_ms']
  const when = typeof after === 'number' ? ` after ${formatDuration(after)}` : ''
  switch (code) {
    case 'timed_out':
      return [`Terminated: it ran into its time limit${when}`]
    case 'stalled':
      return [`Terminated: it made no progress${when}`]
    case 'oom_killed':
      return ['Terminated: out of memory']
    case 'worker_lost':
      return ['Terminated: the process that ran it went away']
    default:
      return signal === undefined ? [] : [`Terminated: signal ${signal}`]
  }
}

/** Of what it printed the ends: as the failure tells them, else out of its logs. An agent's stdout is its protocol. */
function outputs({ cause, directory, agent }: PriorAttempt): { title: string; text: string }[] {
  const streams = agent ? ['stderr'] : ['stderr', 'stdout']
  return streams.flatMap((stream) => {
    const told = cause.details?.[`${stream}_tail`]
    const text = typeof told === 'string' ? told : readLog(join(directory, `${stream}.log`))
    return text.trim() === '' ? [] : [{ title: `${stream} (its end):`, text }]
  })
}

/** Files it changed: they are still as it left them. */
export function changeParts({ changes }: PriorAttempt): Part[] {
  if (!changes || changes.source === 'unknown') return []
  if (changes.total === 0) return [{ rank: 4, text: 'Filesystem changes observed: none' }]
  const { created, modified, deleted, commits, total } = changes
  const from = changes.source === 'git' ? 'from diff' : 'from a listing'
  const counts = `change_count=${total} created=${created.length} modified=${modified.length} deleted=${deleted.length}`
  const text = [
    `Filesystem changes observed (${from}): ${counts}`,
    ...listed('Created', created),
    ...listed('Modified', modified),
    ...listed('Deleted', deleted),
    ...(changes.overlapped ? ['(Another attempt worked in the same directory at the same time.)'] : []),
  ].join('\n')
  const log = commits.slice(0, COMMITS).map(({ id, subject }) => `${id.slice(0, 12)} ${subject}`)
  return [
    { rank: 4, text },
    ...(log.length > 0 ? [{ rank: 11, text: `Commits it made (newest first):\n${log.join('\n')}` }] : []),
  ]
}

function listed(title: string, paths: Changes['created']): string[] {
  if (paths.length === 0) return []
  const more = paths.length - PATHS
  return [
    `${title}:`,
    ...paths.slice(0, PATHS).map((path) => `  ${path}`),
    ...(more > 0 ? [`  (and ${more} more)`] : []),
  ]
}
