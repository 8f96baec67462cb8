// Every event has its line; lines are one line, clean, and say the original cause.
import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { eventText, failureText } from '../../src/cli/live/event-text.ts'
import { plainLine } from '../../src/cli/live/plain.ts'
import { failureOf } from './view-entries.ts'

const failure = failureOf('exit_nonzero', '`make` exited with code 2: no\u0007 rule')
const at = { node: 'build', visit: 1 }
const attempt = { ...at, attempt: 2, attempt_id: 'build@1.2' }
const look = { columns: 100, color: false, ascii: false }

test.each<[Event, string]>([
  [
    { type: 'attempt.started', ...attempt, kind: 'run', max: 3, span_id: '1', inputs: {} },
    '⠹ build@1.2                     started (attempt 2 of 3)',
  ],
  [
    { type: 'attempt.finished', ...attempt, result: 'failure', failure, duration_ms: 3_100, span_id: '1' },
    '✕ build@1.2                     failed in 3.1s: exit_nonzero: exited with code 2: no rule',
  ],
  [
    {
      type: 'retry.scheduled',
      ...attempt,
      next_attempt: 3,
      max: 3,
      delay_ms: 20_000,
      due_at: '2026-11-21T10:00:00Z',
      failure,
    },
    '↻ build@1.2                     attempt 3 of 3 in 20s: exit_nonzero: exited with code 2: no rule',
  ],
  [
    {
      type: 'check.finished',
      ...at,
      attempt_id: 'build@1.2',
      name: 'lint',
      index: 0,
      level: 'L1',
      required: false,
      passed: false,
      duration_ms: 1,
      span_id: '1',
    },
    '✕ build@1.2                     check lint failed (not required)',
  ],
  [
    {
      type: 'hook.finished',
      hook: 'on_success',
      name: 'announce',
      index: 0,
      passed: false,
      failure,
      duration_ms: 1,
      span_id: '1',
    },
    '✕ run                           hook on_success announce failed: exit_nonzero: exited with code 2: no rule',
  ],
  [
    { type: 'gate.answered', ...at, choice: 'approve', by: { kind: 'user', user: 'mara' } },
    '✓ build                         approve, answered by mara',
  ],
  [
    {
      type: 'node.skipped',
      node: 'build',
      visit: 2,
      kind: 'run',
      failure: failureOf('upstream_failed', 'plan failed'),
      span_id: '1',
    },
    '- build@2                       skipped: upstream_failed: plan failed',
  ],
])('%o', (event, expected) => {
  const line = plainLine({ v: 1, seq: 1, at: '2026-11-21T10:00:00.000000Z', event }, look, true)
  expect(line?.slice(9)).toBe(expected)
})

test('a failure says its original cause, once', () => {
  const outer = failureOf('branch_failed', '1 of 2 branches failed: api', { causes: [failure] })
  expect(failureText(outer)).toBe(
    'branch_failed: 1 of 2 branches failed: api (exit_nonzero: exited with code 2: no rule)',
  )
  expect(eventText({ type: 'run.interrupted', execution: 1, failure: outer }).what).not.toContain('\u0007')
})

test('plain progress leaves out what only `events` tells', () => {
  const entry = {
    v: 1,
    seq: 1,
    at: '2026-11-21T10:00:00.000000Z',
    event: { type: 'signature.counted', ...at, path: 'build', signature: 'x', count: 1 },
  } as const
  expect(plainLine(entry, look)).toBeUndefined()
  expect(plainLine(entry, look, true)).toContain('signature x seen 1 time')
})
