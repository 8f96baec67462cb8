// Owns: what a launch of OpenCode comes to: how its last step ended, its errors, and how the process went, in that order.
import type { AgentExit, ErrorClass, Verdict } from './adapter.ts'
import { wasKilled } from './exits.ts'
import { startError, type OpencodeError } from './opencode-errors.ts'

/** What a launch has come to so far, for the verdict. */
export interface OpencodeProgress {
  /** Reason of the last step, once nothing follows it. */
  finish: string | undefined
  error: OpencodeError | undefined
  /** A step began whose end was not told. */
  open: boolean
  steps: number
  limit: 'max_turns' | 'context_length' | undefined
  /** What it asked leave for, nobody being there: the client stops without a word then. */
  rejected: string | undefined
  /** Some request was made of which no tokens are told. */
  untold: boolean
  readonly children: Set<string>
}

/** Reasons of a last step that look like an end and are none. */
const BAD_ENDS: Readonly<Record<string, readonly [ErrorClass, string]>> = {
  length: ['output_limit', 'the answer was cut off at the length that the model may write'],
  'content-filter': ['content_filter', "the answer was blocked by the provider's content filter"],
}

/** @param gaps what shows that its stream is not all there, or not in order */
export function opencodeVerdict(progress: OpencodeProgress, exit: AgentExit, gaps: readonly string[]): Verdict {
  const verdict = judged(progress, exit)
  return gaps.length === 0 ? verdict : { ...verdict, usageComplete: false, warnings: gaps }
}

function judged(progress: OpencodeProgress, exit: AgentExit): Verdict {
  const { finish, error, limit } = progress
  // A rejection ends the client after its step: nothing is under way then.
  const quiet = finish !== undefined || error !== undefined || progress.rejected !== undefined
  const usageComplete = quiet && !progress.open && !progress.untold && limit === undefined
  if (limit !== undefined) return limitVerdict(limit, progress)
  if (error) {
    const { httpStatus, resetsAt } = error
    const { errorClass, message } = exactError(error, exit)
    // The client goes on after an overflow: one that was ended there may have asked again.
    const isLast = error.errorClass !== 'context_length' || (exit.exitCode !== 0 && !wasKilled(exit))
    return { status: 'error', errorClass, message, httpStatus, resetsAt, usageComplete: usageComplete && isLast }
  }
  if (finish !== undefined) return { ...finished(finish, exit), usageComplete }
  if (wasKilled(exit)) return { status: 'killed', message: 'it was ended before its last step', usageComplete: false }
  if (progress.rejected !== undefined) {
    const message = `it asked for leave to use ${progress.rejected}, which nobody could give, and stopped: allow it (permission, allowed_tools) or deny it (denied_tools)`
    return { status: 'denied', errorClass: 'denied', message, usageComplete }
  }
  if (exit.exitCode === 0) {
    const message = 'its output ends without an end of its last step'
    return { status: 'error', errorClass: 'truncated_output', message, usageComplete: false }
  }
  const { errorClass, message: said } = startError(exit.stderr)
  const message = errorClass === 'unknown' ? `it exited with code ${exit.exitCode} before its answer: ${said}` : said
  // Only a reason that is known to come before the first request says that there was none.
  const isStart = errorClass !== 'unknown' && progress.steps === 0 && !progress.open
  return { status: 'error', errorClass, message, usageComplete: isStart }
}

function limitVerdict(limit: NonNullable<OpencodeProgress['limit']>, { steps, error }: OpencodeProgress): Verdict {
  if (limit === 'max_turns')
    return {
      status: 'limit',
      errorClass: 'max_turns',
      message: `it made ${steps} requests, all it may make`,
      usageComplete: false,
    }
  const message = `the conversation stays too long for the model, however often it is compacted: ${error?.message ?? ''}`
  return { status: 'error', errorClass: 'context_length', message, usageComplete: false }
}

function finished(finish: string, exit: AgentExit): Omit<Verdict, 'usageComplete'> {
  const bad = Object.hasOwn(BAD_ENDS, finish) ? BAD_ENDS[finish] : undefined
  if (bad) return { status: 'error', errorClass: bad[0], message: bad[1] }
  if (finish !== 'stop')
    return { status: 'error', errorClass: 'unknown', message: `its last step ended with the reason ${finish}` }
  // It has no last event of its own: with an exit code of failure, an error may be what followed.
  const failed = exit.ended === undefined && exit.exitCode !== undefined && exit.exitCode !== 0
  if (!failed || wasKilled(exit)) return { status: 'ok' }
  const { message } = startError(exit.stderr)
  return {
    status: 'error',
    errorClass: 'unknown',
    message: `it exited with code ${exit.exitCode} after its answer: ${message}`,
  }
}

/** The client hides what went wrong before the first request and points to its log, which is on stderr. */
function exactError(error: OpencodeError, { stderr }: AgentExit): Pick<OpencodeError, 'errorClass' | 'message'> {
  if (error.errorClass !== 'unknown') return error
  const logged = startError(stderr)
  return logged.errorClass === 'unknown' ? error : logged
}
