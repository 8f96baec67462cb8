// Measures the fold of a million events: a journal that the runner itself wrote, read, decoded, checked and folded by
// the code that resumes a run; beside it JSON.parse of the same lines, which no reader of the format can do without.
import { readFileSync } from 'node:fs'
import { call, fanout, pipeline, runPipeline } from 'spanwright'
import { createNdjsonStore } from '../src/journal/ndjson-store.ts'
import { celExpressions } from '../src/pipeline/expressions.ts'
import { foldRun } from '../src/runner/fold.ts'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const EVENTS = Number(process.argv[2] ?? 1_000_000)
const EVENTS_A_BRANCH = 6
const FANOUTS = 2
const ROUNDS = 5
const LIMIT_S = 3

const directory = scratchDirectory()
const store = createNdjsonStore(directory)

async function writeJournal(): Promise<string> {
  const count = Math.ceil(EVENTS / EVENTS_A_BRANCH / FANOUTS)
  const nodes = Array.from({ length: FANOUTS }, (_, i) => fanout(`wide${i}`, { count, nodes: [call('noop', () => {})] }))
  const { run_id } = await runPipeline(pipeline({ name: 'fold', nodes }), {
    store: directory,
    sync: 'os',
    maxParallel: 64,
  })
  return run_id
}

const runId = await writeJournal()
const definition = { pipeline: store.readPipeline(runId), expressions: celExpressions }
const file = store.paths(runId).journal
let events = 0

/** Seconds. */
function timed(work: () => void): number {
  const startedAt = performance.now()
  work()
  return (performance.now() - startedAt) / 1_000
}
const fold = (): number =>
  timed(() => {
    events = 0
    foldRun(store.read(runId), definition, () => events++)
  })
const read = (): number =>
  timed(() => {
    for (const entry of store.read(runId)) if (entry.seq < 1) throw new Error('no entry')
  })
const parse = (): number =>
  timed(() => {
    for (const line of readFileSync(file, 'latin1').split('\n')) if (line !== '') JSON.parse(line)
  })

const rounds = await takeTurns(ROUNDS, [fold, read, parse])
const million = 1_000_000 / events
const seconds = (side: number) => column(rounds, (round) => round[side]! * million)
heading(`fold of ${events} events (${(readFileSync(file).length / events).toFixed(0)} bytes each), ${ROUNDS} rounds`)
target('fold, a million events', shown(seconds(0), 's', 2), { wanted: `≤ ${LIMIT_S} s`, met: seconds(0).median <= LIMIT_S })
row('of which reading, decoding and checking', shown(seconds(1), 's', 2))
row('floor: JSON.parse of the same lines', shown(seconds(2), 's', 2))
row('fold / floor', shown(column(rounds, ([a, , c]) => a! / c!), 'x', 2))
row('memory of this process', `${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`, 'the floor holds the whole text')
