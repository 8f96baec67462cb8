// Every query of every dashboard on a real Prometheus after real runs: it answers, and what it says is what final.json of
// those runs says. Links lead to the spans in a real Jaeger.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { FOREIGN_SERIES } from '../support/foreign-series.ts'
import { interpolated, labelValuesOf, opened, queriesOf, type PanelQuery, type TimeRange } from '../support/grafana.ts'
import { dashboardReader, type DashboardReader, type Shown } from './support/dashboard-reader.ts'
import { OUTER, runAll, type Final, type Runs } from './support/dashboard-runs.ts'
import { otlpSender } from './support/otlp-sender.ts'
import { prometheusClient, type PrometheusClient } from './support/prometheus-client.ts'

const OVERVIEW = 'spanwright-overview'
const RETRIES = 'spanwright-retries'
const FANOUT = 'spanwright-fanout'
const COST = 'spanwright-cost'
const STUCK = 'spanwright-stuck'
const TELEMETRY = 'spanwright-telemetry'
const PIPELINE = 'cicd_pipeline_name'
const NODE = 'cicd_pipeline_task_name'

let stack: Stack
let runs: Runs
let prometheus: PrometheusClient
let reader: DashboardReader
let range: TimeRange
/** The variable `pipeline` on those that have ended: the open run has no final.json to compare with. */
let ended: { readonly pipeline: readonly string[] }

beforeAll(async () => {
  const from = Math.floor(Date.now() / 1_000) - 60
  stack = await startStack({ evaluationInterval: '1s' })
  prometheus = prometheusClient(stack.urls.prometheus)
  runs = await runAll(stack.urls)
  ended = { pipeline: [...new Set(runs.ended.map(({ final }) => final.pipeline))] }
  // So that what is lost has its series: Prometheus takes nothing that is so old.
  await otlpSender(stack.urls.otlp_http, { 'service.name': 'late', 'service.instance.id': 'late-0' }).counters({
    name: 'test.late',
    unit: '{item}',
    value: 1,
    atMs: Date.now() - 30 * 24 * 3_600_000,
  })
  await prometheus.untilValue('sum(sum_over_time(cicd_pipeline_run_duration_seconds_count[1h]))', runs.ended.length)
  await prometheus.untilAny('spanwright_breaker_open == 1')
  await prometheus.untilAny('spanwright_gates_open == 1')
  await prometheus.untilAny('spanwright_branches_open == 2')
  await prometheus.untilAny('spanwright:attempt_idle:seconds > 0')
  await prometheus.untilAny('ALERTS{alertname="SpanwrightBreakerOpen", alertstate="firing"}')
  await prometheus.untilAny('otelcol_exporter_send_failed_metric_points > 0', { withinMs: 40_000 })
  await prometheus.untilAny('rate(otelcol_exporter_sent_spans[1m]) > 0', { withinMs: 40_000 })
  // Charts end at a multiple of their step, which in a short range is 15 s: the next one sees all that there is now.
  const stepS = 15
  const to = Math.ceil(Date.now() / 1_000 / stepS) * stepS + 1
  await sleep(to * 1_000 + 1_500 - Date.now())
  range = { from, to }
  reader = dashboardReader(prometheus, range)
})
afterAll(async () => {
  runs?.held.kill('SIGINT')
  await runs?.held.ended
  await stack?.stop()
})

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const totals = (of: (final: Final) => number): number => sum(runs.ended.map(({ final }) => of(final)))
const withResult = (result: string): Final[] =>
  runs.ended.map(({ final }) => final).filter((final) => final.result === result)
interface Attempt {
  readonly pipeline: string
  readonly node: string
  readonly number: number
  readonly result: string
  readonly code: string
  readonly seconds: number
}
/** A lost attempt has no result of its own: it is an error. */
const ENDS = ['attempt.finished', 'attempt.lost']
/** Attempts that ended, of all runs that have ended. */
const attempts = (): Attempt[] =>
  runs.ended.flatMap(({ final: { pipeline }, entries }) => {
    const started = new Map(
      entries.flatMap(({ at, event }) =>
        event.type === 'attempt.started' ? [[event.attempt_id, Date.parse(at)]] : [],
      ),
    )
    return entries
      .filter(({ event }) => ENDS.includes(event.type))
      .map(({ at, event: { node = '', attempt_id: id = '', result = 'error', failure } }) => ({
        pipeline,
        node: node.split('/').at(-1)!,
        number: Number(id.split('.').at(-1)),
        result,
        code: failure?.code ?? '',
        seconds: (Date.parse(at) - started.get(id)!) / 1_000,
      }))
  })
