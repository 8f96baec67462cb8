// Owns: taking a patch out of what models wrap around it (fences, here-documents, JSON), and telling a whole file that was
// sent in place of a patch.
const FENCE = /^[ \t]*(`{3,}|~{3,})([^`\r\n]*)\r?$/
const PATCH_LINE = /^(?:\*\*\* |diff --git |--- \S|@@|\+\+\+ \S)/m

export interface WholeFile {
  readonly path: string
  readonly content: string
}

/** The text without what is around it. Lines keep their places only within the patch. */
export function unwrap(sent: string): string {
  const text = fromJson(sent.replace(/^\uFEFF/, ''))
  const document = /^[^\n]*\bapply_?patch\b[^\n]*<<-?\s*['"]?(\w+)['"]?[^\n]*\r?\n([\s\S]*?)\r?\n\1\s*$/.exec(
    text.trim(),
  )
  if (document) return unwrap(document[2]!)
  const inside = blocks(text).filter((block) => PATCH_LINE.test(block.content))
  return inside.length > 0 ? inside.map((block) => block.content).join('') : text
}

function fromJson(text: string): string {
  if (!text.trimStart().startsWith('{')) return text
  try {
    const value = JSON.parse(text) as { readonly [key: string]: unknown }
    const patch = value['patch'] ?? value['input'] ?? value['diff']
    return typeof patch === 'string' ? patch : text
  } catch {
    return text
  }
}

/**
 * Files sent as a whole: a line with nothing but a path, then the content, fenced or up to the end. Undefined when it is
 * not clearly so.
 */
export function wholeFiles(sent: string): readonly WholeFile[] | undefined {
  if (PATCH_LINE.test(sent)) return undefined
  const fenced = blocks(sent)
  if (fenced.length > 0) {
    const files = fenced.flatMap(({ content, info, before }) => {
      const path = pathIn(before) ?? pathIn(info.replace(/^\w+[: ]+/, ''))
      return path === undefined ? [] : [{ path, content }]
    })
    return files.length === fenced.length ? files : undefined
  }
  const [first = '', ...rest] = sent.trimStart().split('\n')
  const path = pathIn(first)
  const content = rest.join('\n').replace(/^\r?\n/, '')
  return path === undefined || content.trim() === ''
    ? undefined
    : [{ path, content: content.endsWith('\n') ? content : `${content}\n` }]
}

/** Words that stand for what was left out: such a text is no whole file. */
export const elides = (content: string): boolean =>
  /^[ \t]*(?:\/\/|#|--|;|\/\*|<!--)?[ \t]*(?:\.{3}|…)|\b(?:existing code|rest of (?:the )?(?:file|code)|unchanged)\b.*(?:\.{3}|…|\*\/|-->)?[ \t]*$/im.test(
    content,
  )

interface Block {
  readonly info: string
  /** The line above it that is not blank. */
  readonly before: string
  readonly content: string
}

function blocks(text: string): Block[] {
  const found: Block[] = []
  let open: { mark: string; info: string; before: string; lines: string[] } | undefined
  let before = ''
  for (const line of text.split('\n')) {
    const fence = FENCE.exec(line)
    if (open) {
      if (fence && fence[1]!.startsWith(open.mark) && fence[2]!.trim() === '') {
        found.push({ ...open, content: open.lines.map((inner) => `${inner}\n`).join('') })
        open = undefined
        before = ''
      } else open.lines.push(line)
    } else if (fence) open = { mark: fence[1]!, info: fence[2]!.trim(), before, lines: [] }
    else if (line.trim() !== '') before = line
  }
  // A fence that is never closed goes to the end.
  if (open) found.push({ ...open, content: open.lines.join('\n') })
  return found
}

const PATH =
  /^(?:#+ *|[-*] +|\d+\. +)?[*_]{0,2}(?:(?:file|path|filename)\s*[:=][*_]{0,2}\s*)?[`*"']{0,4}((?:\.{0,2}\/)?(?:[\w@.+-]+\/)*[\w@.+-]*\w)[`*"']{0,4}:?\s*$/i

const PATH_CHARS = 300

/** A line that is a path and nothing else: with a directory or an ending. */
function pathIn(line: string): string | undefined {
  if (line.length > PATH_CHARS) return undefined
  const path = PATH.exec(line.trim())?.[1]
  return path !== undefined && /\/|\.\w+$/.test(path) ? path : undefined
}
