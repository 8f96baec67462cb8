// What is counted, and what gauges show while something is open.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { toTimestamp } from '../../src/core/time.ts'
import { readJournal } from '../../src/journal/journal-reader.ts'
import { createMeasurements, type Measurements } from '../../src/telemetry/measurements.ts'
import type { MetricKey } from '../../src/telemetry/metric-names.ts'
import { failureOf, JournalEntries, START_MS } from './journal-entries.ts'

const US = 1_000_000
const START_S = START_MS / 1_000

interface Line {
  readonly metric: MetricKey
  readonly value: number
  readonly attributes: { readonly [name: string]: unknown }
}
/** `metric value label=… label=…`, short: the pipeline left out, attribute names by their last word. */
function inShort(lines: readonly Line[]): string[] {
  return lines.map(({ metric, value, attributes }) =>
    [
      metric,
      Math.round(value * 1_000) / 1_000,
      ...Object.entries(attributes)
        .filter(([name]) => name !== 'cicd.pipeline.name')
        .map(([name, text]) => `${name.slice(name.lastIndexOf('.') + 1)}=${String(text)}`),
    ].join(' '),
  )
}

function counted(journal: JournalEntries): string[] {
  const measurements = createMeasurements()
  return inShort(journal.entries.flatMap((entry) => measurements.apply(entry)))
}

function following(journal: JournalEntries): Measurements {
  const measurements = createMeasurements()
  for (const entry of journal.entries) measurements.apply(entry)
  return measurements
}

/** Gauges `afterMs` after the last entry, times as seconds since the start. */
function shown(journal: JournalEntries, afterMs = 0): string[] {
  const points = following(journal).gauges((journal.nowMs + afterMs) * 1_000)
  return inShort(points.map((point) => (point.value > START_S ? { ...point, value: point.value - START_S } : point)))
}

test('an attempt that is retried: attempts, durations, codes, the retry', () => {
  const journal = new JournalEntries().created().node('build').attempt('build', 1).wait(1_499)
  journal.attemptFinished('build', 1, 'failure').retry('build', 1).wait(5_000).attempt('build', 2).wait(249)
  journal
    .attemptFinished('build', 2, 'success')
    .nodeFinished('build', 'success')
    .finished('success', { duration_ms: 8_000 })
  expect(counted(journal)).toEqual([
    'attempts 1 name=build result=failure',
    'attemptDuration 1.5 name=build result=failure kind=run number=1 type=exit_nonzero',
    'retries 1 name=build type=exit_nonzero',
    'attempts 1 name=build result=success',
    'attemptDuration 0.25 name=build result=success kind=run number=2',
    'runDuration 8 state=executing result=success',
  ])
})

test('the pipeline is on every number, and never an id', () => {
  const journal = new JournalEntries()
    .created()
    .fanout(2, { failing: [1] })
    .finished('failure')
  const measurements = createMeasurements()
  const all = journal.entries.flatMap((entry) => measurements.apply(entry))
  expect(all.length).toBeGreaterThan(8)
  for (const { attributes } of all) {
    expect(attributes['cicd.pipeline.name']).toBe('release')
    expect(JSON.stringify(attributes)).not.toMatch(/k0|k1|@1|01KH3DN4STSZ3MVKB58YY6RE57/)
  }
})

test('the fourth attempt and all after it are one series', () => {
  const journal = new JournalEntries().created().node('n')
  for (let number = 1; number <= 6; number++) journal.attempt('n', number).attemptFinished('n', number, 'success')
  const numbers = counted(journal).flatMap((line) => /^attemptDuration .* number=(\S+)/.exec(line)?.[1] ?? [])
  expect(numbers).toEqual(['1', '2', '3', '4+', '4+', '4+'])
})

test("tokens and cost by model where there were several; what no model has is the main one's", () => {
  const journal = new JournalEntries().created().node('n').attempt('n', 1)
  const small = { input: 4, cache_read: 0, cache_write: 0, output: 1, usd: 0.25 }
  const large = { input: 6, cache_read: 9, cache_write: 0, output: 2, usd: null }
  const usage = { input: 12, cache_read: 9, cache_write: 0, output: 3, model: 'large', models: { large, small } }
  journal.attemptFinished('n', 1, 'success', { usage, cost: { usd: 0.75, source: 'computed', unpriced: true } })
  expect(counted(journal).filter((line) => /^(tokenUsage|cost|unpriced)/.test(line))).toEqual(
    expect.arrayContaining([
      'tokenUsage 8 name=n model=large type=input',
      'tokenUsage 4 name=n model=small type=input',
      'tokenUsage 9 name=n model=large type=cache_read',
      'tokenUsage 2 name=n model=large type=output',
      'tokenUsage 1 name=n model=small type=output',
      'cost 0.5 name=n model=large source=computed result=success',
      'cost 0.25 name=n model=small source=computed result=success',
    ]),
  )
})

