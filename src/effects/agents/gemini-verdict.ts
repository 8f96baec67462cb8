// Owns: what a launch of Gemini CLI comes to: its result, what that does not say (loops, cut and blocked answers), and how the
// process went. Its exit code is 0 after SIGTERM and after a broken stream.
import type { AgentExit, ErrorClass, Verdict } from './adapter.ts'
import { wasKilled } from './exits.ts'
import { exitError, resultError } from './gemini-errors.ts'
import type { ModelStats } from './gemini-stats.ts'

export interface GeminiProgress {
  result: { readonly ok: boolean; readonly error: string | undefined; readonly type: string | undefined } | undefined
  /** Undefined: it told none that can be read. */
  stats: readonly ModelStats[] | undefined
  loop: boolean
  /** The last `error` event that is no warning. */
  error: string | undefined
  /** It used up the turns it may make and has to be ended. */
  limited: boolean
}

export interface GeminiEnd {
  readonly exit: AgentExit
  readonly at: number
  /** How its last answer ended. */
  readonly finish: string | undefined
  /** Requests were made of which no tokens are told. */
  readonly untold: boolean
  readonly turns: number
  /** What shows that its stream has holes. */
  readonly warnings: readonly string[]
}

/** Answers that call themselves a success. */
const BAD_ENDS: Readonly<Record<string, readonly [ErrorClass, string]>> = {
  length: ['output_limit', 'the answer was cut off at the length that the model may write'],
  content_filter: ['content_filter', "the answer was blocked by the provider's filters"],
  error: ['stream', 'the answer broke off: the model called a tool in a way that cannot be read'],
}
const TURN_LIMIT = /max(?:imum)? session turns/i

export function geminiVerdict(progress: GeminiProgress, end: GeminiEnd): Verdict {
  const verdict = judged(progress, end)
  const warnings = [...end.warnings, ...(verdict.warnings ?? [])]
  return warnings.length === 0 ? verdict : { ...verdict, warnings }
}

function judged(progress: GeminiProgress, end: GeminiEnd): Verdict {
  const { result, limited } = progress
  if (limited) {
    const message = `it made ${end.turns} requests, all it may make`
    return { status: 'limit', errorClass: 'max_turns', message, usageComplete: false }
  }
  if (!result) return withoutResult(end)
  const usageComplete = !end.untold
  if (!result.ok) return failed(progress, end)
  if (TURN_LIMIT.test(progress.error ?? ''))
    return { status: 'limit', errorClass: 'max_turns', message: progress.error, usageComplete }
  if (progress.loop) {
    const message = 'it made the same call again and again until its client stopped it'
    return { status: 'error', errorClass: 'loop', message, usageComplete }
  }
  const bad = end.finish !== undefined && Object.hasOwn(BAD_ENDS, end.finish) ? BAD_ENDS[end.finish] : undefined
  if (bad) return { status: 'error', errorClass: bad[0], message: bad[1], usageComplete }
  const { exit } = end
  if (exit.ended !== undefined || exit.exitCode === undefined || exit.exitCode === 0)
    return { status: 'ok', usageComplete }
  // A signal after its result takes nothing back.
  if (wasKilled(exit))
    return { status: 'ok', usageComplete, warnings: [`it exited with ${exit.exitCode} after its result`] }
  const message = `it exited with code ${exit.exitCode} after its answer: ${exitError(exit).message}`
  return { status: 'error', errorClass: 'unknown', message, usageComplete }
}

function failed({ result, error }: GeminiProgress, { exit, at, untold }: GeminiEnd): Verdict {
  const told = result?.error
  if (result?.type === 'FatalTurnLimitedError' || TURN_LIMIT.test(told ?? ''))
    return { status: 'limit', errorClass: 'max_turns', message: told ?? error, usageComplete: !untold }
  if (result?.type === 'FatalCancellationError') return { status: 'killed', message: told, usageComplete: false }
  if (told === undefined) {
    // The one error without an error: a stream that ended too early, as often as it was asked for.
    const message = error ?? 'its result is an error without a message'
    return { status: 'error', errorClass: error === undefined ? 'unknown' : 'stream', message, usageComplete: false }
  }
  const { errorClass, message, httpStatus, resetsAt } = resultError(told, exit, at)
  // An answer that broke off costs what nobody tells.
  const usageComplete = !untold && errorClass !== 'stream' && errorClass !== 'unknown'
  return { status: 'error', errorClass, message, httpStatus, resetsAt, usageComplete }
}

function withoutResult({ exit, turns }: GeminiEnd): Verdict {
  if (wasKilled(exit)) return { status: 'killed', message: 'it was ended before its result', usageComplete: false }
  if (exit.exitCode === 0) {
    const message = 'its output ends without a result'
    return { status: 'error', errorClass: 'truncated_output', message, usageComplete: false }
  }
  if (exit.exitCode === 53)
    return { status: 'limit', errorClass: 'max_turns', message: exitError(exit).message, usageComplete: false }
  const { errorClass, message } = exitError(exit)
  // Those end it before it asks anything.
  const usageComplete = turns === 0 && (errorClass === 'auth' || errorClass === 'usage')
  return { status: 'error', errorClass, message, usageComplete }
}
