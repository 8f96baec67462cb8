// Owns: operational errors: what a user can act on. Outcomes of steps are events, never errors; bugs are plain
// exceptions. Every code is in the table below with its exit code (DESIGN 8).

export const ERROR_EXIT = {
  'usage.invalid': 2,
  'pipeline.not_found': 2,
  'pipeline.invalid': 2,
  'params.invalid': 2,
  'preflight.failed': 2,
  'platform.unsupported': 2,
  'run.not_found': 3,
  'node.not_found': 3,
  'attempt.not_found': 3,
  'gate.not_found': 3,
  'run.locked': 4,
  'run.not_resumable': 4,
  'run.changed': 4,
  'run.conflict': 4,
  'store.unwritable': 5,
  'journal.corrupt': 5,
  'stack.file_missing': 5,
  'stack.docker_missing': 5,
  'stack.compose_missing': 5,
  'stack.engine_unreachable': 5,
  'stack.compose_failed': 5,
  'stack.not_ready': 5,
  'internal': 5,
} as const
export type ErrorCode = keyof typeof ERROR_EXIT

/**
 * What is wrong, where, and what to do, in `message` (one line); the original error in `cause`; further lines (one
 * per problem) in `details`.
 */
export class SpanwrightError extends Error {
  override readonly name = 'SpanwrightError'
  readonly code: ErrorCode
  readonly details: readonly string[]
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? []
  }
  get exitCode(): number {
    return ERROR_EXIT[this.code]
  }
}
