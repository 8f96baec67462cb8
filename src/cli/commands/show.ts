// Owns: `show`: result, original cause, spend and every node of a run, ended or not.
import { originalCause } from '../../core/failure.ts'
import type { CommandFunction } from '../command-table.ts'
import { causeChain, shortMessage } from '../cause.ts'
import { budgetUsed } from '../live/render-live.ts'
import type { NodeView, RunView, ScopeView } from '../live/run-view.ts'
import { openRun } from '../open-store.ts'
import { conditionText, resultWord, runFacts, runJson, viewOf, type RunFacts } from '../run-report.ts'
import { gateQuestion, questionLines } from '../agent-words.ts'
import { agentTable } from '../show-agents.ts'
import { nodesJson, SHOW_COLUMNS, showRows } from '../show-rows.ts'
import { shortId } from '../store-path.ts'
import { count, counted, elapsed, spend, timeOfDay, tokens } from '../terminal/amounts.ts'
import { glyph, line, markOf, paint, piece, roleOf, type Look } from '../terminal/style.ts'
import { table } from '../terminal/table.ts'
import { cleanLine, cut } from '../terminal/text.ts'

export const show: CommandFunction = async ({ args, options, output }) => {
  const { store, runId } = await openRun({ args, options })
  const facts = runFacts(store, runId)
  const all = options['all'] === true
  const view = viewOf(store, runId, { keepAll: all || options['json'] === true })
  const now = facts.condition === 'running' ? Date.now() : view.lastAt
  if (options['json'] === true) {
    const spent = view.root.spend
    output.json({
      ...runJson(facts, now),
      hook_failures: facts.final?.hook_failures ?? [],
      spend: {
        attempts: spent.attempts,
        retries: spent.retries,
        turns: spent.turns,
        tokens: { input: spent.input, cache_read: spent.cacheRead, output: spent.output },
        cost_usd: spent.usd,
        cost_unpriced: spent.unpriced,
      },
      gates: [...view.gates.values()].map(({ path, question, choices, questions }) => ({
        node: path,
        question,
        choices,
        questions,
      })),
      ...nodesJson(view, now),
    })
    return 0
  }
  const rows = showRows(view, { look: output.look, now, all })
  const agents = agentTable(view, { look: output.look, all })
  output.result(
    ...heading({ facts, view, now, short: shortId(runId, store.list()) }, output.look),
    '',
    ...table(SHOW_COLUMNS, rows, output.look),
    ...(agents.length > 0 ? ['', ...agents] : []),
  )
  return 0
}

interface Headed {
  readonly facts: RunFacts
  readonly view: RunView
  readonly now: number
  readonly short: string
  /** The tree below shows what agents ask. */
  readonly isOverTree?: boolean
}

/** Run, cause, what waits, spend: the order of every view. */
export function heading({ facts, view, now, short, isOverTree = false }: Headed, look: Look): string[] {
  const { final } = facts
  const wide = look.columns >= 80
  const mark = final ? markOf(final.result) : facts.condition === 'lost' ? 'error' : 'running'
  const state = final ? resultWord(final.result) : conditionText(facts, view)
  const ran = elapsed(final?.duration_ms ?? now - view.startedAt, !wide)
  const started = wide ? `   started ${timeOfDay(view.startedAt)}, ${final ? `took ${ran}` : `${ran} ago`}` : ''
  const lines = [
    line(
      [
        piece(' '),
        piece(cleanLine(view.name), 'bold'),
        piece(wide ? '   ' : ' '),
        piece(wide ? facts.runId : short, 'dim'),
        piece('   '),
        piece(`${glyph(mark, look)} ${state}`, roleOf(mark)),
        piece(started),
      ],
      wide ? [] : [piece(ran)],
      look,
    ),
    ...causeLines(facts, view, look),
    ...summaryLines(view, look),
  ]
  for (const gate of [...view.gates.values()].slice(0, 3)) {
    lines.push(
      line(
        [
          piece(' waits   ', 'dim'),
          piece(`${gate.path}: ${gateQuestion(gate)}`, 'warn'),
          piece(`  spanwright gate answer ${short} ${gate.path} ${gate.choices.join('|')}`),
        ],
        [],
        look,
      ),
      ...questionLines(isOverTree ? [] : gate.questions, look, look.columns - 9).map((text) =>
        line([piece(`         ${text}`)], [], look),
      ),
    )
  }
  const sums = spendText(view)
  return sums === '' ? lines : [...lines, paint([piece(' spend   ', 'dim'), piece(sums)], look)]
}

