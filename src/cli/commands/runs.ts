// Owns: `runs`: the runs of a store, newest first, each with its reason, so that the list alone answers why.
import { originalCause } from '../../core/failure.ts'
import { fromTimestamp } from '../../core/time.ts'
import { shortMessage } from '../cause.ts'
import type { CommandFunction } from '../command-table.ts'
import { readCount, readLabels } from '../key-values.ts'
import { openStore, storeOption } from '../open-store.ts'
import { resultWord, runFacts, runJson, unlessDamaged, type RunFacts } from '../run-report.ts'
import { shortId } from '../store-path.ts'
import { elapsed } from '../terminal/amounts.ts'
import { glyph, markOf, roleOf, type Look } from '../terminal/style.ts'
import { table, type Row } from '../terminal/table.ts'
import { cleanLine } from '../terminal/text.ts'

const DEFAULT_LIMIT = 20

export const runs: CommandFunction = async ({ options, output }) => {
  const store = await openStore(options)
  const labels = Object.entries(readLabels(options['label']))
  const limit = readCount('--limit', options['limit']) ?? DEFAULT_LIMIT
  const ids = store.list().reverse()
  const found: RunFacts[] = []
  for (const id of ids) {
    if (found.length === limit) break
    const facts = unlessDamaged(id, output, () => runFacts(store, id))
    if (facts && labels.every(([name, value]) => facts.identity.labels[name] === value)) found.push(facts)
  }
  const now = Date.now()
  if (options['json'] === true) output.json(found.map((facts) => runJson(facts, now)))
  else if (found.length > 0)
    output.result(
      ...table(
        COLUMNS,
        found.map((facts) => rowOf(facts, { ids, look: output.look, now })),
        output.look,
      ),
    )
  else
    output.say(
      labels.length > 0
        ? `No runs with these labels in ${store.directory}.`
        : `No runs in ${store.directory}. Start one: spanwright run PIPELINE${storeOption(options)}`,
    )
  return 0
}

const COLUMNS = [
  { title: 'RUN' },
  { title: 'PIPELINE', shrink: true },
  { title: 'STATE' },
  { title: 'STARTED' },
  { title: 'TIME', align: 'right' },
  { title: 'WHY', shrink: true },
] as const

function rowOf(
  facts: RunFacts,
  { ids, look, now }: { readonly ids: readonly string[]; readonly look: Look; readonly now: number },
): Row {
  const { identity, final } = facts
  const started = fromTimestamp(identity.created)
  const mark = final ? markOf(final.result) : facts.condition === 'lost' ? 'error' : 'running'
  const state = final ? resultWord(final.result) : facts.condition
  const cause = final?.failure && originalCause(final.failure)
  const why = cause
    ? `${cause.code}: ${shortMessage(cause)}`
    : facts.condition === 'lost'
      ? 'its process is gone: spanwright recover'
      : ''
  return [
    shortId(facts.runId, ids),
    cleanLine(identity.pipeline.name),
    { text: `${glyph(mark, look)} ${state}`, roles: [roleOf(mark)] },
    new Date(started).toLocaleString('sv-SE').slice(0, 16),
    elapsed(final?.duration_ms ?? now - started),
    why,
  ]
}
