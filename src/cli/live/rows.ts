// Owns: which rows the tree of a run has: nodes that run, wait or failed, finished neighbours folded, wide fan-outs as
// counts, never one row per branch above 8. Pure. Must not: know widths or colours beyond roles (render-live.ts draws).
import { cleanLine } from '../terminal/text.ts'
import { count, counted, countdown, elapsed, timeOfDay } from '../terminal/amounts.ts'
import { glyph, piece, roleOf, symbol, type Look, type Mark, type Piece } from '../terminal/style.ts'
import { LISTED_LANES, type FanoutView, type NodeView, type RunView, type ScopeView } from './run-view.ts'
import { blockerOf } from './verdict.ts'

/** One line of the tree. `name`d rows are nodes and branches; the others explain the row above. */
export interface TreeRow {
  readonly depth: number
  readonly mark?: Mark
  readonly name?: string
  /** `@1.2  2/3`: which attempt. */
  readonly tag?: string
  readonly detail: readonly Piece[]
  readonly timeMs?: number | undefined
  readonly usd?: number
  readonly unpriced?: number
  /** Rows that can have the focus. */
  readonly path?: string
  /** Given up first when the terminal is small: `output` lines, then what has `ended`, then what is `queued`. */
  readonly weight: 'output' | 'ended' | 'queued' | 'open'
  /** A bar of so many ended (ok, failed), running and all branches. */
  readonly bar?: { readonly ok: number; readonly failed: number; readonly running: number; readonly total: number }
}

export interface Drawing {
  readonly look: Look
  readonly now: number
  /** Turns the spinner (epoch ms); without it the spinner stands. */
  readonly spin?: number | undefined
}

const OPEN: readonly Mark[] = ['running', 'retrying', 'waiting', 'gate']
const isOpen = (mark: Mark): boolean => OPEN.includes(mark)
const BAD: readonly Mark[] = ['failure', 'error', 'timeout', 'breaker']

/** The rows of a run. */
export const treeRows = (view: RunView, drawing: Drawing): TreeRow[] => scopeRows(view.root, 0, drawing)

function scopeRows(scope: ScopeView, depth: number, drawing: Drawing): TreeRow[] {
  const nodes = [...scope.nodes.values()]
  const rows: TreeRow[] = []
  for (let from = 0; from < nodes.length;) {
    const to = runOf(nodes, from)
    const group = nodes.slice(from, to)
    const first = group[0]!
    if (group.length > 1 && first.mark === 'queued') rows.push(...queuedRows(group, depth, drawing))
    else if (group.length > 1) rows.push(finishedRow(group, depth))
    else rows.push(...nodeRows(first, depth, drawing))
    from = to
  }
  return rows
}

/** End of the stretch of neighbours that fold into one row with the node at `from`. */
function runOf(nodes: readonly NodeView[], from: number): number {
  const foldable = (node: NodeView): string | undefined => {
    if (node.mark === 'success' && node.retryCount === 0 && node.visit < 2 && node.note === undefined) return 'success'
    return node.mark === 'queued' || node.mark === 'skipped' ? node.mark : undefined
  }
  const kind = foldable(nodes[from]!)
  let to = from + 1
  while (kind !== undefined && to < nodes.length && foldable(nodes[to]!) === kind) to++
  return to
}

function finishedRow(group: readonly NodeView[], depth: number): TreeRow {
  const sum = (of: (node: NodeView) => number): number => group.reduce((total, node) => total + of(node), 0)
  const mark = group[0]!.mark
  if (mark === 'skipped') return { depth, mark, name: `${counted(group.length, 'node')} skipped`, detail: [], weight: 'ended' }
  const starts = group.map((node) => node.startedAt ?? 0)
  const ends = group.map((node) => node.finishedAt ?? 0)
  return {
    depth, mark, name: `${counted(group.length, 'node')} finished`, detail: [], weight: 'ended',
    timeMs: Math.max(...ends) - Math.min(...starts), usd: sum((node) => node.spend.usd), unpriced: sum((node) => node.spend.unpriced),
  }
}

function queuedRows(group: readonly NodeView[], depth: number, drawing: Drawing): TreeRow[] {
  const blocked = group.filter((node) => blockerOf(node))
  const waiting = group.filter((node) => !blocked.includes(node))
  if (group.length <= 3) return group.flatMap((node) => nodeRows(node, depth, drawing))
  const row = (nodes: readonly NodeView[], what: string): TreeRow[] =>
    nodes.length === 0 ? [] : [{ depth, mark: 'queued', name: `${counted(nodes.length, 'node')} ${what}`, detail: [], weight: 'queued' }]
  return [...row(waiting, 'queued'), ...row(blocked, 'will be skipped')]
}

