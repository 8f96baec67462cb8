// Owns: drawing the live view: a pure function from view model and terminal to lines. What does not fit is given up in
// a fixed order (costs, output lines, key hints, finished rows, names), failures and gates last.
// Must not: read the clock or the terminal; the painter does.
import { cleanLine, columnsOf, cutMiddle, padEnd, padStart } from '../terminal/text.ts'
import { counted, elapsed, spend, tokens, usd } from '../terminal/amounts.ts'
import {
  fitPieces,
  glyph,
  glyphPiece,
  line,
  paint,
  piece,
  symbol,
  type Look,
  type Mark,
  type Piece,
} from '../terminal/style.ts'
import type { Drawing, TreeRow } from './row-detail.ts'
import { treeRows } from './rows.ts'
import type { RunView } from './run-view.ts'
import { runIsDoomed } from './verdict.ts'

export interface Screen extends Look {
  readonly rows: number
  /** Epoch ms: what times are counted to. */
  readonly now: number
  /** Turns the spinner (epoch ms); without it the spinner stands. */
  readonly spin?: number | undefined
  /** Path of the focused row. */
  readonly focus?: string | undefined
  /** A question to the person at the keyboard, or the help: stands in place of the key hints. */
  readonly prompt?: string | undefined
  /** Whether keys are read at all. */
  readonly keys?: boolean
  readonly shortId: string
}

const NAME_COLUMNS = 31
const TIME_COLUMNS = 10
const COST_COLUMNS = 11
/** Below this, costs, output lines and key hints are left out. */
const WIDE_COLUMNS = 80
/** Below this there is one line. */
const NARROW_COLUMNS = 40

/** The lines of the live view, each at most `columns` wide, at most `rows - 1` of them. */
export function renderLive(view: RunView, screen: Screen): string[] {
  if (screen.columns < NARROW_COLUMNS) return [oneLine(view, screen)]
  const drawing: Drawing = { look: screen, now: screen.now, spin: screen.spin }
  const head = header(view, screen)
  const foot = footer(view, screen)
  const wide = screen.columns >= WIDE_COLUMNS
  const all = treeRows(view, drawing).filter((row) => wide || row.weight !== 'output')
  const room = Math.max(1, screen.rows - 1 - head.length - foot.length - (wide ? 1 : 0))
  const tree = fitRows(all, room, screen)
  const priced = view.root.spend.usd > 0 || view.root.spend.unpriced > 0
  return [...head, ...tree.map((row) => treeLine(row, screen, priced)), ...(wide ? [''] : []), ...foot]
}

/** Below 40 columns: `rogue ⠹ ✕1 1h37m`, rewritten. */
function oneLine(view: RunView, screen: Screen): string {
  const failed = [...view.root.nodes.values()].reduce(
    (sum, node) => sum + (node.fanout?.failed ?? (isBad(node.mark) ? 1 : 0)),
    0,
  )
  const pieces: Piece[] = [
    piece(cutMiddle(cleanLine(view.name), 16, screen.ascii), 'bold'),
    piece(' '),
    piece(glyph('running', screen, screen.spin), 'live'),
  ]
  if (failed > 0) pieces.push(piece(' '), piece(`${glyph('failure', screen)}${failed}`, 'bad'))
  if (view.gates.size > 0) pieces.push(piece(' '), piece(`${glyph('gate', screen)}${view.gates.size}`, 'warn'))
  pieces.push(piece(` ${elapsed(screen.now - view.startedAt, true).replaceAll(' ', '')}`))
  return paint(fitPieces(pieces, screen.columns, screen), screen)
}

const isBad = (mark: Mark): boolean =>
  mark === 'failure' || mark === 'error' || mark === 'timeout' || mark === 'breaker'

function header(view: RunView, screen: Screen): string[] {
  const wide = screen.columns >= WIDE_COLUMNS
  const left: Piece[] = [
    piece(' '),
    piece(cleanLine(view.name), 'bold'),
    piece(wide ? '  ' : ' '),
    piece(screen.shortId, 'dim'),
    piece('  '),
    piece(glyph('running', screen, screen.spin), 'live'),
    piece(view.phase === 'canceling' ? ' canceling' : ' running'),
  ]
  if (view.phase !== 'canceling' && runIsDoomed(view)) left.push(piece(', '), piece('will fail', 'bad'))
  const time = [piece(elapsed(screen.now - view.startedAt, !wide))]
  return wide ? [line(left, time, screen), ''] : [line(left, time, screen)]
}

