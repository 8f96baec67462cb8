// What a trace says of a run: one execution, one set of spans.
import { describe, expect, test } from 'vitest'
import { ATTR, SPAN_EVENT } from '../../src/telemetry/names.ts'
import { createProjection } from './checked-projection.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { failureOf, JournalEntries, RUN_ID, START_MS, TRACE_ID } from './journal-entries.ts'

const spansOf = (journal: JournalEntries): SpanRecord[] => {
  const projection = createProjection()
  return journal.entries.flatMap((entry) => projection.apply(entry))
}
const named = (spans: readonly SpanRecord[], name: string): SpanRecord[] => spans.filter((span) => span.name === name)
const one = (spans: readonly SpanRecord[], name: string): SpanRecord => {
  expect(named(spans, name)).toHaveLength(1)
  return named(spans, name)[0]!
}
const linksOf = (span: SpanRecord): [unknown, string][] =>
  span.links.map((link) => [link.attributes[ATTR.link], link.spanId])
const eventNames = (span: SpanRecord): string[] => span.events.map((event) => event.name)

describe('a run that succeeds', () => {
  const journal = new JournalEntries().created().step('build').finished('success')
  const spans = spansOf(journal)

  test('has its spans at their end, children first, with ids of the journal', () => {
    expect(spans.map((span) => span.name)).toEqual(['build attempt', 'build', 'RUN release'])
    const [attempt, node, run] = spans as [SpanRecord, SpanRecord, SpanRecord]
    expect(attempt).toMatchObject({
      traceId: TRACE_ID,
      spanId: journal.span('attempt build@1.1'),
      parentSpanId: node.spanId,
      kind: 'INTERNAL',
    })
    expect(node).toMatchObject({ parentSpanId: run.spanId, status: { code: 'UNSET' } })
    expect(run).toMatchObject({ parentSpanId: undefined, kind: 'SERVER', traceId: TRACE_ID })
    expect(run.startUs).toBe((START_MS + 1) * 1_000)
    expect(spans.every((span) => span.endUs > span.startUs)).toBe(true)
  })

  test('carries the attributes of the table', () => {
    expect(one(spans, 'RUN release').attributes).toMatchObject({
      'cicd.pipeline.name': 'release',
      'cicd.pipeline.run.id': RUN_ID,
      'cicd.pipeline.action.name': 'RUN',
      'cicd.pipeline.result': 'success',
      'spanwright.children.total': 1,
      'spanwright.rollup.attempts': 3,
      'spanwright.rollup.tokens.input': 48,
      'spanwright.rollup.cost.usd': 1.5,
    })
    expect(one(spans, 'build').attributes).toMatchObject({
      'cicd.pipeline.task.name': 'build',
      'cicd.pipeline.task.run.id': 'build@1',
      'cicd.pipeline.task.run.result': 'success',
      'cicd.pipeline.task.run.url.full': `http://127.0.0.1:4600/runs/${RUN_ID}/nodes/build@1`,
      'spanwright.node.kind': 'run',
      'spanwright.node.path': 'build',
      'spanwright.node.visit': 1,
      'spanwright.retry.count': 0,
    })
    expect(one(spans, 'build attempt').attributes).toMatchObject({
      'cicd.pipeline.task.run.id': 'build@1.1',
      'spanwright.attempt.id': 'build@1.1',
      'spanwright.attempt.number': 1,
      'spanwright.attempt.max': 3,
      'process.executable.name': 'make',
      'process.pid': 42,
      'process.exit.code': 0,
    })
  })

  test('says nothing of params, environment or command lines', () => {
    expect(JSON.stringify(spans)).not.toContain('do not export')
    expect(JSON.stringify(spans)).not.toContain('/usr/bin')
  })

  test('takes the base of task URLs from its options', () => {
    const projection = createProjection({ pageUrl: 'https://runs.example/' })
    const all = journal.entries.flatMap((entry) => projection.apply(entry))
    expect(one(all, 'build').attributes['cicd.pipeline.task.run.url.full']).toBe(
      `https://runs.example/runs/${RUN_ID}/nodes/build@1`,
    )
  })
})

