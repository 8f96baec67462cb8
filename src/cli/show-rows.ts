// Owns: the nodes of a run as table rows and as JSON, from the view model: what ended well inside wide fan-outs folds to
// one row, what failed or is open stands by itself.
import { timeOfDay, elapsed, usd, counted } from './terminal/amounts.ts'
import { glyphPiece, roleOf, type Look, type Mark } from './terminal/style.ts'
import type { Cell, Row } from './terminal/table.ts'
import { cleanLine } from './terminal/text.ts'
import { LIMITS } from '../core/limits.ts'
import { type FanoutView, type NodeView, type RunView, type ScopeView, type Spend } from './live/run-view.ts'
import { blockedIn } from './live/verdict.ts'
import { resultWord } from './run-report.ts'
import { agentJson } from './show-agents.ts'

export const SHOW_COLUMNS = [
  { title: '' },
  { title: 'NODE', shrink: true },
  { title: 'STATE', shrink: true },
  { title: 'VISITS', align: 'right' },
  { title: 'TRIES', align: 'right' },
  { title: 'TIME', align: 'right' },
  { title: 'COST', align: 'right' },
] as const

interface Shown {
  readonly mark: Mark
  readonly name: string
  readonly state: string
  readonly visits?: number
  readonly spend?: Spend
  readonly timeMs?: number | undefined
  /** Ended well and needed no second try: may fold. */
  readonly plain: boolean
}

export interface ShowOptions {
  readonly look: Look
  readonly now: number
  /** Every node of every branch. */
  readonly all: boolean
}

interface Showing extends ShowOptions {
  /** Queued nodes of the scope that can no longer start. */
  readonly blocked?: ReadonlyMap<NodeView, NodeView>
  /** The run is over: what did not start was not reached. */
  readonly over: boolean
}

const ROWS_BEFORE_FOLDING = 40

/** Rows of the table. More than 40: what ended well folds. */
export function showRows(view: RunView, options: ShowOptions): Row[] {
  const over = view.phase === 'ended' || view.phase === 'interrupted'
  const rows = scopeRows(view.root, '', { ...options, over })
  const folded = !options.all && rows.length > ROWS_BEFORE_FOLDING ? foldPlain(rows) : rows
  return folded.map((row) => cells(row, options.look))
}

function foldPlain(rows: readonly Shown[]): Shown[] {
  const kept: Shown[] = []
  let left = 0
  for (const row of rows) {
    if (row.plain) left++
    else kept.push(row)
  }
  return [...kept, { mark: 'success', name: `${left} more (--all)`, state: '', plain: true }]
}

function cells(row: Shown, look: Look): Row {
  const { spend } = row
  const bad = row.mark === 'failure' || row.mark === 'error' || row.mark === 'timeout' || row.mark === 'breaker'
  const mark = glyphPiece(row.mark, look)
  const cost = spend === undefined ? '' : spend.usd > 0 ? usd(spend.usd) : spend.unpriced > 0 ? 'unpriced' : ''
  const tries: Cell = {
    text: spend && spend.attempts > 0 ? String(spend.attempts) : '',
    ...(spend && spend.retries > 0 ? { roles: ['warn'] as const } : {}),
  }
  return [
    { text: ` ${mark.text}`, roles: mark.roles ?? [] },
    row.name,
    { text: row.state, roles: bad ? ['bad'] : [roleOf(row.mark)] },
    row.visits === undefined || row.visits === 0 ? '' : String(row.visits),
    tries,
    row.timeMs === undefined ? '' : elapsed(row.timeMs),
    { text: cost, roles: ['dim'] },
  ]
}

function scopeRows(scope: ScopeView, lead: string, options: Omit<Showing, 'blocked'>): Shown[] {
  const showing: Showing = { ...options, blocked: blockedIn(scope) }
  return [...scope.nodes.values()].flatMap((node) => nodeRows(node, lead, showing))
}

function nodeRows(node: NodeView, lead: string, options: Showing): Shown[] {
  const timeMs =
    node.startedAt === undefined || node.mark === 'skipped'
      ? undefined
      : (node.finishedAt ?? options.now) - node.startedAt
  const own: Shown = {
    mark: node.mark === 'queued' && options.over ? 'skipped' : node.mark,
    name: lead + node.id,
    state: stateOf(node, options),
    visits: node.visit,
    spend: node.spend,
    timeMs,
    plain: node.result === 'success' && node.spend.retries === 0 && node.visit < 2,
  }
  const inner = lead === '' ? '  ' : lead
  if (node.fanout) return [own, ...fanoutRows(node.fanout, inner, options)]
  if (node.inner) return [own, ...scopeRows(node.inner, `${inner}${node.id}/`, options)]
  return [own]
}

function fanoutRows(fanout: FanoutView, lead: string, options: Showing): Shown[] {
  const lanes = [...fanout.lanes.values()].sort((a, b) => a.index - b.index)
  const rows = lanes.flatMap((lane) => laneRows(lane, lead, options))
  const hidden =
    fanout.ok +
    fanout.failed +
    fanout.canceled +
    fanout.skipped -
    lanes.filter(({ result }) => result !== undefined).length
  if (hidden <= 0) return rows
  return [
    ...rows,
    {
      mark: 'success',
      name: `${lead}${counted(hidden, 'more branch', 'more branches')} (--all)`,
      state: '',
      plain: false,
    },
  ]
}