/** Rows that fit: output lines go first, then what ended, then what is queued; then the end of the list. */
function fitRows(rows: readonly TreeRow[], room: number, screen: Screen): TreeRow[] {
  let kept = [...rows]
  for (const weight of ['output', 'ended', 'queued'] as const) {
    if (kept.length <= room) return kept
    kept = kept.filter((row) => row.weight !== weight)
  }
  if (kept.length <= room) return kept
  const at = Math.max(
    0,
    kept.findIndex((row) => row.path !== undefined && row.path === screen.focus),
  )
  const from = Math.min(Math.max(0, at - room + 2), kept.length - room + 1)
  const shown = kept.slice(from, from + Math.max(0, room - 1))
  const left = kept.length - shown.length
  return [
    ...shown,
    { depth: 0, detail: [piece(`${symbol('…', '~', screen)} ${counted(left, 'more row')}`, 'dim')], weight: 'open' },
  ]
}

function treeLine(row: TreeRow, screen: Screen, priced: boolean): string {
  const wide = screen.columns >= WIDE_COLUMNS
  const focused = row.path !== undefined && row.path === screen.focus
  const margin = focused ? [piece(symbol('▌', '|', screen), 'live')] : [piece(' ')]
  const indent = '  '.repeat(row.depth)
  const time = row.timeMs === undefined ? '' : elapsed(row.timeMs)
  const right = rightSide(row, { time, cost: wide && priced, columns: row.name === undefined ? 0 : 1 })
  if (row.bar)
    return line([...margin, piece(indent), ...barPieces(row.bar, screen, columnsOf(indent))], [...row.detail], screen)
  if (row.name === undefined) return line([...margin, piece(indent), ...row.detail], right, screen)
  const mark = row.mark ? glyphPiece(row.mark, screen, screen.spin) : piece(' ')
  const label =
    row.tag === undefined || row.tag === ''
      ? row.name
      : wide
        ? `${row.name} ${row.tag}`
        : `${row.name} ${row.tag.split(' ')[0]}`
  const before = columnsOf(indent) + columnsOf(mark.text) + 1
  const room = wide ? NAME_COLUMNS - before : Math.max(8, Math.floor(screen.columns / 2) - before)
  const name = cutMiddle(label, Math.max(8, room - 1), screen.ascii)
  const spaced = wide ? padEnd(name, room) : `${name}${row.detail.length > 0 ? '  ' : ''}`
  const roles = focused ? (['bold'] as const) : []
  return line([...margin, piece(indent), mark, piece(' '), piece(spaced, ...roles), ...row.detail], right, screen)
}

function rightSide(
  row: TreeRow,
  show: { readonly time: string; readonly cost: boolean; readonly columns: number },
): Piece[] {
  if (show.columns === 0) return []
  if (!show.cost) return show.time === '' ? [] : [piece(padStart(show.time, TIME_COLUMNS), 'dim')]
  const money = (row.usd ?? 0) > 0 ? usd(row.usd!) : (row.unpriced ?? 0) > 0 ? 'unpriced' : ''
  if (show.time === '' && money === '') return []
  return [piece(padStart(show.time, TIME_COLUMNS), 'dim'), piece(padStart(money, COST_COLUMNS), 'dim')]
}

function barPieces(bar: NonNullable<TreeRow['bar']>, screen: Screen, indent: number): Piece[] {
  const columns = Math.max(10, Math.min(80, screen.columns - indent - 18))
  const share = (value: number): number => (bar.total === 0 ? 0 : Math.round((value / bar.total) * columns))
  // A part that is not empty shows at least one cell: a single failure among thousands is seen.
  const failed = bar.failed > 0 ? Math.max(1, share(bar.failed)) : 0
  const ok = Math.min(columns - failed, bar.ok > 0 ? Math.max(1, share(bar.ok)) : 0)
  const running = Math.min(columns - failed - ok, bar.running > 0 ? Math.max(1, share(bar.running)) : 0)
  const cell = (full: string, ascii: string, length: number): string => symbol(full, ascii, screen).repeat(length)
  return [
    piece(cell('█', '#', failed), 'bad'),
    piece(cell('█', '#', ok), 'ok'),
    piece(cell('▒', '+', running), 'live'),
    piece(cell('░', '-', columns - failed - ok - running), 'dim'),
  ]
}

function footer(view: RunView, screen: Screen): string[] {
  const wide = screen.columns >= WIDE_COLUMNS
  const rule = paint([piece(symbol('─', '-', screen).repeat(screen.columns), 'dim')], screen)
  const sums = wide ? wideSums(view, screen) : narrowSums(view, screen)
  const hint = screen.keys === true && wide ? [keyHints(screen)] : []
  const below = screen.prompt === undefined ? hint : [line([piece(' '), piece(screen.prompt, 'bold')], [], screen)]
  return [rule, line([piece(' '), ...sums], [], screen), ...below]
}