function nodeRows(node: NodeView, depth: number, drawing: Drawing): TreeRow[] {
  const { now } = drawing
  const weight = node.mark === 'queued' ? 'queued' : isOpen(node.mark) || BAD.includes(node.mark) ? 'open' : 'ended'
  const timeMs = node.startedAt === undefined || node.mark === 'skipped' ? undefined : (node.finishedAt ?? now) - node.startedAt
  const head: TreeRow = {
    depth, mark: node.mark, name: node.id, detail: detailOf(node, drawing), timeMs, usd: node.spend.usd,
    unpriced: node.spend.unpriced, path: node.path, weight, ...(node.attempt && isOpen(node.mark) ? { tag: tagOf(node) } : {}),
  }
  return [head, ...belowNode(node, depth, drawing)]
}

function tagOf(node: NodeView): string {
  const { attempt, retry } = node
  if (!attempt) return ''
  const number = retry?.next ?? attempt.number
  return `@${node.visit}.${number}  ${number}/${retry?.max ?? attempt.max}`
}

function belowNode(node: NodeView, depth: number, drawing: Drawing): TreeRow[] {
  if (node.fanout && node.result === undefined) return fanoutRows(node, node.fanout, depth + 1, drawing)
  if (node.fanout && node.result !== 'success') return fanoutRows(node, node.fanout, depth + 1, drawing)
  if (node.inner && node.result !== 'success') return scopeRows(node.inner, depth + 1, drawing)
  if (node.retry) {
    const { code, message } = node.retry.failure
    const text = [piece(`attempt ${node.retry.next - 1} failed  `, 'dim'), piece(code, 'bad'), piece(`: ${cleanLine(message)}`, 'dim')]
    return [{ depth: depth + 1, detail: text, weight: 'output' }]
  }
  if (node.gate) return [{ depth: depth + 1, detail: gatePieces(node), weight: 'open' }]
  const text = node.mark === 'running' ? node.attempt?.text : tailOf(node)
  if (text === undefined || text.trim() === '') return []
  const last = cleanLine(text.trimEnd().split(/[\r\n]/).at(-1) ?? '')
  return last === '' ? [] : [{ depth: depth + 1, detail: [piece(node.mark === 'running' ? `> ${last}` : last, 'dim')], weight: 'output' }]
}

/** Last line that a failed attempt said. */
function tailOf(node: NodeView): string | undefined {
  if (!BAD.includes(node.mark)) return undefined
  const details = node.failure?.details ?? {}
  const tail = details['stderr_tail'] || details['stdout_tail'] || details['tail']
  return typeof tail === 'string' ? tail : undefined
}

/** Letter that answers a choice: its first one that is not taken. */
export function choiceKeys(choices: readonly string[]): Map<string, string> {
  const keys = new Map<string, string>()
  for (const choice of choices) {
    const letter = [...choice.toLowerCase()].find((char) => /[a-z0-9]/.test(char) && char !== 'n' && !keys.has(char))
    if (letter !== undefined) keys.set(letter, choice)
  }
  return keys
}

function gatePieces(node: NodeView): Piece[] {
  const gate = node.gate!
  const pieces: Piece[] = [piece(cleanLine(gate.question), 'bold'), piece('  ')]
  for (const [key, choice] of choiceKeys(gate.choices)) pieces.push(piece(' '), piece(`[${key}]`, 'live'), piece(` ${choice} `))
  return [...pieces, piece(' '), piece('[n]', 'live'), piece(' answer with a comment')]
}

