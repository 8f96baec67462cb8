// Owns: from what happened to a process to its failure reason: the one place where exit codes, signals and spawn errors
// get their codes and sentences.
import { accessSync, constants, statSync } from 'node:fs'
import { formatDuration } from '../core/duration.ts'
import type { FailureReport, FailureSource } from '../core/failure.ts'
import { LIMITS } from '../core/limits.ts'
import type { Executable } from './command-line.ts'
import type { Ending } from './process.ts'
import { lastBytes, reason, stopReason, tellingLine } from './reason.ts'

export interface Ran {
  readonly executable: Executable
  readonly ending: Ending
  readonly cwd: string
  readonly graceMs: number
  readonly timeoutMs?: number | undefined
  readonly source: FailureSource
}

/** Why the process failed; undefined when it exited with 0 by itself. What we did to it goes before what it did. */
export function processFailure(ran: Ran): FailureReport | undefined {
  const { ending, executable } = ran
  if (ending.spawnError) return spawnFailure(ran, ending.spawnError)
  const told = haltFailure(ran)
  if (told) return told
  const { exitCode, signal } = ending
  if (ending.oomKills > 0 && (signal === 'SIGKILL' || exitCode === 137)) {
    return reason(
      'oom_killed',
      `\`${executable.title}\` was killed by the kernel because memory ran out: give it more memory or let it use less`,
      ran.source,
      { ...facts(ran), oom_kills: ending.oomKills },
    )
  }
  if (signal !== undefined) {
    return reason(
      'signaled',
      `\`${executable.title}\` was ended by ${signal}, which Spanwright did not send${tail(ran)}`,
      ran.source,
      facts(ran),
    )
  }
  if (exitCode === 0) return undefined
  return reason(
    'exit_nonzero',
    `\`${executable.title}\` exited with code ${exitCode}${explained(exitCode)}${tail(ran)}`,
    ran.source,
    facts(ran),
  )
}

function haltFailure(ran: Ran): FailureReport | undefined {
  const { halt, unkillable } = ran.ending
  if (!halt) return undefined
  const alive = unkillable ? '; it did not even react to KILL and may still be there' : ''
  switch (halt.cause) {
    case 'result':
    case 'limit':
      // Ended because it had nothing to do any more, or was told enough by its client: no reason of its own.
      return undefined
    case 'stop':
      return stopReason(halt.stop, facts(ran), alive)
    case 'timeout':
      return reason(
        'timed_out',
        `\`${ran.executable.title}\` ran longer than its timeout of ${formatDuration(ran.timeoutMs ?? 0)} and was ended${alive}${tail(ran)}`,
        ran.source,
        facts(ran),
      )
    case 'stall':
      return reason(
        'stalled',
        `\`${ran.executable.title}\` ${halt.reason ?? `wrote nothing for ${formatDuration(halt.idleMs)}`} and was ended${alive}${tail(ran)}`,
        ran.source,
        { ...facts(ran), idle_ms: halt.idleMs },
      )
  }
}

const tail = ({ ending }: Ran): string => {
  const line = tellingLine(ending.stderr.tail, ending.stdout.tail)
  if (line === undefined) return ''
  // Node gives children sockets, not pipes, and the kernel does not open a socket by its name.
  const hint = /\/dev\/std(?:out|err).*No such device/.test(line)
    ? ' (write to &1 or &2 instead of /dev/stdout or /dev/stderr)'
    : ''
  return `: ${line}${hint}`
}

const facts = ({ ending, executable, cwd }: Ran) => ({
  command: executable.command,
  cwd,
  exit_code: ending.exitCode,
  signal: ending.signal,
  stderr_tail: ending.stderr.tail === '' ? undefined : lastBytes(ending.stderr.tail, LIMITS.failureTailBytes / 2),
  stdout_tail: ending.stdout.tail === '' ? undefined : lastBytes(ending.stdout.tail, LIMITS.failureTailBytes / 2),
})

/** Codes that shells give a meaning (POSIX sh, 2.8.2), and 128+n for a signal. */
function explained(code: number | undefined): string {
  if (code === 126) return ' (a command was found but could not be executed: is it executable?)'
  if (code === 127) return ' (a command was not found: is it installed and in PATH?)'
  if (code !== undefined && code > 128 && code <= 128 + 64) return ` (128 + signal ${code - 128})`
  return ''
}

const THROTTLED = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'])

function spawnFailure(ran: Ran, error: NodeJS.ErrnoException): FailureReport {
  const { executable, cwd, source } = ran
  const code = error.code ?? ''
  const details = { command: executable.command, cwd, errno: code || undefined }
  const place = cwdProblem(cwd)
  if (place) return reason('workspace_error', place, 'workspace', details)
  if (code === 'ENOENT') {
    const hint = executable.file.includes('/')
      ? `there is no such file (looked from ${cwd}), or the interpreter its first line names is missing`
      : 'it is not in PATH: install it, or give its path'
    return reason('config_missing', `program \`${executable.file}\` was not found: ${hint}`, source, details)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return reason(
      'config_invalid',
      `program \`${executable.file}\` may not be executed: make it executable (chmod +x), or name its interpreter`,
      source,
      details,
    )
  }
  if (code === 'E2BIG') {
    return reason(
      'config_invalid',
      `the arguments and environment of \`${executable.title}\` are larger than the system allows: pass large values in files`,
      source,
      details,
    )
  }
  if (THROTTLED.has(code)) {
    return reason(
      'spawn_throttled',
      `the system could not start \`${executable.title}\` now (${code}: too many processes or open files, or too little memory)`,
      source,
      details,
    )
  }
  return reason('spawn_failed', `\`${executable.title}\` could not be started: ${error.message}`, source, details)
}

/** Why nothing can run in this directory; undefined when something can. */
function cwdProblem(cwd: string): string | undefined {
  try {
    if (!statSync(cwd).isDirectory()) return `working directory ${cwd} is not a directory`
    accessSync(cwd, constants.X_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES'
      ? `working directory ${cwd} may not be entered: its permissions do not allow it`
      : `working directory ${cwd} does not exist: create it in an earlier step, or change cwd`
  }
}
