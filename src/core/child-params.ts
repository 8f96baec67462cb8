// Owns: the params a child pipeline starts with: what its node gives, checked by declared type, then defaults.
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import type { Param } from './pipeline.ts'

/** The values by name, or what is wrong with them (the end of a sentence about the child pipeline). Optional ones that nobody gave are null. */
export function childParams(
  declared: { readonly [name: string]: Param },
  given: JsonObject,
): { readonly value: JsonObject } | { readonly problem: string } {
  const value: Record<string, Json> = {}
  for (const [name, param] of Object.entries(declared)) {
    const chosen = given[name] ?? param.default ?? null
    if (chosen === null && param.required) return { problem: `needs a value for param ${name}` }
    if (chosen !== null && !isOfType(chosen, param.type))
      return { problem: `wants ${param.type} for param ${name}; it was given ${shown(chosen)}` }
    if (chosen !== null && param.enum && !param.enum.some((allowed) => allowed === chosen))
      return {
        problem: `does not allow ${shown(chosen)} for param ${name} (allowed: ${param.enum.map(shown).join(', ')})`,
      }
    value[name] = chosen
  }
  return { value }
}

const shown = (value: Json): string => JSON.stringify(value).slice(0, 80)

function isOfType(value: Json, type: Param['type']): boolean {
  switch (type) {
    case 'integer':
      return Number.isSafeInteger(value)
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isJsonObject(value)
    case 'string':
    case 'boolean':
      return typeof value === type
  }
}
