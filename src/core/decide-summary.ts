// Owns: whether the reasons of a failed visit are summed up by a model, and what that gave. A summary stands beside the
// reasons; it replaces none of them and changes no result.
import { blockingBudget } from './budgets.ts'
import type { Event } from './events.ts'
import type { Failure } from './failure.ts'
import type { InputOf, Refusal } from './inputs.ts'
import type { NodeState } from './node-state.ts'
import { isFailing } from './policy.ts'
import { summaryAgentOf, type RunState } from './state.ts'
import { failuresOf } from './summed-failures.ts'
import { asText } from './template.ts'
import type { VisitOutcome } from './visit-outcome.ts'

const LONG_CHARS = 1_000
const TEXT_CHARS = 4_000
const TAILS = ['stderr_tail', 'output_tail', 'tail', 'stdout_tail']
/** Nobody has to be told in other words why these ended. */
const PLAIN = ['human', 'budget', 'skip']

/** Only for attempts that failed for good, with long reasons or different ones; never after a stop or without money. */
export function decideSummary(state: RunState, node: NodeState, outcome: VisitOutcome): Event | undefined {
  if (!summaryAgentOf(node.scope) || node.summary || !node.attempt) return undefined
  const { failure } = outcome
  if (!failure || !isFailing(outcome.result) || outcome.route || PLAIN.includes(failure.class)) return undefined
  if (state.cancel || node.stop || blockingBudget(state, node)) return undefined
  const failures = failuresOf(node, failure)
  const differ = new Set(failures.map(({ signature }) => signature)).size > 1
  if (!differ && !failures.some(isLong)) return undefined
  return { type: 'summary.started', node: node.path, visit: node.visits, failure }
}

const isLong = (failure: Failure): boolean =>
  failure.message.length >= LONG_CHARS ||
  TAILS.some((key) => asText(failure.details?.[key] ?? null).length > LONG_CHARS) ||
  (failure.causes ?? []).some(isLong)

export function decideSummaryOutcome(state: RunState, input: InputOf<'summary.outcome'>): Event[] | Refusal {
  const command = state.commands.get(input.id)
  if (command?.kind !== 'summary') return { refused: 'stale', message: `${input.id} has ended` }
  const { node, visit } = command.place
  const text = input.text?.trim() ?? ''
  const base = {
    node,
    visit,
    ...(input.model !== undefined && { model: input.model }),
    ...(input.usage && { usage: input.usage }),
    ...(input.cost && { cost: input.cost }),
  }
  if (text === '') return [{ type: 'summary.failed', ...base }]
  return [{ type: 'failure.summarized', ...base, text: text.slice(0, TEXT_CHARS) }]
}
