// Owns: reading lines that others wrote as JSON without trusting them: what is not of the type one expects is not there.

export interface Fields {
  readonly [key: string]: unknown
}

/** The object in a line; undefined for anything else. */
export function objectIn(line: string): Fields | undefined {
  if (!line.trimStart().startsWith('{')) return undefined
  try {
    return asFields(JSON.parse(line))
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

/** A count or an amount: not below 0, and small enough to calculate with. */
export const asAmount = (value: unknown): number | undefined =>
  typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined

/** Epoch ms of an ISO 8601 text. */
export function asTime(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
