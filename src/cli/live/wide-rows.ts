// Owns: the rows of a fan-out of more than 8 branches: a bar, counts, causes by signature, gates, the oldest attempt. Never
// a row per branch. Pure.
import { count, counted, elapsed } from '../terminal/amounts.ts'
import { glyph, piece, roleOf, symbol, type Look, type Mark, type Piece } from '../terminal/style.ts'
import { cleanLine } from '../terminal/text.ts'
import type { Drawing, TreeRow } from './row-detail.ts'
import type { FanoutView, NodeView } from './run-view.ts'

const GROUPS_SHOWN = 3

export interface Wide {
  readonly node: NodeView
  readonly fanout: FanoutView
  readonly depth: number
  /** Rows of a node inside (rows.ts), for gates. */
  readonly rowsOf: (node: NodeView) => readonly TreeRow[]
}

export function wideRows({ node, fanout, depth, rowsOf }: Wide, drawing: Drawing): TreeRow[] {
  const total = fanout.total ?? fanout.started
  const ended = fanout.ok + fanout.failed + fanout.canceled + fanout.skipped
  const running = Math.max(0, fanout.started - ended)
  const rows: TreeRow[] = []
  if (node.result === undefined) {
    rows.push({
      depth,
      detail: [piece(`${count(ended)} / ${count(total)}`)],
      weight: 'open',
      bar: { ok: fanout.ok, failed: fanout.failed, running, total },
    })
  }
  rows.push({
    depth,
    detail: countPieces(
      fanout,
      { running, queued: Math.max(0, total - Math.max(ended, fanout.started)) },
      drawing.look,
    ),
    weight: 'open',
  })
  const groups = [...fanout.groups.values()].sort((a, b) => b.count - a.count)
  for (const group of groups.slice(0, GROUPS_SHOWN)) {
    const text = [
      piece(
        `${glyph('failure', drawing.look)} ${String(group.count).padStart(2)} ${symbol('×', 'x', drawing.look)} ${group.code}`,
        'bad',
      ),
      piece(`   ${cleanLine(group.message)}`),
      piece(`   first: ${group.first}`, 'dim'),
    ]
    rows.push({ depth, detail: text, weight: 'open' })
  }
  if (groups.length > GROUPS_SHOWN)
    rows.push({
      depth,
      detail: [piece(`and ${counted(groups.length - GROUPS_SHOWN, 'more cause')}`, 'dim')],
      weight: 'open',
    })
  rows.push(...gateRows(fanout, depth, rowsOf))
  const oldest = node.result === undefined ? oldestAttempt(fanout) : undefined
  if (oldest?.attempt) rows.push(oldestRow(oldest, depth, drawing))
  return rows
}

/** Gates inside a wide fan-out: what waits for a person is never folded away, though only the first ones are named. */
function gateRows(fanout: FanoutView, depth: number, rowsOf: Wide['rowsOf']): TreeRow[] {
  const waiting = [...fanout.lanes.values()].flatMap((lane) =>
    [...lane.nodes.values()].filter((node) => node.mark === 'gate'),
  )
  const rows = waiting.slice(0, GROUPS_SHOWN).flatMap((node) => {
    const [head, ...rest] = rowsOf(node)
    return [{ ...head!, name: `${node.inside.key}/${node.id}` }, ...rest]
  })
  const more = waiting.length - GROUPS_SHOWN
  return more > 0
    ? [
        ...rows,
        {
          depth,
          detail: [piece(`and ${counted(more, 'more gate')} (spanwright gate list)`, 'dim')],
          weight: 'open' as const,
        },
      ]
    : rows
}

function countPieces(
  fanout: FanoutView,
  more: { readonly running: number; readonly queued: number },
  look: Look,
): Piece[] {
  const parts: [Mark, number, string][] = [
    ['success', fanout.ok, 'ok'],
    ['failure', fanout.failed, 'failed'],
    ['canceled', fanout.canceled, 'canceled'],
    ['running', more.running - fanout.waiting, 'running'],
    ['waiting', fanout.waiting, 'waiting'],
    ['queued', more.queued, 'queued'],
    ['skipped', fanout.skipped, 'skipped'],
    ['retrying', fanout.retried, 'retried'],
  ]
  const short = look.columns < 80
  return parts
    .filter(([mark, value]) => value > 0 || (mark !== 'canceled' && mark !== 'retrying' && mark !== 'waiting'))
    .flatMap(([mark, value, word], index) => [
      piece(index === 0 ? '' : short ? ' ' : '   '),
      piece(
        short ? `${glyph(mark, look)}${count(value)}` : `${glyph(mark, look)} ${count(value)} ${word}`,
        roleOf(mark),
      ),
    ])
}

function oldestAttempt(fanout: FanoutView): NodeView | undefined {
  let oldest: NodeView | undefined
  for (const lane of fanout.lanes.values()) {
    if (lane.result !== undefined) continue
    for (const node of lane.nodes.values()) {
      if (node.mark !== 'running' || !node.attempt) continue
      if (!oldest?.attempt || node.attempt.startedAt < oldest.attempt.startedAt) oldest = node
    }
  }
  return oldest
}

function oldestRow(node: NodeView, depth: number, { look, now, spin }: Drawing): TreeRow {
  const { startedAt, lastOutputAt, number } = node.attempt!
  const name = `${node.inside.key ?? ''}/${node.id}`
  const text = `oldest: ${name} @${node.visit}.${number}   ${elapsed(now - startedAt)}, last output ${elapsed(now - lastOutputAt)} ago`
  return { depth, detail: [piece(`${glyph('running', look, spin)} `, 'live'), piece(text)], weight: 'output' }
}
