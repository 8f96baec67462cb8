// Owns: which rows the tree of a run has: nodes that run, wait or failed, finished neighbours folded, wide fan-outs as
// counts, never one row per branch above 8. Pure. Must not: know widths or colours beyond roles (render-live.ts draws).
import { counted } from '../terminal/amounts.ts'
import { piece, type Mark } from '../terminal/style.ts'
import { cleanLine } from '../terminal/text.ts'
import { shortMessage } from '../cause.ts'
import { BAD, detailOf, gatePieces, isOpen, isWide, questionRows, type Drawing, type TreeRow } from './row-detail.ts'
import type { FanoutView, NodeView, RunView, ScopeView } from './run-view.ts'
import { blockedIn } from './verdict.ts'
import { wideRows } from './wide-rows.ts'

/** The rows of a run. */
export const treeRows = (view: RunView, drawing: Drawing): TreeRow[] => scopeRows(view.root, 0, drawing)

function scopeRows(scope: ScopeView, depth: number, around: Drawing): TreeRow[] {
  const drawing = { ...around, blocked: blockedIn(scope) }
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
  if (mark === 'skipped')
    return { depth, mark, name: `${counted(group.length, 'node')} skipped`, detail: [], weight: 'ended' }
  const starts = group.map((node) => node.startedAt ?? 0)
  const ends = group.map((node) => node.finishedAt ?? 0)
  return {
    depth,
    mark,
    name: `${counted(group.length, 'node')} finished`,
    detail: [],
    weight: 'ended',
    timeMs: Math.max(...ends) - Math.min(...starts),
    usd: sum((node) => node.spend.usd),
    unpriced: sum((node) => node.spend.unpriced),
  }
}

function queuedRows(group: readonly NodeView[], depth: number, drawing: Drawing): TreeRow[] {
  const blocked = group.filter((node) => drawing.blocked?.has(node))
  const waiting = group.filter((node) => !drawing.blocked?.has(node))
  if (group.length <= 3) return group.flatMap((node) => nodeRows(node, depth, drawing))
  const row = (nodes: readonly NodeView[], what: string): TreeRow[] =>
    nodes.length === 0
      ? []
      : [{ depth, mark: 'queued', name: `${counted(nodes.length, 'node')} ${what}`, detail: [], weight: 'queued' }]
  return [...row(waiting, 'queued'), ...row(blocked, 'will be skipped')]
}

function nodeRows(node: NodeView, depth: number, drawing: Drawing): TreeRow[] {
  const { now } = drawing
  const weight = node.mark === 'queued' ? 'queued' : isOpen(node.mark) || BAD.includes(node.mark) ? 'open' : 'ended'
  const timeMs =
    node.startedAt === undefined || node.mark === 'skipped' ? undefined : (node.finishedAt ?? now) - node.startedAt
  const head: TreeRow = {
    depth,
    mark: node.mark,
    name: node.id,
    detail: detailOf(node, drawing),
    timeMs,
    usd: node.spend.usd,
    unpriced: node.spend.unpriced,
    path: node.path,
    weight,
    ...(node.attempt && isOpen(node.mark) ? { tag: tagOf(node) } : {}),
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
    const { code } = node.retry.failure
    const text = [
      piece(`attempt ${node.retry.next - 1} failed  `, 'dim'),
      piece(code, 'bad'),
      piece(`: ${shortMessage(node.retry.failure)}`, 'dim'),
    ]
    return [{ depth: depth + 1, detail: text, weight: 'output' }]
  }
  if (node.gate)
    return [
      ...questionRows(node, depth + 1, drawing.look),
      { depth: depth + 1, detail: gatePieces(node), weight: 'open' },
    ]
  const text = node.mark === 'running' ? node.attempt?.text : tailOf(node)
  if (text === undefined || text.trim() === '') return []
  const last = cleanLine(
    text
      .trimEnd()
      .split(/[\r\n]/)
      .at(-1) ?? '',
  )
  return last === ''
    ? []
    : [{ depth: depth + 1, detail: [piece(node.mark === 'running' ? `> ${last}` : last, 'dim')], weight: 'output' }]
}

/** Last line that a failed attempt said. */
function tailOf(node: NodeView): string | undefined {
  if (!BAD.includes(node.mark)) return undefined
  const details = node.failure?.details ?? {}
  const tail = details['stderr_tail'] || details['stdout_tail'] || details['tail'] || details['final_text']
  return typeof tail === 'string' ? tail : undefined
}

function fanoutRows(node: NodeView, fanout: FanoutView, depth: number, drawing: Drawing): TreeRow[] {
  if (isWide(fanout))
    return wideRows({ node, fanout, depth, rowsOf: (inner) => nodeRows(inner, depth, drawing) }, drawing)
  const lanes = [...fanout.lanes.values()].sort((a, b) => a.index - b.index)
  return lanes.flatMap((lane) => laneRows(lane, depth, drawing))
}

function laneRows(lane: ScopeView, depth: number, drawing: Drawing): TreeRow[] {
  const nodes = [...lane.nodes.values()]
  const open = nodes.find((node) => isOpen(node.mark))
  const mark = laneMark(lane, open)
  const timeMs = lane.startedAt === 0 ? undefined : (lane.finishedAt ?? drawing.now) - lane.startedAt
  const broken = nodes.find((node) => node.breaker && node.result !== undefined)
  const retries =
    lane.spend.retries > 0 && lane.result !== undefined
      ? [piece(counted(lane.spend.retries, 'retry', 'retries'), 'dim')]
      : []
  const detail = broken?.breaker ? detailOf(broken, drawing) : retries
  const row: TreeRow = {
    depth,
    mark,
    name: lane.key ?? '',
    detail,
    timeMs,
    usd: lane.spend.usd,
    unpriced: lane.spend.unpriced,
    path: `${lane.owner?.path ?? ''}:${lane.key}`,
    weight: lane.result === 'success' ? 'ended' : 'open',
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
