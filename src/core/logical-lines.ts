// Owns: the lines a program meant to write: without ANSI codes, JSON in one piece, wrapped lines put together again.
// Everything is one pass over bounded text; a very long line keeps its beginning and its end.

const ANSI = /\u001b(?:\[[0-?]{0,64}[ -/]{0,16}[@-~]|\][^\u0007\u001b\n]{0,4096}(?:\u0007|\u001b\\)|[@-Z\\-_])/g
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g

/** Characters kept of a logical line: enough to tell, few enough that no pattern gets slow. */
const LINE_CHARS = 600
/** Lines that make up one JSON value, and one wrapped paragraph. */
const JSON_LINES = 200
const PARAGRAPH_LINES = 40
/** Widths at which people and programs wrap. */
const NARROWEST = 30
const WIDEST = 250

export function logicalLines(text: string): string[] {
  const lines = text
    .replace(ANSI, '')
    .split(/\r\n|\r|\n/)
    .map((line) => cutMiddle(line.replace(CONTROL, ' ')))
  return joinJson(lines).flatMap(unwrap)
}

const cutMiddle = (line: string): string =>
  line.length <= LINE_CHARS ? line : `${line.slice(0, LINE_CHARS - 200)} … ${line.slice(-200)}`

// -- JSON over several lines

const OPENS = /^\s*[{[]\s*(?:"|$|[{[])/

/** Blocks of plain lines; a JSON value that is spread over lines is a block of one line. */
function joinJson(lines: readonly string[]): string[][] {
  const blocks: string[][] = [[]]
  const add = (line: string): void => void blocks.at(-1)!.push(line)
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    const end = OPENS.test(line) ? endOfJson(lines, i) : undefined
    if (end !== undefined) {
      blocks.push([cutMiddle(canonicalJson(lines.slice(i, end + 1).join('\n')))], [])
      i = end
    } else if (line.trim() === '') blocks.push([])
    else add(line)
  }
  return blocks
}

/** The line on which brackets that open on `from` are closed again. */
function endOfJson(lines: readonly string[], from: number): number | undefined {
  let depth = 0
  for (let i = from; i < Math.min(lines.length, from + JSON_LINES); i++) {
    depth += balance(lines[i]!)
    if (depth <= 0) return i
  }
  return undefined
}

function balance(line: string): number {
  let depth = 0
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!
    if (quoted) {
      if (c === '\\') i++
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
  }
  return depth
}

/** JSON inside the text is written with sorted keys, so that key order and layout do not matter. */
export function canonicalJson(text: string): string {
  let done = ''
  let rest = text
  for (let tries = 0; tries < 5; tries++) {
    const start = rest.search(/[{[]/)
    if (start < 0) break
    const end = endOfBrackets(rest, start)
    const value = end === undefined ? undefined : parseJson(rest.slice(start, end))
    const upTo = value === undefined ? start + 1 : end!
    done += value === undefined ? rest.slice(0, upTo) : `${rest.slice(0, start)}${sorted(value)}`
    rest = rest.slice(upTo)
  }
  return done + rest
}

function endOfBrackets(text: string, start: number): number | undefined {
  let depth = 0
  let quoted = false
  for (let i = start; i < text.length; i++) {
    const c = text[i]!
    if (quoted) {
      if (c === '\\') i++
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === '{' || c === '[') depth++
    else if ((c === '}' || c === ']') && --depth === 0) return i + 1
  }
  return undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function sorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${key}: ${sorted(item)}`).join(', ')}}`
}

// -- wrapping

/** What begins a line of its own, however full the line above it is. */
const OWN_LINE =
  /^(?:\s|[-*•>|$#@~+=] ?|[✓✔✕✗×]|\d+[.)\]:]|\[|at |(?:not )?ok\b|\p{L}*(?:error|exception)\b|warn|info\b|debug\b|fail|pass|npm |make\b|caused by|traceback)/iu

/**
 * Puts lines together that were one before something wrapped them: a line is full when the first word of the next
 * would not have fitted on it. One full line alone may simply be the longest: what follows has to look like the rest
 * of a sentence. Text that was cut at a column, through words, has several lines of exactly that length.
 */
function unwrap(block: readonly string[]): string[] {
  const width = block.reduce((most, line) => Math.max(most, line.length), 0)
  if (block.length < 2 || width < NARROWEST || width > WIDEST) return [...block]
  const hard = isCut(block, width)
  const joins = hard ? block.map((line) => line.length === width) : joinsAtSpaces(block, width)
  const lines: string[] = []
  let parts = 0
  for (const [i, line] of block.entries()) {
    const joined = i > 0 && joins[i - 1]! && parts < PARAGRAPH_LINES
    parts = joined ? parts + 1 : 0
    if (joined) lines.push(`${lines.pop()!}${hard ? '' : ' '}${line}`)
    else lines.push(line)
  }
  return lines
}

function isCut(block: readonly string[], width: number): boolean {
  const exact = new Set(block.filter((line) => line.length === width))
  return exact.size >= 3 && [...exact].filter((line) => line.endsWith(' ')).length * 3 <= exact.size
}

/** Whether each line goes on in the next. */
function joinsAtSpaces(block: readonly string[], width: number): boolean[] {
  const fits = block.map(
    (line, i) => i + 1 < block.length && isFull(line, block[i + 1]!, width) && !OWN_LINE.test(block[i + 1]!),
  )
  return fits.map((may, i) => may && (fits[i - 1] || fits[i + 1] || isRest(block[i]!, block[i + 1]!)))
}

const isFull = (line: string, next: string, width: number): boolean =>
  line.trimEnd().length + 1 + /^\S*/.exec(next)![0].length > width

const isRest = (line: string, next: string): boolean => /^[\p{Ll}'"`(<]/u.test(next) && !/[.!?;]\s*$/.test(line)
