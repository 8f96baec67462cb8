// What the painter leaves on a screen, seen through a small terminal that understands what it writes.
import { expect, test } from 'vitest'
import { createPainter } from '../../src/cli/live/painter.ts'

/** A terminal of endless height: lines, a cursor, and the sequences that the painter uses. */
function fakeTerminal(): {
  write(text: string): void
  lines: string[]
  cursorHidden: boolean
  written: string
  columns: number
} {
  const terminal = { lines: [''], row: 0, column: 0, cursorHidden: false, written: '', columns: 40, write }
  function write(text: string): void {
    terminal.written += text
    for (const [token] of text.matchAll(/\u001b\[\??(\d*)([A-Za-z])|\r|\n|[^\u001b\r\n]+/g)) apply(token)
  }
  function apply(token: string): void {
    const row = (): string => terminal.lines[terminal.row] ?? ''
    if (token === '\r') terminal.column = 0
    else if (token === '\n') terminal.lines[++terminal.row] ??= ''
    else if (token === '\u001b[?25l') terminal.cursorHidden = true
    else if (token === '\u001b[?25h') terminal.cursorHidden = false
    else if (token === '\u001b[K') terminal.lines[terminal.row] = row().slice(0, terminal.column)
    else if (token === '\u001b[2K') terminal.lines[terminal.row] = ''
    else if (token === '\u001b[0J') {
      terminal.lines.length = terminal.row + 1
      terminal.lines[terminal.row] = row().slice(0, terminal.column)
    } else if (token.endsWith('A')) terminal.row = Math.max(0, terminal.row - Number(/\d+/.exec(token)?.[0] ?? 1))
    else {
      terminal.lines[terminal.row] =
        row().slice(0, terminal.column).padEnd(terminal.column) + token + row().slice(terminal.column + token.length)
      terminal.column += token.length
    }
  }
  return terminal
}

test('frames replace each other, whatever their height; nothing is left at the end', () => {
  const terminal = fakeTerminal()
  terminal.write('before\r\n')
  const painter = createPainter(terminal)
  expect(terminal.cursorHidden).toBe(true)
  painter.paint(['one', 'two', 'three'])
  painter.paint(['one', 'TWO longer', 'three'])
  expect(terminal.lines).toEqual(['before', 'one', 'TWO longer', 'three', ''])
  painter.paint(['short'])
  expect(terminal.lines).toEqual(['before', 'short', ''])
  painter.paint(['a', 'b', 'c', 'd'])
  painter.clear()
  terminal.write('a warning\r\n')
  painter.paint(['again'])
  expect(terminal.lines).toEqual(['before', 'a warning', 'again', ''])
  painter.close()
  expect(terminal.lines.join('\n').trimEnd()).toBe('before\na warning')
  expect(terminal.cursorHidden).toBe(false)
})

test('a frame that did not change writes nothing', () => {
  const terminal = fakeTerminal()
  const painter = createPainter(terminal)
  painter.paint(['same', 'same'])
  const { written } = terminal
  painter.paint(['same', 'same'])
  expect(terminal.written).toBe(written)
  painter.close()
})
