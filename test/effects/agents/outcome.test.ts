// What an end comes to: failure codes of error classes, decisions and structured answers, with a client that gives them.
import { describe, expect, test } from 'vitest'
import { ERROR_CLASSES, type ErrorClass, type Verdict } from '../../../src/effects/agents/adapter.ts'
import { ofType } from '../support.ts'
import { agentBench, fakeAdapter, type Line } from './support.ts'

const block = (value: unknown): string =>
  `\`\`\`json\n${typeof value === 'string' ? value : JSON.stringify(value)}\n\`\`\``
const says = (text: string): Line[] => [{ type: 'result', text }]
const named = (attempt: number) => ({ attempt: attempt, id: `build@1.${attempt}` })

describe('failures', () => {
  const CODES: { readonly [name in ErrorClass]: string } = {
    auth: 'auth_failed',
    rate_limit: 'rate_limited',
    quota: 'rate_limited',
    overloaded: 'rate_limited',
    server: 'provider_unavailable',
    stream: 'provider_unavailable',
    network: 'network',
    bad_request: 'config_invalid',
    not_found: 'config_invalid',
    usage: 'config_invalid',
    context_length: 'context_overflow',
    max_turns: 'turn_limit',
    budget: 'budget_exhausted',
    loop: 'stalled',
    truncated_output: 'agent_crashed',
    output_limit: 'agent_failed',
    content_filter: 'agent_failed',
    denied: 'agent_failed',
    unknown: 'agent_failed',
  }

  test('every error class has its code and says something', async () => {
    const { run } = agentBench(fakeAdapter())
    const each = ERROR_CLASSES.map(async (errorClass, index) => {
      const verdict: Partial<Verdict> = { status: 'error', errorClass, httpStatus: 418, usageComplete: true }
      const { outcome, record } = await run([{ verdict }], { attempt: named(index + 1) })
      expect(outcome.failure).toMatchObject({
        code: CODES[errorClass],
        details: { error_class: errorClass, http_status: 418 },
      })
      expect(outcome.failure?.message).toMatch(/^claude: .{8,}/)
      expect(record()).toMatchObject({ status: 'error', error_class: errorClass, http_status: 418 })
    })
    await Promise.all(each)
  })

  test('what the provider said is the message; what the agent did last is in the details', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run(
      [
        { type: 'session', id: 's', model: 'm-1' },
        { type: 'tool.started', id: 't', name: 'Bash', input: { command: 'make' }, at: 0 },
        { type: 'tool.finished', id: 't', ok: false, exitCode: 2, output: 'make: no rule', at: 1 },
        { type: 'text', text: 'I could not make it.' },
        { verdict: { status: 'error', errorClass: 'bad_request', message: 'prompt is too\nlong' } },
      ],
      { fake: { STDERR: 'stack trace\n', EXIT: '1' } },
    )
    expect(outcome.failure).toMatchObject({
      code: 'config_invalid',
      source: 'agent',
      message: 'claude (m-1): prompt is too long',
      details: {
        exit_code: 1,
        session_id: 's',
        stderr_tail: 'stack trace\n',
        last_tool: { name: 'Bash', ok: false, exit_code: 2, output_tail: 'make: no rule' },
        final_text: 'I could not make it.',
      },
    })
  })

  test('exit 0 without a last word is no success, and stderr may tell why', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run([{ type: 'text', text: 'half' }], { fake: { STDERR: 'fatal: heap out of memory\n' } })
    expect(outcome.failure).toMatchObject({ code: 'agent_crashed', details: { exit_code: 0 } })
    expect(outcome.failure?.message).toMatch(/its output breaks off; on stderr: fatal: heap out of memory$/)
  })

  test('a success that is reported beside an exit code is what the client says', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, record } = await run(says('done'), { fake: { EXIT: '1' } })
    expect(outcome.failure).toBeUndefined()
    expect(record().exit_code).toBe(1)
  })

  test('a signal that we did not send, caught or not', async () => {
    const { run } = agentBench(fakeAdapter())
    const killed: Line = { verdict: { status: 'killed' } }
    const hard = await run([killed], { fake: { SIGNAL: 'SIGKILL' } })
    expect(hard.outcome.failure).toMatchObject({ code: 'signaled', details: { signal: 'SIGKILL' } })
    const caught = await run([killed], { fake: { EXIT: '143' }, attempt: named(2) })
    expect(caught.outcome.failure).toMatchObject({ code: 'signaled', details: { exit_code: 143 } })
    const silent = await run([killed], { attempt: named(3) })
    expect(silent.outcome.failure).toMatchObject({ code: 'agent_crashed', details: { exit_code: 0 } })
  })

  test('a program that is not there, and a launch that its adapter refuses', async () => {
    const missing = await agentBench(fakeAdapter()).run([], { spec: { program: 'no-such-agent' } })
    expect(missing.outcome.failure).toMatchObject({ code: 'config_missing', source: 'agent' })
    const adapter = { ...fakeAdapter(), launch: () => ({ problem: 'max_turns is not known to it' }) }
    const refused = await agentBench(adapter).run([])
    expect(refused.outcome.failure).toMatchObject({
      code: 'config_invalid',
      message: 'claude: max_turns is not known to it',
    })
  })

  test('arguments that the system does not take', async () => {
    const launch = () => ({ file: 'sh', args: ['-c', `: ${'x'.repeat(200_000)}`] })
    const { outcome } = await agentBench(fakeAdapter({ launch })).run([])
    expect(outcome.failure).toMatchObject({ code: 'config_invalid', source: 'agent' })
  })

  test('a status file beside a failure does not make it a success', async () => {
    const script = `mkdir -p .ai; echo '{"status":"success"}' > .ai/status.json`
    const { run } = agentBench(fakeAdapter({ launch: () => ({ file: 'sh', args: ['-c', script] }) }))
    const { outcome, observed } = await run([])
    expect(outcome.failure?.code).toBe('agent_crashed')
    expect(ofType(observed, 'outcome.conflict')).toHaveLength(1)
  })

  test('an agent that only writes a status file is heard', async () => {
    const script = `mkdir -p .ai; echo '{"status":"fail","failure_reason":"no tests"}' > .ai/status.json; echo '{"type":"result"}'`
    const { run } = agentBench(fakeAdapter({ launch: () => ({ file: 'sh', args: ['-c', script] }) }))
    const { outcome } = await run([])
    expect(outcome.failure).toMatchObject({ code: 'agent_failed', message: 'no tests' })
  })
})

