// Owns: what the errors of OpenCode mean: its `error` events, and what it writes to stderr when there is none. As seen with
// 1.18.33.
import { stripVTControlCharacters } from 'node:util'
import type { ErrorClass } from './adapter.ts'
import { asAmount, asFields, asText, type Fields } from './loose-json.ts'
import { resetTime } from './reset-time.ts'
import { errorClassOf } from './status-class.ts'

export interface OpencodeError {
  readonly name: string
  readonly errorClass: ErrorClass
  readonly message: string
  readonly httpStatus?: number | undefined
  /** Epoch ms. */
  readonly resetsAt?: number | undefined
}

const NAMED: Readonly<Record<string, ErrorClass>> = {
  ProviderAuthError: 'auth',
  ContextOverflowError: 'context_length',
  ContentFilterError: 'content_filter',
  MessageOutputLengthError: 'output_limit',
  ProviderModelNotFoundError: 'not_found',
}
const WITH_END: ReadonlySet<ErrorClass> = new Set(['rate_limit', 'quota', 'overloaded'])

/** @param at epoch ms: what "in 12 s" counts from */
export function opencodeError(error: Fields, at: number): OpencodeError {
  const name = asText(error['name']) ?? 'UnknownError'
  const data = asFields(error['data']) ?? {}
  const message = asText(data['message']) ?? name
  const body = asText(data['responseBody']) ?? ''
  const httpStatus = asAmount(data['statusCode'])
  const errorClass =
    (Object.hasOwn(NAMED, name) ? NAMED[name] : undefined) ?? errorClassOf(httpStatus, `${message}\n${body}`)
  const after = asText(asFields(data['responseHeaders'])?.['retry-after'])
  const resetsAt = WITH_END.has(errorClass)
    ? (headerTime(after, at) ?? resetTime(`${message}\n${body}`, at))
    : undefined
  return { name, errorClass, message, httpStatus, resetsAt }
}

/** Seconds or a date. */
function headerTime(value: string | undefined, at: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d+(?:\.\d+)?$/.test(value)) return at + Number(value) * 1_000
  const time = Date.parse(value)
  return Number.isNaN(time) ? undefined : time
}

/** stderr of a start that came to nothing. First match wins. */
const STARTS: readonly (readonly [RegExp, ErrorClass])[] = [
  [/ProviderModelNotFoundError|Model not found/i, 'not_found'],
  [/ProviderAuthError|credentials|auth login/i, 'auth'],
  [/Configuration is invalid|not valid JSON|Config/i, 'usage'],
  [/Session not found|File not found|Failed to change directory|You must provide a message/i, 'usage'],
  [/^opencode run \[message/m, 'usage'],
]

/** @returns what went wrong before the first event, in the client's words */
export function startError(stderr: string): { readonly errorClass: ErrorClass; readonly message: string } {
  const plain = stripVTControlCharacters(stderr)
  const errorClass = STARTS.find(([pattern]) => pattern.test(plain))?.[1] ?? 'unknown'
  if (/^opencode run \[message/m.test(plain)) return { errorClass, message: 'it does not know one of its arguments' }
  const cause = /error="([^"]{1,300})"/.exec(plain)?.[1]
  const lines = plain.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('timestamp='))
  return { errorClass, message: cause ?? (lines.slice(0, 3).join(' ').slice(0, 500).trim() || 'it said nothing') }
}
