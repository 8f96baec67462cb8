// Owns: structured answers of clients that cannot be held to a JSON Schema: the prompt asks for it, the answer's last JSON
// block is taken. Whether that fits is checked where outputs are.
import type { JsonObject } from '../../core/json.ts'
import { lastJson } from '../fenced-json.ts'

/** The prompt with the form of the answer at its end. */
export function withAnswerForm(prompt: string, schema: JsonObject | undefined): string {
  if (!schema) return prompt
  const form = ['## The form of your answer', 'End with one fenced JSON block that fits this JSON Schema:']
  return [prompt.trimEnd(), ...form, `\`\`\`json\n${JSON.stringify(schema, null, 2)}\n\`\`\``, '']
    .join('\n\n')
    .trimEnd()
}

/** The value of its last fenced JSON block; undefined when none is asked for or there is none. */
export const structuredIn = (text: string | undefined, schema: JsonObject | undefined): unknown =>
  schema && text !== undefined ? lastJson(text) : undefined
