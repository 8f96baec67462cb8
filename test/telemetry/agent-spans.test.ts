// What an agent did is in the trace: each call of a model, each tool, under the agent, alike for all clients.
import { describe, expect, test } from 'vitest'
import { SPAN_EVENT } from '../../src/telemetry/names.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { createProjection } from './checked-projection.ts'
import { failureOf, JournalEntries, START_MS } from './journal-entries.ts'

const spansOf = (journal: JournalEntries): SpanRecord[] => {
  const projection = createProjection()
  return journal.entries.flatMap((entry) => projection.apply(entry))
}
const one = (spans: readonly SpanRecord[], name: string): SpanRecord => {
  expect(spans.filter((span) => span.name === name)).toHaveLength(1)
  return spans.find((span) => span.name === name)!
}
const usage = { input: 10, cache_read: 100, cache_write: 5, output: 7, reasoning: 3 }
const begun = (): JournalEntries => new JournalEntries().created().node('fix', { kind: 'agent' })
const ended = (journal: JournalEntries): JournalEntries =>
  journal.attemptFinished('fix', 1, 'success').nodeFinished('fix', 'success').finished('success')

describe('an agent at work', () => {
  const journal = begun().agentAttempt('fix', 1, { model: 'claude-sonnet-5', agent: 'claude' }).wait(100)
  journal.add({
    type: 'attempt.progressed',
    node: 'fix',
    visit: 1,
    attempt: 1,
    attempt_id: 'fix@1.1',
    session: { id: 'c-1', agent: 'claude' },
  })
  journal.wait(50).modelCalled('fix', 1, 'one', {
    model: 'claude-sonnet-5-20260901',
    response_id: 'msg_1',
    finish_reason: 'tool_use',
    usage,
    cost: { usd: 0.02, source: 'computed' },
    from: -40,
    to: -10,
    later: 'a field of a later version',
  })
  journal.toolStarted('fix', 1, 't1').wait(30).toolFinished('fix', 1, 't1', { exit_code: 0 })
  journal.toolStarted('fix', 1, 't2', { tool: 'Edit' })
  journal.toolFinished('fix', 1, 't2', { tool: 'Edit', ok: false, error: 'no such file' })
  const spans = spansOf(
    ended(journal.attemptFinished('fix', 1, 'success', { usage, cost: { usd: 0.02, source: 'computed' } })),
  )
  const agent = one(spans, 'invoke_agent claude')

  test('calls models: one event is the whole span', () => {
    const chat = one(spans, 'chat claude-sonnet-5-20260901')
    expect(chat).toMatchObject({ kind: 'CLIENT', parentSpanId: agent.spanId, status: { code: 'UNSET' } })
    expect(chat.endUs - chat.startUs).toBe(30_000)
    expect(chat.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.agent.name': 'claude',
      'gen_ai.conversation.id': 'c-1',
      'gen_ai.request.model': 'claude-sonnet-5-20260901',
      'gen_ai.response.model': 'claude-sonnet-5-20260901',
      'gen_ai.response.id': 'msg_1',
      'gen_ai.response.finish_reasons': ['tool_use'],
      'gen_ai.usage.input_tokens': 115,
      'gen_ai.usage.output_tokens': 7,
      'gen_ai.usage.cache_read.input_tokens': 100,
      'gen_ai.usage.cache_creation.input_tokens': 5,
      'gen_ai.usage.reasoning.output_tokens': 3,
      'spanwright.request.cost.usd': 0.02,
      'spanwright.attempt.id': 'fix@1.1',
    })
  })

  test('uses tools, with its own failures', () => {
    const tool = one(spans, 'execute_tool Bash')
    expect(tool).toMatchObject({ kind: 'INTERNAL', parentSpanId: agent.spanId, status: { code: 'UNSET' } })
    expect(tool.attributes).toMatchObject({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'Bash',
      'gen_ai.tool.call.id': 't1',
      'spanwright.tool.exit_code': 0,
    })
    expect(one(spans, 'execute_tool Edit')).toMatchObject({
      status: { code: 'ERROR', message: 'Edit failed; what it said is in agent.json' },
      attributes: { 'error.type': 'agent_failed', 'spanwright.failure.source': 'agent' },
    })
  })

  test('is told of by its own span; its cost and its sums stand on the attempt', () => {
    expect(agent.attributes).toMatchObject({
      'gen_ai.agent.name': 'claude',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.request.model': 'claude-sonnet-5',
      'gen_ai.conversation.id': 'c-1',
      'cicd.pipeline.task.run.result': 'success',
    })
    expect(spans.filter((span) => 'spanwright.cost.usd' in span.attributes).map((span) => span.name)).toEqual([
      'fix attempt',
    ])
    expect(spans.filter((span) => 'gen_ai.usage.input_tokens' in span.attributes).map((span) => span.subject)).toEqual([
      'chat',
      'attempt',
    ])
  })

  test('says nothing of prompts, answers and tool input that were not captured', () => {
    const names = spans.flatMap((span) => Object.keys(span.attributes))
    for (const name of ['gen_ai.input.messages', 'gen_ai.output.messages', 'gen_ai.tool.call.arguments'])
      expect(names).not.toContain(name)
    expect(JSON.stringify(spans)).not.toContain('later version')
    expect(JSON.stringify(spans)).not.toContain('no such file')
  })
})

