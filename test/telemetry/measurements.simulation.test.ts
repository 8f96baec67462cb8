// Random runs with crashes, resumes, cancels, manual retries, child pipelines, fan-outs, checks, limits and spending:
// summed over the entries of a journal the measurements are the totals of final.json, and at every moment the gauges
// show what the state holds. One seed alone: SEED=123 vitest run test/telemetry/measurements.simulation.test.ts; more: SEEDS=3000
import { expect, test } from 'vitest'
import type { Entry, Event } from '../../src/core/events.ts'
import { summaryOf } from '../../src/core/summary.ts'
import { limitOf, usedOf, BUDGET_KINDS } from '../../src/core/budgets.ts'
import type { Scope } from '../../src/core/state.ts'
import { fromTimestamp } from '../../src/core/time.ts'
import { MEASUREMENT_ROWS } from '../../src/telemetry/measurement-rows.ts'
import { OpenWork } from '../../src/telemetry/open-work.ts'
import { createMeasurements, type Measurements } from '../../src/telemetry/measurements.ts'
import type { Measurement } from '../../src/telemetry/measurement.ts'
import { METRIC, type MetricKey } from '../../src/telemetry/metric-names.ts'
import { randomOf, type Random } from '../support/random-pipeline.ts'
import { FAMILIES, randomScript, validPipeline, type Family } from '../support/random-play.ts'
import { World, type Script } from '../support/world.ts'

const { SEED, SEEDS = 40 } = process.env
const seeds = SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, i) => i + 1) : [Number(SEED)]

/** The same world, with prices: known, unknown, none. */
function spending(script: Script, seed: number): Script {
  return (command, world) => {
    const answer = script(command, world)
    if (!answer || command.kind !== 'attempt') return answer
    const r = randomOf([...command.id].reduce((sum, c) => (sum * 33 + c.charCodeAt(0)) | 0, seed))
    if (!answer.usage && r.chance(0.7)) return answer
    return { ...answer, ...randomSpend(r) }
  }
}

const randomTokens = (r: Random) => ({
  input: r.int(3_000),
  cache_read: r.int(2) * r.int(50_000),
  cache_write: r.int(2) * r.int(5_000),
  output: r.int(1_000),
})

/** By model: all of it, less, or more than there was; with prices, without, and with prices that do not add up. */
function randomModels(r: Random) {
  const usd = () => r.pick([r.int(500_000) / 1_000_000, null, undefined])
  return { large: { ...randomTokens(r), usd: usd() }, small: { ...randomTokens(r), usd: usd() } }
}

function randomSpend(r: Random) {
  const models = r.chance(0.4) ? randomModels(r) : undefined
  const whole = randomTokens(r)
  if (models && r.chance(0.7))
    for (const key of ['input', 'cache_read', 'cache_write', 'output'] as const)
      whole[key] = models.large[key] + models.small[key] + (r.chance(0.3) ? r.int(10) : 0)
  const usage = {
    ...whole,
    ...(models && { models }),
    ...(r.chance(0.6) && { model: r.pick(['large', 'small']) }),
  }
  const cost = r.pick([
    { usd: r.int(1_000_000) / 1_000_000, source: 'reported' as const },
    { usd: r.int(1_000_000) / 1_000_000, source: 'computed' as const },
    { usd: null, source: 'unknown' as const },
    undefined,
  ])
  return { usage, ...(cost && { cost }) }
}

/** Reads what a world records, as the telemetry worker does. */
class Reader {
  measurements: Measurements = createMeasurements()
  all: Measurement[] = []
  /** The same once more, to look at what no gauge shows. */
  work = new OpenWork()

  follow(world: World): World {
    this.measurements = createMeasurements()
    this.all = []
    this.work = new OpenWork()
    world.entries.forEach((entry) => this.read(entry))
    world.onEntry = (entry) => this.read(entry)
    return world
  }

  private read(entry: Entry): void {
    this.all.push(...this.measurements.apply(entry))
    const row = MEASUREMENT_ROWS[entry.event.type] as ((work: OpenWork, event: Event, atUs: number) => void) | null
    row?.(this.work, entry.event, fromTimestamp(entry.at) * 1_000)
    if (entry.event.type !== 'attempt.lost') this.work.lastAliveUs = fromTimestamp(entry.at) * 1_000
  }

  sum(metric: MetricKey, match: { readonly [name: string]: string } = {}): number {
    return this.matching(metric, match).reduce((sum, { value }) => sum + value, 0)
  }

