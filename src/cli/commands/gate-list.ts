// Owns: `gate list`: the gates that wait for an answer, of every run that is not ended.
import type { CommandFunction } from '../command-table.ts'
import { openStore } from '../open-store.ts'
import { gateQuestion, questionLines } from '../agent-words.ts'
import type { GateView } from '../live/run-view.ts'
import { runFacts, unlessDamaged, viewOf, type RunFacts } from '../run-report.ts'
import { shortId } from '../store-path.ts'
import { elapsed } from '../terminal/amounts.ts'
import { line, piece } from '../terminal/style.ts'
import { table } from '../terminal/table.ts'

const COLUMNS = [
  { title: 'RUN' },
  { title: 'NODE', shrink: true },
  { title: 'QUESTION', shrink: true },
  { title: 'CHOICES' },
  { title: 'WAITS', align: 'right' },
  { title: 'THEN' },
] as const

export const gateList: CommandFunction = async ({ options, output }) => {
  const store = await openStore(options)
  const ids = store.list()
  const now = Date.now()
  const gatesOf = (runId: string) => {
    if (store.readFinal(runId)) return []
    const facts = runFacts(store, runId)
    return [...viewOf(store, runId).gates.values()].map((gate) => ({ facts, gate }))
  }
  const open = ids.flatMap((runId) => unlessDamaged(runId, output, () => gatesOf(runId)) ?? [])
  if (options['json'] === true) {
    output.json(
      open.map(({ facts, gate }) => ({
        run_id: facts.runId,
        pipeline: facts.identity.pipeline.name,
        state: facts.condition,
        node: gate.path,
        question: gate.question,
        choices: gate.choices,
        questions: gate.questions,
        default: gate.default ?? null,
        opened_at: new Date(gate.openedAt).toISOString(),
        due_at: gate.dueAt === undefined ? null : new Date(gate.dueAt).toISOString(),
      })),
    )
    return 0
  }
  if (open.length === 0) output.say(`No gate waits for an answer in ${store.directory}.`)
  /** What an agent asks, and how it is told. */
  const asked = (facts: RunFacts, gate: GateView): string[] => {
    if (gate.questions.length === 0) return []
    const short = shortId(facts.runId, ids)
    const answer = `spanwright gate answer ${short} ${gate.path} ${gate.choices[0] ?? 'CHOICE'} --comment "…"`
    return [
      '',
      line([piece(`${short}  ${gate.path} asks`, 'bold')], [], output.look),
      ...questionLines(gate.questions, output.look, output.look.columns - 2).map((text) => `  ${text}`),
      `  answer in your words: ${answer}`,
    ]
  }
  const rows = open.map(({ facts, gate }) => [
    shortId(facts.runId, ids),
    gate.path,
    gateQuestion(gate),
    gate.choices.join('|'),
    elapsed(now - gate.openedAt),
    gate.dueAt === undefined ? '' : `${gate.default ?? 'expires'} in ${elapsed(gate.dueAt - now, true)}`,
  ])
  output.result(...table(COLUMNS, rows, output.look), ...open.flatMap(({ facts, gate }) => asked(facts, gate)))
  return 0
}
