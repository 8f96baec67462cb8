// Owns: the `${{ … }}` syntax in strings. It finds and fills expressions; what they mean is the evaluator's business.
// A shell script never gets values this way: pipeline/ turns its expressions into environment references.
import type { Json, JsonObject } from './json.ts'

const EXPRESSION = /\$\{\{([\s\S]*?)\}\}/g

/** The expression sources inside a value, in order, trimmed, each once. */
export function expressionsIn(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (typeof value === 'string') {
    if (value.includes('${{')) for (const match of value.matchAll(EXPRESSION)) found.add(match[1]!.trim())
  } else if (Array.isArray(value)) {
    for (const item of value) expressionsIn(item, found)
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) expressionsIn(item, found)
  }
  return found
}

/**
 * Fills the expressions of `value` from `inputs` (expression source → value). A string that is one expansion keeps
 * the value's type; inside a longer string a value is written as text (strings as they are, the rest as JSON).
 */
export function fill(value: Json, inputs: JsonObject): Json {
  if (typeof value === 'string') {
    if (!value.includes('${{')) return value
    const whole = /^\s*\$\{\{([\s\S]*?)\}\}\s*$/.exec(value)
    if (whole && !whole[1]!.includes('}}')) return inputs[whole[1]!.trim()] ?? null
    return value.replace(EXPRESSION, (_, source: string) => asText(inputs[source.trim()] ?? null))
  }
  if (Array.isArray(value)) return value.map((item) => fill(item as Json, inputs))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, inputs)]))
  }
  return value
}

/** How a value is written where only text fits (argv, environment): null is empty, strings are themselves. */
export function asText(value: Json): string {
  if (value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
