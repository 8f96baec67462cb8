// Measures wide fan-outs of functions that do nothing, each width in fresh processes: wall time of the run, peak memory
// of the process, with tracing off and on. Beside it what the process is before any run, and the fastest peers.
import { runProgram } from './child.ts'
import { startCollector } from './collector.ts'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const ROUNDS = 2
const WIDTHS = [1, 1_000, 10_000, 20_000, 40_000]
const WALL_LIMIT_MS: { readonly [width: number]: number } = { 1_000: 100, 10_000: 1_500 }
const MEMORY_LIMIT_MB: { readonly [width: number]: number } = { 1_000: 150, 10_000: 150 }
/** Measured on another day on a like machine: DESIGN 10. */
const PEERS: { readonly [width: number]: string } = {
  1_000: 'peers: Mastra 0.25 s, Temporal local activities 0.8 s',
  10_000: 'peer: Temporal local activities 5.7 s',
}

interface Run {
  readonly wallMs: number
  readonly workMs: number
  readonly peakMb: number
}

const directory = scratchDirectory()
const collector = await startCollector()
const oneRun = (width: number, endpoint: string): Promise<Run> =>
  runProgram('one-run', ['functions', String(width), directory], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })

try {
  const rounds = await takeTurns(
    ROUNDS,
    WIDTHS.flatMap((width) => [() => oneRun(width, ''), () => oneRun(width, collector.endpoint)]),
  )
  for (const [index, width] of WIDTHS.entries()) {
    heading(`fan-out of ${width} functions, a process each, ${ROUNDS} rounds`)
    for (const traced of [false, true]) {
      const runs = rounds.map((round) => round[2 * index + (traced ? 1 : 0)]!)
      report(width, traced ? ', tracing on' : '', runs)
    }
    if (PEERS[width]) row(PEERS[width], '')
  }
} finally {
  collector.stop()
}

function report(width: number, mode: string, runs: readonly Run[]): void {
  const wall = column(runs, ({ wallMs }) => wallMs)
  const peak = column(runs, ({ peakMb }) => peakMb)
  const [wallLimit, memoryLimit] = [WALL_LIMIT_MS[width], MEMORY_LIMIT_MB[width]]
  const each = `${((wall.median * 1_000) / width).toFixed(0)} µs a branch`
  if (wallLimit === undefined) row(`wall${mode}`, shown(wall, 'ms', 0), each)
  else
    target(`wall${mode}`, shown(wall, 'ms', 0), { wanted: `≤ ${wallLimit} ms (${each})`, met: wall.median <= wallLimit })
  if (memoryLimit === undefined) row(`peak memory${mode}`, shown(peak, 'MB', 0))
  else
    target(`peak memory${mode}`, shown(peak, 'MB', 0), {
      wanted: `≤ ${memoryLimit} MB`,
      met: peak.median <= memoryLimit,
    })
}
