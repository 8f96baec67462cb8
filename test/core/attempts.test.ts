// DESIGN 3: retries, timeouts, decisions; what an attempt's failure becomes.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  FAILURE_CLASSES,
  FAILURE_CODES,
  classOf,
  isRetryable,
  resultOf,
  type FailureCode,
} from '../../src/core/failure.ts'
import { retryDelay } from '../../src/core/policy.ts'
import { attempts, cause, chain, killed, play, playUntil, results, visits, worldOf } from '../support/play.ts'
import { START } from '../support/world.ts'

describe('retries', () => {
  test('max_attempts includes the first; delays grow up to max', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x, retry: { max_attempts: 4, initial: 1s, factor: 3, max: 5s, jitter: 0 } }]',
      { a: () => 'boom' },
    )
    expect(attempts(world)).toEqual(['a@1.1', 'a@1.2', 'a@1.3', 'a@1.4'])
    expect(world.events('attempt.started').map((event) => [event.attempt, event.max])).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 4],
    ])
    expect(
      world
        .events('retry.scheduled')
        .map((event) => [event.attempt, event.next_attempt, event.delay_ms, event.failure.message]),
    ).toEqual([
      [1, 2, 1_000, 'boom'],
      [2, 3, 3_000, 'boom'],
      [3, 4, 5_000, 'boom'],
    ])
    expect(world.events('attempt.started').map((event) => event.delay_ms)).toEqual([undefined, 1_000, 3_000, 5_000])
    expect(world.events('node.finished')[0]).toMatchObject({
      result: 'failure',
      retry_count: 3,
      failure: { message: 'boom', attempt_id: 'a@1.4' },
    })
  })

  test('a node that succeeds after two failures is a success with both failures on record', async () => {
    const world = await play('nodes: [{ id: a, run: x, retry: { max_attempts: 3, initial: 1s } }]', {
      a: ['first', 'second', 'ok'],
    })
    expect(world.events('attempt.finished').map((event) => [event.result, event.failure?.message])).toEqual([
      ['failure', 'first'],
      ['failure', 'second'],
      ['success', undefined],
    ])
    expect(world.events('node.finished')[0]).toMatchObject({
      result: 'success',
      retry_count: 2,
      rollup: { attempts: 3, retries: 2 },
    })
    const [first, second, third] = world.events('attempt.started')
    expect([first!.retry_of, second!.retry_of, third!.retry_of]).toEqual([undefined, first!.span_id, second!.span_id])
    expect(world.finished).toMatchObject({
      result: 'success',
      children: { retried: 1 },
      totals: { attempts: 3, retries: 2 },
    })
  })

  test('the next attempt is told about the ones before it', async () => {
    const seen: unknown[] = []
    await play('nodes: [{ id: a, run: x, retry: { max_attempts: 3, initial: 1s } }]', {
      a: (command) => (
        seen.push(command.prior.map((each) => [each.attempt_id, each.failure.message])),
        `no ${command.attempt}`
      ),
    })
    expect(seen).toEqual([
      [],
      [['a@1.1', 'no 1']],
      [
        ['a@1.1', 'no 1'],
        ['a@1.2', 'no 2'],
      ],
    ])
  })

  // reference/attractor.md 1.7
  test.each([
    ['none', 1, []],
    ['standard', 5, [200, 400, 800, 1_600]],
    ['aggressive', 5, [500, 1_000, 2_000, 4_000]],
    ['linear', 3, [500, 500]],
    ['patient', 3, [2_000, 6_000]],
    ['3', 3, [200, 400]],
  ])('preset %s: %i attempts with delays around %j', async (preset, count, delays) => {
    const world = await play(`nodes: [{ id: a, run: x, retry: ${preset} }]`, { a: () => 'boom' })
    expect(attempts(world)).toHaveLength(count)
    const { retry } = world.pipeline.nodes[0]!
    for (const [i, delay] of delays.entries()) {
      const told = world.events('retry.scheduled')[i]!.delay_ms
      expect(Math.abs(told - delay)).toBeLessThanOrEqual(delay * retry.jitter + 1)
    }
  })

  test.each([
    ['[exit_nonzero]', 'boom', 2],
    ['[exit_nonzero]', 'network', 1],
    ['[transient]', 'network', 2],
    ['[transient]', 'rate_limited', 2],
    ['[transient]', 'boom', 1],
    ['[timeout, crash]', 'stalled', 2],
    ['[timeout, crash]', 'signaled', 2],
    ['[config_invalid]', 'config_invalid', 2],
  ])('on: %s with %s: %i attempts', async (on, fail, count) => {
    expect(
      attempts(
        await play(`nodes: [{ id: a, run: x, retry: { max_attempts: 2, initial: 1s, on: ${on} } }]`, { a: () => fail }),
      ),
    ).toHaveLength(count)
  })

  test('default: every failure except the hopeless ones', () => {
    const never = [
      'canceled',
      'forced',
      'superseded',
      'budget_exhausted',
      'dispatch_exhausted',
      'breaker_open',
      'visit_limit',
      'config_invalid',
      'config_missing',
      'auth_failed',
      'merge_conflict',
      'gate_rejected',
      'gate_expired',
      'journal_corrupt',
    ]
    expect(FAILURE_CODES.filter((code) => !isRetryable(code, undefined)).sort()).toEqual(never.sort())
  })

  test('jitter is deterministic and stays within its bounds', () => {
    fc.assert(
      fc.property(
        fc.record({
          initial_ms: fc.integer({ min: 0, max: 60_000 }),
          factor: fc.double({ min: 1, max: 5, noNaN: true }),
          max_ms: fc.integer({ min: 0, max: 600_000 }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
          max_attempts: fc.constant(9),
        }),
        fc.integer({ min: 1, max: 30 }),
        fc.string(),
        (policy, n, id) => {
          const delay = retryDelay(policy, n, 'run', id)
          const base = Math.min(policy.max_ms, policy.initial_ms * policy.factor ** (n - 1))
          expect(delay).toBe(retryDelay(policy, n, 'run', id))
          expect(delay).toBeGreaterThanOrEqual(Math.floor(base * (1 - policy.jitter)))
          expect(delay).toBeLessThanOrEqual(Math.ceil(base * (1 + policy.jitter)))
        },
      ),
    )
    const spread = new Set(
      Array.from({ length: 50 }, (_, i) =>
        retryDelay(
          { max_attempts: 3, initial_ms: 10_000, factor: 2, max_ms: 60_000, jitter: 0.25 },
          1,
          'run',
          `a@1.${i}`,
        ),
      ),
    )
    expect(spread.size).toBeGreaterThan(40)
  })

  test('a retry waits its delay and holds no slot meanwhile', async () => {
    const world = await play(
      'max_parallel: 1\nnodes: [{ id: a, needs: [], run: x, retry: { max_attempts: 2, initial: 60s, jitter: 0 } }, { id: b, needs: [], run: x }]',
      { a: ['boom', 'ok'] },
    )
    expect(attempts(world)).toEqual(['a@1.1', 'b@1.1', 'a@1.2'])
    expect(world.now - START).toBeGreaterThanOrEqual(60_000)
  })
})

