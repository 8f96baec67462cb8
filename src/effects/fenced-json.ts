// Owns: the decision a step writes at the end of its text: the last fenced JSON block with a disposition or label.
import { isJsonObject, type Json } from '../core/json.ts'

export type Disposition =
  | { readonly label: string; readonly message?: string | undefined }
  | { readonly problem: string }

/** The decision of the last fenced block that is JSON (```json, or bare and beginning with a brace); undefined: there is none. */
export function lastDisposition(text: string): Disposition | undefined {
  const blocks = [...text.matchAll(/^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[^\n]*\n([\s\S]*?)^[ \t]*\1[ \t]*$/gm)]
  const last = blocks.findLast(([, , language, body]) => /^jsonc?$/i.test(language!) || (language === '' && body!.trim().startsWith('{')))
  if (!last) return undefined
  let value: Json
  try {
    value = JSON.parse(last[3]!) as Json
  } catch (error) {
    return { problem: `the last fenced JSON block of stdout is not valid JSON: ${(error as Error).message}; expected {"label": …}` }
  }
  const label = isJsonObject(value) ? (value['disposition'] ?? value['label']) : undefined
  if (typeof label !== 'string' || !isJsonObject(value)) {
    return { problem: 'the last fenced JSON block of stdout has no disposition or label; expected {"label": …}' }
  }
  const message = [value['message'], value['reason'], value['summary'], value['notes']].find((said) => typeof said === 'string' && said !== '')
  return { label, ...(typeof message === 'string' ? { message } : {}) }
}