test('two failures, then success: ERROR, ERROR, UNSET, two scheduled retries, one successful node', () => {
  const journal = new JournalEntries().created().node('flaky')
  journal.attempt('flaky', 1).attemptFinished('flaky', 1, 'failure').retry('flaky', 1)
  journal
    .attempt('flaky', 2, { retry_of: journal.span('attempt flaky@1.1'), delay_ms: 5_000 })
    .attemptFinished('flaky', 2, 'failure')
    .retry('flaky', 2, 9_000)
  journal
    .attempt('flaky', 3, { retry_of: journal.span('attempt flaky@1.2'), delay_ms: 9_000 })
    .attemptFinished('flaky', 3, 'success')
  const spans = spansOf(journal.nodeFinished('flaky', 'success', {}, { retry_count: 2 }).finished('success'))
  const attempts = named(spans, 'flaky attempt')
  expect(attempts.map((span) => span.status.code)).toEqual(['ERROR', 'ERROR', 'UNSET'])
  expect(attempts.map(linksOf)).toEqual([[], [['retry_of', attempts[0]!.spanId]], [['retry_of', attempts[1]!.spanId]]])
  expect(attempts[1]!.attributes).toMatchObject({
    'error.type': 'exit_nonzero',
    'spanwright.failure.code': 'exit_nonzero',
    'spanwright.failure.class': 'deterministic',
    'spanwright.failure.source': 'command',
    'spanwright.failure.message': 'exit_nonzero happened',
    'spanwright.retry.delay_ms': 5_000,
  })
  expect(attempts.map(eventNames)).toEqual([[SPAN_EVENT.attemptFailed], [SPAN_EVENT.attemptFailed], []])
  for (const span of attempts) expect(span.events.every((event) => event.atUs <= span.endUs)).toBe(true)
  const node = one(spans, 'flaky')
  expect(node.status.code).toBe('UNSET')
  expect(node.attributes[ATTR.retryCount]).toBe(2)
  expect(node.attributes[ATTR.errorType]).toBeUndefined()
  expect(
    node.events.map((event) => [event.name, event.attributes[ATTR.failureCode], event.attributes[ATTR.retryDelayMs]]),
  ).toEqual([
    [SPAN_EVENT.retryScheduled, 'exit_nonzero', 5_000],
    [SPAN_EVENT.retryScheduled, 'exit_nonzero', 9_000],
  ])
})

describe('fan-out', () => {
  const spans = spansOf(
    new JournalEntries()
      .created()
      .fanout(200, { failing: [7] })
      .finished('failure', { failure: failureOf('branch_failed') }),
  )
  test('names branches by the fan-out, with key and index as attributes', () => {
    const branches = named(spans, 'branch split')
    expect(branches).toHaveLength(200)
    expect(branches[7]).toMatchObject({
      status: { code: 'ERROR' },
      attributes: {
        'spanwright.branch.key': 'k7',
        'spanwright.branch.index': 7,
        'cicd.pipeline.task.run.result': 'failure',
      },
    })
    expect(one(spans, 'split').attributes).toMatchObject({
      'spanwright.branch.count': 200,
      'spanwright.children.total': 200,
      'spanwright.children.failed': 1,
    })
  })
  test('links the node after the join to at most 100 branches and says how many are left out', () => {
    const join = one(spans, 'join')
    expect(join.links).toHaveLength(100)
    expect(linksOf(join)[0]).toEqual(['join', named(spans, 'branch split')[0]!.spanId])
    expect(join.attributes[ATTR.linksOmitted]).toBe(100)
  })
  test('keeps nothing of what has ended', () => {
    const projection = createProjection()
    let most = 0
    for (const entry of new JournalEntries().created().fanout(50).entries) {
      projection.apply(entry)
      most = Math.max(most, projection.openCount)
    }
    expect(most).toBe(50 + 2 + 2)
    expect(projection.openCount).toBe(1)
  })
})

