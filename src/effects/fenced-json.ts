// Owns: the decision a step writes at the end of its text: the last fenced JSON block with a disposition or label.
import { isJsonObject, type Json } from '../core/json.ts'

export type Disposition =
  | { readonly label: string; readonly message?: string | undefined }
  | { readonly problem: string }

/** The decision of the last fenced block that is JSON (```json, or bare and beginning with a brace); undefined: there is none. */
export function lastDisposition(text: string): Disposition | undefined {
  const block = lastJsonBlock(text)
  if (block === undefined) return undefined
  let value: Json
  try {
    value = JSON.parse(block) as Json
  } catch (error) {
    return {
      problem: `the last fenced JSON block of stdout is not valid JSON: ${(error as Error).message}; expected {"label": …}`,
    }
  }
  const label = isJsonObject(value) ? (value['disposition'] ?? value['label']) : undefined
  if (typeof label !== 'string' || !isJsonObject(value)) {
    return { problem: 'the last fenced JSON block of stdout has no disposition or label; expected {"label": …}' }
  }
  const message = [value['message'], value['reason'], value['summary'], value['notes']].find(
    (said) => typeof said === 'string' && said !== '',
  )
  return { label, ...(typeof message === 'string' ? { message } : {}) }
}

/**
 * One pass over the lines. A fence with a language always opens a block: the text may be the end of a longer one and
 * begin inside of another block.
 */
function lastJsonBlock(text: string): string | undefined {
  let found: string | undefined
  let open: { readonly fence: string; readonly language: string; readonly lines: string[] } | undefined
  for (const line of text.split(/\r?\n/)) {
    const [, fence, language = ''] = /^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)/.exec(line) ?? []
    if (fence === undefined) open?.lines.push(line)
    else if (!open || language !== '') open = { fence, language, lines: [] }
    else if (fence.startsWith(open.fence)) {
      const body = open.lines.join('\n')
      if (/^jsonc?$/i.test(open.language) || (open.language === '' && body.trimStart().startsWith('{'))) found = body
      open = undefined
    } else open.lines.push(line)
  }
  return found
}