describe('decisions', () => {
  const decide = async (
    text: string,
    decision = ['continue', 'fail', 'blocked', 'route', 'decompose', 'needs_input', 'resolved'],
  ) => (await agentBench(fakeAdapter()).run(says(text), { node: { decision } })).outcome

  test('the last fenced block counts', async () => {
    const text = `${block({ disposition: 'fail' })}\nNo, wait.\n${block({ disposition: 'continue', reason: 'all well' })}\nDone.`
    expect(await decide(text)).toMatchObject({ label: 'continue', notes: 'all well' })
  })

  test.each([
    [
      { disposition: 'resolved', reason: 'was done before' },
      { label: 'resolved', notes: 'was done before' },
    ],
    [
      { disposition: 'route', workflow: 'bug' },
      { label: 'route', next: 'bug' },
    ],
    [
      { disposition: 'decompose', subtasks: ['a', { title: 'b' }] },
      { label: 'decompose', outputs: { subtasks: ['a', { title: 'b' }] } },
    ],
    [
      { disposition: 'blocked', block_on: ['T-1'], reason: 'waits' },
      { label: 'blocked', notes: 'waits', outputs: { block_on: ['T-1'] } },
    ],
    [
      {
        disposition: 'needs_input',
        plan_questions: [
          { question: 'Which?', options: ['a', { label: 'B', value: 'b', description: 'the other' }] },
          'Why?',
        ],
      },
      {
        label: 'needs_input',
        questions: [
          {
            id: 'q1',
            question: 'Which?',
            options: [
              { label: 'a', value: 'a' },
              { label: 'B', value: 'b', description: 'the other' },
            ],
          },
          { id: 'q2', question: 'Why?' },
        ],
      },
    ],
    [
      { label: 'Needs Input', questions: [{ id: 'x', question: 'Who?' }] },
      { label: 'needs_input', questions: [{ id: 'x' }] },
    ],
  ])('%j', async (value, expected) => {
    const outcome = await decide(`I thought.\n${block(value)}`)
    expect(outcome.failure).toBeUndefined()
    expect(outcome).toMatchObject(expected)
  })

  test.each([
    ['I am done.', /holds no decision; .*continue, /],
    ['', /holds no decision \(it is empty\)/],
    [block('{"disposition": "conti'), /not valid JSON.*expected one of `continue`/],
    [block({ verdict: 'yes' }), /has no disposition or label.*expected one of `continue`/],
    [block({ disposition: 'approve' }), /the decision is `approve`; expected one of `continue`, `fail`/],
    [block({ disposition: 'I would approve it' }), /^the disposition is none of the labels; expected one of/],
    [block({ disposition: 'decompose', subtasks: [] }), /`decompose` has no subtasks/],
    [block({ disposition: 'needs_input' }), /`needs_input` has no questions/],
    [block({ disposition: 'route', workflow: 7 }), /`route` has a workflow that is no text/],
  ])('invalid: %s', async (text, message) => {
    const { failure } = await decide(text)
    expect(failure).toMatchObject({ code: 'invalid_output', source: 'agent' })
    expect(failure?.message).toMatch(message)
  })
})