test('a summary of failures costs something too', () => {
  const journal = new JournalEntries().created().step('n', 'failure')
  const usage = { input: 100, cache_read: 0, cache_write: 0, output: 20 }
  const summary = { type: 'failure.summarized' as const, node: 'n', visit: 1, text: 'why', model: 'tiny' }
  const before = counted(journal).length
  journal.add({ ...summary, usage, cost: { usd: 0.5, source: 'computed' } })
  journal.add({ ...summary, usage, cost: { usd: null, source: 'unknown' } })
  journal.add(summary)
  expect(counted(journal).slice(before)).toEqual([
    'tokenUsage 100 name=n model=tiny type=input',
    'tokenUsage 20 name=n model=tiny type=output',
    'cost 0.5 name=n model=tiny source=computed result=failure',
    'tokenUsage 100 name=n model=tiny type=input',
    'tokenUsage 20 name=n model=tiny type=output',
    'unpriced 1 name=n model=tiny',
  ])
})

test('tokens by type and cost at the end of the attempt; nothing for what is zero or unknown', () => {
  const usage = { input: 10, cache_read: 500, cache_write: 0, output: 7, reasoning: 3, model: 'large' }
  const journal = new JournalEntries().created().node('n').attempt('n', 1, { model: 'asked' })
  journal.attemptFinished('n', 1, 'success', { usage, cost: { usd: 0.125, source: 'reported' } })
  journal
    .attempt('n', 2)
    .attemptFinished('n', 2, 'timeout', { usage: { input: 1, cache_read: 0, cache_write: 2, output: 0 } })
  expect(counted(journal).filter((line) => !line.startsWith('attempt'))).toEqual([
    'tokenUsage 10 name=n model=large type=input',
    'tokenUsage 500 name=n model=large type=cache_read',
    'tokenUsage 7 name=n model=large type=output',
    'cost 0.125 name=n model=large source=reported result=success',
    'tokenUsage 1 name=n type=input',
    'tokenUsage 2 name=n type=cache_creation',
    'unpriced 1 name=n',
  ])
})

test('a lost attempt counts with what it last told, and is as long as its process was seen alive', () => {
  const ids = { node: 'n', visit: 1, attempt: 1, attempt_id: 'n@1.1' }
  const journal = new JournalEntries().created().node('n').attempt('n', 1).wait(1_999)
  const usage = { input: 5, cache_read: 0, cache_write: 0, output: 1 }
  journal.add({ type: 'attempt.progressed', ...ids, usage, cost: { usd: 1, source: 'computed' } })
  journal.wait(86_400_000)
  journal.add({ type: 'attempt.lost', ...ids, span_id: 'x', failure: failureOf('worker_lost') })
  journal.add({ type: 'run.interrupted', execution: 1, failure: failureOf('worker_lost'), duration_ms: 2_002 })
  journal.resumed().node('n', {}, { continues: 'x', via: 'resume' }).attempt('n', 2).attemptFinished('n', 2, 'success')
  journal.nodeFinished('n', 'success').finished('success', { duration_ms: 9_000 })
  expect(counted(journal)).toEqual([
    'attempts 1 name=n result=error',
    'attemptDuration 2 name=n result=error kind=run number=1 type=worker_lost',
    'tokenUsage 5 name=n type=input',
    'tokenUsage 1 name=n type=output',
    'cost 1 name=n source=computed result=error',
    'runDuration 2.002 state=executing result=error type=worker_lost',
    'attempts 1 name=n result=success',
    'attemptDuration 0.001 name=n result=success kind=run number=2',
    'runDuration 9 state=executing result=success',
  ])
})

test('canceled and skipped are no errors', () => {
  const journal = new JournalEntries().created().skipped('s').node('n').attempt('n', 1)
  journal.attemptFinished('n', 1, 'cancellation', { failure: failureOf('canceled') })
  journal.finished('cancellation', { failure: failureOf('canceled') })
  expect(counted(journal).join('\n')).not.toMatch(/type=/)
})