function laneRows(lane: ScopeView, lead: string, options: Showing): Shown[] {
  const timeMs = lane.startedAt === 0 ? undefined : (lane.finishedAt ?? options.now) - lane.startedAt
  const retries = lane.spend.retries > 0 ? `success ${counted(lane.spend.retries, 'retry', 'retries')}` : 'success'
  const own: Shown = {
    mark: 'success',
    name: `${lead}${lane.key}`,
    state: retries,
    spend: lane.spend,
    timeMs,
    plain: lane.spend.retries === 0,
  }
  if (lane.result === 'success' && !options.all) return [own]
  const inside = scopeRows(lane, `${lead}${lane.key}/`, options)
  if (lane.result === 'success') return [own, ...inside]
  const telling = options.all ? inside : inside.filter(({ plain }) => !plain)
  if (telling.length > 0) return telling
  const state = lane.result === undefined ? (options.over ? 'lost' : 'running') : resultWord(lane.result)
  return [
    {
      ...own,
      mark:
        lane.result === undefined
          ? 'running'
          : lane.result === 'cancellation'
            ? 'canceled'
            : lane.result === 'skip'
              ? 'skipped'
              : lane.result,
      state,
      plain: false,
    },
  ]
}

/** The word of a state, and what is worth knowing besides. */
function stateOf(node: NodeView, options: Showing): string {
  if (node.mark === 'queued' && options.over) return 'not reached'
  if (node.mark === 'queued') return options.blocked?.has(node) === true ? 'will be skipped' : 'queued'
  if (node.mark === 'retrying') return `retrying, attempt ${node.retry?.next} of ${node.retry?.max}`
  if (node.mark === 'gate') return 'waits for an answer'
  if (node.mark === 'waiting') return `waits until ${timeOfDay(node.attempt?.waitingUntil ?? node.dueAt ?? 0)}`
  if (node.mark === 'running') return node.fanout ? `running ${laneCounts(node.fanout)}` : 'running'
  if (node.mark === 'skipped') return `skipped ${node.failure?.code ?? ''}`.trim()
  if (node.result === 'success') {
    const parts = [
      node.note?.startsWith(node.label ?? '\0') === true ? undefined : node.label,
      node.spend.retries > 0 && !node.fanout ? counted(node.spend.retries, 'retry', 'retries') : undefined,
      node.fanout && laneCounts(node.fanout),
      node.note,
    ]
    return cleanLine(
      ['success', ...parts.filter((part) => part !== undefined && part !== '')].join(', ').replace(', ', ' '),
    )
  }
  const code = node.failure?.code ?? (node.result ? resultWord(node.result) : '')
  return `${code}${node.fanout ? ` ${laneCounts(node.fanout)}` : ''}${node.tolerated ? ' (allowed)' : ''}`
}

function laneCounts(fanout: FanoutView): string {
  const parts: [number, string][] = [
    [fanout.ok, 'ok'],
    [fanout.failed, 'failed'],
    [fanout.canceled, 'canceled'],
    [fanout.skipped, 'skipped'],
  ]
  return parts
    .filter(([value]) => value > 0)
    .map(([value, word]) => `${value} ${word}`)
    .join(', ')
}

/** Nodes as JSON, branches and child pipelines included; the first 1,000, in order of the pipeline. */
export function nodesJson(
  view: RunView,
  now: number,
): { readonly nodes: readonly object[]; readonly node_count: number } {
  const nodes: object[] = []
  let seen = 0
  const visit = (scope: ScopeView): void => {
    for (const node of scope.nodes.values()) {
      seen++
      if (nodes.length < LIMITS.finalNodes) nodes.push(nodeJson(node, now))
      if (node.inner) visit(node.inner)
      for (const lane of node.fanout ? [...node.fanout.lanes.values()].sort((a, b) => a.index - b.index) : [])
        visit(lane)
    }
  }
  visit(view.root)
  return { nodes, node_count: seen }
}

function nodeJson(node: NodeView, now: number): object {
  const { fanout } = node
  return {
    path: node.path,
    kind: node.kind,
    state: node.result ?? node.mark,
    result: node.result ?? null,
    visits: node.visit,
    attempts: node.spend.attempts,
    retries: node.spend.retries,
    label: node.label ?? null,
    started_at: node.startedAt === undefined ? null : new Date(node.startedAt).toISOString(),
    duration_ms: node.startedAt === undefined ? null : Math.round((node.finishedAt ?? now) - node.startedAt),
    failure: node.failure ?? null,
    tolerated: node.tolerated,
    cost_usd: node.spend.usd,
    cost_unpriced: node.spend.unpriced,
    ...agentJson(node),
    ...(fanout
      ? {
          branches: {
            total: fanout.total ?? fanout.started,
            success: fanout.ok,
            failed: fanout.failed,
            canceled: fanout.canceled,
            skipped: fanout.skipped,
            retried: fanout.retried,
          },
        }
      : {}),
  }
}
