// Owns: who may deliver the spans of a run directory: one deliverer at a time, so that two catch-ups that start
// together do not send the same spans. A holder that died is replaced.
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
import { join } from 'node:path'

export const LOCK_FILE = 'telemetry.lock'
/** A holder touches its lock this often; one untouched for STALE_MS has no holder, wherever it ran. */
export const TOUCH_MS = 10_000
const STALE_MS = 60_000

interface Holder {
  readonly token: string
  readonly pid: number
  /** Host and pid namespace: only there a pid means something. */
  readonly place: string
}

/** Takes the lock; false = somebody else delivers. `token` names this holder. */
export function takePosition(runDir: string, token: string): boolean {
  const path = join(runDir, LOCK_FILE)
  for (let tries = 0; tries < 3; tries++) {
    if (create(path, token)) return true
    const holder = readHolder(path)
    if (holder?.token === token) return true
    if (holder && !isGone(path, holder)) return false
    moveAway(path, token)
  }
  return false
}

/** Says that the holder is still there. */
export function touchPosition(runDir: string, token: string): void {
  const path = join(runDir, LOCK_FILE)
  if (readHolder(path)?.token !== token) return
  const now = new Date()
  try {
    utimesSync(path, now, now)
  } catch {
    // Gone with its directory: nothing to hold any more.
  }
}

export function releasePosition(runDir: string, token: string): void {
  const path = join(runDir, LOCK_FILE)
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

function isGone(path: string, holder: Holder): boolean {
  if (holder.place === place() && !isAlive(holder.pid)) return true
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_MS
  } catch {
    return true
  }
}

/** Moved, not deleted: of two that find the same dead holder only one moves it. A lock that is being written is empty. */
function moveAway(path: string, token: string): void {
  const aside = `${path}.${token}`
  try {
    if (readHolder(path) === undefined && Date.now() - statSync(path).mtimeMs < STALE_MS) return
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
