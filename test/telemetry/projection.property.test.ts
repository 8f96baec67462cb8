// Any journal that a run can record, cut anywhere: every span that was opened ends exactly once.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry, Event } from '../../src/core/events.ts'
import type { Result } from '../../src/core/failure.ts'
import { createProjection } from './checked-projection.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { failureOf, JournalEntries } from './journal-entries.ts'

/** What a node does; nested nodes live in branches. */
type Step =
  | { do: 'skip' }
  | { do: 'run'; agent: boolean; check: boolean; hook: boolean; results: ('failure' | 'timeout' | 'success')[] }
  | { do: 'gate'; answer: boolean }
  | { do: 'fanout'; branches: Step[][] }
  | { do: 'resume' }

const result = fc.constantFrom('failure' as const, 'timeout' as const, 'success' as const)
const { step } = fc.letrec<{ step: Step; steps: Step[] }>((tie) => ({
  steps: fc.array(tie('step'), { maxLength: 3 }),
  step: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.constant<Step>({ do: 'skip' }),
    fc.record({
      do: fc.constant('run' as const),
      agent: fc.boolean(),
      check: fc.boolean(),
      hook: fc.boolean(),
      results: fc.array(result, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ do: fc.constant('gate' as const), answer: fc.boolean() }),
    fc.record({ do: fc.constant('fanout' as const), branches: fc.array(tie('steps'), { maxLength: 3 }) }),
  ),
}))
const program = fc.array(
  fc.oneof({ weight: 4, arbitrary: step }, { weight: 1, arbitrary: fc.constant<Step>({ do: 'resume' }) }),
  { maxLength: 6 },
)

let serial = 0
function play(journal: JournalEntries, what: Step, prefix: string, parent: string): void {
  const path = `${prefix}n${serial++}`
  switch (what.do) {
    case 'skip':
      return void journal.skipped(path)
    case 'gate': {
      journal
        .node(path, { parent, kind: 'gate' })
        .add({ type: 'gate.opened', node: path, visit: 1, question: '?', choices: ['a'], reject: [] })
      if (what.answer) journal.add({ type: 'gate.answered', node: path, visit: 1, choice: 'a', by: { kind: 'user' } })
      return void journal.nodeFinished(path, 'success', { kind: 'gate' })
    }
    case 'run':
      return attempts(journal, what, path, parent)
    case 'fanout': {
      journal.node(path, { parent, kind: 'fanout' })
      const spans = what.branches.map((_, index) => journal.branch(path, `k${index}`, index))
      what.branches.forEach((steps, index) => {
        steps.forEach((inner) => play(journal, inner, `${path}:k${index}/`, spans[index]!))
        journal.branchFinished(path, `k${index}`, index)
      })
      return void journal.nodeFinished(path, 'success', { kind: 'fanout' })
    }
    case 'resume':
      return void journal.interrupted().resumed()
  }
}

function attempts(journal: JournalEntries, what: Step & { do: 'run' }, path: string, parent: string): void {
  journal.node(path, { parent })
  what.results.forEach((outcome, index) => {
    const number = index + 1
    if (what.agent) work(journal, path, number)
    else journal.attempt(path, number)
    const owner = { node: path, visit: 1, index: 0, name: 'x', span_id: journal.span(`check ${path} ${number}`) }
    if (what.check) {
      const check = { ...owner, attempt_id: `${path}@1.${number}`, level: 'L1', required: true }
      journal.add({
        type: 'check.started',
        ...check,
        inputs: {},
        parent_span_id: journal.span(`attempt ${path}@1.${number}`),
      })
      const failure = outcome === 'success' ? {} : { failure: failureOf('check_failed') }
      journal.add({ type: 'check.finished', ...check, passed: outcome === 'success', duration_ms: 1, ...failure })
    }
    journal.attemptFinished(path, number, outcome)
    if (index + 1 < what.results.length) journal.retry(path, number)
  })
  if (what.hook) {
    const hook = { node: path, visit: 1, index: 0, hook: 'on_finish', name: 'h', span_id: journal.span(`hook ${path}`) }
    journal.add({
      type: 'hook.started',
      ...hook,
      result: 'success',
      inputs: {},
      parent_span_id: journal.span(`node ${path}@1`),
    })
    journal.add({ type: 'hook.finished', ...hook, passed: true, duration_ms: 1 })
  }
  journal.nodeFinished(path, what.results.at(-1) as Result)
}

