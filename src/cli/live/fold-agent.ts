// Owns: what the view keeps of agents: who works on a node, in which conversation, what it does right now.
import type { EventOf } from '../../core/events.ts'
import type { Cost, Session } from '../../core/outcome.ts'
import type { AgentView, AttemptView, NodeView } from './run-view.ts'

/** Who does the attempt that starts; steps that are no agents have none until they report usage. */
export function startAgent(node: NodeView, event: EventOf<'attempt.started'>): void {
  const before = node.agent
  if (event.agent === undefined && before === undefined) return
  node.agent = {
    name: event.agent ?? before?.name,
    model: event.model ?? (event.agent === before?.name ? before?.model : undefined),
    chosen: event.chosen,
    session: before?.session,
    sources: before?.sources ?? new Set(),
    source: undefined,
  }
  if (before?.source) node.agent.sources.add(before.source)
}

/** What an attempt says of itself: its model, its conversation, where its cost comes from. */
export function learnAgent(
  node: NodeView,
  told: {
    readonly usage?: { readonly model?: string | undefined } | undefined
    readonly cost?: Cost | undefined
    readonly session?: Session | undefined
  },
): void {
  const { usage, cost, session } = told
  if (!usage && !cost && !session) return
  node.agent ??= {
    name: undefined,
    model: undefined,
    chosen: undefined,
    session: undefined,
    sources: new Set(),
    source: undefined,
  }
  node.agent.model = usage?.model ?? node.agent.model
  node.agent.session = session?.id ?? node.agent.session
  if (cost) node.agent.source = cost.unpriced === true ? 'partly unknown' : cost.source
}

/** Where the cost of all attempts comes from, in words; undefined when nothing was paid for. */
export function costSource(agent: AgentView | undefined): string | undefined {
  if (!agent) return undefined
  const sources = new Set(agent.sources)
  if (agent.source) sources.add(agent.source)
  if (sources.size < 2) return [...sources][0]
  if (sources.has('unknown') || sources.has('partly unknown')) return 'partly unknown'
  return 'reported and computed'
}

export function startTool(attempt: AttemptView, event: EventOf<'tool.started'>): void {
  attempt.tools.set(event.call_id, event.tool)
}
export function finishTool(attempt: AttemptView, event: EventOf<'tool.finished'>): void {
  attempt.tools.delete(event.call_id)
}

/** The tool that it uses, else that it thinks; undefined once its main action is over. */
export function activityOf(attempt: AttemptView): string | undefined {
  if (attempt.acted) return undefined
  const tools = [...attempt.tools.values()]
  if (tools.length === 0) return 'thinking'
  return tools.length === 1 ? tools[0] : `${tools.at(-1)} and ${tools.length - 1} more`
}