describe('an execution that ends before its run', () => {
  const journal = new JournalEntries().created().step('first').node('second')
  journal.attempt('second', 1).add({
    type: 'attempt.progressed',
    node: 'second',
    visit: 1,
    attempt: 1,
    attempt_id: 'second@1.1',
    usage: { input: 7, cache_read: 2, cache_write: 1, output: 3 },
    process: { pid: 77 },
  })
  journal.add({
    type: 'attempt.lost',
    node: 'second',
    visit: 1,
    attempt: 1,
    attempt_id: 'second@1.1',
    failure: failureOf('worker_lost'),
    span_id: journal.span('attempt second@1.1'),
  })
  const interrupted = journal.interrupted().entries.length
  const lost = { node: journal.span('node second@1'), attempt: journal.span('attempt second@1.1') }
  journal
    .wait(86_400_000)
    .resumed({ trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16), trace_flags: 1, relation: 'link' })
  journal.node('second', {}, { continues: lost.node, via: 'resume' })
  journal.attempt('second', 2, { retry_of: lost.attempt }).attemptFinished('second', 2, 'success')
  journal.nodeFinished('second', 'success').finished('success')

  test('closes everything that was open, ERROR with worker_lost, and keeps what was known', () => {
    const projection = createProjection()
    const spans = journal.entries.slice(0, interrupted).flatMap((entry) => projection.apply(entry))
    expect(projection.openCount).toBe(0)
    expect(spans.slice(-3).map((span) => [span.name, span.status.code, span.attributes[ATTR.errorType]])).toEqual([
      ['second attempt', 'ERROR', 'worker_lost'],
      ['second', 'ERROR', 'worker_lost'],
      ['RUN release', 'ERROR', 'worker_lost'],
    ])
    expect(one(spans, 'second attempt').attributes).toMatchObject({
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.output_tokens': 3,
      'process.pid': 77,
    })
    expect(one(spans, 'RUN release').attributes).toMatchObject({
      'cicd.pipeline.result': 'error',
      'spanwright.children.total': 2,
      'spanwright.children.failed': 1,
      'spanwright.rollup.attempts': 2,
      'spanwright.rollup.tokens.input': 10,
    })
  })

  test('goes on in the same trace with new spans', () => {
    const spans = spansOf(journal)
    const [first, second] = named(spans, 'RUN release') as [SpanRecord, SpanRecord]
    expect(second).toMatchObject({ traceId: first.traceId, parentSpanId: first.spanId, status: { code: 'UNSET' } })
    expect(linksOf(second)).toEqual([
      ['resumes', first.spanId],
      ['inbound', 'b'.repeat(16)],
    ])
    const [before, after] = named(spans, 'second') as [SpanRecord, SpanRecord]
    expect(linksOf(after)).toEqual([['continues', before.spanId]])
    expect(after.parentSpanId).toBe(second.spanId)
    expect(linksOf(named(spans, 'second attempt')[1]!)).toEqual([['retry_of', lost.attempt]])
    expect(new Set(spans.map((span) => span.spanId)).size).toBe(spans.length)
  })

  test('a cancellation leaves its spans UNSET, and closes what has no end of its own', () => {
    const canceled = new JournalEntries().created().node('slow').attempt('slow', 1)
    canceled.attemptFinished('slow', 1, 'cancellation', { failure: failureOf('canceled') }).node('late')
    const spans = spansOf(canceled.finished('cancellation', { failure: failureOf('canceled'), resumable: true }))
    expect(spans.map((span) => [span.name, span.status.code])).toEqual([
      ['slow attempt', 'UNSET'],
      ['late', 'UNSET'],
      ['slow', 'UNSET'],
      ['RUN release', 'UNSET'],
    ])
    for (const span of spans) expect(span.attributes[ATTR.errorType]).toBeUndefined()
    expect(spans.map((span) => span.attributes[ATTR.taskRunResult] ?? span.attributes[ATTR.pipelineResult])).toEqual(
      Array(4).fill('cancellation'),
    )
    expect(one(spans, 'slow attempt').attributes[ATTR.reasonCode]).toBe('canceled')
  })
})

describe('statuses', () => {
  test('a skipped node has an UNSET span that says why', () => {
    const span = one(spansOf(new JournalEntries().created().skipped('review')), 'review')
    expect(span).toMatchObject({
      status: { code: 'UNSET' },
      attributes: { 'cicd.pipeline.task.run.result': 'skip', 'spanwright.reason.code': 'upstream_failed' },
    })
    expect(span.endUs - span.startUs).toBe(1)
  })
  test('a tolerated failure keeps its ERROR; the run stays UNSET', () => {
    const journal = new JournalEntries().created().node('lint').attempt('lint', 1).attemptFinished('lint', 1, 'failure')
    const spans = spansOf(
      journal
        .nodeFinished('lint', 'failure', {}, { failure: failureOf('exit_nonzero'), tolerated: true })
        .finished('success'),
    )
    expect(one(spans, 'lint').status.code).toBe('ERROR')
    expect(one(spans, 'RUN release').status.code).toBe('UNSET')
  })
  test('messages are bounded', () => {
    const journal = new JournalEntries()
      .created()
      .node('a')
      .nodeFinished('a', 'failure', {}, { failure: failureOf('exit_nonzero', 'x'.repeat(5_000)) })
    expect(String(one(spansOf(journal), 'a').attributes[ATTR.failureMessage])).toHaveLength(1_000)
  })
})

