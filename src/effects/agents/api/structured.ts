// Owns: the structured answer in the text of the model, and what it is told when there is none.
import type { Json, JsonObject } from '../../../core/json.ts'
import { misfit } from '../../json-schema.ts'

/** How often it is asked again. */
export const SCHEMA_NUDGES = 2

export const schemaInstructions = (schema: JsonObject): string =>
  `When the work is done, your last message must be a single JSON value that fits this JSON Schema, and nothing else:\n${JSON.stringify(schema)}`

/** The value, or why there is none. */
export function structuredIn(
  text: string,
  schema: JsonObject,
): { readonly value: Json } | { readonly problem: string } {
  const candidates = [text.trim(), ...fencedBlocks(text).toReversed(), outermost(text)]
  let problem = 'the last message holds no JSON'
  for (const candidate of candidates) {
    if (candidate === '') continue
    let value: Json
    try {
      value = JSON.parse(candidate) as Json
    } catch {
      continue
    }
    const wrong = misfit(schema, value)
    if (wrong === undefined) return { value }
    problem = `the JSON does not fit the schema: ${wrong}`
  }
  return { problem }
}

const fencedBlocks = (text: string): string[] =>
  [...text.matchAll(/```[a-z]*[ \t]*\r?\n([\s\S]*?)```/gi)].map((match) => match[1]!.trim())

function outermost(text: string): string {
  const from = text.search(/[[{]/)
  return from < 0 ? '' : text.slice(from, Math.max(text.lastIndexOf('}'), text.lastIndexOf(']')) + 1)
}
