// Owns: whether a value fits a JSON Schema of the pipeline (zod's reading of JSON Schema; conditionals are not supported).
import { z } from 'zod'
import type { Json, JsonObject } from '../core/json.ts'

/** One schema object of a pipeline is compiled once. */
const compiled = new WeakMap<JsonObject, z.ZodType | Error>()

/** What does not fit, in words (`expected number, received string at items.0`); undefined when all does. */
export function misfit(schema: JsonObject, value: Json): string | undefined {
  let type = compiled.get(schema)
  if (!type) {
    try {
      type = z.fromJSONSchema(schema)
    } catch (error) {
      type = error instanceof Error ? error : new Error(String(error))
    }
    compiled.set(schema, type)
  }
  if (type instanceof Error) return `its schema cannot be used (${type.message})`
  const result = type.safeParse(value)
  if (result.success) return undefined
  return result.error.issues
    .slice(0, 3)
    .map(
      (issue) =>
        issue.message.replace(/^Invalid input: /, '') + (issue.path.length > 0 ? ` at ${issue.path.join('.')}` : ''),
    )
    .join('; ')
}