test('captured content is there in the form of the conventions', () => {
  const journal = begun()
    .agentAttempt('fix', 1)
    .modelCalled('fix', 1, 'one', { model: 'gpt-6', input: 'Fix it', output: 'Done', finish_reason: 'stop' })
    .toolStarted('fix', 1, 't1', { input: '{"command":"ls"}' })
    .toolFinished('fix', 1, 't1', { output: 'README.md' })
    .toolStarted('fix', 1, 't2', { tool: 'Edit' })
    .toolFinished('fix', 1, 't2', { tool: 'Edit', ok: false, error: 'no such file', output: 'no such file' })
  const spans = spansOf(ended(journal))
  const { attributes } = one(spans, 'chat gpt-6')
  expect(JSON.parse(attributes['gen_ai.input.messages'] as string)).toEqual([
    { role: 'user', parts: [{ type: 'text', content: 'Fix it' }] },
  ])
  expect(JSON.parse(attributes['gen_ai.output.messages'] as string)).toEqual([
    { role: 'assistant', parts: [{ type: 'text', content: 'Done' }], finish_reason: 'stop' },
  ])
  expect(one(spans, 'execute_tool Bash').attributes).toMatchObject({
    'gen_ai.tool.call.arguments': '{"command":"ls"}',
    'gen_ai.tool.call.result': 'README.md',
  })
  expect(one(spans, 'execute_tool Edit').status).toEqual({ code: 'ERROR', message: 'Edit failed: no such file' })
})

test('a call that failed is an error of its provider; a code of a later version is still one of ours', () => {
  const journal = begun().agentAttempt('fix', 1, { model: 'gemini-3-pro', agent: 'gemini' })
  journal.modelCalled('fix', 1, 'one', { error: { code: 'rate_limited', message: '429: slow down' } })
  journal.modelCalled('fix', 1, 'two', { error: { code: 'code_of_tomorrow', message: 'odd' }, model: 'own-model' })
  const spans = spansOf(ended(journal))
  expect(one(spans, 'chat gemini-3-pro')).toMatchObject({
    status: { code: 'ERROR', message: '429: slow down' },
    attributes: {
      'error.type': 'rate_limited',
      'spanwright.failure.class': 'transient',
      'spanwright.failure.source': 'provider',
      'cicd.pipeline.task.run.result': 'error',
      'gen_ai.provider.name': 'gcp.gemini',
    },
  })
  const other = one(spans, 'chat own-model')
  expect(other.attributes['error.type']).toBe('agent_failed')
  expect(other.attributes).not.toHaveProperty('gen_ai.provider.name')
})

test('a call whose model nobody tells has a name all the same', () => {
  expect(
    spansOf(ended(begun().agentAttempt('fix', 1).modelCalled('fix', 1, 'one'))).map((span) => span.name),
  ).toContain('chat unknown')
})

describe('clocks of clients', () => {
  const within = (child: SpanRecord, parent: SpanRecord): void => {
    expect(child.startUs).toBeGreaterThanOrEqual(parent.startUs)
    expect(child.endUs).toBeLessThanOrEqual(parent.endUs)
    expect(child.endUs).toBeGreaterThan(child.startUs)
  }

  test('that are wrong by an hour, or tell no time, leave every span within its parent', () => {
    const journal = begun().agentAttempt('fix', 1).wait(1_000)
    journal.modelCalled('fix', 1, 'early', { model: 'early', from: -3_600_000, to: -3_500_000 })
    journal.modelCalled('fix', 1, 'late', { model: 'late', from: 3_500_000, to: 3_600_000 })
    journal.modelCalled('fix', 1, 'reversed', { model: 'reversed', from: -10, to: -200 })
    journal.modelCalled('fix', 1, 'garbage', { model: 'garbage', started_at: 'soon', ended_at: '' })
    journal.toolStarted('fix', 1, 't1', { started_at: '2020-01-01T00:00:00Z' })
    journal.toolFinished('fix', 1, 't1', { ended_at: '2099-01-01T00:00:00Z' })
    const spans = spansOf(ended(journal))
    const agent = one(spans, 'invoke_agent claude')
    for (const name of ['early', 'late', 'reversed', 'garbage']) within(one(spans, `chat ${name}`), agent)
    within(one(spans, 'execute_tool Bash'), agent)
    expect(one(spans, 'chat early').startUs).toBe((START_MS + 3) * 1_000)
  })
})