test('branches and their join; a branch that a resume goes on with counts once', () => {
  const journal = new JournalEntries().created().node('split', { kind: 'fanout' })
  const spans = ['a', 'b', 'c'].map((key, index) => journal.branch('split', key, index))
  journal.wait(999).branchFinished('split', 'a', 0)
  journal.wait(1_999).branchFinished('split', 'b', 1, 'failure')
  journal.add({ type: 'run.interrupted', execution: 1, failure: failureOf('worker_lost') })
  journal.resumed().node('split', { kind: 'fanout' }, { continues: 'x', via: 'resume' })
  journal.branch('split', 'c', 2, spans[2])
  journal.branchFinished('split', 'c', 2).nodeFinished('split', 'failure', { kind: 'fanout' })
  expect(counted(journal).filter((line) => /^(branch|join)/.test(line))).toEqual([
    'branchDuration 1.002 name=split result=success',
    'branchDuration 3.001 name=split result=failure',
    'branchDuration 3 name=split result=error',
    // Its first end in the execution that judged it.
    'joinWait 0.001 name=split',
  ])
})

test('a breaker counts when it opens and shows until the run ends', () => {
  const journal = new JournalEntries().created().node('n')
  const breaker = { node: 'n', visit: 1, path: 'n', signature: 's', count: 3, limit: 3 }
  journal.add({ type: 'breaker.opened', ...breaker, failure: failureOf('breaker_open') })
  expect(counted(journal)).toEqual(['breakersOpened 1 name=n'])
  expect(shown(journal)).toContain('breakerOpen 1 name=n')
  expect(shown(journal.finished('failure'))).toContain('breakerOpen 0 name=n')
})

test('gauges: counts of every node seen, 0 included; times only while something is open', () => {
  const journal = new JournalEntries().created().node('build')
  expect(shown(journal, 1_000)).toEqual([
    'heartbeat 1.002',
    'runsOpen 1',
    'attemptsOpen 0 name=build',
    'attemptsWaiting 0 name=build',
  ])
  journal.attempt('build', 1, { timeout_ms: 60_000, stall_timeout_ms: 5_000 })
  expect(shown(journal, 1_000)).toEqual([
    'heartbeat 1.003',
    'runsOpen 1',
    'attemptsOpen 1 name=build',
    'attemptsWaiting 0 name=build',
    'oldestStart 0.003 name=build',
    'oldestProgress 0.003 name=build',
    'stallTimeout 5 name=build',
    'attemptDeadline 60.003 name=build',
  ])
  journal.attemptFinished('build', 1, 'success').nodeFinished('build', 'success').finished('success')
  expect(shown(journal)).toEqual([
    'heartbeat 0.006',
    'runsOpen 0',
    'attemptsOpen 0 name=build',
    'attemptsWaiting 0 name=build',
  ])
  expect(following(new JournalEntries()).gauges(3 * US)).toEqual([{ metric: 'heartbeat', value: 3, attributes: {} }])
})

test('progress is the last output; the attempt that is idle for longest speaks for its node', () => {
  const journal = new JournalEntries().created().node('n').attempt('n', 1).attempt('n', 2).wait(10_000)
  const ids = { node: 'n', visit: 1, attempt: 1, attempt_id: 'n@1.1' }
  journal.add({ type: 'attempt.progressed', ...ids, last_output_at: toTimestamp(START_MS + 7_000) })
  expect(shown(journal)).toContain('oldestProgress 0.004 name=n')
  journal.attemptFinished('n', 2, 'success')
  expect(shown(journal)).toContain('oldestProgress 7 name=n')
  // An older time than what is known changes nothing.
  journal.add({ type: 'attempt.progressed', ...ids, last_output_at: toTimestamp(START_MS + 5_000) })
  expect(shown(journal)).toContain('oldestProgress 7 name=n')
})

test('while an attempt waits for a limit, or its checks run, it is not idle and its deadline moves on', () => {
  const ids = { node: 'n', visit: 1, attempt: 1, attempt_id: 'n@1.1' }
  const journal = new JournalEntries().created().node('n').attempt('n', 1, { timeout_ms: 60_000 }).wait(996)
  const failure = failureOf('rate_limited')
  journal.add({ type: 'attempt.waiting', ...ids, due_at: toTimestamp(START_MS + 90_000), wait: 1, failure })
  expect(shown(journal, 50_000).slice(2)).toEqual([
    'attemptsOpen 1 name=n',
    'attemptsWaiting 1 name=n',
    'oldestStart 0.003 name=n',
    'oldestProgress 51 name=n',
    'attemptDeadline 110.003 name=n',
  ])
  journal.wait(88_999).add({ type: 'timer.fired', timer: 'limit', id: 'limit:n@1.1', ...ids })
  expect(shown(journal, 1_000).slice(2)).toEqual([
    'attemptsOpen 1 name=n',
    'attemptsWaiting 0 name=n',
    'oldestStart 0.003 name=n',
    'oldestProgress 90 name=n',
    'attemptDeadline 149.003 name=n',
  ])
  journal.add({ type: 'attempt.acted', ...ids, duration_ms: 1 })
  expect(shown(journal, 10_000)).toEqual(
    expect.arrayContaining(['oldestProgress 100.001 name=n', 'attemptDeadline 159.003 name=n']),
  )
})

