// Owns: putting lines on a terminal in place of those before: one write per repaint, only lines that changed, the cursor
// hidden meanwhile and given back whatever happens. Must not: know what the lines say.
import { clean, columnsOf } from '../terminal/text.ts'

const HIDE = '\u001b[?25l'
const SHOW = '\u001b[?25h'
const CLEAR_BELOW = '\u001b[0J'
const CLEAR_LINE = '\u001b[2K'
const CLEAR_RIGHT = '\u001b[K'

export interface Painter {
  /** Shows the lines in place of the ones before. They must fit the terminal's width. */
  paint(lines: readonly string[]): void
  /** Takes the lines away; what is written next stands in their place. */
  clear(): void
  /** Takes the lines away and gives the cursor back. */
  close(): void
}

export interface Terminal {
  write(text: string): unknown
  /** Now; a resize changes it. */
  readonly columns?: number
}

/** A painter on a terminal. Gives the cursor back when the process exits without `close`. */
export function createPainter(terminal: Terminal): Painter {
  let shown: readonly string[] = []
  let width = terminal.columns
  const showCursor = (): void => void terminal.write(SHOW)
  process.once('exit', showCursor)
  terminal.write(HIDE)
  // Lines were as wide as the terminal when they were written: one that became narrower has wrapped them.
  const height = (): number =>
    shown.reduce(
      (sum, content) => sum + Math.max(1, Math.ceil(columnsOf(clean(content)) / (terminal.columns || Infinity))),
      0,
    )
  const up = (): string => (shown.length > 0 ? `\u001b[${height()}A\r` : '\r')
  // Never the whole screen at once: terminals that keep cleared screens would put every frame into the scrollback.
  const clear = (): void => {
    if (shown.length > 0) terminal.write(`${up()}${CLEAR_LINE}\n${CLEAR_BELOW}\u001b[1A\r`)
    shown = []
  }
  return {
    paint(lines) {
      const same = lines.length === shown.length && terminal.columns === width
      if (same && lines.every((content, index) => content === shown[index])) return
      const text = lines
        .map((content, index) => (same && content === shown[index] ? '\n' : `${content}${CLEAR_RIGHT}\r\n`))
        .join('')
      terminal.write(up() + text + (same ? '' : CLEAR_BELOW))
      shown = [...lines]
      width = terminal.columns
    },
    clear,
    close() {
      clear()
      process.off('exit', showCursor)
      showCursor()
    },
  }
}
