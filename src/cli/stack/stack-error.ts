// Owns: why a command of the stack could not do its work: what is wrong and what to do, under a code that stays.
import { SpanwrightError } from '../../core/error.ts'

export type StackReason =
  | 'stack.file_missing'
  | 'stack.docker_missing'
  | 'stack.compose_missing'
  | 'stack.engine_unreachable'
  | 'stack.compose_failed'
  | 'stack.not_ready'

/** Exit code 5: the system is not as it has to be. */
export class StackError extends SpanwrightError {
  readonly reason: StackReason
  constructor(reason: StackReason, message: string, options: { cause?: unknown; details?: readonly string[] } = {}) {
    super('internal', message, options)
    this.reason = reason
  }
}
