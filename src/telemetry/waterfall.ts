// Owns: a trace drawn in the terminal (`trace RUN`): a tree with bars on one time axis. Pure text; colour and glyphs as
// every other view has them. All text that comes from pipelines loses its control characters here.
import { stripVTControlCharacters } from 'node:util'
import { formatDuration } from '../core/duration.ts'
import { toRows, type State, type WaterfallRow, type WaterfallSpan } from './waterfall-rows.ts'

export interface WaterfallOptions {
  /** Columns, 60 to 200; others are taken as the nearest of these. */
  readonly width: number
  readonly color: boolean
  readonly ascii: boolean
  /** Epoch ms; open spans are drawn up to here. */
  readonly nowMs: number
}

const GLYPHS: { readonly [state in State]: readonly [glyph: string, ascii: string, color: string] } = {
  success: ['✓', '+', '32'],
  failure: ['✕', 'x', '31'],
  error: ['!', '!', '1;31'],
  timeout: ['⊗', 'T', '31'],
  cancellation: ['⊘', 'c', '2'],
  skip: ['-', '-', '2'],
  running: ['⠹', '>', '34'],
}
const BARS = { active: ['█', '#'], open: ['▒', '>'], waiting: ['░', '.'], scope: ['─', '-'] } as const
const DIM = '2'
const DURATION_COLUMNS = 11
const MIN_WIDTH = 60
const MAX_WIDTH = 200

/** The lines of the waterfall of one run, at most `width` columns each; empty for no spans. */
export function toWaterfall(spans: readonly WaterfallSpan[], options: WaterfallOptions): string[] {
  const rows = toRows(spans)
  if (rows.length === 0) return []
  const nowUs = options.nowMs * 1_000
  const startUs = rows.reduce((least, row) => Math.min(least, row.startUs), Number.POSITIVE_INFINITY)
  const endUs = rows.reduce((most, row) => Math.max(most, row.endUs ?? nowUs), startUs + 1)
  const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, Math.floor(options.width)))
  const columns = columnsOf(rows, width)
  const paint = (text: string, color: string): string =>
    options.color && text.trim() !== '' ? `\u001b[${color}m${text}\u001b[0m` : text
  const axis: Axis = { startUs, endUs, nowUs, columns: columns.bar, ascii: options.ascii }
  const lines = rows.map((row) => {
    const [glyph, ascii, color] = GLYPHS[row.state]
    const indent = ' '.repeat(1 + 2 * Math.min(row.depth, 12))
    if (row.text) return paint(fit(`${indent}${plain(row.label)}`, width).trimEnd(), DIM)
    const mark = options.ascii ? ascii : glyph
    const room = columns.label - indent.length - 2
    const note = fitNote(row, room)
    const label = cut(plain(row.label), room - (note === '' ? 0 : note.length + 2))
    const pad = ' '.repeat(Math.max(0, room - cells(label) - (note === '' ? 0 : note.length + 2)))
    const duration = formatDuration(((row.endUs ?? Math.max(nowUs, row.startUs)) - row.startUs) / 1_000).padStart(
      DURATION_COLUMNS,
    )
    const left = `${indent}${paint(mark, color)} ${label}${note === '' ? '' : `  ${paint(note, row.state === 'success' ? DIM : color)}`}${pad}`
    return `${left} ${paint(bar(row, axis), row.state === 'success' ? '32' : color)}${paint(duration, DIM)}`
  })
  return options.ascii ? lines.map((line) => line.replaceAll('…', '~')) : lines
}

interface Axis {
  readonly startUs: number
  readonly endUs: number
  readonly nowUs: number
  readonly columns: number
  readonly ascii: boolean
}

/** The label column takes what it needs, at most half; the bar has the rest. */
function columnsOf(rows: readonly WaterfallRow[], width: number): { label: number; bar: number } {
  const needed = rows.filter((row) => !row.text).reduce((most, row) => Math.max(most, labelCells(row)), 0)
  const label = Math.min(needed, Math.floor(width / 2))
  return { label, bar: width - label - 1 - DURATION_COLUMNS }
}
const labelCells = (row: WaterfallRow): number =>
  1 + 2 * Math.min(row.depth, 12) + 2 + cells(plain(row.label)) + (row.note === '' ? 0 : row.note.length + 2)

/** A note gives way to the label: it is shown whole or cut to what leaves the label 8 columns. */
function fitNote(row: WaterfallRow, room: number): string {
  const note = plain(row.note)
  return cut(note, Math.max(0, room - Math.min(cells(plain(row.label)), 8) - 2))
}

function bar(row: WaterfallRow, axis: Axis): string {
  const glyph = (name: keyof typeof BARS): string => BARS[name][axis.ascii ? 1 : 0]
  const line = Array.from({ length: axis.columns }, () => ' ')
  const draw = (startUs: number, endUs: number | undefined, what: keyof typeof BARS): void => {
    const [from, to] = [columnOf(startUs, axis), columnOf(endUs ?? axis.nowUs, axis)]
    for (let i = from; i <= Math.max(from, to - 1); i++) line[i] = glyph(what)
  }
  draw(row.startUs, row.endUs, row.active ? 'waiting' : 'scope')
  for (const part of row.active ?? []) draw(part.startUs, part.endUs, part.endUs === undefined ? 'open' : 'active')
  return line.join('')
}

const columnOf = (us: number, axis: Axis): number =>
  Math.max(
    0,
    Math.min(axis.columns - 1, Math.round(((us - axis.startUs) / (axis.endUs - axis.startUs)) * axis.columns)),
  )

/** Text without escape sequences and control characters, on one line. */
const plain = (text: string): string => stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '')

/** Columns a text takes: wide East Asian characters and emoji two, combining marks none. */
function cells(text: string): number {
  let count = 0
  for (const char of text) count += /\p{M}/u.test(char) ? 0 : WIDE.test(char) ? 2 : 1
  return count
}
const WIDE =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

/** Cut in the middle, as names are everywhere. */
function cut(text: string, limit: number): string {
  if (cells(text) <= limit) return text
  if (limit <= 1) return limit === 1 ? '…' : ''
  const chars = [...text]
  const head = takeCells(chars, Math.ceil((limit - 1) / 2))
  const tail = takeCells([...chars].reverse(), limit - 1 - cells(head))
  return `${head}…${[...tail].reverse().join('')}`
}

function takeCells(chars: readonly string[], limit: number): string {
  let taken = ''
  let used = 0
  for (const char of chars) {
    used += cells(char)
    if (used > limit) break
    taken += char
  }
  return taken
}

const fit = (text: string, width: number): string =>
  cells(text) <= width ? text : `${takeCells([...text], width - 1)}…`