describe('what a failure code stands for', () => {
  const table: readonly [codes: readonly FailureCode[], result: string][] = [
    [
      [
        ...FAILURE_CLASSES.deterministic,
        ...FAILURE_CLASSES.budget,
        'breaker_open',
        'gate_rejected',
        'gate_expired',
        'forced',
      ],
      'failure',
    ],
    [
      [
        ...FAILURE_CLASSES.crash,
        ...FAILURE_CLASSES.configuration,
        ...FAILURE_CLASSES.internal,
        ...FAILURE_CLASSES.transient,
      ],
      'error',
    ],
    [FAILURE_CLASSES.timeout, 'timeout'],
    [['canceled', 'superseded'], 'cancellation'],
    [FAILURE_CLASSES.skip, 'skip'],
  ]
  test.each(table)('%j: %s', (codes, result) => {
    for (const code of codes) expect([code, resultOf(code)]).toEqual([code, result])
  })
  test('every code has a class and stands in one row', () => {
    expect(table.flatMap(([codes]) => codes).sort()).toEqual([...FAILURE_CODES].sort())
    for (const code of FAILURE_CODES)
      expect((FAILURE_CLASSES[classOf(code)] as readonly string[]).includes(code)).toBe(true)
  })
})

describe('timeouts of visits without attempts', () => {
  test.each([
    ['a fan-out', 'fanout: { count: 2, nodes: [{ id: s, run: x }] }'],
    ['a wait', 'wait: { for: 1h }'],
    ['a gate', 'gate: { question: q }'],
  ])('%s ends at its timeout', async (_, kind) => {
    const world = await play(`nodes: [{ id: a, timeout: 10s, ${kind} }, { id: b, run: x }]`, {
      s: [{ takes: 3_600_000 }],
    })
    expect(results(world)).toMatchObject({ a: 'timeout', b: 'skip: upstream_failed' })
    expect(world.events('node.finished', 'a')[0]!.failure).toMatchObject({ code: 'timed_out', class: 'timeout' })
    expect(world.now - START).toBe(10_000)
    expect(world.finished.result).toBe('timeout')
  })
  test.each([
    ['a wait', 'wait: { for: 5s }'],
    ['a gate', 'gate: { question: q, timeout: 5s, default: approve }'],
  ])('%s that is over before is not touched by it', async (_, kind) => {
    const world = await play(`nodes: [{ id: a, timeout: 10s, ${kind} }, { id: b, wait: { for: 20s } }]`)
    expect(world.finished.result).toBe('success')
  })
  test.each([
    ['a wait', 'wait: { for: 1h }'],
    ['a gate', 'gate: { question: q }'],
    ['a fan-out', 'fanout: { count: 1, nodes: [{ id: s, wait: { for: 1h } }] }'],
  ])('%s keeps its due time over a resume', async (_, kind) => {
    const world = (await worldOf(`nodes: [{ id: a, timeout: 10s, ${kind} }]`)).create()
    const next = killed(world)
    next.now += 4_000
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('timeout')
    expect(next.now).toBe(START + 10_000)
  })
})