const failedAttempts = (): Attempt[] =>
  attempts().filter(({ result }) => ['failure', 'error', 'timeout'].includes(result))
function counted<T>(
  items: readonly T[],
  key: (item: T) => string,
  of: (item: T) => number = () => 1,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + of(item)
  return counts
}
const closeTo = (counts: Record<string, number>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, expect.closeTo(value, 6) as unknown]))

describe('every query', () => {
  /** What has nothing to show after these runs, and why. */
  const EMPTY = [
    'spanwright-telemetry / Refused for good / A', // No receiver refused anything for good.
    'spanwright-stuck / Open attempts / B', // No attempt waits for a limit.
  ]
  it('answers with finite numbers, and each has something to say', async () => {
    const silent: string[] = []
    const infinite: string[] = []
    for (const board of reader.boards)
      for (const query of queriesOf(board)) {
        const place = `${board.uid} / ${query.panel.title} / ${query.refId}`
        const values = await reader.ask(query)
        const numbers = values.flatMap(({ points, value }) => points?.map((point) => point[1]) ?? [value])
        if (numbers.length === 0) silent.push(place)
        if (!numbers.every(Number.isFinite)) infinite.push(place)
      }
    expect(infinite).toEqual([])
    expect(silent.filter((place) => !EMPTY.includes(place))).toEqual([])
  })

  it('of a variable lists what ran', async () => {
    const pipelines = ['held', 'killed', OUTER, 'release', 'shop', 'slow', 'stopped', 'stubborn', 'wide']
    const seen: Record<string, string[]> = {}
    for (const { templating } of reader.boards)
      for (const { name, query } of templating.list ?? []) {
        const list = labelValuesOf(query ?? '')
        if (!list) continue
        const series = await prometheus.series(interpolated(list.selector, range, 15))
        seen[name] = [...new Set(series.flatMap((labels) => labels[list.label] ?? []))].toSorted()
      }
    expect(seen['pipeline']).toEqual(pipelines)
    expect(seen['node']).toEqual(
      expect.arrayContaining(['again', 'ask', 'build', 'deploy', 'hang', 'leaf', 'spread', 'work']),
    )
    expect(seen['instance']!.length).toBeGreaterThanOrEqual(1)
  })

  it('of an annotation shows the alert that fires', async () => {
    for (const { annotations } of reader.boards)
      for (const { expr = '' } of annotations.list ?? []) {
        const series = await prometheus.range(interpolated(expr, range, 60), {
          start: range.to - 60,
          end: range.to,
          step: 5,
        })
        expect(series.map(({ labels }) => labels['alertname'])).toContain('SpanwrightBreakerOpen')
      }
  })

  it('of the servers finds the series under these names', async () => {
    for (const [name, labels] of Object.entries(FOREIGN_SERIES)) {
      const [series] = await prometheus.series(name)
      expect({ name, labels: Object.keys(series ?? {}) }).toEqual({
        name,
        labels: expect.arrayContaining([...labels, 'job', 'instance']) as unknown,
      })
    }
  })

  it.each([300, 900, 3_600, 86_400, 604_800])(
    'of bars counts each moment once: over %d s the bars of a chart add up to its figure',
    async (seconds) => {
      const last = dashboardReader(prometheus, { from: range.to - seconds, to: range.to })
      const bars = async (uid: string, title: string): Promise<number> =>
        sum((await last.shown(uid, title)).filter(({ points }) => points).map(({ value }) => value))
      expect(await bars(OVERVIEW, 'Run ends by result')).toBe(await last.figure(OVERVIEW, 'Runs ended'))
      expect(await bars(RETRIES, 'Attempts by result')).toBe(await last.figure(RETRIES, 'Attempts ended'))
      expect(await bars(COST, 'Tokens by type')).toBe(await last.figure(COST, 'Tokens'))
      expect(await bars(COST, 'Cost by model')).toBeCloseTo((await last.figure(COST, 'Cost'))!, 6)
      expect(await bars(RETRIES, 'Failed attempts by code')).toBe(await bars(RETRIES, 'Failed attempts by class'))
    },
  )
})

