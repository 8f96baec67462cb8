// The live view against the blocks of the terminal reference: what is on the screen, in which order, in how many columns.
import { describe, expect, test } from 'vitest'
import { renderLive, type Screen } from '../../src/cli/live/render-live.ts'
import { columnsOf } from '../../src/cli/terminal/text.ts'
import { failureOf, fanoutNode, gateNode, pipelineOf, runNode, Told } from './view-entries.ts'

const screen = (told: Told, more: Partial<Screen> = {}): Screen => ({
  columns: 100,
  rows: 40,
  color: false,
  ascii: false,
  now: told.now,
  shortId: '01KH3DN4ST',
  keys: true,
  ...more,
})
const draw = (told: Told, more: Partial<Screen> = {}): string[] => renderLive(told.view, screen(told, more))

function rogue(): Told {
  const told = new Told(
    pipelineOf(
      'rogue',
      [
        runNode('toolchain'),
        runNode('spec', ['toolchain']),
        runNode('architecture', ['spec']),
        fanoutNode('implement', ['architecture'], { nodes: [runNode('impl'), runNode('verify', ['impl'])] }),
        runNode('review', ['implement']),
        runNode('ship', ['review']),
      ],
      { budget: { usd: 25, mode: 'enforce' } },
    ),
  )
  told.ran('toolchain', 104, 0).ran('spec', 450, 1.2).ran('architecture', 520, 1.64).start('implement', 'fanout')
  told.expanded('implement', ['dungeon', 'monsters', 'player_io'])
  for (const [index, key] of ['dungeon', 'monsters', 'player_io'].entries()) {
    told.lane('implement', key, index).start(`implement:${key}/impl`).attempt(`implement:${key}/impl`, 1, 2)
  }
  told
    .after(600)
    .ended('implement:dungeon/impl', { usd: 2.41 })
    .finish('implement:dungeon/impl')
    .laneEnded('implement', 'dungeon', 0)
  const cause = failureOf('turn_limit', 'Turn limit reached (max_turns=25)', {
    attempt_id: 'implement:monsters/impl@1.1',
    details: { stderr_tail: "trying\n\u001b[31mapply_patch\u001b[0m: expected '*** Begin Patch'\n" },
  })
  told
    .after(60)
    .ended('implement:monsters/impl', { failure: cause })
    .finish('implement:monsters/impl', { failure: cause })
  told.laneEnded('implement', 'monsters', 1, failureOf('branch_failed', 'impl failed', { causes: [cause] }))
  return told.said('implement:player_io/impl', 'wrote src/io.rs\u0007 (118 lines)', { turn: 12 }).after(5)
}