function detailOf(node: NodeView, { look, now }: Drawing): Piece[] {
  const { attempt, retry, gate } = node
  if (node.mark === 'queued') return queuedDetail(node)
  if (node.mark === 'skipped') return [piece(node.failure?.code === 'when_false' ? 'not needed: its `when` is false' : cleanLine(node.failure?.message ?? 'skipped'), 'dim')]
  if (retry) {
    const wait = retry.dueAt > now ? [piece('next attempt '), piece(`in ${countdown(retry.dueAt - now)}`, 'warn')] : [piece('next attempt is due')]
    return [...wait, piece(` (backoff ${elapsed(retry.delayMs)})`)]
  }
  if (gate) {
    const due = gate.dueAt === undefined ? '' : gate.default === undefined ? `; expires in ${elapsed(gate.dueAt - now, true)}` : `; becomes "${gate.default}" in ${elapsed(gate.dueAt - now, true)}`
    return [piece(`waits for you${due}`, 'warn')]
  }
  if (attempt?.waitingUntil !== undefined) {
    return [piece(`rate limit; goes on at ${timeOfDay(attempt.waitingUntil)}, `, 'dim'), piece(`in ${countdown(attempt.waitingUntil - now)}`, 'bold')]
  }
  if (node.mark === 'waiting' && node.dueAt !== undefined) {
    return [piece(`waits until ${timeOfDay(node.dueAt)}, `, 'dim'), piece(`in ${countdown(node.dueAt - now)}`, 'bold')]
  }
  if (node.breaker && node.result !== undefined) {
    return [piece(`${glyph('breaker', look)} breaker open: same failure ${node.breaker.count} times`, 'bad')]
  }
  if (node.fanout && node.result === undefined) return fanoutDetail(node, node.fanout, look)
  if (BAD.includes(node.mark) && node.failure) return [piece(node.failure.code, 'bad'), piece(`: ${cleanLine(node.failure.message)}`)]
  return [piece(plainDetail(node), 'dim')]
}

function plainDetail(node: NodeView): string {
  const parts: string[] = []
  if (node.visit > 1) parts.push(`${node.visit} visits`)
  if (node.result !== undefined && node.retryCount > 0) parts.push(counted(node.retryCount, 'retry', 'retries'))
  if (node.label !== undefined && node.note === undefined) parts.push(node.label)
  if (node.attempt?.turn !== undefined) parts.push(`turn ${node.attempt.turn}`)
  if (node.note !== undefined) parts.push(node.note)
  if (node.fanout) parts.push(`${counted(node.fanout.total ?? 0, 'branch', 'branches')}`)
  return cleanLine(parts.join('; '))
}

function queuedDetail(node: NodeView): Piece[] {
  const blocker = blockerOf(node)
  if (!blocker) return []
  const why = blocker.fanout?.total !== undefined && blocker.result === undefined
    ? `: ${blocker.id} needs all ${count(blocker.fanout.total)} branches`
    : `: ${blocker.id} failed`
  return [piece(`will be skipped${node.def?.needs.includes(blocker.id) === true ? why : ''}`, 'dim')]
}

function fanoutDetail(node: NodeView, fanout: FanoutView, look: Look): Piece[] {
  const def = node.def?.kind === 'fanout' ? node.def.fanout : undefined
  const join = def === undefined ? '' : `, join ${joinText(def.join)}`
  const bound = def?.max_parallel === undefined ? '' : `, ${def.max_parallel} at once`
  const text = fanout.total === undefined ? 'branches are being listed' : `${counted(fanout.total, 'branch', 'branches')}${join}${bound}`
  if (isWide(fanout)) return [piece(text)]
  const parts: [Mark, number][] = [['success', fanout.ok], ['failure', fanout.failed], ['waiting', fanout.waiting]]
  const counts = parts.filter(([, value]) => value > 0)
  return [piece(text), ...counts.flatMap(([mark, value]) => [piece('   '), piece(`${glyph(mark, look)} ${value}`, roleOf(mark))])]
}

function joinText(join: { readonly kind: string; readonly count?: number; readonly share?: number }): string {
  if (join.kind === 'at_least') return `at least ${join.count}`
  return join.kind === 'quorum' ? `quorum ${join.share}` : join.kind
}

const isWide = (fanout: FanoutView): boolean => (fanout.total ?? fanout.started) > LISTED_LANES

function fanoutRows(node: NodeView, fanout: FanoutView, depth: number, drawing: Drawing): TreeRow[] {
  if (isWide(fanout)) return wideRows(node, fanout, depth, drawing)
  const lanes = [...fanout.lanes.values()].sort((a, b) => a.index - b.index)
  return lanes.flatMap((lane) => laneRows(lane, depth, drawing))
}

function laneRows(lane: ScopeView, depth: number, drawing: Drawing): TreeRow[] {
  const nodes = [...lane.nodes.values()]
  const open = nodes.find((node) => isOpen(node.mark))
  const mark = laneMark(lane, open)
  const timeMs = lane.startedAt === 0 ? undefined : (lane.finishedAt ?? drawing.now) - lane.startedAt
  const broken = nodes.find((node) => node.breaker && node.result !== undefined)
  const retries = lane.spend.retries > 0 && lane.result !== undefined ? [piece(counted(lane.spend.retries, 'retry', 'retries'), 'dim')] : []
  const detail = broken?.breaker ? detailOf(broken, drawing) : retries
  const row: TreeRow = {
    depth, mark, name: lane.key ?? '', detail, timeMs, usd: lane.spend.usd, unpriced: lane.spend.unpriced,
    path: `${lane.owner?.path ?? ''}:${lane.key}`, weight: lane.result === 'success' ? 'ended' : 'open',
  }
  if (lane.result === 'success') return [row]
  return [row, ...scopeRows(lane, depth + 1, drawing).filter((inner) => inner.weight !== 'queued')]
}

