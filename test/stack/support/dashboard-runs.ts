// Owns: real runs that give every dashboard something to show: success, retries, failure, timeout, breaker, fan-out, child
// pipeline, usage with and without a price, a cancel, a kill, and one run that stays open; and what their files say about them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { StackUrls } from '../../../scripts/native-stack/stack.ts'
import { temporaryDirectory, type RunningCli } from '../../support/cli.ts'
import { linesOf, runIds, runsDirectory, type RecordedEntry } from '../../support/run-record.ts'
import { reportingTo, runCliOn, startCliOn } from './run-cli.ts'
import { until } from './until.ts'

const usage = (text: string): string => `echo '{"usage":${text}}' > "$SPANWRIGHT_OUTCOME"`

const PIPELINES: Readonly<Record<string, string>> = {
  // A retry that helps; a priced step, and one whose price nobody knows.
  shop: `
nodes:
  - id: build
    retry: { max_attempts: 3, initial: 50ms, jitter: 0 }
    run: test "$SPANWRIGHT_ATTEMPT" -ge 2
  - id: review
    run: ${JSON.stringify(usage('{"input_tokens":1200,"output_tokens":300,"cache_read_tokens":400,"cache_creation_tokens":100,"model":"m-large","cost_usd":0.012345}'))}
  - id: cheap
    run: ${JSON.stringify(usage('{"input_tokens":50,"output_tokens":7,"model":"m-small"}'))}
`,
  // Retries that do not help and cost money.
  release: `
nodes:
  - id: deploy
    retry: { max_attempts: 2, initial: 50ms, jitter: 0 }
    run: ${JSON.stringify(`${usage('{"input_tokens":90,"output_tokens":10,"model":"m-large","cost_usd":0.1}')}; sleep 0.2; exit 3`)}
`,
  wide: `
nodes:
  - id: spread
    fanout:
      each: ["0.05", "0.1", "0.6", bad]
      as: pause
      nodes: [{ id: work, run: [sleep, "\${{ pause }}"] }]
`,
  outer: `
nodes:
  - id: inside
    child: { file: inner.yaml }
`,
  inner: `
nodes: [{ id: leaf, run: "true" }]
`,
  stubborn: `
breaker: { limit: 3 }
nodes:
  - { id: again, run: exit 4, routes: [{ to: again }], max_visits: 10 }
`,
  slow: `
nodes: [{ id: nap, run: sleep 60, timeout: 300ms, grace: 100ms }]
`,
  stopped: `
nodes: [{ id: nap, run: sleep 600 }]
`,
  killed: `
nodes: [{ id: nap, run: sleep 600 }]
`,
  // Stays open: idle attempts, branches, a gate, a breaker, a budget.
  held: `
budget: { attempts: 50, mode: audit }
breaker: { limit: 2 }
nodes:
  - { id: hang, needs: [], run: sleep 600, stall_timeout: 10m, timeout: 1h }
  - { id: ask, needs: [], gate: { question: "Go on?", choices: [approve, reject] } }
  - { id: again, needs: [], run: exit 4, routes: [{ to: again }], max_visits: 10, allow_failure: true }
  - id: spread
    needs: []
    fanout: { count: 2, nodes: [{ id: work, run: sleep 600 }] }
`,
}

/** A name with everything that could break a query or a link. */
export const OUTER = 'outer (v2) + 50% & co.'
const NAMES: Readonly<Record<string, string>> = { outer: OUTER }

/** Pipelines that have ended when `runAll` resolves, with the exit code of each. */
const ENDED = [
  ['shop', 0],
  ['shop', 0],
  ['release', 1],
  ['wide', 1],
  ['outer', 0],
  ['stubborn', 1],
  ['slow', 124],
] as const

/** The parts of final.json that dashboards show sums of. */
export interface Final {
  readonly pipeline: string
  readonly result: string
  readonly duration_ms: number
  readonly failure?: { readonly code: string }
  readonly totals: {
    readonly attempts: number
    readonly retries: number
    readonly branches: number
    readonly cost_usd: number | null
    readonly cost_unpriced: number
    readonly tokens: Readonly<Record<'input' | 'cache_read' | 'cache_write' | 'output', number>>
  }
}
export interface Ended {
  readonly final: Final
  /** The journal, where final.json has no number: durations and failures of single attempts. */
  readonly entries: readonly RecordedEntry[]
}
export interface Runs {
  /** Runs that have ended, the canceled and the killed one included. */
  readonly ended: readonly Ended[]
  /** Run `held`, still open. */
  readonly held: RunningCli
}

/** Runs it all, reporting to the stack; the last run is left open. */
export async function runAll(urls: StackUrls): Promise<Runs> {
  const cwd = temporaryDirectory()
  for (const [name, text] of Object.entries(PIPELINES))
    writeFileSync(path.join(cwd, `${name}.yaml`), `name: ${NAMES[name] ?? name}${text}`)
  // Gauges come within a second of the start and then at this pace.
  const env = reportingTo(urls, { OTEL_METRIC_EXPORT_INTERVAL: '1000' })
  for (const [name, exitCode] of ENDED) {
    const run = await runCliOn(urls, ['run', `${name}.yaml`, '--ui', 'quiet'], { cwd, env })
    if (run.exitCode !== exitCode) throw new Error(`${name} ended with ${run.exitCode}: ${run.stderr}`)
  }
  for (const [name, signal] of [
    ['stopped', 'SIGINT'],
    ['killed', 'SIGKILL'],
  ] as const) {
    const run = startCliOn(urls, ['run', `${name}.yaml`, '--ui', 'plain'], { cwd, env })
    await run.saw(/nap@1\.1 +started/)
    run.kill(signal)
    await run.ended
  }
  // What was killed is ended by its sentinel.
  const unfinished = (): string[] =>
    runIds(cwd).filter((id) => !existsSync(path.join(runsDirectory(cwd), id, 'final.json')))
  await until(
    'the end of the killed run',
    async () => unfinished(),
    (ids) => ids.length === 0,
  )
  const ended = runIds(cwd).map((id) => endedRun(path.join(runsDirectory(cwd), id)))
  const held = startCliOn(urls, ['run', 'held.yaml', '--ui', 'plain'], { cwd, env })
  await until(
    'the run that stays open',
    async () => held.stdout() + held.stderr(),
    (text) => /hang@1\.1 +started/.test(text) && /breaker/.test(text) && /Go on\?|ask@1/.test(text),
  )
  return { ended, held }
}

const endedRun = (directory: string): Ended => ({
  final: JSON.parse(readFileSync(path.join(directory, 'final.json'), 'utf8')) as Final,
  entries: linesOf(directory, 'journal.ndjson').map((line) => JSON.parse(line) as RecordedEntry),
})
