// Owns: which directory is the store, and the names of the runs in it (names only: no run is opened).
import { readdirSync } from 'node:fs'
import path from 'node:path'

/** `--store`, else SPANWRIGHT_STORE, else `.spanwright` in the working directory; absolute. */
export function storePath(option: unknown): string {
  const named = typeof option === 'string' ? option : process.env['SPANWRIGHT_STORE'] || '.spanwright'
  return path.resolve(named)
}

const RUN_ID = /^[0-9A-HJKMNP-TV-Z]{26}$/

/** Ids of the runs in a store, oldest first; none when there is no store. */
export function runIdsIn(store: string): string[] {
  try {
    return readdirSync(path.join(store, 'runs'))
      .filter((name) => RUN_ID.test(name))
      .sort()
  } catch {
    return []
  }
}

const SHORT = 10

/** The id as people read it: its first 10 characters, more where another run begins with the same. */
export function shortId(runId: string, others: readonly string[]): string {
  let length = SHORT
  while (length < runId.length && others.some((id) => id !== runId && id.startsWith(runId.slice(0, length)))) length++
  return runId.slice(0, length)
}
