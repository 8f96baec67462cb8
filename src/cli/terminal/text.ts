// Owns: making foreign text safe for a terminal and fitting it into columns. Everything that a step wrote passes
// `clean` or `cleanLine` before it is shown (DESIGN 8). Must not: know colours (style.ts) or what a text means.

/** ANSI sequences: CSI, strings (OSC, DCS, SOS, PM, APC; also unterminated ones), two-character escapes; C1 forms too. */
const ANSI =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g
/** C0 and C1 controls without tab and newline; bidi controls; line separators; invisible tags; byte order mark. */
const CONTROL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu

/** The text without control characters; newlines and tabs stay. Carriage returns become newlines. */
export function clean(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, '\n').replace(ANSI, '').replace(CONTROL, '')
}

/** As `clean`, on one line: runs of white space become one space. */
export const cleanLine = (text: string): string => clean(text).replace(/\s+/g, ' ').trim()

const WIDE =
  /[\u1100-\u115f\u231a\u231b\u23e9-\u23ec\u2614\u2615\u26a1\u2705\u274c\u2728\u2b50\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]/u
const ZERO = /[\p{Mn}\p{Me}\p{Cf}]/u
const PLAIN = /^[ -~]*$/

/** Columns that the text takes in a terminal (East Asian wide characters count two, combining ones none). */
export function columnsOf(text: string): number {
  if (PLAIN.test(text)) return text.length
  let columns = 0
  for (const char of text) columns += widthOf(char)
  return columns
}

const widthOf = (char: string): number => (PLAIN.test(char) ? 1 : ZERO.test(char) ? 0 : WIDE.test(char) ? 2 : 1)

/** At most `max` columns; what is longer ends in `…` (`~` in ASCII). */
export function cut(text: string, max: number, ascii = false): string {
  if (max <= 0) return ''
  if (columnsOf(text) <= max) return text
  return head(text, max - 1) + (ascii ? '~' : '…')
}

/** At most `max` columns, the middle left out: for names whose ends tell them apart. */
export function cutMiddle(text: string, max: number, ascii = false): string {
  if (columnsOf(text) <= max) return text
  if (max < 5) return cut(text, max, ascii)
  const right = Math.ceil((max - 1) / 2)
  const reversed = [...text].reverse().join('')
  return head(text, max - 1 - right) + (ascii ? '~' : '…') + [...head(reversed, right)].reverse().join('')
}

function head(text: string, max: number): string {
  let taken = ''
  let columns = 0
  for (const char of text) {
    columns += widthOf(char)
    if (columns > max) break
    taken += char
  }
  return taken
}

export const padEnd = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
export const padStart = (text: string, columns: number): string =>
  ' '.repeat(Math.max(0, columns - columnsOf(text))) + text

/** The text in lines of at most `columns`, broken at spaces where there are any. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && columnsOf(line) + 1 + columnsOf(word) > columns) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
    while (columnsOf(line) > columns) {
      const part = head(line, columns)
      lines.push(part)
      line = line.slice(part.length)
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line]
}