test('gates: how many are open and since when, also over a resume', () => {
  const journal = new JournalEntries().created().node('ask', { kind: 'gate' })
  journal.add({ type: 'gate.opened', node: 'ask', visit: 1, question: 'Go on?', choices: ['yes'], reject: [] })
  expect(shown(journal, 5_000).slice(2)).toEqual(['gatesOpen 1 name=ask', 'gateOldest 0.003 name=ask'])
  journal.interrupted()
  expect(shown(journal).slice(1)).toEqual(['runsOpen 0', 'gatesOpen 0 name=ask'])
  journal.resumed().node('ask', { kind: 'gate' }, { continues: 'x', via: 'resume' })
  expect(shown(journal).slice(2)).toEqual(['gatesOpen 1 name=ask', 'gateOldest 0.003 name=ask'])
  journal.add({ type: 'gate.answered', node: 'ask', visit: 1, choice: 'yes', by: { kind: 'user' } })
  expect(shown(journal).slice(2)).toEqual(['gatesOpen 0 name=ask'])
})

test('budgets: the share that is used, of the run and of nodes', () => {
  const journal = new JournalEntries()
  journal.created()
  Object.assign(journal.entries[0]!.event, { budget: { usd: 4, attempts: 8, mode: 'enforce' } })
  journal
    .node('n', {}, { budget: { tokens: 1_000, time_ms: 10_000, mode: 'audit' } })
    .attempt('n', 1)
    .wait(4_999)
  const usage = { input: 100, cache_read: 50, cache_write: 0, output: 50 }
  const ids = { node: 'n', visit: 1, attempt: 1, attempt_id: 'n@1.1' }
  journal.add({ type: 'attempt.progressed', ...ids, usage, cost: { usd: 1, source: 'reported' } }, 0)
  expect(shown(journal).filter((line) => line.startsWith('budget'))).toEqual([
    'budgetUsed 0.25 kind=usd',
    'budgetUsed 0.125 kind=attempts',
    'budgetUsed 0.2 name=n kind=tokens',
    'budgetUsed 0.5 name=n kind=time',
  ])
})

test('the last values: all that could be open is not', () => {
  const journal = new JournalEntries().created().fanout(2).node('ask', { kind: 'gate' })
  journal.node('n').attempt('n', 1)
  const closing = following(journal).closing()
  expect(inShort(closing)).toEqual([
    'runsOpen 0',
    'branchesOpen 0 name=split',
    'attemptsOpen 0 name=work',
    'attemptsWaiting 0 name=work',
    'attemptsOpen 0 name=join',
    'attemptsWaiting 0 name=join',
    'gatesOpen 0 name=ask',
    'attemptsOpen 0 name=n',
    'attemptsWaiting 0 name=n',
  ])
  expect(createMeasurements().closing()).toEqual([])
})

test('ten thousand branches are one series per node', () => {
  const journal = new JournalEntries().created().node('split', { kind: 'fanout' })
  for (let index = 0; index < 10_000; index++) {
    const parent = journal.branch('split', `k${index}`, index)
    journal.node(`split:k${index}/work`, { parent }).attempt(`split:k${index}/work`, 1)
  }
  expect(shown(journal).slice(0, 5)).toEqual([
    `heartbeat ${(journal.nowMs - START_MS) / 1_000}`,
    'runsOpen 1',
    'branchesOpen 10000 name=split',
    'attemptsOpen 10000 name=work',
    'attemptsWaiting 0 name=work',
  ])
})

const journals = path.join(import.meta.dirname, '../fixtures/journals')
test.each(['v0-release', 'v0-then-v1', 'v1-release'])('a journal of an older version counts as well: %s', (name) => {
  const entries = [...readJournal(path.join(journals, name, 'journal.ndjson'))]
  const measurements = createMeasurements()
  const all = entries.flatMap((entry) => measurements.apply(entry))
  const { totals, duration_ms: duration } = JSON.parse(readFileSync(path.join(journals, name, 'final.json'), 'utf8'))
  const count = (metric: MetricKey): number => all.filter((one) => one.metric === metric).length
  expect([count('attempts'), count('retries'), count('branchDuration')]).toEqual([
    totals.attempts,
    totals.retries,
    totals.branches,
  ])
  expect(all.find((one) => one.metric === 'runDuration')?.value).toBeCloseTo(duration / 1_000, 3)
})