  count(metric: MetricKey): number {
    return this.matching(metric).length
  }

  private matching(metric: MetricKey, match: { readonly [name: string]: string } = {}): Measurement[] {
    return this.all.filter(
      (one) => one.metric === metric && Object.entries(match).every(([name, value]) => one.attributes[name] === value),
    )
  }
}

function expectTotals(reader: Reader, world: World): void {
  const { totals } = summaryOf(world.state)
  expect({
    attempts: reader.sum('attempts'),
    durations: reader.count('attemptDuration'),
    retries: reader.sum('retries'),
    branches: reader.count('branchDuration'),
    input: reader.sum('tokenUsage', { 'gen_ai.token.type': 'input' }),
    cache_read: reader.sum('tokenUsage', { 'gen_ai.token.type': 'cache_read' }),
    cache_write: reader.sum('tokenUsage', { 'gen_ai.token.type': 'cache_creation' }),
    output: reader.sum('tokenUsage', { 'gen_ai.token.type': 'output' }),
    unpriced: reader.sum('unpriced'),
  }).toEqual({
    attempts: totals.attempts,
    durations: totals.attempts,
    retries: totals.retries,
    branches: totals.branches,
    input: totals.tokens.input,
    cache_read: totals.tokens.cache_read,
    cache_write: totals.tokens.cache_write,
    output: totals.tokens.output,
    unpriced: totals.cost_unpriced,
  })
  expect(reader.sum('cost')).toBeCloseTo(totals.cost_usd, 9)
  const events = world.entries.map((entry) => entry.event)
  const ends = events.filter((event) => event.type === 'run.finished' || event.type === 'run.interrupted')
  expect(reader.count('runDuration')).toBe(ends.length)
  expect(reader.sum('runDuration')).toBeCloseTo(sum(ends.map((end) => Number(end.duration_ms) / 1_000)), 6)
  expect(reader.sum('breakersOpened')).toBe(events.filter((event) => event.type === 'breaker.opened').length)
  expect(codes(reader)).toEqual(failedAttempts(events))
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Failure codes of attempts, counted. */
function codes(reader: Reader): { [code: string]: number } {
  const counts: { [code: string]: number } = {}
  for (const { metric, attributes } of reader.all) {
    const code = attributes['error.type']
    if (metric === 'attemptDuration' && code !== undefined) counts[String(code)] = (counts[String(code)] ?? 0) + 1
  }
  return counts
}

function failedAttempts(events: readonly Event[]): { [code: string]: number } {
  const counts: { [code: string]: number } = {}
  for (const event of events) {
    const failed =
      event.type === 'attempt.lost' ||
      (event.type === 'attempt.finished' && ['failure', 'error', 'timeout'].includes(event.result))
    if (failed && event.failure) counts[event.failure.code] = (counts[event.failure.code] ?? 0) + 1
  }
  return counts
}

/** What the gauges show, by metric and node id (and kind of a budget). */
function shown(reader: Reader, world: World): { [series: string]: number } {
  const found: { [series: string]: number } = {}
  for (const { metric, value, attributes } of reader.measurements.gauges(world.state.lastAt * 1_000)) {
    const labels = [metric, attributes['cicd.pipeline.task.name'] ?? '', attributes['spanwright.budget.kind'] ?? '']
    const series = labels.join(' ').trim()
    expect(found).not.toHaveProperty([series])
    found[series] = value
  }
  return found
}

function expectGauges(reader: Reader, world: World): void {
  const { state } = world
  const expected: { [series: string]: number } = { heartbeat: state.lastAt / 1_000, runsOpen: 0 }
  const running = state.phase === 'running'
  if (running) expected['runsOpen'] = 1
  const add = (series: string, more: number): void => void (expected[series] = (expected[series] ?? 0) + more)
  for (const node of state.attempts.values()) {
    add(`attemptsOpen ${node.def.id}`, 1)
    add(`attemptsWaiting ${node.def.id}`, node.attempt!.waiting ? 1 : 0)
  }
  for (const gate of state.gates.values()) add(`gatesOpen ${gate.def.id}`, 1)
  for (const scope of state.scopes.values())
    if (running && scope.branch && scope.phase === 'open' && isAnnounced(scope))
      add(`branchesOpen ${scope.owner!.def.id}`, 1)
  const found = shown(reader, world)
  for (const [series, value] of Object.entries(found)) {
    if (/^(attemptsOpen|attemptsWaiting|gatesOpen|branchesOpen|runsOpen|heartbeat)/.test(series))
      expect([series, value]).toEqual([series, expect.closeTo(expected[series] ?? 0, 6)])
  }
  for (const series of Object.keys(expected)) expect(found).toHaveProperty([series])
  expectBudgets(reader, world)
}

/** The budgets that still pay for something are the same, and used as much. */
function expectBudgets(reader: Reader, world: World): void {
  const { state } = world
  const shares = new Map<string, number>()
  for (const { scope, kind, used } of reader.work.budgets.shares(state.lastAt * 1_000))
    shares.set(`${scope} ${kind}`, used)
  // A route, a resume or a retry takes back at once what lies downstream; the reader learns of it when that starts again.
  const takenBack = world.entries.some(({ event }) => event.type === 'route.taken' || event.type === 'run.resumed')
  for (const id of takenBack ? [] : shares.keys())
    expect([id, state.budgets.has(id.slice(0, id.lastIndexOf(' ')))]).toEqual([id, true])
  for (const budget of state.budgets.values()) {
    for (const kind of BUDGET_KINDS) {
      if (limitOf(budget, kind) === undefined) continue
      const id = `${budget.scopePath} ${kind}`
      expect([id, shares.get(id)]).toEqual([id, expect.closeTo(usedOf(budget, kind, state.lastAt), 6)])
    }
  }
}

function isAnnounced(scope: Scope): boolean {
  for (let at = scope; at.owner; at = at.owner.scope) if (at.resuming || at.owner.resuming) return false
  return true
}

function expectForm(reader: Reader): void {
  for (const { metric, value, attributes } of reader.all) {
    expect(Object.keys(attributes).filter((name) => !METRIC[metric].attributes.includes(name as never))).toEqual([])
    expect(value).toBeGreaterThanOrEqual(0)
    for (const attribute of Object.values(attributes)) expect(attribute).not.toMatch(/[@:/]/)
  }
}

/** One turn: mostly the next thing happens; sometimes somebody, or something, intervenes. */
function turn(world: World, r: Random, reader: Reader): World {
  const open = [...world.state.attempts.keys()]
  if (open.length > 0 && r.chance(0.25)) {
    const { usage, cost } = randomSpend(r)
    world.tell({ type: 'attempt.usage', attempt_id: r.pick(open), usage, cost })
  }
  if (r.chance(0.03)) world.tell({ type: 'cancel', by: { kind: 'user' }, force: r.chance(0.3) })
  if (r.chance(0.04)) return crashed(world, r, reader)
  const [gate] = world.state.gates.values()
  if (gate && (r.chance(0.2) || !world.step()))
    world.tell({ type: 'gate.answer', node: gate.path, choice: gate.gate!.choices[0]!, by: { kind: 'user' } })
  else if (!gate) world.step()
  return world
}

/** The process dies, sometimes with what it had not written yet; recovery comes later. */
function crashed(world: World, r: Random, reader: Reader): World {
  const next = reader.follow(world.crashed(Math.max(1, world.entries.length - r.int(4))))
  next.now += r.int(100_000)
  next.tell({ type: 'interrupt', message: 'the orchestrator was killed' })
  expectTotals(reader, next)
  expectGauges(reader, next)
  next.tell({ type: 'resume' })
  return next
}

/** Resumed or retried by hand, while that is possible, a few times. */
function goOnAgain(world: World, n: number): boolean {
  if (n > 3) return false
  world.now += 3_600_000
  return !world.tell({ type: 'resume' }) || !world.tell({ type: 'retry', reset_count: n % 2 === 0, mode: 'clean' })
}

const cases = FAMILIES.flatMap((family) => seeds.map((seed): [Family, number] => [family, seed]))
test.each(cases)('%s: seed %i', { timeout: 60_000 }, async (family, seed) => {
  const pipeline = await validPipeline(seed, family)
  const reader = new Reader()
  const r = randomOf(seed * 7_919)
  let world = reader.follow(new World(pipeline, spending(randomScript(seed), seed)))
  world.create()
  for (let again = 0; ; again++) {
    for (let turns = 0; world.state.phase === 'running'; turns++) {
      if (turns > 20_000) throw new Error('the run does not end')
      world = turn(world, r, reader)
      if (world.state.phase === 'running') expectGauges(reader, world)
    }
    expectTotals(reader, world)
    expectGauges(reader, world)
    if (!goOnAgain(world, again)) break
  }
  expectForm(reader)
  expect(reader.measurements.closing().every(({ value }) => value === 0)).toBe(true)
})