describe('wait', () => {
  test.each([
    ['for: 5m', 300_000],
    ["until: '2030-01-01T00:00:42Z'", 42_000],
    ["for: '${{ params.pause }}'", 7_000],
    ["until: '2020-01-01T00:00:00Z'", 0],
  ])('%s', async (wait, ms) => {
    const world = await play(`params: { pause: { type: string, default: 7s } }\nnodes: [{ id: a, wait: { ${wait} } }]`)
    expect(world.finished.result).toBe('success')
    expect(world.now - START).toBe(ms)
  })
  test('what is no duration is config_invalid', async () => {
    const world = await play(
      "params: { pause: { type: string, default: soon } }\nnodes: [{ id: a, wait: { for: '${{ params.pause }}' } }]",
    )
    expect(world.finished.failure).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('`soon` is no duration'),
    })
  })
  test('its due time survives the process; one that passed fires at once', async () => {
    const world = (await worldOf('nodes: [{ id: a, wait: { for: 10s } }]')).create()
    const next = killed(world)
    next.now += 60_000
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(next.now).toBe(START + 60_000)
  })
})

describe('decisions', () => {
  const nodes = (more = ''): string =>
    `nodes: [{ id: a, agent: { use: claude, prompt: p }, decision: [approve, rework, fail, blocked]${more} }, { id: b, run: x }]`
  test('a label that is allowed succeeds and is visible', async () => {
    const world = await play(
      `nodes: [{ id: a, run: x, decision: [approve, rework] }, { id: b, run: x, when: 'nodes.a.label == "rework"' }]`,
      { a: [{ label: 'rework' }] },
    )
    expect(results(world)).toEqual({ a: 'success', b: 'success' })
    expect(world.events('node.finished', 'a')[0]!.label).toBe('rework')
  })
  test.each([
    [{}, 'no label'],
    [{ label: 'maybe' }, '`maybe`'],
  ])('%j is invalid_output and is retried like any failure', async (answer, said) => {
    const world = await play(nodes(', retry: { max_attempts: 2, initial: 1s }'), { a: [answer, { label: 'approve' }] })
    expect(world.events('attempt.finished', 'a')[0]).toMatchObject({
      result: 'failure',
      failure: { code: 'invalid_output', source: 'agent', message: expect.stringContaining(said) },
    })
    expect(world.finished.result).toBe('success')
    const never = await play(nodes(), { a: () => answer })
    expect(never.finished).toMatchObject({ result: 'failure', failure: { code: 'invalid_output' } })
  })
  test.each(['fail', 'blocked'])('`%s` is a failure with the message of the block', async (label) => {
    const world = await play(nodes(), { a: [{ label, notes: 'no access to the repository' }] })
    expect(world.events('node.finished', 'a')[0]).toMatchObject({
      result: 'failure',
      label,
      failure: { message: expect.stringContaining('no access to the repository') },
    })
    expect(results(world)['b']).toBe('skip: upstream_failed')
  })
  test.each(['fail', 'blocked'])('`%s` is no failure when a route takes it', async (label) => {
    const world = await play(
      `nodes: [{ id: a, run: x, decision: [approve, ${label}], routes: [{ when: 'label == "${label}"', to: fix }] }, { id: fix, routed: true, run: x }]`,
      { a: [{ label }] },
    )
    expect(results(world)).toEqual({ a: 'success', fix: 'success' })
  })
  test('a label named `fail` without a decision is just a label', async () => {
    expect((await play('nodes: [{ id: a, run: x }]', { a: [{ label: 'fail' }] })).finished.result).toBe('success')
  })
})

