// Owns: from any JavaScript value to JSON, or where in it something cannot be JSON. Nothing is dropped in silence, except
// properties that are undefined.
import type { Json } from '../core/json.ts'

export type Converted = { readonly json: Json } | { readonly problem: string }

class NotJson extends Error {}

/** A copy of the value as JSON; Dates and others with toJSON are what they say they are. */
export function toJson(value: unknown, name: string): Converted {
  try {
    return { json: convert(value, name, new Set()) }
  } catch (error) {
    if (error instanceof NotJson) return { problem: error.message }
    return { problem: `${name} cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function convert(value: unknown, path: string, above: Set<object>): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      throw new NotJson(`${path} is ${value}, which JSON cannot hold`)
    case 'object':
      return value === null ? null : convertObject(value, path, above)
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      throw new NotJson(
        `${path} is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}, which JSON cannot hold`,
      )
  }
}

function convertObject(value: object, path: string, above: Set<object>): Json {
  if (above.has(value)) throw new NotJson(`${path} refers to an object it is part of (a cycle)`)
  if (above.size > 200) throw new NotJson(`${path} is nested more than 200 levels deep`)
  above.add(value)
  try {
    if ('toJSON' in value && typeof value.toJSON === 'function')
      return convert((value.toJSON as () => unknown)(), path, above)
    if (Array.isArray(value)) return value.map((item, index) => convert(item, `${path}[${index}]`, above))
    if (value instanceof Map || value instanceof Set || value instanceof Promise || ArrayBuffer.isView(value)) {
      throw new NotJson(`${path} is a ${value.constructor.name}, which JSON cannot hold`)
    }
    // Not by assignment: a property may be named __proto__.
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([name, item]) => [name, convert(item, `${path}.${name}`, above)]),
    )
  } finally {
    above.delete(value)
  }
}