describe('a run with a failed branch', () => {
  test('at 100 columns', () => {
    expect(draw(rogue())).toEqual([
      ` rogue  01KH3DN4ST  ⠹ running, will fail                                                     28m 59s`,
      '',
      ' ✓ 3 nodes finished                                                               17m 54s      $2.84',
      ` ⠹ implement                    3 branches, join all   ✓ 1   ✕ 1                  11m 05s      $2.41`,
      '   ✓ dungeon                                                                      10m 00s      $2.41',
      '   ✕ monsters                                                                     11m 00s',
      '     ✕ impl                     turn_limit: Turn limit reached (max_turns=25)     11m 00s',
      "       apply_patch: expected '*** Begin Patch'",
      `   ⠹ player_io                                                                    11m 05s`,
      `     ⠹ impl @1.1  1/2           turn 12                                           11m 05s`,
      '       > wrote src/io.rs (118 lines)',
      ' · review                       will be skipped: implement needs all 3 branches',
      ' · ship                         will be skipped',
      '',
      '─'.repeat(100),
      ' ↑6k  R2k  ↓800   $5.25   budget 21 % of $25 ▓▓░░░░░░░░   1/4 slots   6 attempts   28m 59s',
      ' ↑↓ move   e first error   c cancel   ? help',
    ])
  })
  test.each([100, 80, 60, 40])('no line is wider than %i columns', (columns) => {
    for (const line of draw(rogue(), { columns }))
      expect({ line, fits: columnsOf(line) <= columns }).toMatchObject({ fits: true })
  })
  test('at 60 columns costs, output and key hints give way', () => {
    const lines = draw(rogue(), { columns: 60 })
    expect(lines[0]).toMatch(/^ rogue 01KH3DN4ST {2}\S running, will fail {2,}28m 59s$/)
    expect(lines.join('\n')).not.toMatch(/apply_patch|move/)
    expect(lines.join('\n')).toMatch(/✕ impl {2}turn_limit: Turn limit/)
    expect(lines.at(-1)).toMatch(/^ \$5\.25 {2}21 % of \$25 {2}↑6k ↓800 {2}1\/4 slots {2}6 attempts {2}\?/)
  })
  test('below 40 columns there is one line', () => {
    expect(draw(rogue(), { columns: 39 })).toEqual([` rogue ⠹ ✕1 28m59s`.slice(1)])
  })
  test('in ASCII nothing else is used', () => {
    for (const line of draw(rogue(), { ascii: true })) expect(line).toMatch(/^[ -~]*$/)
  })
  test('colour is left out without colour, and only roles are used with it', () => {
    const lines = draw(rogue(), { color: true })
    expect(lines[0]).toContain('\u001b[31mwill fail\u001b[0m')
    expect(
      lines
        .join('\n')
        .match(/\u001b\[[\d;]+m/g)
        ?.every((code) => /\[(0|1|2|31|32|33|34|31;1)m/.test(code)),
    ).toBe(true)
  })
  test('on a small terminal failures stay and what ended goes', () => {
    const lines = draw(rogue(), { rows: 11 })
    expect(lines).toHaveLength(10)
    expect(lines.join('\n')).toContain('✕ impl')
    expect(lines.join('\n')).not.toContain('3 nodes finished')
  })
  test('only the spinner moves between two frames', () => {
    const [first, second] = [0, 250].map((spin) => draw(rogue(), { spin }))
    expect(first!.join('\n')).not.toBe(second!.join('\n'))
    expect(first!.join('\n').replaceAll('⠋', '⠙')).toBe(second!.join('\n'))
  })
  test('the focused row is marked', () => {
    const lines = draw(rogue(), { focus: 'implement:monsters' })
    expect(lines.filter((line) => line.startsWith('▌'))).toEqual([expect.stringMatching(/^▌ {2}✕ monsters/)])
  })
})

test('a retry tells its delay and why, a gate its question, a wait its time', () => {
  const told = new Told(pipelineOf('release', [runNode('build'), gateNode('ship', [])]))
  const failure = failureOf('check_failed', 'tests, 4 of 812 failed')
  told
    .start('build')
    .attempt('build', 1, 3)
    .after(171)
    .ended('build', { failure })
    .retrying('build', { next: 2, max: 3, delayMs: 20_000, failure })
  told.start('ship', 'gate')
  told.add({
    type: 'gate.opened',
    node: 'ship',
    visit: 1,
    question: 'Ship it?',
    choices: ['approve', 'reject'],
    reject: ['reject'],
    default: 'reject',
    due_at: new Date(told.now + 86_400_000).toISOString(),
  })
  told.after(6)
  const text = draw(told).join('\n')
  expect(text).toMatch(/↻ build @1\.2 {2}2\/3 {14}next attempt in 00:14 \(backoff 20s\) /)
  expect(text).toContain('   attempt 1 failed  check_failed: tests, 4 of 812 failed')
  expect(text).toMatch(/◆ ship +waits for you; becomes "reject" in 23h 59m +6\.0s/)
  expect(text).toContain('   Ship it?   [a] approve  [r] reject  [n] answer with a comment')
})

describe('a fan-out of 1,000 branches', () => {
  function migrate(): Told {
    const keys = Array.from({ length: 1_000 }, (_, index) => `test-${index}`)
    const told = new Told(pipelineOf('m', [fanoutNode('migrate', [], { nodes: [runNode('fix')], max_parallel: 64 })]))
    told.start('migrate', 'fanout').expanded('migrate', keys)
    for (let index = 0; index < 512; index++) {
      const node = `migrate:test-${index}/fix`
      told.lane('migrate', `test-${index}`, index).start(node).attempt(node)
      if (index >= 452) continue
      const failure =
        index < 17
          ? failureOf('exit_nonzero', 'Cannot find module "#fixtures"')
          : index === 17
            ? failureOf('timed_out', 'ran past its timeout of 10m')
            : undefined
      told
        .after(1)
        .ended(node, failure ? { failure } : {})
        .finish(node, failure ? { failure } : {})
      told.laneEnded('migrate', `test-${index}`, index, failure)
    }
    return told.after(30)
  }
  test('is a bar, counts and causes, never a row per branch', () => {
    const told = migrate()
    const lines = draw(told)
    const text = lines.join('\n')
    expect(lines.length).toBeLessThan(14)
    expect(text).toMatch(/migrate +1,000 branches, join all, 64 at once/)
    expect(text).toMatch(/█+▒+░+ +452 \/ 1,000/)
    expect(text).toContain('✓ 434 ok   ✕ 18 failed')
    expect(text).toContain('60 running   · 488 queued   - 0 skipped')
    expect(text).toContain('✕ 17 × exit_nonzero   Cannot find module "#fixtures"   first: test-0')
    expect(text).toMatch(/✕ {2}1 × timed_out/)
    expect(text).toMatch(/oldest: test-452\/fix @1\.1 {3}30s, last output 30s ago/)
  })
  test('keeps little: lanes that ended well are gone from the view', () => {
    expect(migrate().view.root.nodes.get('migrate')!.fanout!.lanes.size).toBeLessThan(60 + 20)
  })
})
