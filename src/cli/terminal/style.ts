// Owns: the roles of the terminal (the 16 named colours of the user's theme) and the glyph of every state. Colour never
// stands alone: a state has its glyph and, where there is room, its word.
// Must not: read the environment (capabilities.ts) or know what is shown.
import type { Result } from '../../core/failure.ts'
import { columnsOf, cut } from './text.ts'

const CODES = { ok: 32, bad: 31, warn: 33, live: 34, dim: 2, bold: 1 } as const
export type Role = keyof typeof CODES

/** What a renderer has to know about the terminal. */
export interface Look {
  readonly columns: number
  readonly color: boolean
  readonly ascii: boolean
}

/** A piece of a line. */
export interface Piece {
  readonly text: string
  readonly roles?: readonly Role[]
}

export const piece = (text: string, ...roles: Role[]): Piece => ({ text, roles })

/** One text of pieces, coloured only when the terminal shows colour. */
export function paint(pieces: readonly Piece[], look: Look): string {
  return pieces
    .map(({ text, roles }) => {
      if (!look.color || !roles || roles.length === 0 || text.trim() === '') return text
      return `\u001b[${roles.map((role) => CODES[role]).join(';')}m${text}\u001b[0m`
    })
    .join('')
}

const widthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { text }) => sum + columnsOf(text), 0)

/** The pieces cut to `max` columns. */
export function fitPieces(pieces: readonly Piece[], max: number, look: Look): Piece[] {
  if (widthOf(pieces) <= max) return [...pieces]
  const fitted: Piece[] = []
  let left = max
  for (const [index, item] of pieces.entries()) {
    const columns = columnsOf(item.text)
    const more = index < pieces.length - 1
    if (columns > left || (columns === left && more)) {
      fitted.push({ ...item, text: cut(`${item.text}${more ? '  ' : ''}`, left, look.ascii) })
      break
    }
    fitted.push(item)
    left -= columns
  }
  return fitted
}

/** A line: `left` from the margin, `right` at the right edge; the left part is cut where both do not fit. */
export function line(left: readonly Piece[], right: readonly Piece[], look: Look): string {
  const rightColumns = widthOf(right)
  if (rightColumns === 0) return paint(fitPieces(left, look.columns, look), look).trimEnd()
  const room = Math.max(0, look.columns - rightColumns - 2)
  const fitted = fitPieces(left, room, look)
  const gap = ' '.repeat(Math.max(1, look.columns - rightColumns - widthOf(fitted)))
  return paint([...fitted, { text: gap }, ...right], look).trimEnd()
}

/** state → glyph, its ASCII form, and the role it is coloured with. */
const GLYPHS = {
  success: ['✓', 'ok', 'ok'],
  failure: ['✕', 'x', 'bad'],
  error: ['!', '!', 'bad'],
  timeout: ['⊗', 'T', 'bad'],
  canceled: ['⊘', 'c', 'dim'],
  running: ['⠹', '>', 'live'],
  waiting: ['◷', 'w', 'dim'],
  gate: ['◆', '?', 'warn'],
  queued: ['·', '.', 'dim'],
  skipped: ['-', '-', 'dim'],
  breaker: ['⊥', 'B', 'bad'],
  retrying: ['↻', 'r', 'warn'],
} as const
export type Mark = keyof typeof GLYPHS
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const

/** The glyph alone. `now` (epoch ms) turns the spinner; without it the spinner stands. */
export function glyph(mark: Mark, look: Look, now?: number): string {
  if (look.ascii) return GLYPHS[mark][1]
  if (mark === 'running' && now !== undefined) return SPINNER[Math.floor(now / 250) % SPINNER.length]!
  return GLYPHS[mark][0]
}

/** The glyph as a cell of a row: coloured by its state, as wide in every row. */
export function glyphPiece(mark: Mark, look: Look, now?: number): Piece {
  const text = glyph(mark, look, now)
  const roles: Role[] = mark === 'error' ? ['bad', 'bold'] : [GLYPHS[mark][2]]
  return { text: look.ascii ? text.padEnd(2) : text, roles }
}

export const roleOf = (mark: Mark): Role => GLYPHS[mark][2]

const MARK_OF_RESULT = {
  success: 'success',
  failure: 'failure',
  error: 'error',
  timeout: 'timeout',
  cancellation: 'canceled',
  skip: 'skipped',
} as const satisfies Record<Result, Mark>

export const markOf = (result: Result): Mark => MARK_OF_RESULT[result]

/** A character, and what stands for it where only ASCII is shown. */
export const symbol = (text: string, ascii: string, look: Look): string => (look.ascii ? ascii : text)
