// Owns: who worked on the nodes of a run, as table rows and as JSON: agent, model, turns, tokens, cost with its source, the
// conversation. Also of steps that are no agents and reported usage. Pure.
import { agentName, tokensUsed } from './agent-words.ts'
import { costSource } from './live/fold-agent.ts'
import type { NodeView, RunView, ScopeView } from './live/run-view.ts'
import { usd } from './terminal/amounts.ts'
import type { Look } from './terminal/style.ts'
import { table, type Row } from './terminal/table.ts'
import { cleanLine } from './terminal/text.ts'

const COLUMNS = [
  { title: '' },
  { title: 'NODE', shrink: true },
  { title: 'AGENT' },
  { title: 'TURNS', align: 'right' },
  { title: 'TOKENS' },
  { title: 'COST', align: 'right' },
  { title: 'SOURCE' },
  { title: 'SESSION' },
] as const
/** Below this, ids of conversations are left out: a part of one is of no use. */
const SESSION_COLUMNS = 120

const ROWS = 40

/** A row per node that has an agent or reported usage; the first 40, unless `all`. Nothing on a narrow terminal. */
export function agentTable(view: RunView, options: { readonly look: Look; readonly all: boolean }): string[] {
  const columns = options.look.columns < SESSION_COLUMNS ? COLUMNS.slice(0, -1) : COLUMNS
  return table(columns, agentRows(view, options), options.look)
}

function agentRows(view: RunView, { look, all }: { readonly look: Look; readonly all: boolean }): Row[] {
  if (look.columns < 80) return []
  const nodes = [...workedOn(view.root)]
  const shown = all ? nodes : nodes.slice(0, ROWS)
  const rows = shown.map((node): Row => {
    const { agent, spend } = node
    return [
      ' ',
      node.path,
      agentName(agent ?? {}, look) || node.kind,
      spend.turns > 0 ? String(spend.turns) : '',
      tokensUsed(spend, look),
      spend.usd > 0 ? usd(spend.usd) : spend.unpriced > 0 ? 'unpriced' : '',
      costSource(agent) ?? '',
      { text: cleanLine(agent?.session ?? ''), roles: ['dim'] },
    ]
  })
  return shown.length < nodes.length ? [...rows, [' ', `${nodes.length - shown.length} more (--all)`]] : rows
}

function* workedOn(scope: ScopeView): Generator<NodeView> {
  for (const node of scope.nodes.values()) {
    if (node.agent) yield node
    if (node.inner) yield* workedOn(node.inner)
    for (const lane of node.fanout?.lanes.values() ?? []) yield* workedOn(lane)
  }
}

/** What `show --json` says of it; null where there is nothing to say. */
export function agentJson({ agent, spend, summary }: NodeView): object {
  return {
    agent: agent?.name ?? null,
    model: agent?.model ?? null,
    chosen: agent?.chosen ?? null,
    session: agent?.session ?? null,
    turns: spend.turns,
    tokens: { input: spend.input, cache_read: spend.cacheRead, output: spend.output },
    cost_source: costSource(agent) ?? null,
    summary_generated: summary ?? null,
  }
}