describe('the numbers', () => {
  it('of runs are those of final.json', async () => {
    const judged = ['success', 'failure', 'error', 'timeout'].flatMap(withResult)
    const cost = totals(({ totals: { cost_usd: usd } }) => usd ?? 0)
    expect(await reader.figure(OVERVIEW, 'Runs ended', ended)).toBe(runs.ended.length)
    expect(await reader.figure(OVERVIEW, 'Runs ended', { pipeline: ['shop'] })).toBe(2)
    expect(await reader.figure(OVERVIEW, 'Runs ended', { pipeline: [OUTER] })).toBe(1)
    expect(await reader.figure(OVERVIEW, 'Success ratio', ended)).toBeCloseTo(
      withResult('success').length / judged.length,
      12,
    )
    expect(await reader.figure(OVERVIEW, 'Cost', ended)).toBeCloseTo(cost, 6)
    expect(await reader.figure(OVERVIEW, 'Cost per run', ended)).toBeCloseTo(cost / runs.ended.length, 6)
    expect(await reader.figure(OVERVIEW, 'Cost per successful run', ended)).toBeCloseTo(
      cost / withResult('success').length,
      6,
    )
    const failed = runs.ended
      .map(({ final }) => final)
      .filter(({ result }) => ['failure', 'error', 'timeout'].includes(result))
    expect(await reader.column([OVERVIEW, 'Why runs failed', 'Runs'], [PIPELINE, 'error_type'], ended)).toEqual(
      counted(failed, ({ pipeline, failure }) => `${pipeline}/${failure!.code}`),
    )
    expect(await reader.column([OVERVIEW, 'Pipelines', 'Ended'], [PIPELINE], ended)).toEqual(
      counted(runs.ended, ({ final }) => final.pipeline),
    )
  })

  it('of durations lie in the bucket of the real one', async () => {
    const p95 = await reader.column([OVERVIEW, 'Pipelines', 'Duration p95'], [PIPELINE], ended)
    // A killed run counts up to the last that is known of it; final.json, up to when that was found out.
    delete p95['killed']
    for (const [pipeline, shown] of Object.entries(p95)) {
      const longest =
        Math.max(
          ...runs.ended.filter(({ final }) => final.pipeline === pipeline).map(({ final }) => final.duration_ms),
        ) / 1_000
      const bounds = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
      const upper = bounds.find((bound) => longest <= bound)!
      expect(shown).toBeLessThanOrEqual(upper)
      expect(shown).toBeGreaterThan(bounds[bounds.indexOf(upper) - 1]!)
    }
  })

  it('of attempts, retries and failures are those of the journals', async () => {
    const firsts = attempts().filter(
      ({ number, result }) => number === 1 && result !== 'cancellation' && result !== 'skip',
    )
    const all = totals((final) => final.totals.attempts)
    // A killed attempt counts up to the last that is known of it, which is before it was found to be lost.
    const watched = { pipeline: ended.pipeline.filter((name) => name !== 'killed') }
    const retries = totals((final) => final.totals.retries)
    expect(all).toBe(attempts().length)
    expect(await reader.figure(RETRIES, 'Attempts ended', ended)).toBe(all)
    expect(await reader.figure(RETRIES, 'Retries', ended)).toBe(retries)
    expect(await reader.figure(RETRIES, 'Retry rate', ended)).toBeCloseTo(retries / all, 12)
    expect(await reader.figure(RETRIES, 'First-attempt success', ended)).toBeCloseTo(
      firsts.filter(({ result }) => result === 'success').length / firsts.length,
      12,
    )
    expect(await reader.figure(RETRIES, 'Time in failed attempts', watched)).toBeCloseTo(
      sum(failedAttempts().flatMap(({ pipeline, seconds }) => (watched.pipeline.includes(pipeline) ? [seconds] : []))),
      2,
    )
    expect(await reader.figure(RETRIES, 'Cost of failed attempts', ended)).toBeCloseTo(0.2, 6)
    expect(await reader.figure(RETRIES, 'Breakers opened', ended)).toBe(1)
    expect(
      await reader.column([RETRIES, 'Failures by node and code', 'Attempts'], [PIPELINE, NODE, 'error_type'], ended),
    ).toEqual(counted(failedAttempts(), ({ pipeline, node, code }) => `${pipeline}/${node}/${code}`))
    expect(await reader.column([RETRIES, 'Nodes', 'Attempts'], [PIPELINE, NODE], ended)).toEqual(
      counted(attempts(), ({ pipeline, node }) => `${pipeline}/${node}`),
    )
    const classes = (await reader.shown(RETRIES, 'Failed attempts by class', ended)).map(({ labels, value }) => [
      labels['class'],
      value,
    ])
    expect(Object.fromEntries(classes)).toEqual(
      counted(
        failedAttempts(),
        ({ code }) => ({ timed_out: 'timeout', worker_lost: 'crash' })[code] ?? 'deterministic',
      ),
    )
  })

  it('of fan-outs are those of the branches', async () => {
    expect(await reader.figure(FANOUT, 'Branches ended', ended)).toBe(totals((final) => final.totals.branches))
    expect(await reader.figure(FANOUT, 'Fan-out health', ended)).toBe(0.75)
    expect(await reader.figure(FANOUT, 'Branches open')).toBe(2)
    expect(await reader.figure(FANOUT, 'Straggler factor', ended)).toBeGreaterThan(2)
    const waited = await reader.figure(FANOUT, 'Join waiting in all', ended)
    expect(waited).toBeGreaterThan(0.3)
    expect(waited).toBeLessThan(5)
  })

  it('of tokens and cost are those of final.json, to the last token and the sixth decimal', async () => {
    const kinds = ['input', 'cache_read', 'cache_write', 'output'] as const
    const tokens = (kind: (typeof kinds)[number]): number => totals((final) => final.totals.tokens[kind])
    const input = tokens('input') + tokens('cache_read') + tokens('cache_write')
    expect(await reader.figure(COST, 'Tokens', ended)).toBe(input + tokens('output'))
    expect(await reader.figure(COST, 'Output tokens', ended)).toBe(tokens('output'))
    expect(await reader.figure(COST, 'Cache share', ended)).toBeCloseTo(tokens('cache_read') / input, 12)
    expect(await reader.figure(COST, 'Cost', ended)).toBeCloseTo(
      totals((final) => final.totals.cost_usd ?? 0),
      6,
    )
    expect(await reader.figure(COST, 'Unpriced attempts', ended)).toBe(totals((final) => final.totals.cost_unpriced))
    const model = ['gen_ai_request_model']
    expect(await reader.column([COST, 'By model', 'Cost'], model, ended)).toEqual(
      closeTo({ 'm-large': 2 * 0.012345 + 0.2 }),
    )
    expect(await reader.column([COST, 'By model', 'Input'], model, ended)).toEqual({
      'm-large': 2 * 700 + 2 * 90,
      'm-small': 100,
    })
    expect(await reader.column([COST, 'By model', 'Cache read'], model, ended)).toEqual({ 'm-large': 800 })
    expect(await reader.column([COST, 'By model', 'Cache write'], model, ended)).toEqual({ 'm-large': 200 })
    expect(await reader.column([COST, 'By model', 'Unpriced'], model, ended)).toEqual({ 'm-small': 2 })
    expect(await reader.column([COST, 'By pipeline', 'Cost'], [PIPELINE], ended)).toEqual(
      closeTo(
        counted(
          runs.ended.filter(({ final }) => (final.totals.cost_usd ?? 0) > 0),
          ({ final }) => final.pipeline,
          ({ final }) => final.totals.cost_usd ?? 0,
        ),
      ),
    )
    expect(await reader.column([COST, 'By node', 'Of failed attempts'], [PIPELINE, NODE], ended)).toEqual(
      closeTo({ 'release/deploy': 0.2 }),
    )
  })

  it('of what is open are those of the run that is open', async () => {
    expect(await reader.figure(OVERVIEW, 'Runs open')).toBe(1)
    expect(await reader.figure(OVERVIEW, 'Gates open')).toBe(1)
    expect(await reader.figure(OVERVIEW, 'Alerts firing')).toBeGreaterThanOrEqual(1)
    expect(await reader.figure(STUCK, 'Attempts open')).toBe(3)
    expect(await reader.figure(STUCK, 'Gates open')).toBe(1)
    expect(await reader.figure(STUCK, 'Wait for a limit')).toBe(0)
    expect(await reader.figure(RETRIES, 'Breakers open now')).toBe(1)
    expect(await reader.figure(STUCK, 'Attempts open', ended)).toBe(0)
    expect(await reader.figure(STUCK, 'Longest idle', ended)).toBeUndefined()
    const age = (await reader.figure(STUCK, 'Oldest attempt'))!
    const idle = (await reader.figure(STUCK, 'Longest idle'))!
    expect(age).toBeGreaterThan(0)
    expect(age).toBeLessThan(range.to - range.from)
    expect(idle).toBeLessThanOrEqual(age + 3)
    expect(await reader.figure(STUCK, 'Oldest gate')).toBeLessThan(range.to - range.from)
    expect(await reader.figure(STUCK, 'Oldest heartbeat')).toBeLessThan(15)
    const share = (await reader.figure(STUCK, 'Idle of stall timeout'))!
    expect(share * 600).toBeLessThanOrEqual(idle + 1)
    const open = await reader.column([STUCK, 'Open attempts', 'Open'], [PIPELINE, NODE])
    expect(open).toEqual({ 'held/hang': 1, 'held/work': 2 })
    expect(await reader.column([STUCK, 'Open attempts', 'Stall timeout'], [NODE])).toEqual({ hang: 600 })
    const left = await reader.column([STUCK, 'Open attempts', 'Time left'], [NODE])
    expect(left['hang']).toBeGreaterThan(3_000)
    expect(left['hang']).toBeLessThan(3_600)
  })

  it('of the way of the telemetry tell of the sample that came too late', async () => {
    expect(await reader.figure(TELEMETRY, 'Lost by the collector')).toBeGreaterThanOrEqual(1)
    expect(await reader.figure(TELEMETRY, 'Too late for Prometheus')).toBeGreaterThanOrEqual(1)
    expect(await reader.figure(TELEMETRY, 'Refused for good')).toBe(0)
    expect(await reader.figure(TELEMETRY, 'Servers down')).toBe(0)
    expect(await reader.figure(TELEMETRY, 'Collector queue')).toBeLessThan(0.1)
    expect(Object.keys(await reader.column([TELEMETRY, 'Servers', 'Up'], ['job']))).toHaveLength(4)
  })
})