test('checks and hooks are spans, and their failures events of what they belong to', () => {
  const journal = new JournalEntries().created().node('build').attempt('build', 1)
  const attempt = journal.span('attempt build@1.1')
  const check = {
    node: 'build',
    visit: 1,
    attempt_id: 'build@1.1',
    name: 'lint',
    index: 0,
    level: 'L1',
    required: false,
    span_id: journal.span('check'),
  }
  journal.add({ type: 'check.started', ...check, inputs: {}, parent_span_id: attempt })
  journal.add({ type: 'check.finished', ...check, passed: false, failure: failureOf('exit_nonzero'), duration_ms: 1 })
  journal.attemptFinished('build', 1, 'success')
  const hook = {
    node: 'build',
    visit: 1,
    hook: 'on_success',
    name: 'npm run announce',
    index: 0,
    span_id: journal.span('hook'),
  }
  journal.add({
    type: 'hook.started',
    ...hook,
    result: 'success',
    inputs: {},
    parent_span_id: journal.span('node build@1'),
  })
  journal.add({ type: 'hook.finished', ...hook, passed: false, failure: failureOf('hook_failed'), duration_ms: 1 })
  const spans = spansOf(
    journal.nodeFinished('build', 'success').finished('failure', { failure: failureOf('hook_failed') }),
  )
  expect(one(spans, 'check lint')).toMatchObject({ parentSpanId: attempt, status: { code: 'ERROR' } })
  expect(eventNames(one(spans, 'build attempt'))).toEqual([SPAN_EVENT.checkFailed])
  expect(one(spans, 'hook on_success')).toMatchObject({
    parentSpanId: journal.span('node build@1'),
    status: { code: 'ERROR' },
  })
  expect(one(spans, 'build')).toMatchObject({ status: { code: 'UNSET' } })
  expect(eventNames(one(spans, 'build'))).toEqual([SPAN_EVENT.hookFailed])
})

test('gates, routes, stalls, waits, breakers and budgets are events of their spans', () => {
  const journal = new JournalEntries().created().node('ship', { kind: 'gate' })
  journal.add({
    type: 'gate.opened',
    node: 'ship',
    visit: 1,
    question: 'Ship it?',
    choices: ['approve', 'reject'],
    reject: ['reject'],
  })
  journal.add({ type: 'gate.expired', node: 'ship', visit: 1, default: 'approve' })
  journal.add({
    type: 'gate.answered',
    node: 'ship',
    visit: 1,
    choice: 'approve',
    by: { kind: 'default', user: 'mara' },
  })
  journal.add({
    type: 'breaker.opened',
    node: 'ship',
    visit: 1,
    path: 'ship',
    signature: 's',
    count: 3,
    limit: 3,
    failure: failureOf('breaker_open'),
  })
  journal.add({ type: 'budget.warned', scope: 'ship', budget: 'usd', used: 4, limit: 5 })
  journal.add({
    type: 'budget.exceeded',
    scope: '',
    budget: 'usd',
    used: 6,
    limit: 5,
    mode: 'enforce',
    failure: failureOf('budget_exhausted'),
  })
  journal.nodeFinished('ship', 'success', { kind: 'gate' }, { label: 'approve', route: { index: 0, to: 'fix' } })
  journal.add({ type: 'route.taken', node: 'ship', visit: 1, to: 'fix', index: 0 })
  journal.node('fix').attempt('fix', 1)
  journal.add({
    type: 'attempt.waiting',
    node: 'fix',
    visit: 1,
    attempt: 1,
    attempt_id: 'fix@1.1',
    due_at: '2026-11-21T11:00:00.000000Z',
    failure: failureOf('rate_limited'),
    wait: 1,
  })
  journal.add({
    type: 'stall.detected',
    node: 'fix',
    visit: 1,
    attempt: 1,
    attempt_id: 'fix@1.1',
    reason: 'no output',
    idle_ms: 600_000,
    action: 'stop',
  })
  journal.attemptFinished('fix', 1, 'timeout', { failure: failureOf('stalled') })
  journal.add({
    type: 'stall.detected',
    node: 'fix',
    visit: 1,
    attempt: 1,
    attempt_id: 'fix@1.1',
    reason: 'late',
    idle_ms: 1,
    action: 'none',
  })
  const spans = spansOf(
    journal
      .nodeFinished('fix', 'timeout', {}, { failure: failureOf('stalled') })
      .finished('timeout', { failure: failureOf('stalled') }),
  )
  expect(eventNames(one(spans, 'ship'))).toEqual([
    SPAN_EVENT.gateOpened,
    SPAN_EVENT.gateExpired,
    SPAN_EVENT.gateAnswered,
    SPAN_EVENT.breakerOpened,
    SPAN_EVENT.budgetWarned,
    SPAN_EVENT.routeTaken,
  ])
  expect(JSON.stringify(one(spans, 'ship').events)).not.toContain('mara')
  expect(eventNames(one(spans, 'RUN release'))).toEqual([SPAN_EVENT.budgetExceeded])
  expect(eventNames(one(spans, 'fix attempt'))).toEqual([
    SPAN_EVENT.attemptWaiting,
    SPAN_EVENT.stallDetected,
    SPAN_EVENT.attemptFailed,
  ])
})

