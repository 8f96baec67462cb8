// Every span event is a log record too, when it happens, with the span's ids and a sentence for people.
import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import type { LogRecord } from '../../src/telemetry/log-record.ts'
import { SPAN_EVENT } from '../../src/telemetry/names.ts'
import { createProjection } from '../../src/telemetry/projection.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { failureOf, JournalEntries, RUN_ID, TRACE_ID } from './journal-entries.ts'

/** What each entry gives, with the number of the entry. */
function project(journal: JournalEntries): { logs: (LogRecord & { seq: number })[]; spans: SpanRecord[] } {
  const projection = createProjection()
  const logs: (LogRecord & { seq: number })[] = []
  const spans: SpanRecord[] = []
  for (const entry of journal.entries) {
    spans.push(...projection.apply(entry))
    logs.push(...projection.logs.map((log) => ({ ...log, seq: entry.seq })))
  }
  return { logs, spans }
}

const ids = { node: 'n', visit: 1, attempt: 1, attempt_id: 'n@1.1' }
const check = { node: 'n', visit: 1, attempt_id: 'n@1.1', name: 'lint', index: 0, level: 'L1', required: true }
const hook = { node: 'n', visit: 1, hook: 'on_retry', name: 'tidy', index: 0 }

/** One of everything that has a span event. */
function everything(): JournalEntries {
  const journal = new JournalEntries().created().node('n').attempt('n', 1)
  const failed = (code: Parameters<typeof failureOf>[0], message: string) => ({ failure: failureOf(code, message) })
  const add = (...events: Event[]): void => events.forEach((event) => journal.add(event))
  add(
    {
      type: 'attempt.waiting',
      ...ids,
      due_at: '2026-11-21T11:00:00Z',
      wait: 1,
      ...failed('rate_limited', 'slow down'),
    },
    { type: 'stall.detected', ...ids, reason: 'no output', idle_ms: 600_000, action: 'TERM' },
    {
      type: 'check.started',
      ...check,
      inputs: {},
      span_id: 'c'.repeat(16),
      parent_span_id: journal.span('attempt n@1.1'),
    },
    {
      type: 'check.finished',
      ...check,
      passed: false,
      duration_ms: 1,
      span_id: 'c'.repeat(16),
      ...failed('check_failed', 'Check lint failed: 3 problems'),
    },
  )
  journal.attemptFinished('n', 1, 'failure').retry('n', 1)
  add(
    {
      type: 'hook.started',
      ...hook,
      result: 'failure',
      inputs: {},
      span_id: 'd'.repeat(16),
      parent_span_id: journal.span('node n@1'),
    },
    {
      type: 'hook.finished',
      ...hook,
      passed: false,
      duration_ms: 1,
      span_id: 'd'.repeat(16),
      ...failed('hook_failed', 'Hook tidy failed'),
    },
    { type: 'budget.warned', scope: '', budget: 'usd', used: 8.5, limit: 10 },
    {
      type: 'budget.exceeded',
      scope: 'n',
      budget: 'tokens',
      used: 11,
      limit: 10,
      mode: 'audit',
      ...failed('budget_exhausted', 'The budget of n is used up'),
    },
    {
      type: 'breaker.opened',
      node: 'n',
      visit: 1,
      path: 'n',
      signature: 's',
      count: 3,
      limit: 3,
      ...failed('breaker_open', 'n failed 3 times'),
    },
  )
  add({ type: 'failure.summarized', node: 'n', visit: 1, text: 'The import is missing.', model: 'small' })
  journal.nodeFinished('n', 'failure', {}, { route: { index: 0, to: 'fix' } })
  add({ type: 'route.taken', node: 'n', visit: 1, to: 'fix', index: 0 })
  journal.node('ask', { kind: 'gate' })
  add(
    {
      type: 'gate.opened',
      node: 'ask',
      visit: 1,
      question: 'Is the secret plan good?',
      choices: ['yes', 'no'],
      reject: ['no'],
    },
    { type: 'gate.expired', node: 'ask', visit: 1, default: 'no' },
    { type: 'gate.answered', node: 'ask', visit: 1, choice: 'no', by: { kind: 'default' } },
  )
  return journal.nodeFinished('ask', 'failure', { kind: 'gate' }).finished('failure')
}

