// Owns: finding JSON that a step writes at the end of its text: the last fenced block of it.
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export type Disposition = { readonly value: JsonObject } | { readonly problem: string }

/** The object of the last fenced block that is JSON (```json, or bare and beginning with a brace); undefined: there is none. */
export function lastDisposition(text: string): Disposition | undefined {
  const block = lastJsonBlock(text)
  if (block === undefined) return undefined
  const found = lastJsonValue(block)
  if ('problem' in found) return { problem: `${found.problem}; expected {"label": …}` }
  const { value } = found
  if (isJsonObject(value) && typeof (value['disposition'] ?? value['label']) === 'string') return { value }
  return { problem: 'the last fenced JSON block has no disposition or label; expected {"label": …}' }
}

/** The value of the last fenced JSON block, or of the whole text when that is JSON; undefined: there is none. */
export function lastJson(text: string): Json | undefined {
  const found = lastJsonValue(lastJsonBlock(text) ?? text)
  return 'value' in found ? found.value : undefined
}

function lastJsonValue(block: string): { readonly value: Json } | { readonly problem: string } {
  try {
    return { value: JSON.parse(block) as Json }
  } catch (error) {
    return { problem: `the last fenced JSON block is not valid JSON: ${withoutQuote(error as Error)}` }
  }
}

/** A fence that is shown, such as that of an example: within a longer one, or one of the other kind. */
const isInside = (fence: string, open: { readonly fence: string; readonly language: string }): boolean =>
  // One without a language may be an end whose beginning is not in the text.
  open.language !== '' && (fence[0] !== open.fence[0] || fence.length < open.fence.length)

/** V8 quotes the text around the fault; messages leave the machine. */
const withoutQuote = ({ message }: Error): string => message.replace(/,? *(?:\.\.\.)?"[\s\S]*$/, '')

/**
 * One pass over the lines. A fence with a language opens a block, also where another one was not closed: the text may be the
 * end of a longer one and begin inside of a block.
 */
function lastJsonBlock(text: string): string | undefined {
  let found: string | undefined
  let open: { readonly fence: string; readonly language: string; readonly lines: string[] } | undefined
  for (const line of text.split(/\r?\n/)) {
    const [, fence, language = ''] = /^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)/.exec(line) ?? []
    if (fence === undefined || (open && isInside(fence, open))) open?.lines.push(line)
    else if (!open || language !== '') open = { fence, language, lines: [] }
    else if (fence.startsWith(open.fence)) {
      const body = open.lines.join('\n')
      if (/^jsonc?$/i.test(open.language) || (open.language === '' && body.trimStart().startsWith('{'))) found = body
      open = undefined
    } else open.lines.push(line)
  }
  return found
}
