// Measures the fold of a million events: a journal that the runner itself wrote, read, decoded, checked and folded by
// the code that resumes a run; beside it JSON.parse of the same lines, which no reader of the format can do without.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { createNdjsonStore } from '../src/journal/ndjson-store.ts'
import { celExpressions } from '../src/pipeline/expressions.ts'
import { foldRun } from '../src/runner/fold.ts'
import { runProgram } from './child.ts'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const EVENTS = Number(process.argv[2] ?? 1_000_000)
const EVENTS_A_BRANCH = 6
const ROUNDS = 5
const LIMIT_S = 3

const directory = scratchDirectory()
const store = createNdjsonStore(directory)

// Written by another process: this one holds nothing but the fold.
const branches = String(Math.ceil(EVENTS / EVENTS_A_BRANCH))
const { runId } = await runProgram<{ runId: string }>('one-run', ['rows', branches, directory])
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
    forEachLine((line) => JSON.parse(line))
  })

/** In pieces, as the reader does: a text of 300 MB in memory would be measured as well. */
function forEachLine(use: (line: string) => void): void {
  const fd = openSync(file, 'r')
  const piece = Buffer.allocUnsafe(1024 * 1024)
  for (let at = 0; ;) {
    const bytes = piece.subarray(0, readSync(fd, piece, 0, piece.length, at))
    if (bytes.length === 0) break
    const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1)
    for (const line of whole.toString('latin1').split('\n')) if (line !== '') use(line)
    at += whole.length
  }
  closeSync(fd)
}

const rounds = await takeTurns(ROUNDS, [fold, read, parse])
const million = 1_000_000 / events
const seconds = (side: number) => column(rounds, (round) => round[side]! * million)
heading(`fold of ${events} events (${(statSync(file).size / events).toFixed(0)} bytes each), ${ROUNDS} rounds`)
target('fold, a million events', shown(seconds(0), 's', 2), {
  wanted: `≤ ${LIMIT_S} s`,
  met: seconds(0).median <= LIMIT_S,
})
row('of which reading, decoding and checking', shown(seconds(1), 's', 2))
row('floor: JSON.parse of the same lines', shown(seconds(2), 's', 2))
row(
  'fold / floor',
  shown(
    column(rounds, ([a, , c]) => a! / c!),
    'x',
    2,
  ),
)
row('memory of this process', `${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`)
