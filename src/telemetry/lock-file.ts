// Owns: a lock that is a file: at most one holder, who touches it while it lives. A holder that died is replaced.
// Knows nothing of what is locked.
import {
  closeSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'

/** A holder touches its lock this often; one untouched for STALE_MS has no holder, wherever it ran. */
export const TOUCH_MS = 10_000
const STALE_MS = 60_000

interface Holder {
  readonly token: string
  readonly pid: number
  /** Host and pid namespace: only there a pid means something. */
  readonly place: string
}

/**
 * Takes the lock; false = somebody else holds it. `token` names this holder. `restMs`: how long a lock whose holder
 * died stays taken, counted from its last touch (default 0).
 */
export function takeLock(path: string, token: string, restMs = 0): boolean {
  for (let tries = 0; tries < 3; tries++) {
    if (create(path, token)) return true
    const holder = readHolder(path)
    if (holder?.token === token) return true
    if (holder && (!isGone(path, holder) || untouchedFor(path) < restMs)) return false
    moveAway(path, token)
  }
  return false
}

/** Says that the holder is still there. */
export function touchLock(path: string, token: string): void {
  if (readHolder(path)?.token !== token) return
  const now = new Date()
  try {
    utimesSync(path, now, now)
  } catch {
    // Gone with its directory: nothing to hold any more.
  }
}

/** Gives the lock back; does nothing for who does not hold it. */
export function releaseLock(path: string, token: string): void {
  if (readHolder(path)?.token === token) rmSync(path, { force: true })
}

function create(path: string, token: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, JSON.stringify({ token, pid: process.pid, place: place() } satisfies Holder))
    closeSync(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

const isGone = (path: string, holder: Holder): boolean =>
  (holder.place === place() && !isAlive(holder.pid)) || untouchedFor(path) > STALE_MS

/** Milliseconds since the last touch; infinite for a lock that is not there. */
function untouchedFor(path: string): number {
  const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return at === undefined ? Number.POSITIVE_INFINITY : Date.now() - at
}

/** Moved, not deleted: of two that find the same dead holder only one moves it. A lock that is being written is empty. */
function moveAway(path: string, token: string): void {
  const aside = `${path}.${token}`
  try {
    if (readHolder(path) === undefined && untouchedFor(path) < STALE_MS) return
    renameSync(path, aside)
    rmSync(aside, { force: true })
  } catch {
    // Somebody else was faster.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function place(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}
