// Measures what tracing costs: the same run with it off and on (delivering to a collector in another process), in fresh
// processes that take turns: wall time, memory, and whether every span of the journal arrived.
import { createProjection } from '../src/telemetry/projection.ts'
import { createNdjsonStore } from '../src/journal/ndjson-store.ts'
import { runProgram } from './child.ts'
import { startCollector } from './collector.ts'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const ROUNDS = 7
/** Long enough that three quarters of each lie behind the start of the worker, which the target leaves out. */
const CASES = [
  { shape: 'functions', what: 'fan-out of 10,000 functions', size: 10_000, allowed: 1.1 },
  { shape: 'chain', what: 'chain of 9,000 functions', size: 9_000, allowed: 1.1 },
  { shape: 'commands', what: 'chain of 500 commands', size: 500, allowed: 1.02 },
]

interface Run {
  readonly runId: string
  readonly wallMs: number
  readonly workMs: number
  readonly settledMs: number
  readonly cpuMs: number
  readonly peakMb: number
}

const directory = scratchDirectory()
const store = createNdjsonStore(directory)
const collector = await startCollector()

/** Spans that the journal of a run makes, markers left out. */
function expected(runId: string): number {
  const projection = createProjection()
  let spans = 0
  for (const entry of store.read(runId)) spans += projection.apply(entry).length
  return spans
}

try {
  for (const { shape, what, size, allowed } of CASES) {
    const oneRun = (endpoint: string): Promise<Run> =>
      runProgram('one-run', [shape, String(size), directory], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
    await collector.taken()
    let lost = 0
    let spans = 0
    const rounds = await takeTurns(ROUNDS, [
      () => oneRun(''),
      async () => {
        const run = await oneRun(collector.endpoint)
        spans = expected(run.runId)
        lost += spans - (await collector.taken())
        return run
      },
    ])
    heading(`tracing, ${what}, ${ROUNDS} rounds`)
    const ratio = column(rounds, ([off, on]) => on!.settledMs / off!.settledMs)
    const whole = column(rounds, ([off, on]) => on!.workMs / off!.workMs)
    row(
      'work, off',
      shown(
        column(rounds, ([off]) => off!.workMs),
        'ms',
        0,
      ),
    )
    row(
      'work, on',
      shown(
        column(rounds, ([, on]) => on!.workMs),
        'ms',
        0,
      ),
    )
    row('on / off, with the start of the worker', shown(whole, 'x', 3))
    target('on / off after the start', shown(ratio, 'x', 3), { wanted: `≤ ${allowed}`, met: ratio.median <= allowed })
    row(
      'end of the process waits for delivery',
      shown(
        column(rounds, ([off, on]) => tail(on!) - tail(off!)),
        'ms',
        0,
      ),
    )
    row(
      'processor time of a span, all threads',
      shown(
        column(rounds, ([off, on]) => ((on!.cpuMs - off!.cpuMs) * 1_000) / spans),
        'µs',
        0,
      ),
    )
    row(
      'memory, on - off',
      shown(
        column(rounds, ([off, on]) => on!.peakMb - off!.peakMb),
        'MB',
        0,
      ),
    )
    target(`spans lost of ${ROUNDS + 1} x ${spans}`, String(lost), { wanted: '0', met: lost === 0 })
  }
} finally {
  collector.stop()
}

/** Time of a run before its first entry and after its last one. */
function tail({ wallMs, workMs }: Run): number {
  return wallMs - workMs
}
