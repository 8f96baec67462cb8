// Owns: tables: columns as wide as their widest cell, numbers to the right, the widest text column cut where the
// terminal is too narrow. Must not: know what the cells mean.
import { fitPieces, paint, type Look, type Piece, type Role } from './style.ts'
import { columnsOf, cut, padEnd, padStart } from './text.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** This column gives way first when the table does not fit. */
  readonly shrink?: boolean
}
export interface Cell {
  readonly text: string
  readonly roles?: readonly Role[]
}
export type Row = readonly (Cell | string)[]

const GAP = '  '
const SHRINK_TO = 12

/** The lines of a table; its header is dim. A table without rows has none. */
export function table(columns: readonly Column[], rows: readonly Row[], look: Look): string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)))
  const widths = columns.map((column, index) =>
    Math.max(columnsOf(column.title), ...cells.map((row) => columnsOf(row[index]?.text ?? ''))),
  )
  shrink(columns, widths, look)
  const draw = (row: readonly Cell[], roles: readonly Role[]): string => {
    const pieces: Piece[] = []
    for (const [index, column] of columns.entries()) {
      const cell = row[index] ?? { text: '' }
      const text = cut(cell.text, widths[index]!, look.ascii)
      const last = index === columns.length - 1
      const padded =
        column.align === 'right' ? padStart(text, widths[index]!) : last ? text : padEnd(text, widths[index]!)
      pieces.push({ text: padded, roles: cell.roles ?? roles }, { text: last ? '' : GAP })
    }
    return paint(fitPieces(pieces, look.columns, look), look).trimEnd()
  }
  return [
    draw(
      columns.map(({ title }) => ({ text: title })),
      ['dim'],
    ),
    ...cells.map((row) => draw(row, [])),
  ]
}

function shrink(columns: readonly Column[], widths: number[], look: Look): void {
  const total = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1)
  let over = total - look.columns
  for (const [index, column] of columns.entries()) {
    if (over <= 0 || column.shrink !== true) continue
    const given = Math.min(over, Math.max(0, widths[index]! - SHRINK_TO))
    widths[index]! -= given
    over -= given
  }
}
