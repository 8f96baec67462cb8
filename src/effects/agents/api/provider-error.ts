// Owns: what an error of a provider (or of the way to it) means: its class, whether trying again helps, when a limit
// ends. Statuses and texts are those of Anthropic, OpenAI, Kimi and Z.AI.
import { APICallError } from 'ai'
import type { ErrorClass } from '../adapter.ts'

export interface ProviderError {
  readonly errorClass: ErrorClass
  readonly message: string
  readonly httpStatus?: number | undefined
  readonly retryable: boolean
  /** How long the provider asks to wait. */
  readonly retryAfterMs?: number | undefined
}

const QUOTA =
  /insufficient[_ ]?(?:quota|balance|credit)|exceeded your current quota|credit balance is too low|billing|out of credits|recharge|quota (?:has been )?exhausted/i
const CONTEXT =
  /context[_ ]?(?:length|window)|prompt is too long|input is too long|maximum context|too many (?:input )?tokens|exceeds? the (?:model|token) limit|request[_ ]too[_ ]large/i
const FILTER = /content[_ ]?(?:filter|policy|management)|safety (?:system|policy)|flagged|sensitive content/i
const OVERLOADED = /overloaded|engine is (?:currently )?overloaded|at capacity|high demand/i
const RATE = /rate[_ ]?limit|too many requests/i
const AUTH = /authenticat|unauthorized|invalid[_ ]?api[_ ]?key|permission[_ ]?(?:denied|error)/i
const MESSAGE_CHARS = 500

/** Never throws, whatever was thrown. */
export function providerError(error: unknown): ProviderError {
  const { status, body, headers } = factsOf(error)
  const said = messageIn(body) ?? (error instanceof Error ? error.message : String(error))
  const text = `${said} ${body}`
  const errorClass = classOf(error, status, text)
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
    return OVERLOADED.test(text) ? 'overloaded' : RATE.test(text) ? 'rate_limit' : 'stream'
  }
  // The answer began well and could not be read to its end.
  if (status < 300) return 'stream'
  if (status === 402) return 'quota'
  if (QUOTA.test(text) && status < 500) return 'quota'
  if (status === 401 || status === 403) return FILTER.test(text) ? 'content_filter' : 'auth'
  if (status === 404) return 'not_found'
  if (status === 429) return OVERLOADED.test(text) ? 'overloaded' : 'rate_limit'
  if (CONTEXT.test(text) && status < 500) return 'context_length'
  if (status === 408 || status === 409 || status === 425) return 'server'
  if (status < 500) return FILTER.test(text) ? 'content_filter' : AUTH.test(text) ? 'auth' : 'bad_request'
  return status === 529 || OVERLOADED.test(text) ? 'overloaded' : 'server'
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

/** What lies under "Cannot connect to API". */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && cause.message !== '' && !(error as Error).message.includes(cause.message)
    ? ` (${cause.message})`
    : ''
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** From Retry-After (seconds or a date, RFC 9110 10.2.3), retry-after-ms, or "try again in 6m12s" in the message. */
function retryAfter(headers: Readonly<Record<string, string>>, said: string): number | undefined {
  const ms = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (Number.isFinite(ms) && ms >= 0) return ms
  const value = headers['retry-after']
  if (value !== undefined && value.trim() !== '') {
    const seconds = Number(value)
    const wait = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - Date.now()
    if (Number.isFinite(wait)) return Math.max(0, wait)
  }
  const told = /(?:try again|retry)(?: after| in) ((?:[\d.]+ ?(?:ms|s|m|h)[a-z]*[, ]*)+)/i.exec(said)?.[1]
  if (told === undefined) return undefined
  let sum = 0
  for (const [, count, unit] of told.matchAll(/([\d.]+) ?(ms|s|m|h)/gi))
    sum += Number(count) * (UNITS[unit!.toLowerCase()] ?? 0)
  return Number.isFinite(sum) && sum > 0 ? sum : undefined
}
