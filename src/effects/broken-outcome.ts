// Owns: the outcome of a step when the machinery around it failed: a directory that cannot be written, or a bug.
import { SpanwrightError } from '../core/error.ts'
import type { Outcome } from '../core/outcome.ts'
import { messageOf, reason } from './reason.ts'

const STORE_CODES = new Set(['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT', 'ENOTDIR', 'EPERM', 'EIO'])

/** `store_unwritable` when the run directory could not be written, else `internal_error` with the stack. */
export function brokenOutcome(error: unknown): Outcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const unwritable = error instanceof SpanwrightError ? error.code === 'store.unwritable' : STORE_CODES.has(code)
  const failure = unwritable
    ? reason('store_unwritable', `the step's files cannot be written: ${messageOf(error)}`, 'journal', { errno: code })
    : reason('internal_error', `running the step failed: ${messageOf(error)}`, 'scheduler', {
        stack: error instanceof Error ? error.stack?.slice(0, 2_000) : undefined,
      })
  return { failure, duration_ms: 0 }
}
