// Owns: how ids are written (DESIGN 2). Ids are facts in the journal; nothing else builds or splits them.
import { hash64 } from './hash.ts'

export const NODE_ID = /^[A-Za-z_][A-Za-z0-9_-]*$/
const KEY_LENGTH = 64

/** Path of a node in a scope: the scope's prefix ends in `/` or is empty. */
export const nodePath = (prefix: string, id: string): string => prefix + id

/** Prefix of the scope of a branch or of a child pipeline. An inner visit above 1 is shown. */
export const branchPrefix = (fanoutPath: string, visit: number, key: string): string =>
  `${atVisit(fanoutPath, visit)}:${key}/`
export const childPrefix = (childPath: string, visit: number): string => `${atVisit(childPath, visit)}/`
const atVisit = (path: string, visit: number): string => (visit > 1 ? `${path}@${visit}` : path)

export const visitId = (path: string, visit: number): string => `${path}@${visit}`
export const attemptId = (path: string, visit: number, attempt: number): string => `${path}@${visit}.${attempt}`

/** Splits an attempt id; undefined when it is none. */
export function parseAttemptId(id: string): { path: string; visit: number; attempt: number } | undefined {
  const match = /^(.+)@(\d+)\.(\d+)$/.exec(id)
  if (!match) return undefined
  return { path: match[1]!, visit: Number(match[2]), attempt: Number(match[3]) }
}

/** The path without visit numbers: the identity the breaker counts by. */
export const pathWithoutVisits = (path: string): string => path.replace(/@\d+(?=[:/])/g, '')

/** A file-, shell- and URL-safe branch key of at most 64 characters; empty when nothing is left of the text. */
export function keySlug(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, KEY_LENGTH)
    .replace(/[-.]+$/, '')
}

/** Makes keys unique: a repeated one gets `-<index>` (shortened so that it stays within 64 characters). */
export function uniqueKeys(keys: readonly string[]): string[] {
  const seen = new Set<string>()
  return keys.map((key, index) => {
    let unique = key
    if (seen.has(unique)) {
      const suffix = `-${index}`
      unique = key.slice(0, KEY_LENGTH - suffix.length) + suffix
    }
    while (seen.has(unique)) unique = `${unique.slice(0, KEY_LENGTH - 2)}_${seen.size % 10}`
    seen.add(unique)
    return unique
  })
}

/**
 * The span id of something in one execution of a run: a pure function of what it is, so that a reader, a recovering
 * process and a child's environment agree without asking each other. `what` names kind and id, e.g. `attempt build@1.2`.
 */
export const spanIdOf = (runId: string, execution: number, what: string): string =>
  hash64(`${runId}\n${execution}\n${what}`)