describe('structured answers', () => {
  const schema = { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'] }
  const answer = async (lines: Line[]) =>
    (await agentBench(fakeAdapter()).run(lines, { spec: { output_schema: schema } })).outcome

  test('become outputs, from the client or from its text', async () => {
    expect((await answer([{ type: 'result', text: 'x', structured: { count: 3 } }])).outputs).toEqual({ count: 3 })
    expect((await answer(says('{"count": 4}'))).outputs).toEqual({ count: 4 })
    expect((await answer(says(`Here:\n${block({ count: 5 })}`))).outputs).toEqual({ count: 5 })
  })

  test('that do not fit, or are not there, are invalid output', async () => {
    const wrong = await answer([{ type: 'result', structured: { count: 'many' } }])
    expect(wrong.failure).toMatchObject({ code: 'invalid_output' })
    expect(wrong.failure?.message).toMatch(/does not fit output_schema: .*count/)
    const none = await answer(says('three'))
    expect(none.failure).toMatchObject({
      message: expect.stringMatching(/no JSON was found in it$/),
      details: { text: 'three' },
    })
  })

  test('may hold the decision', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run([{ type: 'result', structured: { label: 'approve', count: 1 } }], {
      spec: { output_schema: schema },
      node: { decision: ['approve', 'rework'] },
    })
    expect(outcome).toMatchObject({ label: 'approve', outputs: { count: 1 } })
  })

  test('are checked against declared outputs, and files go before them', async () => {
    const script = `echo 'count=9' > "$SPANWRIGHT_OUTPUTS"; echo '{"result":"ok","outputs":{"name":"file"}}' > "$SPANWRIGHT_OUTCOME"; echo '{"type":"result","structured":{"count":1,"name":"answer"}}'`
    const { run } = agentBench(fakeAdapter({ launch: () => ({ file: 'sh', args: ['-c', script] }) }))
    const { outcome } = await run([], { node: { outputs: { name: { type: 'string' } } } })
    expect(outcome.outputs).toMatchObject({ name: 'file' })
  })
})