/** An agent that calls models and tools; one of the tools is still at work when it ends. */
function work(journal: JournalEntries, path: string, number: number): void {
  journal.agentAttempt(path, number).wait(5)
  journal.modelCalled(path, number, 'first', { model: 'claude-sonnet-5', from: -60_000, to: 60_000 })
  journal.toolStarted(path, number, 'a').toolStarted(path, number, 'b')
  journal.toolFinished(path, number, 'a', { ok: false, exit_code: 1 })
  journal.modelCalled(path, number, 'second', { error: { code: 'rate_limited', message: 'slow down' } })
}

function journalOf(steps: readonly Step[]): JournalEntries {
  const journal = new JournalEntries().created()
  for (const what of steps) play(journal, what, '', journal.runSpan)
  return journal.finished('success')
}

const openedBy = (event: Event): string[] => [
  ...(/\.(created|resumed|started|skipped)$/.test(event.type) && typeof event['span_id'] === 'string'
    ? [event['span_id']]
    : []),
  ...(event.type === 'model.called' ? [event.span_id] : []),
  ...(event.type === 'attempt.started' && event.agent_span_id !== undefined ? [event.agent_span_id] : []),
]

function expectEachOnce(entries: readonly Entry[], ended: readonly SpanRecord[]): void {
  expect(ended.map((span) => span.spanId).sort()).toEqual(entries.flatMap((entry) => openedBy(entry.event)).sort())
  // A parent ends after all its children, unless it is the first run span of a run that was resumed.
  const order = new Map(ended.map((span, index) => [span.spanId, index]))
  for (const [index, span] of ended.entries()) {
    expect(span.endUs).toBeGreaterThan(span.startUs)
    const parent = ended[order.get(span.parentSpanId ?? '') ?? -1]
    if (parent && span.subject !== 'run') {
      expect(order.get(parent.spanId)).toBeGreaterThan(index)
      expect(span.startUs).toBeGreaterThanOrEqual(parent.startUs)
      expect(span.endUs).toBeLessThanOrEqual(parent.endUs)
    }
    for (const event of span.events) expect(event.atUs).toBeLessThanOrEqual(span.endUs)
  }
}

test('whole, or cut at any entry and interrupted there', () => {
  fc.assert(
    fc.property(program, fc.nat(), (steps, cut) => {
      const { entries } = journalOf(steps)
      const whole = createProjection()
      expectEachOnce(
        entries,
        entries.flatMap((entry) => whole.apply(entry)),
      )
      expect(whole.openCount).toBe(0)

      const kept = entries.slice(0, 1 + (cut % (entries.length - 1)))
      const last = kept.at(-1)!
      const killed: Entry = {
        v: 1,
        seq: last.seq + 1,
        at: last.at,
        event: { type: 'run.interrupted', execution: 1, failure: failureOf('worker_lost') },
      }
      const prefix = createProjection()
      const open = () => prefix.open().map((span) => span.spanId)
      const before = kept.flatMap((entry) => prefix.apply(entry))
      const opened = open()
      const after = prefix.apply(killed)
      expect(after.map((span) => span.spanId).sort()).toEqual(opened.sort())
      for (const span of after) expect(span.attributes['error.type']).toBe('worker_lost')
      expectEachOnce(kept, [...before, ...after])
    }),
    { numRuns: 200 },
  )
})

test('the same journal gives the same spans, byte for byte', () => {
  fc.assert(
    fc.property(program, (steps) => {
      const { entries } = journalOf(steps)
      const project = () => {
        const projection = createProjection()
        return JSON.stringify(entries.flatMap((entry) => projection.apply(entry)))
      }
      expect(project()).toBe(project())
    }),
    { numRuns: 30 },
  )
})
