// Owns: whether a JSON Schema in a pipeline can be used to check values (zod's reading of JSON Schema).
import { z } from 'zod'
import { asRaw, type Report } from './outline.ts'
import type { Path } from './yaml-source.ts'

type ZodJsonSchema = Parameters<typeof z.fromJSONSchema>[0]

export function checkJsonSchema(schema: unknown, path: Path, report: Report): void {
  if (typeof schema !== 'object' || schema === null) return // its shape is wrong already
  try {
    z.fromJSONSchema(schema as ZodJsonSchema)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    report.error(
      'json-schema',
      path,
      `this JSON Schema cannot be used: ${reason}`,
      'see https://json-schema.org; without if/then/else',
    )
    return
  }
  if (JSON.stringify(schema).includes('${{'))
    report.error('json-schema', path, 'expressions are not filled in inside a JSON Schema', 'write the value itself')
}

/** The same for one whose keys are names of outputs. */
export function checkObjectSchema(schema: unknown, path: Path, report: Report): void {
  const { type } = asRaw(schema)
  if (type !== undefined && type !== 'object') {
    report.error(
      'json-schema',
      path,
      `the schema is of type ${JSON.stringify(type)}; the keys of the value become outputs`,
      'make it an object: type: object, properties: { … }',
    )
  } else checkJsonSchema(schema, path, report)
}
