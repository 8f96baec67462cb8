// Owns: reading lines that others wrote as JSON without trusting them: what is not of the type one expects is not there.
import { stripVTControlCharacters } from 'node:util'

export interface Fields {
  readonly [key: string]: unknown
}

/** The object in a line, also behind a byte order mark or codes of a terminal; undefined for anything else. */
export function objectIn(line: string): Fields | undefined {
  // JSON holds no escape character as it is: those are of whatever shares the output.
  const text = (line.includes('\u001b') ? stripVTControlCharacters(line) : line).trim()
  if (!text.startsWith('{')) return undefined
  try {
    return asFields(JSON.parse(text))
  } catch {
    return undefined
  }
}

export const asFields = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

export const asText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** The objects of a list. */
export const asRecords = (value: unknown): readonly Fields[] =>
  asList(value).flatMap((item) => (asFields(item) ? [item as Fields] : []))

const DECIMAL = /^\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i

/** A count or an amount, as a number or as text: not below 0, and small enough to calculate with. */
export function asAmount(value: unknown): number | undefined {
  const amount = typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value
  return typeof amount === 'number' && amount >= 0 && amount <= Number.MAX_SAFE_INTEGER ? amount : undefined
}

/** Epoch ms of an ISO 8601 text. */
export function asTime(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