describe('what an attempt starts with', () => {
  test('its limits are on record, so that a reader needs no pipeline', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x, timeout: 90s, stall_timeout: 20s }, { id: b, run: x }, { id: c, wait: { for: 1s } }]',
    )
    const limits = world.events('attempt.started').map((event) => [event.timeout_ms, event.stall_timeout_ms])
    expect(limits).toEqual([
      [90_000, 20_000],
      [3_600_000, undefined],
    ])
  })
  test('an expression that fails is config_invalid of the attempt, without an effect', async () => {
    const world = await play(
      "nodes: [{ id: a, run: x }, { id: b, run: ['echo', '${{ nodes.a.outputs.n }}'], retry: 3 }]",
    )
    expect(world.started.filter((id) => id.startsWith('b'))).toEqual([])
    expect(world.lines('attempt.started', 'attempt.finished').slice(2)).toEqual([
      'attempt.started b@1.1',
      'attempt.finished b@1.1 error',
    ])
    expect(chain(world.finished.failure)).toEqual(['config_invalid'])
    expect(cause(world.finished.failure)).toContain('node b')
  })
  test('outputs of a need are its inputs, with their types', async () => {
    const seen: unknown[] = []
    await play(
      "nodes: [{ id: a, run: x }, { id: b, run: ['echo', '${{ nodes.a.outputs.list }}', 'n=${{ nodes.a.outputs.n }}'] }]",
      { a: [{ outputs: { n: 3, list: [1, 'x'] } }], b: (command) => (seen.push(command.inputs), 'ok') },
    )
    expect(seen).toEqual([{ 'nodes.a.outputs.list': [1, 'x'], 'nodes.a.outputs.n': 3 }])
  })
  test('outputs that do not fit an entry are invalid_output', async () => {
    const world = await play('nodes: [{ id: a, run: x }]', { a: [{ outputs: { big: 'x'.repeat(300_000) } }] })
    expect(world.finished.failure).toMatchObject({
      code: 'invalid_output',
      message: expect.stringContaining('too large'),
    })
    for (const entry of world.entries) expect(JSON.stringify(entry).length).toBeLessThan(256 * 1024)
  })
  test('I2, I4: nothing is recorded of an attempt after its end, and a second outcome is stale', async () => {
    const world = await worldOf('nodes: [{ id: a, run: x }, { id: b, run: x }]', { b: [{ takes: 100 }] })
    playUntil(world.create(), 'attempt.started b')
    const before = world.entries.length
    expect(world.tell({ type: 'attempt.outcome', attempt_id: 'a@1.1', outcome: { duration_ms: 1 } })).toMatchObject({
      refused: 'stale',
    })
    expect(
      world.tell({
        type: 'attempt.usage',
        attempt_id: 'a@1.1',
        usage: { input: 1, cache_read: 0, cache_write: 0, output: 0 },
      }),
    ).toMatchObject({ refused: 'stale' })
    expect(
      world.tell({
        type: 'attempt.observed',
        attempt_id: 'a@1.1',
        event: { type: 'attempt.progressed', node: 'a', visit: 1, attempt: 1, attempt_id: 'a@1.1' },
      }),
    ).toMatchObject({ refused: 'stale' })
    expect(world.entries.length).toBe(before)
    expect(visits(world)).toEqual(['a@1', 'b@1'])
  })
})
