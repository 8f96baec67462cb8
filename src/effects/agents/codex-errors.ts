// Owns: what the error texts of Codex mean: which kind of error, which HTTP status, when a limit ends. The stream tells
// nothing else about an error. Texts as seen with 0.169.0.
import type { ErrorClass } from './adapter.ts'
import { asFields, asText, objectIn } from './loose-json.ts'
import { resetTime } from './reset-time.ts'
import { classOfStatus } from './status-class.ts'

export interface CodexError {
  readonly errorClass: ErrorClass
  readonly message: string
  readonly httpStatus?: number | undefined
  /** Epoch ms. */
  readonly resetsAt?: number | undefined
  /** The answer had begun: what it has cost is not told. */
  readonly broken: boolean
}

/** First match wins. */
const TEXTS: readonly (readonly [RegExp, ErrorClass, number?])[] = [
  [/missing environment variable|not logged in|please log in|refresh token|token (?:has )?expired/i, 'auth'],
  [/reason: content_filter|flagged|content policy|cyber/i, 'content_filter'],
  [/reason: max_output_tokens/i, 'output_limit'],
  [/context window|context_length_exceeded|maximum context/i, 'context_length'],
  [/quota exceeded|insufficient_quota|billing/i, 'quota', 429],
  [/usage limit|rate limit|too many requests|usage_limit/i, 'rate_limit', 429],
  [/at capacity|overloaded|slow down/i, 'overloaded'],
  [/high demand|internal server error|server_error/i, 'server', 500],
  [/waiting for network|connection failed|error sending request|connection refused|dns error/i, 'network'],
  [/stream disconnected|transport error|idle timeout|stream closed|decoding response body|timed? ?out/i, 'stream'],
  [/model_not_found|does not exist|model .* (?:not found|not supported)/i, 'not_found'],
  [/invalid_request_error|bad request/i, 'bad_request', 400],
]

const STATUS = /(?:unexpected status|last status:) (\d{3})\b/
const BROKEN = /stream disconnected|transport error|stream closed|idle timeout|reason: content_filter/i

/** @param at when it was said, epoch ms: what "in 12 s" counts from */
export function codexError(text: string, at: number): CodexError {
  const said = bodyMessage(text) ?? text
  const status = Number(STATUS.exec(text)?.[1] ?? Number.NaN)
  const known = TEXTS.find(([pattern]) => pattern.test(text))
  const byStatus = Number.isNaN(status) ? undefined : classOfStatus(status)
  const errorClass = moreExact(known?.[1], byStatus) ?? 'unknown'
  return {
    errorClass,
    message: said,
    httpStatus: Number.isNaN(status) ? known?.[2] : status,
    ...(LIMITS_WITH_END.has(errorClass) && { resetsAt: endOf(text, at) }),
    broken: BROKEN.test(text),
  }
}

const LIMITS_WITH_END: ReadonlySet<ErrorClass> = new Set(['rate_limit', 'quota', 'overloaded'])

/** It cuts a time of day to the minute: the limit ends within that minute. */
function endOf(text: string, at: number): number | undefined {
  const end = resetTime(text, at)
  return end !== undefined && /\d:\d\d [AP]M/.test(text) ? end + 60_000 : end
}

/** A status says which kind it is; the text may tell more about some of them. */
function moreExact(said: ErrorClass | undefined, status: ErrorClass | undefined): ErrorClass | undefined {
  if (status === undefined || said === undefined) return status ?? said
  if (status === 'rate_limit') return said === 'quota' || said === 'overloaded' ? said : status
  if (status === 'server') return said === 'overloaded' ? said : status
  if (status === 'bad_request')
    return said === 'context_length' || said === 'content_filter' || said === 'not_found' ? said : status
  return status
}

/** A refused request's text is the provider's answer as it came. */
function bodyMessage(text: string): string | undefined {
  const start = text.indexOf('{')
  const body = start < 0 ? undefined : objectIn(text.slice(start, text.lastIndexOf('}') + 1))
  const error = asFields(body?.['error']) ?? body
  return asText(error?.['message']) ?? asText(body?.['detail'])
}
