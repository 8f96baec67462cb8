// Owns: how a file system error becomes a sentence for a user. Must not: decide what is kept.
import { SpanwrightError } from '../core/error.ts'

const ADVICE: { readonly [code: string]: string } = {
  ENOSPC: 'no space left on the device; free some and go on with `spanwright resume`',
  EDQUOT: 'the disk quota is used up; free some space and go on with `spanwright resume`',
  EFBIG: 'the file size limit is reached (see `ulimit -f`)',
  EROFS: 'the file system is read-only; choose another place with --store',
  EACCES: 'permission denied; choose another place with --store or change its owner',
  EPERM: 'not permitted; choose another place with --store or change its owner',
  ENOTDIR: 'a part of its path is a file, not a directory',
  EIO: 'the device reports an I/O error',
  EMFILE: 'too many open files in this process (see `ulimit -n`)',
  ENAMETOOLONG: 'its name is too long for the file system',
}

export const errorCodeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** `what` is the subject of the sentence: a path and what was to be done with it. */
export function unwritable(what: string, error: unknown, kept = ''): SpanwrightError {
  const code = errorCodeOf(error)
  const reason = ADVICE[code] ?? (error instanceof Error ? error.message : String(error))
  const suffix = kept === '' ? '' : `. ${kept}`
  return new SpanwrightError(
    'store.unwritable',
    `${what}: ${reason}${code && ADVICE[code] ? ` (${code})` : ''}${suffix}`,
    { cause: error },
  )
}

/** The result of `write`; what the file system refuses becomes `store.unwritable`. */
export function orUnwritable<T>(what: string, write: () => T): T {
  try {
    return write()
  } catch (error) {
    if (error instanceof SpanwrightError || errorCodeOf(error) === '') throw error
    throw unwritable(what, error)
  }
}

/** Damage in `file`; `found` says where and what it is. */
export function damaged(file: string, found: string, advice: string, cause?: unknown): SpanwrightError {
  return new SpanwrightError('journal.corrupt', `${file}: ${found}; ${advice}`, cause === undefined ? {} : { cause })
}
