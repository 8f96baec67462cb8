// Owns: what an error of a provider (or of the way to it) means: its class, whether trying again helps, when a limit
// ends. Statuses and texts are those of Anthropic, OpenAI, Kimi and Z.AI.
import { APICallError, JSONParseError, TypeValidationError } from 'ai'
import type { ErrorClass } from '../adapter.ts'
import { resetTime } from '../reset-time.ts'
import { AnswerTooLarge } from './bounded-fetch.ts'
import { errorClassOf } from '../status-class.ts'

export interface ProviderError {
  readonly errorClass: ErrorClass
  readonly message: string
  readonly httpStatus?: number | undefined
  readonly retryable: boolean
  /** How long the provider asks to wait. */
  readonly retryAfterMs?: number | undefined
}

const MESSAGE_CHARS = 500

/** Never throws, whatever was thrown. */
export function providerError(error: unknown): ProviderError {
  const { status, body, headers } = factsOf(error)
  const said = messageIn(body) ?? sentenceOf(error)
  const text = `${said} ${body}`
  const errorClass = isTooLarge(error) ? 'output_limit' : classOf(error, status, text)
  return {
    errorClass,
    message: `${status === undefined || status === 200 ? '' : `HTTP ${status}: `}${said}${causeOf(error)}`.slice(
      0,
      MESSAGE_CHARS,
    ),
    ...(status !== undefined && status !== 200 && { httpStatus: status }),
    retryable: RETRYABLE.has(errorClass),
    retryAfterMs: retryAfter(headers, said),
  }
}

const RETRYABLE: ReadonlySet<ErrorClass> = new Set(['rate_limit', 'overloaded', 'server', 'stream', 'network'])

interface Facts {
  readonly status: number | undefined
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

function factsOf(error: unknown): Facts {
  if (APICallError.isInstance(error)) {
    return { status: error.statusCode, body: error.responseBody ?? '', headers: error.responseHeaders ?? {} }
  }
  // An error that arrives inside a stream: it has no answer of its own.
  const { statusCode, type, code } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly [key: string]: unknown
  }
  const names = [type, code].filter((name) => typeof name === 'string').join(' ')
  return { status: typeof statusCode === 'number' ? statusCode : undefined, body: names, headers: {} }
}

function classOf(error: unknown, status: number | undefined, text: string): ErrorClass {
  if (status === undefined) {
    if (APICallError.isInstance(error)) return 'network'
    const said = errorClassOf(undefined, text)
    return said === 'overloaded' || said === 'rate_limit' ? said : 'stream'
  }
  if (status >= 300 && status < 400) return 'bad_request'
  // The answer began well and could not be read to its end.
  if (status < 400) return 'stream'
  return errorClassOf(status, text)
}

/** The sentence in an error's body: `{error: {message}}`, `{message}`, `{error: "…"}`. */
function messageIn(body: string): string | undefined {
  try {
    const value = JSON.parse(body) as { error?: { message?: unknown }; message?: unknown }
    for (const text of [value.error?.message, value.message, value.error])
      if (typeof text === 'string' && text !== '') return text
  } catch {
    // Not JSON: a proxy's page, or nothing.
  }
  return undefined
}

/** The library wraps what reading throws. */
const isTooLarge = (error: unknown): boolean =>
  error instanceof AnswerTooLarge || (error instanceof Error && error.cause !== undefined && isTooLarge(error.cause))

/** The library's errors about what it cannot read quote all of it: parts of an answer, which is content. */
function sentenceOf(error: unknown): string {
  if (JSONParseError.isInstance(error)) return 'the provider sent what is no JSON'
  if (TypeValidationError.isInstance(error)) return 'the provider sent what is no answer of its kind'
  return error instanceof Error ? error.message : String(error)
}

/** What lies under "Cannot connect to API". */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && cause.message !== '' && !(error as Error).message.includes(cause.message)
    ? ` (${cause.message})`
    : ''
}

/** From Retry-After (seconds or a date, RFC 9110 10.2.3), retry-after-ms, or what the message says. */
function retryAfter(headers: Readonly<Record<string, string>>, said: string): number | undefined {
  const ms = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (Number.isFinite(ms) && ms >= 0) return ms
  const value = headers['retry-after']
  if (value !== undefined && value.trim() !== '') {
    const seconds = Number(value)
    const wait = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - Date.now()
    if (Number.isFinite(wait)) return Math.max(0, wait)
  }
  const now = Date.now()
  const resets = resetTime(said, now)
  return resets === undefined ? undefined : Math.max(0, resets - now)
}
