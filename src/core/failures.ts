// Owns: how the core makes failure reasons: completes what an effect reported, wraps a cause, names its own.
import type { FailureCode, Failure, FailureReport, FailureSource } from './failure.ts'
import { classOf } from './failure.ts'
import type { Json, JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import { signatureOf } from './signature.ts'
import { asText } from './template.ts'

const TAILS = ['stderr_tail', 'output_tail', 'tail', 'stdout_tail'] as const

const COMMANDS = new Set<FailureSource>(['command', 'check', 'hook'])

/** A tail that was cut begins somewhere inside a line, each time somewhere else. */
function wholeLines(tail: Json | undefined): string {
  if (typeof tail !== 'string') return ''
  const cutOff = tail.length > LIMITS.failureTailBytes / 2 - 64 ? tail.indexOf('\n') : -1
  return tail.slice(cutOff + 1)
}

/** A report with class and signature; texts are cut to their limits. */
export function completeFailure(report: FailureReport, attemptId?: string): Failure {
  const message = cut(report.message.trim() || `${report.code} (no message was given)`, LIMITS.messageChars)
  const details = report.details && boundDetails(report.details)
  const tail = TAILS.map((key) => wholeLines(report.details?.[key]))
    .filter((text) => text !== '')
    .join('\n')
  // The message of a failed command quotes its output and names its exit code; its cause is told by the output alone.
  const told = tail && COMMANDS.has(report.source) ? '' : report.message
  const exit = [report.details?.['exit_code'], report.details?.['signal']]
    .map((value) => asText(value ?? null))
    .join(' ')
  const cause = report.causes?.[0]
  return {
    code: report.code,
    class: classOf(report.code),
    message,
    source: report.source,
    ...(details && { details }),
    ...(report.causes?.length ? { causes: report.causes.slice(0, LIMITS.causes) } : {}),
    signature: cause && wraps(report.code) ? cause.signature : signatureOf(report.code, told, tail, exit),
    ...((report.attempt_id ?? attemptId) !== undefined && { attempt_id: report.attempt_id ?? attemptId }),
  }
}

/** Codes that only say where a cause was noticed: their signature is the cause's. */
const wraps = (code: FailureCode): boolean =>
  code === 'branch_failed' ||
  code === 'join_unsatisfied' ||
  code === 'breaker_open' ||
  code === 'check_failed' ||
  code === 'hook_failed'

export function failure(
  code: FailureCode,
  source: FailureSource,
  message: string,
  more: { details?: JsonObject; causes?: (Failure | undefined)[]; attemptId?: string } = {},
): Failure {
  const causes = more.causes?.filter((cause) => cause !== undefined)
  return completeFailure(
    { code, source, message, ...(more.details && { details: more.details }), ...(causes?.length && { causes }) },
    more.attemptId,
  )
}

function boundDetails(details: { readonly [key: string]: Json }): JsonObject {
  let rest = LIMITS.failureTailBytes * 2
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => {
      if (typeof value === 'string')
        value = TAILS.includes(key as 'tail')
          ? lastPart(value, LIMITS.failureTailBytes)
          : cut(value, LIMITS.failureTailBytes)
      const size = JSON.stringify(value)?.length ?? 0
      rest -= size
      return [key, rest < 0 && size > 200 ? '(left out: too long)' : value]
    }),
  )
}

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`)
const lastPart = (text: string, max: number): string =>
  text.length <= max ? text : text.slice(-max).replace(/^[^\n]*\n/, '')