describe('a tool that is still at work when its agent ends', () => {
  const working = (): JournalEntries => begun().agentAttempt('fix', 1).toolStarted('fix', 1, 't1')

  test('is lost with it when the process is killed', () => {
    const spans = spansOf(working().interrupted())
    expect(spans.map((span) => span.name)).toEqual([
      'execute_tool Bash',
      'invoke_agent claude',
      'fix attempt',
      'fix',
      'RUN release',
    ])
    for (const span of spans) expect(span.attributes['error.type']).toBe('worker_lost')
  })

  test('fails with it', () => {
    const spans = spansOf(working().attemptFinished('fix', 1, 'timeout', { failure: failureOf('timed_out') }))
    expect(spans.map((span) => [span.subject, span.attributes['error.type']])).toEqual([
      ['tool', 'timed_out'],
      ['agent', 'timed_out'],
      ['attempt', 'timed_out'],
    ])
  })

  test('is canceled when the agent succeeded; its end, told later, changes nothing', () => {
    const journal = ended(working()).toolFinished('fix', 1, 't1').modelCalled('fix', 1, 'late')
    const spans = spansOf(journal)
    expect(one(spans, 'execute_tool Bash')).toMatchObject({
      status: { code: 'UNSET' },
      attributes: { 'cicd.pipeline.task.run.result': 'cancellation' },
    })
    expect(spans).toHaveLength(5)
  })
})

test('the agent ends where checks begin; a failing check is none of its failures', () => {
  const journal = begun().agentAttempt('fix', 1).wait(10)
  journal.add({
    type: 'attempt.acted',
    node: 'fix',
    visit: 1,
    attempt: 1,
    attempt_id: 'fix@1.1',
    duration_ms: 10,
    session: { id: 'c-2' },
  })
  const actedUs = journal.nowMs * 1_000
  journal.wait(500).attemptFinished('fix', 1, 'failure', { failure: failureOf('check_failed') })
  const spans = spansOf(journal)
  const agent = one(spans, 'invoke_agent claude')
  expect(agent).toMatchObject({ endUs: actedUs, status: { code: 'UNSET' } })
  expect(agent.attributes).toMatchObject({
    'cicd.pipeline.task.run.result': 'success',
    'gen_ai.conversation.id': 'c-2',
  })
  expect(one(spans, 'fix attempt').attributes['error.type']).toBe('check_failed')
})

test('an attempt says why its agent is not the first choice', () => {
  const journal = begun().agentAttempt('fix', 1, { agent: 'codex', model: 'gpt-6', chosen: 'fallback' })
  expect(one(spansOf(ended(journal)), 'fix attempt').attributes).toMatchObject({
    'spanwright.attempt.chosen': 'fallback',
    'gen_ai.request.model': 'gpt-6',
  })
})

test.each(['before the node has ended', 'after it'])('a summary of failures is marked as generated, %s', (when) => {
  const journal = begun().agentAttempt('fix', 1).attemptFinished('fix', 1, 'failure')
  const summary = { node: 'fix', visit: 1, text: 'The import is missing.', model: 'claude-haiku-4-5' }
  if (when === 'after it') journal.nodeFinished('fix', 'failure').add({ type: 'failure.summarized', ...summary })
  else journal.add({ type: 'failure.summarized', ...summary }).nodeFinished('fix', 'failure')
  const spans = spansOf(journal.finished('failure', { failure: failureOf('agent_failed') }))
  const [event] = one(spans, when === 'after it' ? 'RUN release' : 'fix').events
  expect(event).toMatchObject({
    name: SPAN_EVENT.failureSummarized,
    attributes: {
      'spanwright.node.path': 'fix',
      'spanwright.summary.text': 'The import is missing.',
      'spanwright.summary.generated': true,
      'gen_ai.request.model': 'claude-haiku-4-5',
    },
  })
})
