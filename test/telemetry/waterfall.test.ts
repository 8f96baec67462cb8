// The trace as text: what must be seen is seen, at every width.
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createProjection } from './checked-projection.ts'
import { toWaterfall, type WaterfallOptions } from '../../src/telemetry/waterfall.ts'
import { failureOf, JournalEntries } from './journal-entries.ts'

function draw(journal: JournalEntries, options: Partial<WaterfallOptions> = {}): string[] {
  const projection = createProjection()
  const ended = journal.entries.flatMap((entry) => projection.apply(entry))
  return toWaterfall([...ended, ...projection.open()], {
    width: 100,
    color: false,
    ascii: false,
    nowMs: journal.nowMs,
    ...options,
  })
}
/** Glyph, label and note: what stands before the bar. */
const labels = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/\s*[█▒░─]+.*$/u, '').trimEnd())

const retried = (): JournalEntries => {
  const journal = new JournalEntries().created().node('flaky')
  journal.attempt('flaky', 1).wait(400).attemptFinished('flaky', 1, 'failure').retry('flaky', 1)
  journal.wait(1_000).attempt('flaky', 2, { delay_ms: 1_000 }).wait(300).attemptFinished('flaky', 2, 'success')
  return journal.nodeFinished('flaky', 'success', {}, { retry_count: 1 })
}

test('an ended run: states, retries with their delay, durations, bars in order of time', () => {
  const lines = draw(retried().step('quick').skipped('never').finished('success'))
  expect(labels(lines)).toEqual([
    ' ✓ release',
    '   ✓ flaky  1 retry',
    '     ✕ attempt 1  exit_nonzero',
    '     ✓ attempt 2  after 1.0s',
    '   ✓ quick',
    '   - never  upstream_failed',
  ])
  expect(lines[1]).toMatch(/█+░+█+ +1\.7s$/u)
  expect(lines[2]).toMatch(/█+ +401ms$/u)
  expect(lines[2]!.indexOf('█')).toBeLessThan(lines[3]!.indexOf('█'))
})

test('a running run is drawn up to now', () => {
  const lines = draw(retried().node('slow').attempt('slow', 1).wait(500), { nowMs: Date.parse('2026-11-21T10:00:10Z') })
  expect(labels(lines)[0]).toBe(' ⠹ release')
  expect(lines.at(-1)).toMatch(/^ {3}⠹ slow .*▒+ +8\.2s$/u)
})

test('after a kill and a resume both executions are there', () => {
  const journal = retried().node('second').interrupted()
  const lines = draw(journal.resumed().step('second').finished('success'))
  expect(labels(lines)).toEqual(
    expect.arrayContaining([' ! release', '   ! second  worker_lost', '   ✓ release, execution 2', '     ✓ second']),
  )
})

describe('fan-outs', () => {
  test('up to 8 branches are listed; those that ended well are one row', () => {
    expect(labels(draw(new JournalEntries().created().fanout(8, { failing: [2] })))).toEqual([
      ' ⠹ release',
      '   ✕ split  branch_failed',
      ...[0, 1].map((i) => `     ✓ k${i}`),
      '     ✕ k2  exit_nonzero',
      '       ✕ work  exit_nonzero',
      ...[3, 4, 5, 6, 7].map((i) => `     ✓ k${i}`),
      '   ✓ join',
    ])
  })
  test('more are counted, and the failed ones listed', () => {
    const lines = labels(
      draw(new JournalEntries().created().fanout(1_000, { failing: Array.from({ length: 12 }, (_, i) => i * 50) })),
    )
    expect(lines).toContain('     1000 branches: 988 ok, 12 failed')
    expect(lines.filter((line) => /^ {5}✕ k/.test(line))).toHaveLength(8)
    expect(lines).toContain('     and 4 more that failed')
    expect(lines.length).toBeLessThan(40)
  })
})

test('failed checks and hooks are shown, passed ones not', () => {
  const journal = new JournalEntries().created().node('build').attempt('build', 1)
  for (const [index, passed] of [true, false].entries()) {
    const check = {
      node: 'build',
      visit: 1,
      attempt_id: 'build@1.1',
      name: `c${index}`,
      index,
      level: 'L1',
      required: false,
      span_id: journal.span(`c${index}`),
    }
    journal.add({ type: 'check.started', ...check, inputs: {}, parent_span_id: journal.span('attempt build@1.1') })
    journal.add({
      type: 'check.finished',
      ...check,
      passed,
      duration_ms: 1,
      ...(passed ? {} : { failure: failureOf('exit_nonzero') }),
    })
  }
  expect(
    labels(draw(journal.attemptFinished('build', 1, 'success').nodeFinished('build', 'success').finished('success'))),
  ).toEqual([' ✓ release', '   ✓ build', '     ✕ check c1  exit_nonzero, optional'])
})