test('what each says, and how loudly', () => {
  const { logs } = project(everything())
  expect(logs.map(({ severity, name, body }) => `${severity} ${name.slice('spanwright.'.length)} | ${body}`)).toEqual([
    'INFO attempt.waiting | n: waits for a limit until 2026-11-21T11:00:00Z: slow down',
    'WARN stall.detected | n: no progress for 10m 00s (no output), ended by TERM',
    'WARN check.failed | n: Check lint failed: 3 problems',
    'WARN attempt.failed | n: attempt 1 failed: exit_nonzero happened',
    'WARN retry.scheduled | n: attempt 2 of 3 follows in 5.0s: exit_nonzero happened',
    'WARN hook.failed | n: Hook tidy failed',
    'WARN budget.warned | the run: 85 % of its budget of usd is used',
    'ERROR budget.exceeded | The budget of n is used up',
    'ERROR breaker.opened | n failed 3 times',
    'INFO failure.summarized | n: summary of its failures (generated): The import is missing.',
    'INFO route.taken | n: goes on at fix',
    'INFO gate.opened | ask: waits for an answer (yes, no)',
    'ERROR gate.expired | ask: nobody answered in time, the answer is no',
    'INFO gate.answered | ask: answered no (default)',
  ])
  expect(new Set(logs.map((log) => log.name))).toEqual(new Set(Object.values(SPAN_EVENT)))
})

test('the same ids, time and attributes as the event on its span, and whose it is', () => {
  const { logs, spans } = project(everything())
  for (const log of logs) {
    const span = spans.find((each) => each.spanId === log.spanId)!
    const event = span.events.find((each) => each.name === log.name)!
    expect([log.traceId, log.atUs]).toEqual([TRACE_ID, event.atUs])
    expect(log.attributes).toMatchObject(event.attributes)
    expect(log.attributes).toMatchObject({ 'cicd.pipeline.name': 'release', 'cicd.pipeline.run.id': RUN_ID })
    if (span.subject !== 'run')
      expect(log.attributes['spanwright.node.path']).toBe(span.attributes['spanwright.node.path'])
    if (span.subject === 'attempt') expect(log.attributes['spanwright.attempt.id']).toBe('n@1.1')
  }
  expect(logs).toHaveLength(spans.flatMap((span) => span.events).length)
})

test('with the entry that tells it, not with the end of the span; gone with the next entry', () => {
  const journal = everything()
  const { logs } = project(journal)
  for (const { seq, name } of logs) {
    const { type } = journal.entries[seq - 1]!.event
    expect(name).toBe(
      `spanwright.${type === 'attempt.finished' ? 'attempt.failed' : type.replace(/^(check|hook)\.finished$/, '$1.failed')}`,
    )
  }
})

test('questions, params and inputs stay out', () => {
  const { logs } = project(everything())
  expect(JSON.stringify(logs)).not.toMatch(/secret plan|do not export/)
})

test('events that the span has no room for are logged all the same', () => {
  const journal = new JournalEntries().created().node('n')
  for (let number = 1; number <= 200; number++)
    journal.attempt('n', number).attemptFinished('n', number, 'failure').retry('n', number)
  const { logs, spans } = project(journal.nodeFinished('n', 'failure').finished('failure'))
  expect(logs.filter((log) => log.name === SPAN_EVENT.retryScheduled)).toHaveLength(200)
  const node = spans.find((span) => span.subject === 'node')!
  expect([node.events.length, node.droppedEvents]).toEqual([128, 72])
})

test('long words of a failure are cut', () => {
  const journal = new JournalEntries().created().node('n').attempt('n', 1)
  journal.attemptFinished('n', 1, 'failure', { failure: failureOf('exit_nonzero', 'x'.repeat(5_000)) })
  const [log] = project(journal).logs
  expect(log!.body).toHaveLength(1_000)
})