function wideSums(view: RunView, screen: Screen): Piece[] {
  const { spend: sums } = view.root
  const pieces: Piece[] = []
  const part = (...texts: Piece[]): void => void pieces.push(...(pieces.length > 0 ? [piece('   ')] : []), ...texts)
  if (sums.input > 0 || sums.output > 0) part(piece(tokenText(sums, screen)))
  const money = spend(sums.usd, sums.unpriced)
  if (money !== '') part(piece(money))
  const budget = budgetPieces(view, screen)
  if (budget.length > 0) part(...budget)
  part(piece(`${view.openAttempts}/${view.maxParallel} slots`))
  part(piece(counted(sums.attempts, 'attempt')))
  if (sums.retries > 0) part(piece(`${glyph('retrying', screen)} ${counted(sums.retries, 'retry', 'retries')}`, 'warn'))
  part(piece(elapsed(screen.now - view.startedAt, true)))
  return pieces
}

function tokenText(
  sums: { readonly input: number; readonly cacheRead: number; readonly output: number },
  look: Look,
): string {
  const cached = sums.cacheRead > 0 ? `  R${tokens(sums.cacheRead)}` : ''
  return `${symbol('↑', 'in ', look)}${tokens(sums.input)}${cached}  ${symbol('↓', 'out ', look)}${tokens(sums.output)}`
}

function narrowSums(view: RunView, screen: Screen): Piece[] {
  const { spend: sums } = view.root
  const parts: string[] = []
  if (sums.usd > 0 || sums.unpriced > 0) parts.push(`${usd(sums.usd)}${sums.unpriced > 0 ? `+${sums.unpriced}?` : ''}`)
  const budget = budgetUsed(view)
  if (budget) parts.push(`${Math.round(budget.share * 100)} % of ${budget.limit}`)
  if (sums.input > 0)
    parts.push(
      `${symbol('↑', 'in ', screen)}${tokens(sums.input)} ${symbol('↓', 'out ', screen)}${tokens(sums.output)}`,
    )
  parts.push(`${view.openAttempts}/${view.maxParallel} slots`, counted(sums.attempts, 'attempt'))
  return [
    piece(parts.join('  ')),
    ...(screen.keys === true ? [piece('  '), piece('?', 'live'), piece(' help', 'dim')] : []),
  ]
}

/** The budget that is nearest to its limit. */
export function budgetUsed(view: RunView): { readonly share: number; readonly limit: string } | undefined {
  const budget = view.pipeline?.budget
  const { spend: sums } = view.root
  if (!budget) return undefined
  const shares = [
    budget.usd === undefined
      ? undefined
      : { share: sums.usd / budget.usd, limit: usd(budget.usd).replace(/\.00$/, '') },
    budget.tokens === undefined
      ? undefined
      : { share: (sums.input + sums.output) / budget.tokens, limit: `${tokens(budget.tokens)} tokens` },
    budget.attempts === undefined
      ? undefined
      : { share: sums.attempts / budget.attempts, limit: counted(budget.attempts, 'attempt') },
    budget.time_ms === undefined
      ? undefined
      : { share: ((view.finishedAt ?? view.lastAt) - view.startedAt) / budget.time_ms, limit: elapsed(budget.time_ms) },
  ].filter((share) => share !== undefined)
  return shares.sort((a, b) => b.share - a.share)[0]
}

function budgetPieces(view: RunView, screen: Screen): Piece[] {
  const used = budgetUsed(view)
  if (!used) return []
  const cells = Math.min(10, Math.max(0, Math.floor(used.share * 10)))
  const role = used.share >= 1 ? 'bad' : used.share >= 0.8 ? 'warn' : 'ok'
  const bar = symbol('▓', '#', screen).repeat(cells) + symbol('░', '-', screen).repeat(10 - cells)
  return [piece(`budget ${Math.round(used.share * 100)} % of ${used.limit} `), piece(bar, role)]
}

const HINTS: readonly (readonly [string, string, string])[] = [
  ['↑↓', 'j k', 'move'],
  ['e', 'e', 'first error'],
  ['c', 'c', 'cancel'],
  ['?', '?', 'help'],
]

function keyHints(screen: Screen): string {
  const pieces = HINTS.flatMap(([key, ascii, word]) => [
    piece(symbol(key, ascii, screen), 'live'),
    piece(` ${word}   `, 'dim'),
  ])
  return line([piece(' '), ...pieces], [], screen).trimEnd()
}
