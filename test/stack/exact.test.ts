// Owns: the proof that totals in Prometheus are those of final.json, to the last token and the sixth decimal of a dollar:
// many short runs at a time, a collector that is killed in the middle, and runs that were delivered late.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { runCli } from '../support/cli.ts'
import { pipelineDirectory, runIds, runsDirectory, type RecordedEntry } from '../support/run-record.ts'
import { prometheusClient, type PrometheusClient } from './support/prometheus-client.ts'
import { runCliOn } from './support/run-cli.ts'
import { until } from './support/until.ts'

const RUNS = 20
const AT_ONCE = 4

let stack: Stack
let prometheus: PrometheusClient
beforeAll(async () => {
  stack = await startStack()
  prometheus = prometheusClient(stack.urls.prometheus)
})
afterAll(() => stack?.stop())

/** Retries, a fan-out, a failure that is tolerated, a model with a price, one without, and odd amounts of everything. */
const PIPELINE = `
name: exact
params: { n: { type: integer } }
nodes:
  - id: flaky
    run: |
      n=\${{ params.n }}
      printf '{"usage":{"input_tokens":%d,"output_tokens":%d,"cache_read_tokens":7,"cache_creation_tokens":3,"model":"m-1","cost_usd":0.%06d,"turns":1}}' $((n * 11 + 1)) $((n + 5)) $((n * 777 + SPANWRIGHT_ATTEMPT)) > "$SPANWRIGHT_OUTCOME"
      [ "$SPANWRIGHT_ATTEMPT" -gt $((n % 3)) ]
    retry: { max_attempts: 3, initial: 10ms, jitter: 0 }
  - id: lanes
    fanout:
      count: 4
      nodes:
        - id: work
          run: |
            printf '{"usage":{"input_tokens":13,"output_tokens":2,"model":"no-price"}}' > "$SPANWRIGHT_OUTCOME"
  - id: tolerated
    allow_failure: true
    run: exit 9
  - id: last
    run: test \${{ params.n % 5 }} -ne 0
`

interface Totals {
  readonly attempts: number
  readonly retries: number
  readonly branches: number
  readonly cost_usd: number
  readonly cost_unpriced: number
  readonly tokens: Readonly<Record<'input' | 'cache_read' | 'cache_write' | 'output', number>>
}
interface Final {
  readonly result: string
  readonly duration_ms: number
  readonly failure?: { readonly code: string }
  readonly totals: Totals
}

const finals = (cwd: string): Final[] =>
  runIds(cwd).map((id) => JSON.parse(readFileSync(path.join(runsDirectory(cwd), id, 'final.json'), 'utf8')) as Final)
const journals = (cwd: string): RecordedEntry[] =>
  runIds(cwd).flatMap((id) =>
    readFileSync(path.join(runsDirectory(cwd), id, 'journal.ndjson'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as RecordedEntry),
  )
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const counted = (values: readonly (string | undefined)[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(values, (value) => value ?? '')].map(([value, all]) => [value, all.length]))

/** A total as the dashboards ask for it. */
const total = (series: string, by = ''): string =>
  `sum by (${by}) (sum_over_time(${series}{cicd_pipeline_name="exact"}[1h]))`
async function byLabel(series: string, label: string): Promise<Record<string, number>> {
  const samples = await prometheus.instant(total(series, label))
  return Object.fromEntries(samples.map(({ labels, value }) => [labels[label] ?? '', value]))
}

test(`${RUNS} runs, ${AT_ONCE} at a time, over a collector that is killed, and late deliveries`, async () => {
  const cwd = pipelineDirectory(PIPELINE)
  const args = (n: number): string[] => ['run', 'p.yaml', '--param', `n=${n}`, '--ui', 'quiet']
  // Two runs that nobody hears, delivered later.
  for (const n of [101, 102]) await runCli(args(n), { cwd, env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' } })
  let next = 1
  let ended = 0
  const worker = async (): Promise<void> => {
    while (next <= RUNS) {
      const { exitCode, stderr } = await runCliOn(stack.urls, args(next++), { cwd })
      expect([exitCode === 0 || exitCode === 1, stderr]).toEqual([true, stderr])
      ended += 1
      if (ended !== RUNS / 2) continue
      await stack.otelcol.kill('SIGKILL')
      await stack.otelcol.start()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  // Whatever an exit did not wait for.
  expect(await runCliOn(stack.urls, ['recover', '--all'], { cwd })).toMatchObject({ exitCode: 0 })

  const runs = finals(cwd)
  expect(runs).toHaveLength(RUNS + 2)
  const wanted = (pick: (totals: Totals) => number): number => sum(runs.map(({ totals }) => pick(totals)))
  await until(
    'all runs counted',
    async () => prometheus.value(total('cicd_pipeline_run_duration_seconds_count')),
    (value) => value === runs.length,
    { withinMs: 60_000 },
  )
  expect(await byLabel('cicd_pipeline_run_duration_seconds_count', 'cicd_pipeline_result')).toEqual(
    counted(runs.map(({ result }) => result)),
  )
  expect(await byLabel('cicd_pipeline_run_duration_seconds_count', 'error_type')).toEqual(
    counted(runs.map(({ failure }) => failure?.code)),
  )
  expect(await prometheus.value(total('cicd_pipeline_run_duration_seconds_sum'))).toBeCloseTo(
    sum(runs.map(({ duration_ms: ms }) => ms)) / 1_000,
    9,
  )
  expect(await prometheus.value(total('spanwright_attempts_total'))).toBe(wanted(({ attempts }) => attempts))
  expect(await prometheus.value(total('spanwright_retries_total'))).toBe(wanted(({ retries }) => retries))
  expect(await prometheus.value(total('spanwright_branch_duration_seconds_count'))).toBe(
    wanted(({ branches }) => branches),
  )
  expect(await prometheus.value(total('spanwright_cost_unpriced_total'))).toBe(wanted((totals) => totals.cost_unpriced))
  expect(await prometheus.value(total('spanwright_cost_total'))).toBeCloseTo(
    wanted((totals) => totals.cost_usd),
    9,
  )
  expect(await byLabel('gen_ai_client_token_usage_sum', 'gen_ai_token_type')).toEqual({
    input: wanted(({ tokens }) => tokens.input),
    cache_read: wanted(({ tokens }) => tokens.cache_read),
    cache_creation: wanted(({ tokens }) => tokens.cache_write),
    output: wanted(({ tokens }) => tokens.output),
  })
  const finished = journals(cwd).filter(({ event }) => event.type === 'attempt.finished')
  expect(await byLabel('spanwright_attempt_duration_seconds_count', 'error_type')).toEqual(
    counted(finished.map(({ event }) => event.failure?.code)),
  )
  expect(await byLabel('spanwright_attempt_duration_seconds_count', 'cicd_pipeline_task_name')).toEqual(
    counted(finished.map(({ event }) => event['node']?.toString().split('/').at(-1))),
  )
  // Nothing is left open.
  const open = await prometheus.instant('sum(last_over_time({__name__=~"spanwright_.*_open"}[1h]))')
  expect(open.map(({ value }) => value)).toEqual([0])
})
