// Measures wide fan-outs of functions that do nothing: `spanwright run` in a process of its own for every run, with
// tracing off and on: time from the run's first entry to its last, peak memory. Then the same within one warm process.
// Run: node bench/fanout.ts [widths, default 1,1000,10000,20000,40000]
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { startCollector } from './collector.ts'
import { column, heading, row, shown, takeTurns, target, type Spread } from './measure.ts'
import { functionFanout, measuredRun, writtenGroups } from './measured-run.ts'
import { openFloor, scratchDirectory } from './scratch.ts'

const ROUNDS = 5
const WIDTHS = (process.argv[2] ?? '1,1000,10000,20000,40000').split(',').map(Number)
const TIME_LIMIT_MS: { readonly [width: number]: number } = { 1_000: 100, 10_000: 1_500 }
const MEMORY_LIMIT_MB: { readonly [width: number]: number } = { 1_000: 150, 10_000: 150 }
/** Measured on another day on a like machine: DESIGN 10. */
const PEERS: { readonly [width: number]: string } = {
  1_000: 'peers: Mastra 0.25 s, Temporal local activities 0.8 s',
  10_000: 'peer: Temporal local activities 5.7 s',
}

interface Run {
  readonly workMs: number
  readonly peakMb: number
}

const directory = scratchDirectory()
const store = path.join(directory, 'store')
const peak = path.join(directory, 'peak')
const programs = path.join(import.meta.dirname, 'programs')
const main = path.join(import.meta.dirname, '../dist/cli/main.js')

async function oneRun(width: number, endpoint: string): Promise<Run> {
  writeFileSync(peak, '')
  const args = ['run', path.join(programs, 'wide.ts'), '--store', store, '--ui', 'quiet']
  await promisify(execFile)(process.execPath, ['--import', path.join(programs, 'peak.ts'), main, ...args], {
    env: {
      ...process.env,
      BENCH_WIDTH: String(width),
      BENCH_PEAK: peak,
      ...(endpoint !== '' && { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
    },
  })
  const last = readdirSync(path.join(store, 'runs'))
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .at(-1)!
  const { duration_ms } = JSON.parse(readFileSync(path.join(store, 'runs', last, 'final.json'), 'utf8')) as {
    duration_ms: number
  }
  return { workMs: duration_ms, peakMb: Number(readFileSync(peak, 'utf8')) / 2 ** 20 }
}

function report(width: number, mode: string, runs: readonly Run[]): void {
  const work = column(runs, ({ workMs }) => workMs)
  reportTime(width, `run${mode}`, work)
  const memory = column(runs, ({ peakMb }) => peakMb)
  const limit = MEMORY_LIMIT_MB[width]
  const value = shown(memory, 'MB', 0)
  if (limit === undefined || mode !== '') row(`peak memory${mode}`, value)
  else target('peak memory', value, { wanted: `≤ ${limit} MB`, met: memory.median <= limit })
}

function reportTime(width: number, what: string, time: Spread): void {
  const each = `${((time.median * 1_000) / width).toFixed(0)} µs a branch`
  const limit = TIME_LIMIT_MS[width]
  if (limit === undefined) row(what, shown(time, 'ms', 0), each)
  else target(what, shown(time, 'ms', 0), { wanted: `≤ ${limit} ms (${each})`, met: time.median <= limit })
}

const collector = await startCollector()
try {
  const rounds = await takeTurns(
    ROUNDS,
    WIDTHS.flatMap((width) => [() => oneRun(width, ''), () => oneRun(width, collector.endpoint)]),
  )
  for (const [index, width] of WIDTHS.entries()) {
    heading(`fan-out of ${width} functions, a process each, ${ROUNDS} rounds`)
    for (const [offset, mode] of ['', ', tracing on'].entries())
      report(
        width,
        mode,
        rounds.map((round) => round[2 * index + offset]!),
      )
    if (PEERS[width]) row(PEERS[width], '')
  }
} finally {
  collector.stop()
}
// What the disk takes of it, in the same process and at the same time: the same bytes in the same groups.
for (const width of [1_000, 10_000]) {
  const definition = functionFanout(width)
  let groups: readonly Buffer[] = []
  const runs = await takeTurns(ROUNDS, [
    async () => {
      const run = await measuredRun(definition, store)
      groups = writtenGroups(run, store)
      return run.workMs
    },
    () => timedAppends(groups),
  ])
  heading(`fan-out of ${width} functions, runPipeline() in this process`)
  const side = (index: number): Spread => column(runs, (round) => round[index]!)
  reportTime(width, 'run', side(0))
  row('floor: append + fdatasync of the same bytes', shown(side(1), 'ms', 0))
  const over = column(runs, ([run, floor]) => run! - floor!)
  row('run - floor', shown(over, 'ms', 0))
}

function timedAppends(groups: readonly Buffer[]): number {
  const floor = openFloor(directory)
  const startedAt = performance.now()
  for (const group of groups) floor.append(group)
  const took = performance.now() - startedAt
  floor.close()
  return took
}
