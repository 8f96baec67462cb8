// Owns: `service.instance.id` of metrics: `<host and user, hashed>-<slot>`. Slots are lock files that all processes of
// a user share, so that each series has one writer at a time and the number of series stays bounded. A slot whose
// holder died rests until its last gauges were taken back: whoever used it before would show them as its own.
import { lstatSync, mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { hash64 } from '../core/hash.ts'
import { releaseLock, takeLock, touchLock, TOUCH_MS } from './lock-file.ts'

const SLOTS = 256
/** As long as alert rules look back (last_over_time). */
const REST_MS = 2 * 3_600_000

/** Who sends metrics, as it is kept in telemetry.json to be closed by somebody else. */
export interface Instance {
  readonly id: string
  /** Names the holder of the slot; absent where the id is none of ours. */
  readonly token?: string | undefined
}

/**
 * Takes the first free slot of `directory`. Where there is none, or the directory cannot be used, the id ends in the
 * process id: still one writer, but without a bound.
 */
export function takeInstance(directory: string, token: string): Instance {
  const own = hash64(`${hostname()} ${process.getuid?.() ?? ''}`).slice(0, 8)
  if (prepare(directory)) {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (takes(slotPath(directory, slot), token)) return { id: `${own}-${slot}`, token }
    }
  }
  return { id: `${own}-p${process.pid}` }
}

/** Keeps the slot while the process lives; the function ends that (the slot stays taken). */
export function keepInstance(directory: string, instance: Instance): () => void {
  const path = pathOf(directory, instance)
  if (path === undefined) return () => {}
  const timer = setInterval(() => touchLock(path, instance.token!), TOUCH_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Gives the slot to whoever comes next: its gauges were closed, or never seen by anybody. */
export function releaseInstance(directory: string, instance: Instance): void {
  const path = pathOf(directory, instance)
  if (path !== undefined) releaseLock(path, instance.token!)
}

const slotPath = (directory: string, slot: number | string): string => join(directory, `slot-${slot}.lock`)

function pathOf(directory: string, { id, token }: Instance): string | undefined {
  const slot = /-(\d{1,3})$/.exec(id)?.[1]
  return token === undefined || slot === undefined ? undefined : slotPath(directory, slot)
}

function takes(path: string, token: string): boolean {
  try {
    return takeLock(path, token, REST_MS)
  } catch {
    return false
  }
}

/** Only a directory of our own: in a shared temporary folder somebody else may have made one of that name. */
function prepare(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch {
    // There already, or it cannot be made: the next lines tell.
  }
  const found = lstatSync(directory, { throwIfNoEntry: false })
  return found?.isDirectory() === true && (process.getuid === undefined || found.uid === process.getuid())
}