test('an agent attempt has an invoke_agent span inside that ends with it', () => {
  const journal = new JournalEntries().created().node('plan', { kind: 'agent' })
  journal.attempt('plan', 1, { kind: 'agent', agent_span_id: 'c'.repeat(16), agent: 'claude' })
  const spans = spansOf(journal.attemptFinished('plan', 1, 'success'))
  expect(spans.map((span) => span.name)).toEqual(['invoke_agent claude', 'plan attempt'])
  expect(spans[0]).toMatchObject({
    kind: 'CLIENT',
    parentSpanId: journal.span('attempt plan@1.1'),
    spanId: 'c'.repeat(16),
  })
  const killed = spansOf(
    new JournalEntries()
      .created()
      .node('plan')
      .attempt('plan', 1, { agent_span_id: 'c'.repeat(16) })
      .interrupted(),
  )
  expect(killed.map((span) => span.status.code)).toEqual(['ERROR', 'ERROR', 'ERROR', 'ERROR'])
})

test('an inbound context is the remote parent, or a link; tracestate goes on', () => {
  const inbound = { trace_id: TRACE_ID, span_id: 'd'.repeat(16), trace_flags: 0, trace_state: 'vendor=1' } as const
  const child = one(
    spansOf(new JournalEntries().created({ ...inbound, relation: 'parent' }).finished('success')),
    'RUN release',
  )
  expect(child).toMatchObject({ parentSpanId: 'd'.repeat(16), parentIsRemote: true, traceState: 'vendor=1' })
  const linked = one(
    spansOf(new JournalEntries().created({ ...inbound, relation: 'link' }).finished('success')),
    'RUN release',
  )
  expect(linked).toMatchObject({ parentSpanId: undefined, parentIsRemote: false, traceState: undefined })
  expect(linksOf(linked)).toEqual([['inbound', 'd'.repeat(16)]])
})

test('a child never ends after its parent', () => {
  const journal = new JournalEntries().created().skipped('a')
  const last = journal.entries.at(-1)!
  const finished = new JournalEntries().finished('success').entries[0]!
  const spans = [...journal.entries, { ...finished, seq: 3, at: last.at }].flatMap(
    (
      (projection) => (entry) =>
        projection.apply(entry)
    )(createProjection()),
  )
  expect(one(spans, 'RUN release').endUs).toBeGreaterThanOrEqual(one(spans, 'a').endUs)
})

test('a route that is not taken is no event; a node that waits for its route ends as it did', () => {
  const routed = () =>
    new JournalEntries()
      .created()
      .node('review')
      .nodeFinished('review', 'success', {}, { route: { index: 0, to: 'fix' } })
  const ignored = spansOf(
    routed().add({ type: 'route.ignored', node: 'review', visit: 1, to: 'fix', reason: 'fix is running already' }),
  )
  expect(eventNames(one(ignored, 'review'))).toEqual([])
  const taken = routed()
  const endedUs = taken.nowMs * 1_000
  const span = one(
    spansOf(taken.wait(5).add({ type: 'route.taken', node: 'review', visit: 1, to: 'fix', index: 0 })),
    'review',
  )
  expect([span.endUs, span.events.map((event) => event.atUs)]).toEqual([endedUs, [endedUs]])
  expect(one(spansOf(routed().interrupted()), 'review')).toMatchObject({ status: { code: 'UNSET' }, endUs: endedUs })
})
