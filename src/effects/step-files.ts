// Owns: reading files that a step wrote: regular ones of bounded size, never through links, and only if the step made
// or changed them.
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { LIMITS } from '../core/limits.ts'

/** Identity and state of a path: equal = nobody touched it. */
export type Snapshot = string

/** State of the path itself (a link is not followed); empty when there is nothing. */
export function snapshot(path: string): Snapshot {
  try {
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    return stat ? `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}` : ''
  } catch {
    // ENOTDIR, EACCES: nothing that a step could report with.
    return ''
  }
}

export type StepFile =
  | { readonly kind: 'absent' }
  | { readonly kind: 'text'; readonly text: string }
  /** Why it is not read, as the end of a sentence that begins with its name. */
  | { readonly kind: 'refused'; readonly problem: string }

/** Reads a file below `base`, none of whose directories below `base` may be a link either. */
export function readStepFile(base: string, path: string): StepFile {
  // Asked first because most steps write nothing, and an exception costs more than the question.
  if (snapshot(path) === '') return { kind: 'absent' }
  for (let at = dirname(path); at.length > base.length && !relative(base, at).startsWith('..'); at = dirname(at)) {
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink()) {
      return {
        kind: 'refused',
        problem: `lies behind the link ${relative(base, at) || at}; expected a regular file in regular directories`,
      }
    }
  }
  let fd: number
  try {
    // NONBLOCK: a FIFO must not keep us waiting for a writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    return cannotOpen(error as NodeJS.ErrnoException)
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return { kind: 'refused', problem: 'is not a regular file' }
    if (stat.size > LIMITS.outcomeFileBytes) {
      return { kind: 'refused', problem: `has ${stat.size} bytes; expected at most ${LIMITS.outcomeFileBytes}` }
    }
    return { kind: 'text', text: readAll(fd) }
  } finally {
    closeSync(fd)
  }
}

function cannotOpen(error: NodeJS.ErrnoException): StepFile {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { kind: 'absent' }
    case 'ELOOP':
    case 'EMLINK':
      return { kind: 'refused', problem: 'is a symbolic link; expected a regular file' }
    default:
      return { kind: 'refused', problem: `cannot be read (${error.code ?? error.message})` }
  }
}

/** Bytes that are no UTF-8 become U+FFFD: a stray byte in a text does not make a report worthless. */
function readAll(fd: number): string {
  const buffer = Buffer.allocUnsafe(LIMITS.outcomeFileBytes)
  let length = 0
  for (;;) {
    const read = readSync(fd, buffer, length, buffer.length - length, null)
    if (read === 0) return buffer.toString('utf8', 0, length).replace(/^\uFEFF/, '')
    length += read
  }
}

/** Places in a working directory where steps leave a status, in the order in which they count. */
export const statusLocations = (runId: string): readonly string[] => [
  join('.ai', 'runs', runId, 'status.json'),
  join('.ai', 'status.json'),
  'status.json',
]

/** How a file is named in messages: relative to the working directory when it lies in it. */
export function shownPath(path: string, cwd: string): string {
  const inside = relative(cwd, path)
  return inside.startsWith('..') || inside.startsWith(sep) ? path : inside
}