function causeLines(facts: RunFacts, view: RunView, look: Look): string[] {
  const failure = facts.final?.failure ?? view.failure ?? firstFailure(view)
  const hooks = facts.final?.hook_failures ?? []
  const lines: string[] = []
  if (failure) {
    const [origin] = causeChain(failure, facts.final?.nodes ?? [])
    const cause = originalCause(failure)
    const room = look.columns - 9
    lines.push(
      line(
        [
          piece(' cause   ', 'dim'),
          piece(cause.code, 'bad'),
          piece(`  ${origin && origin.where !== 'run' ? `${origin.where}  ` : ''}`),
          piece(cut(shortMessage(cause), room, look.ascii)),
        ],
        [],
        look,
      ),
    )
  }
  for (const hook of hooks.slice(0, 3)) {
    lines.push(
      line(
        [
          piece(' hook    ', 'dim'),
          piece(`${hook.node ?? 'run'} ${hook.hook} failed`, 'bad'),
          piece(`  ${shortMessage(originalCause(hook.failure))}`),
        ],
        [],
        look,
      ),
    )
  }
  return lines
}

const SUMMARIES = 3

/** What a model wrote about failures: beside the causes, never in their place. */
function summaryLines(view: RunView, look: Look): string[] {
  const told = [...summarized(view.root)].slice(0, SUMMARIES)
  return told.map(({ path, summary }) =>
    line(
      [piece(' summary ', 'dim'), piece('(generated) ', 'dim'), piece(`${path}  ${cleanLine(summary ?? '')}`)],
      [],
      look,
    ),
  )
}

function* summarized(scope: ScopeView): Generator<NodeView> {
  for (const node of scope.nodes.values()) {
    if (node.summary !== undefined && node.result !== 'success') yield node
    if (node.inner) yield* summarized(node.inner)
    for (const lane of node.fanout?.lanes.values() ?? []) yield* summarized(lane)
  }
}

/** Of a run that is not ended: the first node that failed and was not tolerated. */
function firstFailure(view: RunView): RunView['failure'] {
  for (const node of view.root.nodes.values()) {
    if (node.failure && node.result !== 'skip' && !node.tolerated && !node.routed) return node.failure
    const lane = [...(node.fanout?.lanes.values() ?? [])].find(
      ({ failure, result }) => failure && result !== 'cancellation',
    )
    if (lane) return lane.failure
  }
  return undefined
}

function spendText(view: RunView): string {
  const sums = view.root.spend
  const money = spend(sums.usd, sums.unpriced)
  const budget = budgetUsed(view)
  const cached =
    sums.input > 0 && sums.cacheRead > 0 ? ` (${Math.round((sums.cacheRead / sums.input) * 100)} % cache)` : ''
  return [
    [money, budget && `${Math.round(budget.share * 100)} % of ${budget.limit}`]
      .filter((part) => part !== undefined && part !== '')
      .join(', '),
    sums.input > 0 ? `${tokens(sums.input)} in${cached}, ${tokens(sums.output)} out` : '',
    sums.attempts > 0
      ? `${counted(sums.attempts, 'attempt')}${sums.retries > 0 ? `, ${count(sums.retries)} of them ${sums.retries === 1 ? 'a retry' : 'retries'}` : ''}`
      : '',
  ]
    .filter((part) => part !== '')
    .join('   ')
}
