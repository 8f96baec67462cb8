// Owns: who asks: what a request of a person says about itself (user, host, terminal). It is put on record.
import { readlinkSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import type { Actor } from '../core/event-values.ts'

/** The person (or script) who called this process. */
export function callingUser(): Actor {
  const terminal = terminalOf()
  return { kind: 'user', user: userName(), host: hostname(), ...(terminal === undefined ? {} : { terminal }) }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // No entry for this uid (containers).
    return `uid ${process.getuid?.() ?? '?'}`
  }
}

function terminalOf(): string | undefined {
  if (!process.stdin.isTTY) return undefined
  try {
    return readlinkSync('/proc/self/fd/0')
  } catch {
    return 'yes'
  }
}
