// Owns: `name=value` options and whole numbers from the command line.
import { SpanwrightError } from '../core/error.ts'

/** Labels by name. Throws `usage.invalid` for one without `=`. */
export function readLabels(given: unknown): { readonly [name: string]: string } {
  const labels: Record<string, string> = {}
  for (const text of Array.isArray(given) ? (given as string[]) : []) {
    const split = text.indexOf('=')
    if (split < 1) throw new SpanwrightError('usage.invalid', `--label ${text}: expected name=value`)
    labels[text.slice(0, split)] = text.slice(split + 1)
  }
  return labels
}

/** A whole number from 1; undefined when the option was not given. */
export function readCount(option: string, text: string | readonly string[] | boolean | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new SpanwrightError('usage.invalid', `${option} ${String(text)}: expected a whole number from 1`)
  return value
}