describe('a click', () => {
  interface FoundSpan {
    readonly operationName: string
    readonly tags: readonly { readonly key: string; readonly value: unknown }[]
  }
  /** The search that Jaeger's page would make for a link, over the API it uses itself. */
  async function spansBehind(url: string): Promise<FoundSpan[]> {
    const page = new URL(url)
    const answer = await fetch(`${stack.urls.jaeger}/api/traces?${page.searchParams.toString()}`)
    const { data } = (await answer.json()) as { data: { spans: FoundSpan[] }[] }
    const tags = Object.entries(JSON.parse(page.searchParams.get('tags') ?? '{}') as Record<string, string>)
    return data
      .flatMap(({ spans }) => spans)
      .filter((span) => span.operationName === page.searchParams.get('operation'))
      .filter((span) =>
        tags.every(([key, value]) => span.tags.some((tag) => tag.key === key && String(tag.value) === value)),
      )
  }
  const jaegerUrl = (query: PanelQuery, { labels }: Shown): string | undefined => {
    const link = query.panel.fieldConfig?.defaults.links?.find(({ url }) => url?.startsWith('${jaeger_url'))
    const chosen = { jaeger_url: stack.urls.jaeger, service: 'spanwright' }
    return link?.url === undefined
      ? undefined
      : opened(link.url, { from: range.from, to: range.to + 60 }, labels, chosen)
  }

  it('leads to as many failed attempts in Jaeger as the table says', async () => {
    const rows = (await reader.shown(RETRIES, 'Failures by node and code', ended)).filter(
      ({ query }) => query.refId === 'A',
    )
    expect(rows.length).toBeGreaterThan(3)
    for (const row of rows) expect(await spansBehind(jaegerUrl(row.query, row)!)).toHaveLength(row.value)
  })
  it('leads to as many failed runs as the table says', async () => {
    for (const row of await reader.shown(OVERVIEW, 'Why runs failed', ended))
      expect(await spansBehind(jaegerUrl(row.query, row)!)).toHaveLength(row.value)
  })
  it('leads from every value with links to spans that are there', async () => {
    const nowhere: string[] = []
    for (const board of reader.boards)
      for (const query of queriesOf(board))
        for (const value of await reader.ask(query)) {
          const url = jaegerUrl(query, value)
          if (url === undefined || value.value === 0 || value.labels[PIPELINE] === 'held') continue
          if ((await spansBehind(url)).length === 0) nowhere.push(`${board.uid} / ${query.panel.title}: ${url}`)
        }
    expect(nowhere).toEqual([])
  })
  it('leads from an open attempt to its marker', async () => {
    const rows = (await reader.shown(STUCK, 'Open attempts')).filter(({ query }) => query.refId === 'A')
    for (const row of rows) expect((await spansBehind(jaegerUrl(row.query, row)!)).length).toBe(row.value)
  })
})