test('many attempts are folded in the middle', () => {
  const journal = new JournalEntries().created().node('loop')
  for (let i = 1; i <= 100; i++) journal.attempt('loop', i).attemptFinished('loop', i, 'failure')
  const lines = labels(
    draw(journal.nodeFinished('loop', 'failure', {}, { failure: failureOf('exit_nonzero'), retry_count: 99 })),
  )
  expect(lines).toContain('     92 more attempts')
  expect(lines).toHaveLength(2 + 4 + 1 + 4)
})

describe('any terminal', () => {
  const journal = new JournalEntries({
    pipeline: '\u001b[31mr\u0007日本語のとても長いパイプライン名'.repeat(4),
  }).created()
  journal
    .fanout(3, { failing: [1], path: 'a_very_long_name_of_a_node_that_fills_more_than_half_of_a_narrow_terminal' })
    .step('short')
  journal.node('deep').attempt('deep', 1)

  test.each([60, 61, 80, 100, 137, 200])('%i columns are never exceeded', (width) => {
    for (const line of draw(journal, { width })) {
      const wide = [...line].filter((char) => /[\u3040-\u30ff\u4e00-\u9fff]/u.test(char)).length
      expect([...line].length + wide).toBeLessThanOrEqual(width)
    }
  })
  test('other widths are taken as the nearest', () => {
    expect(draw(journal, { width: 5 })).toEqual(draw(journal, { width: 60 }))
    expect(draw(journal, { width: 1_000 })).toEqual(draw(journal, { width: 200 }))
  })
  test('no control character of a step or a pipeline comes through', () => {
    expect(draw(journal).join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
  })
  test('colour adds only colour', () => {
    expect(draw(journal, { color: true }).map(stripVTControlCharacters)).toEqual(draw(journal))
  })
  test('ascii is ascii', () => {
    const plain = new JournalEntries()
      .created()
      .fanout(12, { failing: [1] })
      .node('a'.repeat(80))
      .attempt('a'.repeat(80), 1)
    expect(draw(plain, { ascii: true, width: 60 }).join('')).toMatch(/^[\x20-\x7e]+$/)
  })
  test('no spans, no lines', () => {
    expect(toWaterfall([], { width: 80, color: false, ascii: false, nowMs: 0 })).toEqual([])
  })
})

describe('agents', () => {
  const working = (): JournalEntries =>
    new JournalEntries().created().node('fix', { kind: 'agent' }).agentAttempt('fix', 1, { model: 'sonnet' }).wait(500)
  const done = (journal: JournalEntries): JournalEntries =>
    journal.attemptFinished('fix', 1, 'success').nodeFinished('fix', 'success').finished('success')

  test('calls of models and tools stand below the agent, in order of time', () => {
    const journal = working().modelCalled('fix', 1, 'a', { model: 'sonnet-5', from: -400 })
    journal.toolStarted('fix', 1, 't1').wait(200).toolFinished('fix', 1, 't1', { ok: false, exit_code: 2 })
    journal.wait(100).modelCalled('fix', 1, 'b', { model: 'sonnet-5', from: -80 })
    expect(labels(draw(done(journal)))).toEqual([
      ' ✓ release',
      '   ✓ fix',
      '     ✓ claude sonnet',
      '       ✓ chat sonnet-5',
      '       ✕ tool Bash  exit_nonzero',
      '       ✓ chat sonnet-5',
    ])
  })

  test('many calls fold; those that failed, are open or took longest stay', () => {
    const journal = working()
    for (let i = 0; i < 60; i++) {
      const slow = i === 30 ? 5_000 : 10
      journal.toolStarted('fix', 1, `t${i}`, { tool: i === 30 ? 'slow' : 'quick' }).wait(slow)
      journal.toolFinished('fix', 1, `t${i}`, { ok: i !== 50, error: 'no such file' })
      journal.modelCalled('fix', 1, `c${i}`, { model: 'sonnet', from: -5 })
    }
    journal.toolStarted('fix', 1, 'last', { tool: 'open' })
    const lines = labels(draw(journal))
    expect(lines).toHaveLength(3 + 20 + 1)
    expect(lines).toContain('       ✓ tool slow')
    expect(lines).toContain('       ✕ tool quick  agent_failed')
    expect(lines).toContain('       ⠹ tool open')
    expect(lines.at(-1)).toMatch(/^ {7}and 101 more: 60 model calls, 41 tool calls$/u)
  })

  test('of which nobody told anything have no row of their own', () => {
    expect(labels(draw(done(working())))).toEqual([' ✓ release', '   ✓ fix'])
  })
})
