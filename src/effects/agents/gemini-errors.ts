// Owns: what the errors of Gemini CLI mean: the message of its result, its exit codes, its stderr. As seen with 0.61.0.
import { stripVTControlCharacters } from 'node:util'
import type { AgentExit, ErrorClass } from './adapter.ts'
import { asAmount, asFields, asText, objectIn } from './loose-json.ts'
import { resetTime } from './reset-time.ts'
import { errorClassOf } from './status-class.ts'

export interface GeminiError {
  readonly errorClass: ErrorClass
  readonly message: string
  readonly httpStatus?: number | undefined
  /** Epoch ms. */
  readonly resetsAt?: number | undefined
}

const WITH_END: ReadonlySet<ErrorClass> = new Set(['rate_limit', 'quota', 'overloaded'])
/** It exits with the HTTP status, of which a process keeps the lowest eight bits. */
const STATUSES = [400, 401, 402, 403, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529]

/** The error of its `result` event. @param at epoch ms: what "retry in 12s" counts from */
export function resultError(told: string, exit: AgentExit, at: number): GeminiError {
  const text = /^\[API Error: ([\s\S]*?)\](?:\n|$)/.exec(told)?.[1] ?? told
  const body = asFields(objectIn(text)?.['error'])
  const httpStatus =
    asAmount(body?.['code']) ?? STATUSES.find((status) => (status & 255) === exit.exitCode) ?? loggedStatus(exit.stderr)
  const errorClass = errorClassOf(httpStatus, text)
  return {
    errorClass,
    message: asText(body?.['message']) ?? text,
    httpStatus,
    resetsAt: WITH_END.has(errorClass) ? resetTime(text, at) : undefined,
  }
}

/** A model that is not there ends with 1: its status is at the end of the stack trace only. */
function loggedStatus(stderr: string): number | undefined {
  const status = Number(/^ {2}(?:status|code): (\d{3}),?$/m.exec(stderr)?.[1] ?? Number.NaN)
  return Number.isNaN(status) ? undefined : status
}

/** Ends without a result. 1 stands for anything. */
const EXITS: Readonly<Record<number, ErrorClass>> = {
  41: 'auth',
  42: 'usage',
  44: 'usage',
  52: 'usage',
  55: 'usage',
}

/** @returns undefined when its exit code says nothing and its stderr neither */
export function exitError({ exitCode, stderr: raw }: AgentExit): GeminiError {
  const stderr = stripVTControlCharacters(raw)
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !NOISE.test(line))
  const help = lines.some((line) => line.startsWith('Usage: gemini '))
  const unknown = /^Unknown arguments?: .*$/m.exec(stderr)?.[0]
  const errorClass = (exitCode === undefined ? undefined : EXITS[exitCode]) ?? (help || unknown ? 'usage' : 'unknown')
  const message = unknown ?? (help ? 'it does not know one of its arguments' : lines.slice(-3).join(' ').slice(0, 500))
  return { errorClass, message: message || `it exited with code ${exitCode} and said nothing` }
}

/** What it writes to stderr on every run. */
export const NOISE =
  /^(?:Warning: (?:256-color|True color)|YOLO mode is enabled|The 'metricReader' option|Ripgrep is not available|\[STARTUP\]|Loaded cached credentials|Approval mode overridden|    at )/
