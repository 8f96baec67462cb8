// Owns: what a status object means (DESIGN 4): its keys, their aliases, the values they take. One reader for the outcome
// file and the status files; every problem is said in words that name what was found and what was expected.
import { classOf, FAILURE_CODES, type FailureCode } from '../core/failure.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { Cost, Usage } from '../core/outcome.ts'
import { oneLine, shortened } from './reason.ts'
import { usageOf } from './usage-report.ts'

export type ReportedResult = 'success' | 'partial' | 'failure' | 'error' | 'timeout' | 'skip'

export interface StatusReport {
  /** Absent: the object says nothing about how it went. */
  readonly result?: ReportedResult | undefined
  readonly label?: string | undefined
  readonly outputs?: JsonObject | undefined
  readonly failure?:
    | { readonly code?: FailureCode | undefined; readonly message: string; readonly details?: JsonObject | undefined }
    | undefined
  readonly usage?: Usage | undefined
  readonly cost?: Cost | undefined
  readonly notes?: string | undefined
  readonly next?: string | undefined
}
export type Parsed = StatusReport | { readonly problem: string }

const RESULTS: { readonly [value: string]: ReportedResult } = {
  success: 'success',
  ok: 'success',
  partial: 'partial',
  partial_success: 'partial',
  failure: 'failure',
  fail: 'failure',
  failed: 'failure',
  error: 'error',
  timeout: 'timeout',
  skip: 'skip',
  skipped: 'skip',
}
const EXPECTED = 'success, ok, partial, failure, fail, error, timeout or skip'
const RESULT_KEYS = ['status', 'outcome', 'result'] as const

/** Whether an object claims to be a status at all. */
export const isStatus = (value: JsonObject): boolean => RESULT_KEYS.some((key) => key in value)

/** JSON text → object, or what is wrong with it (with the place the parser names and the text). */
export function parseJsonObject(text: string): { readonly value: JsonObject } | { readonly problem: string } {
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch (error) {
    const shown = text.trim() === '' ? 'it is empty' : `${(error as Error).message}; its text begins ${excerpt(text)}`
    return { problem: `is not valid JSON: ${shown}; expected an object such as {"status": "success"}` }
  }
  if (isJsonObject(value)) return { value }
  return { problem: `is ${kindOf(value)} (${excerpt(text)}); expected an object such as {"status": "success"}` }
}

const excerpt = (text: string): string => `\`${shortened(oneLine(text), 120)}\``

/** Reads a status object. Unknown keys are ignored, unknown values and contradictions are problems. */
export function readStatus(value: JsonObject): Parsed {
  const result = resultOf(value)
  if (typeof result === 'object') return result
  const label = name(value, ['label', 'preferred_label', 'preferred_next_label', 'disposition'])
  if (typeof label === 'object') return label
  const outputs = value['outputs'] ?? value['context_updates']
  if (outputs !== undefined && outputs !== null && !isJsonObject(outputs)) {
    return {
      problem: `has ${'outputs' in value ? 'outputs' : 'context_updates'} that are ${kindOf(outputs)}; expected an object`,
    }
  }
  const notes = text(value, ['notes'])
  if (typeof notes === 'object') return notes
  const next = name(value, ['next'])
  if (typeof next === 'object') return next
  const failure = failureOf(value, result, notes)
  if (failure && 'problem' in failure) return failure
  const spent = usageOf(value['usage'])
  if ('problem' in spent) return spent
  return {
    result: result ?? (failure ? 'failure' : undefined),
    label,
    outputs: outputs ?? undefined,
    failure,
    notes,
    next,
    ...spent,
  }
}

/** All of `status`, `outcome`, `result` that are there must mean the same. */
function resultOf(value: JsonObject): ReportedResult | undefined | { readonly problem: string } {
  let found: { key: string; result: ReportedResult } | undefined
  for (const key of RESULT_KEYS) {
    const given = value[key]
    if (given === undefined) continue
    const name =
      typeof given === 'string'
        ? given
            .trim()
            .toLowerCase()
            .replace(/[\s-]+/g, '_')
        : undefined
    const result = name === undefined || !Object.hasOwn(RESULTS, name) ? undefined : RESULTS[name]
    if (!result) return { problem: `has ${key} ${shortened(JSON.stringify(given), 80)}; expected one of ${EXPECTED}` }
    if (found && found.result !== result) {
      return {
        problem: `contradicts itself: ${found.key} says ${found.result}, ${key} says ${result}; expected one of them, or both the same`,
      }
    }
    found ??= { key, result }
  }
  return found?.result
}

/** The first of the keys that has a text; empty texts and nulls are not said. */
function text(value: JsonObject, keys: readonly string[]): string | undefined | { readonly problem: string } {
  for (const key of keys) {
    const given = value[key]
    if (given === undefined || given === null || given === '') continue
    if (typeof given !== 'string') return { problem: `has a ${key} that is ${kindOf(given)}; expected a string` }
    return given
  }
  return undefined
}

/** As `text`, for what names something: entries of the journal repeat it. */
function name(value: JsonObject, keys: readonly string[]): ReturnType<typeof text> {
  const given = text(value, keys)
  if (typeof given !== 'string' || given.length <= LIMITS.nameChars) return given
  return { problem: `has a ${keys[0]} of ${given.length} characters; expected at most ${LIMITS.nameChars}` }
}

/** Codes a step may claim: not those that only the scheduler or a person can give. */
const claimable = (code: string): code is FailureCode =>
  (FAILURE_CODES as readonly string[]).includes(code) &&
  !['human', 'breaker', 'internal', 'skip'].includes(classOf(code as FailureCode)) &&
  code !== 'worker_lost'

/** A failure code that a step gave, if it is one it may give; `rate-limited` and `RATE_LIMITED` are understood. */
export function claimedCode(code: Json | undefined): FailureCode | undefined {
  if (typeof code !== 'string') return undefined
  const name = code
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_')
  return claimable(name) ? name : undefined
}

type Claimed = NonNullable<StatusReport['failure']>

function failureOf(
  value: JsonObject,
  result: ReportedResult | undefined,
  notes: string | undefined,
): Claimed | undefined | { readonly problem: string } {
  const key = isSaid(value['failure']) ? 'failure' : 'failure_reason'
  const given = value[key]
  const failed = result === 'failure' || result === 'error' || result === 'timeout'
  if (!isSaid(given)) {
    return failed
      ? { message: notes ?? `it says ${result} and gives no reason (expected failure.message or failure_reason)` }
      : undefined
  }
  if (result !== undefined && !failed && result !== 'partial') {
    return {
      problem: `contradicts itself: it says ${result} and also gives ${key} ${shortened(JSON.stringify(given), 120)}; expected a failing status, or no ${key}`,
    }
  }
  if (result === 'partial') return undefined
  if (typeof given === 'string') return { message: given }
  if (!isJsonObject(given))
    return { problem: `has a ${key} that is ${kindOf(given!)}; expected a string, or an object with a message` }
  const message = text(given, ['message', 'reason'])
  if (typeof message === 'object') return { problem: message.problem.replace('has a', `has a ${key} with a`) }
  const code = claimedCode(given['code'])
  const details: { [name: string]: Json } = isJsonObject(given['details']) ? { ...given['details'] } : {}
  if (isSaid(given['code']) && code === undefined) details['reported_code'] = given['code']!
  return {
    code,
    message: message ?? notes ?? 'it reports a failure without a message',
    ...(Object.keys(details).length > 0 ? { details } : {}),
  }
}

const isSaid = (value: Json | undefined): boolean =>
  value !== undefined && value !== null && value !== '' && value !== false

function kindOf(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
