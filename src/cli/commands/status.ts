// Owns: `status`: what runs now, what waits for a person, what was lost. With a RUN: that run, folded to what is open.
import type { CommandFunction, Invocation } from '../command-table.ts'
import { treeRows } from '../live/rows.ts'
import { openRun, openStore, storeOption } from '../open-store.ts'
import type { Output } from '../output.ts'
import { runFacts, runJson, unlessDamaged, viewOf } from '../run-report.ts'
import { shortId } from '../store-path.ts'
import { elapsed } from '../terminal/amounts.ts'
import { glyphPiece, line, piece, type Look } from '../terminal/style.ts'
import type { RunView } from '../live/run-view.ts'
import type { Store } from '../../journal/store.ts'
import { heading } from './show.ts'

export const status: CommandFunction = async (invocation) => {
  const { args, options, output } = invocation
  if (args[0] !== undefined) {
    const { store, runId } = await openRun(invocation)
    return printRuns(store, [runId], { options, output, single: true })
  }
  const store = await openStore(options)
  const isOpen = (id: string): boolean => store.readFinal(id) === undefined
  const open = store.list().filter((id) => unlessDamaged(id, output, () => isOpen(id)) === true)
  if (open.length === 0 && options['json'] !== true) {
    output.say(`Nothing runs in ${store.directory}. Ended runs: spanwright runs${storeOption(options)}`)
    return 0
  }
  return printRuns(store, open, { options, output, single: false })
}

interface Printing {
  readonly options: Invocation['options']
  readonly output: Output
  readonly single: boolean
}

function printRuns(store: Store, ids: readonly string[], { options, output, single }: Printing): number {
  const all = store.list()
  const documents: object[] = []
  for (const [index, runId] of ids.entries()) {
    const read = () => ({ facts: runFacts(store, runId), view: viewOf(store, runId) })
    const found = single ? read() : unlessDamaged(runId, output, read)
    if (!found) continue
    const { facts, view } = found
    const now = facts.condition === 'running' ? Date.now() : view.lastAt
    if (options['json'] === true) documents.push({ ...runJson(facts, now), ...openJson(view, now) })
    else {
      if (index > 0) output.result('')
      output.result(
        ...heading({ facts, view, now, short: shortId(runId, all), isOverTree: true }, output.look),
        ...openRows(view, now, output.look),
      )
    }
  }
  if (options['json'] === true) output.json(single ? documents[0] : documents)
  return 0
}

function openJson(view: RunView, now: number): object {
  const attempts = [...view.running.values()].map((node) => ({
    attempt_id: node.attempt?.id,
    node: node.path,
    state: node.mark,
    elapsed_ms: Math.round(now - (node.attempt?.startedAt ?? now)),
  }))
  const gates = [...view.gates.values()].map(({ path, question, choices, questions, default: fallback, dueAt }) => ({
    node: path,
    question,
    choices,
    questions,
    default: fallback ?? null,
    due_at: dueAt === undefined ? null : new Date(dueAt).toISOString(),
  }))
  return { open_attempts: attempts, gates }
}

function openRows(view: RunView, now: number, look: Look): string[] {
  if (view.phase === 'ended' || view.phase === 'interrupted') return []
  return treeRows(view, { look, now }).flatMap((row) => {
    if (row.weight === 'output' || row.bar) return []
    const indent = piece(` ${'  '.repeat(row.depth)}`)
    const time = row.timeMs === undefined ? [] : [piece(elapsed(row.timeMs), 'dim')]
    if (row.name === undefined) return [line([indent, ...row.detail], time, look)]
    const mark = row.mark ? glyphPiece(row.mark, look) : piece(' ')
    return [line([indent, mark, piece(` ${row.name}${row.tag ? ` ${row.tag}` : ''}   `), ...row.detail], time, look)]
  })
}