function laneMark(lane: ScopeView, open: NodeView | undefined): Mark {
  if (lane.result === 'success') return 'success'
  if (lane.result === 'cancellation') return 'canceled'
  if (lane.result === 'skip') return 'skipped'
  if (lane.result !== undefined) return lane.result
  return open?.mark === 'waiting' || open?.mark === 'gate' || open?.mark === 'retrying' ? open.mark : 'running'
}

const GROUPS_SHOWN = 3

function wideRows(node: NodeView, fanout: FanoutView, depth: number, drawing: Drawing): TreeRow[] {
  const total = fanout.total ?? fanout.started
  const ended = fanout.ok + fanout.failed + fanout.canceled + fanout.skipped
  const running = Math.max(0, fanout.started - ended)
  const rows: TreeRow[] = []
  if (node.result === undefined) {
    rows.push({ depth, detail: [piece(`${count(ended)} / ${count(total)}`)], weight: 'open', bar: { ok: fanout.ok, failed: fanout.failed, running, total } })
  }
  rows.push({ depth, detail: countPieces(fanout, { running, queued: Math.max(0, total - Math.max(ended, fanout.started)) }, drawing.look), weight: 'open' })
  const groups = [...fanout.groups.values()].sort((a, b) => b.count - a.count)
  for (const group of groups.slice(0, GROUPS_SHOWN)) {
    const text = [piece(`${glyph('failure', drawing.look)} ${String(group.count).padStart(2)} ${symbol('×', 'x', drawing.look)} ${group.code}`, 'bad'),
      piece(`   ${cleanLine(group.message)}`), piece(`   first: ${group.first}`, 'dim')]
    rows.push({ depth, detail: text, weight: 'open' })
  }
  if (groups.length > GROUPS_SHOWN) rows.push({ depth, detail: [piece(`and ${counted(groups.length - GROUPS_SHOWN, 'more cause')}`, 'dim')], weight: 'open' })
  rows.push(...gateRows(fanout, depth, drawing))
  const oldest = node.result === undefined ? oldestAttempt(fanout) : undefined
  if (oldest?.attempt) rows.push(oldestRow(oldest, depth, drawing))
  return rows
}

/** Gates inside a wide fan-out: what waits for a person is never folded away, though only the first ones are named. */
function gateRows(fanout: FanoutView, depth: number, drawing: Drawing): TreeRow[] {
  const waiting = [...fanout.lanes.values()].flatMap((lane) => [...lane.nodes.values()].filter((node) => node.mark === 'gate'))
  const rows = waiting.slice(0, GROUPS_SHOWN).flatMap((node) => {
    const [head, ...rest] = nodeRows(node, depth, drawing)
    return [{ ...head!, name: `${node.inside.key}/${node.id}` }, ...rest]
  })
  const more = waiting.length - GROUPS_SHOWN
  return more > 0 ? [...rows, { depth, detail: [piece(`and ${counted(more, 'more gate')} (spanwright gate list)`, 'dim')], weight: 'open' as const }] : rows
}

function countPieces(fanout: FanoutView, more: { readonly running: number; readonly queued: number }, look: Look): Piece[] {
  const parts: [Mark, number, string][] = [
    ['success', fanout.ok, 'ok'], ['failure', fanout.failed, 'failed'], ['canceled', fanout.canceled, 'canceled'],
    ['running', more.running - fanout.waiting, 'running'], ['waiting', fanout.waiting, 'waiting'], ['queued', more.queued, 'queued'],
    ['skipped', fanout.skipped, 'skipped'], ['retrying', fanout.retried, 'retried'],
  ]
  const short = look.columns < 80
  return parts
    .filter(([mark, value]) => value > 0 || (mark !== 'canceled' && mark !== 'retrying' && mark !== 'waiting'))
    .flatMap(([mark, value, word], index) => [
      piece(index === 0 ? '' : short ? ' ' : '   '),
      piece(short ? `${glyph(mark, look)}${count(value)}` : `${glyph(mark, look)} ${count(value)} ${word}`, roleOf(mark)),
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
