// What an attempt of an agent puts on record and reports, with a real process that plays the client.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AgentExit, AgentRequest } from '../../../src/effects/agents/adapter.ts'
import { fromTimestamp } from '../../../src/core/time.ts'
import { readStat } from '../../../src/effects/proc.ts'
import { maskOf, ofType, until } from '../support.ts'
import { agentBench, fakeAdapter, type Line } from './support.ts'

const AT = Date.UTC(2026, 0, 1)
const tokens = { input: 100, cache_read: 1_000, cache_write: 0, output: 50, reasoning: 10 }
const WORK: readonly Line[] = [
  { type: 'session', id: 'conversation-1', model: 'm-1', version: '1.2.3' },
  {
    type: 'call',
    id: 'c1',
    endedAt: AT + 1_000,
    startedAt: AT,
    tokens,
    usd: 0.01,
    finishReason: 'tool_use',
    text: 'Let me look.',
  },
  { type: 'text', text: 'Let me look.' },
  { type: 'tool.started', id: 't1', name: 'Bash', input: { command: 'ls' }, at: AT + 1_100 },
  {
    type: 'tool.finished',
    id: 't1',
    ok: false,
    exitCode: 2,
    output: 'no such file',
    error: 'Exit code 2',
    at: AT + 1_200,
  },
  { type: 'call', id: 'c2', endedAt: AT + 2_000, tokens, usd: 0.02 },
  { type: 'result', text: 'All done.' },
]
const DONE: Line = { type: 'result', text: 'All done.' }
const named = (attempt: number) => ({ attempt: { attempt, id: `build@1.${attempt}` } })

describe('the record of an attempt', () => {
  test('agent.json, transcript, files and outcome tell the same', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, record, file, observed, spent } = await run(WORK, { fake: { STDERR: 'a warning\n' } })
    expect(outcome).toMatchObject({
      usage: { input: 200, cache_read: 2_000, output: 100, reasoning: 20, model: 'm-1', turns: 2, complete: true },
      cost: { usd: 0.03, source: 'reported' },
      session: { id: 'conversation-1', agent: 'claude' },
      process: { executable: 'fake-client.mjs', exit_code: 0 },
    })
    expect(outcome.failure).toBeUndefined()
    expect(record()).toMatchObject({
      cli: 'claude',
      cli_version: '1.2.3',
      session_id: 'conversation-1',
      model: 'm-1',
      turns: 2,
      tool_calls: [
        { id: 't1', name: 'Bash', input: { command: 'ls' }, ok: false, exit_code: 2, output_tail: 'no such file' },
      ],
      final_text: 'All done.',
      status: 'ok',
      usage_complete: true,
    })
    const lines = WORK.map((line) => JSON.stringify(line))
    expect(file('transcript.ndjson').trimEnd().split('\n')).toEqual(lines)
    expect(file('stdout.log')).toBe(file('transcript.ndjson'))
    expect(file('stderr.log')).toBe('a warning\n')
    expect(file('prompt.md')).toBe('Do it.\n')
    expect(JSON.parse(file('command.json'))).toMatchObject({ attempt_id: 'build@1.1', agent: 'claude' })
    expect(spent.at(-1)).toMatchObject({ usage: { input: 200 }, cost: { usd: 0.03 } })
    expect(ofType(observed, 'attempt.progressed')).toContainEqual(
      expect.objectContaining({ session: { id: 'conversation-1', agent: 'claude' } }),
    )
  })

  test('the transcript is one file under two names', async () => {
    const { bench, run } = agentBench(fakeAdapter())
    await run(WORK)
    const at = join(bench.runDir, 'attempts/build/1.1')
    expect(statSync(join(at, 'transcript.ndjson')).ino).toBe(statSync(join(at, 'stdout.log')).ino)
  })

  test('requests and tool calls have spans below the agent, with the times of the client and no content', async () => {
    const { run } = agentBench(fakeAdapter())
    const { observed } = await run(WORK)
    const [first, second] = ofType(observed, 'model.called')
    expect(first).toMatchObject({
      parent_span_id: 'b7ad6b7169203331',
      started_at: '2026-01-01T00:00:00.000000Z',
      ended_at: '2026-01-01T00:00:01.000000Z',
      model: 'm-1',
      response_id: 'c1',
      finish_reason: 'tool_use',
      usage: { input: 100, model: 'm-1' },
      cost: { usd: 0.01, source: 'reported' },
    })
    // It began when its tool had finished, as far as anybody knows.
    expect(second).toMatchObject({ started_at: expect.any(String), ended_at: '2026-01-01T00:00:02.000000Z' })
    const [started] = ofType(observed, 'tool.started')
    const [finished] = ofType(observed, 'tool.finished')
    expect(started).toMatchObject({ call_id: 't1', tool: 'Bash', parent_span_id: 'b7ad6b7169203331' })
    expect(finished).toMatchObject({ span_id: started!.span_id, ok: false, exit_code: 2, error: 'Exit code 2' })
    expect(new Set([first!.span_id, second!.span_id, started!.span_id]).size).toBe(3)
    expect(JSON.stringify([...ofType(observed, 'model.called'), started, finished])).not.toMatch(
      /Let me look|no such file|"ls"/,
    )
  })

  test('content is on record when it is captured, without secrets', async () => {
    const mask = maskOf('sesame-open-now')
    const { run } = agentBench(fakeAdapter(), { mask, env: { ...process.env, SPANWRIGHT_CAPTURE: 'content' } })
    const lines: Line[] = [
      { type: 'call', id: 'c', endedAt: AT, tokens, text: 'the word is sesame-open-now' },
      { type: 'tool.started', id: 't', name: 'Bash', input: { command: 'echo sesame-open-now' }, at: AT },
      { type: 'tool.finished', id: 't', ok: true, output: 'sesame-open-now\n', at: AT },
      { type: 'result', text: 'sesame-open-now' },
    ]
    const { observed, file, record } = await run(lines, { spec: { prompt: 'Say sesame-open-now.' } })
    expect(ofType(observed, 'model.called')).toMatchObject([{ input: 'Say ***.\n', output: 'the word is ***' }])
    expect(ofType(observed, 'tool.started')).toMatchObject([{ input: '{"command":"echo ***"}' }])
    expect(ofType(observed, 'tool.finished')).toMatchObject([{ output: '***\n' }])
    expect(record().final_text).toBe('***')
    for (const name of ['agent.json', 'transcript.ndjson', 'prompt.md']) expect(file(name)).not.toContain('sesame')
  })

  test('tools that were open at the end are finished with the attempt', async () => {
    const { run } = agentBench(fakeAdapter())
    const { observed, record } = await run(
      [{ type: 'tool.started', id: 't', name: 'Bash', input: {}, at: AT }, DONE],
      named(1),
    )
    expect(ofType(observed, 'tool.finished')).toMatchObject([
      { call_id: 't', ok: false, error: 'ended with the attempt' },
    ])
    expect(record().tool_calls).toMatchObject([{ ok: null, ended_at: null }])
  })

  test('a request that is told again is one request, put on record once', async () => {
    const { run } = agentBench(fakeAdapter())
    const { observed, record } = await run([
      { type: 'call', id: 'c', endedAt: AT, model: 'm', tokens: { ...tokens, output: 1 }, usd: 0.001 },
      { type: 'call', id: 'c', endedAt: AT + 5, model: 'm', tokens, usd: 0.01 },
      { type: 'alive' },
      { type: 'call', id: 'c', endedAt: AT + 9, model: 'm', tokens: { ...tokens, output: 60 }, usd: 0.02 },
      DONE,
    ])
    // What is put on record stays so; the sums know better.
    expect(ofType(observed, 'model.called')).toMatchObject([{ usage: { output: 50 }, cost: { usd: 0.01 } }])
    expect(record()).toMatchObject({ turns: 1, tokens: { output: 60 }, cost_usd: 0.02 })
  })

  test('a failed request is on record with its failure code', async () => {
    const { run } = agentBench(fakeAdapter())
    const error = { errorClass: 'overloaded' as const, message: 'Overloaded (529)' }
    const { observed } = await run([{ type: 'call', endedAt: AT, error }, DONE])
    expect(ofType(observed, 'model.called')).toMatchObject([
      { error: { code: 'rate_limited', message: 'Overloaded (529)' } },
    ])
  })

  test('no more than so many calls are on record; all are counted', async () => {
    const { run } = agentBench(fakeAdapter())
    const lines = Array.from({ length: 2_100 }, (_, i): Line => ({
      type: 'call',
      id: `c${i}`,
      endedAt: AT,
      tokens,
      usd: 0.001,
    }))
    const { observed, record } = await run([...lines, DONE])
    expect(ofType(observed, 'model.called')).toHaveLength(2_000)
    expect(ofType(observed, 'warning.raised')).toMatchObject([{ code: 'calls_omitted' }])
    expect(record().turns).toBe(2_100)
  })

  test('a version that the stream does not tell is asked of the program', async () => {
    const { run } = agentBench(fakeAdapter({ program: 'fake-client.mjs', versions: ['1.0.x'] }))
    const { record, observed } = await run([DONE], { fake: { DELAY_MS: '300' } })
    expect(record().cli_version).toBe('1.0.0')
    expect(ofType(observed, 'warning.raised')).toEqual([])
  })

  test('times that are none are those of arrival', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run([
      '{"type":"tool.started","id":"t","name":"Bash","input":null,"at":1e300}',
      '{"type":"tool.finished","id":"t","ok":true,"output":"","at":null}',
      '{"type":"call","endedAt":null}',
      DONE,
    ])
    expect(outcome.failure).toBeUndefined()
    const times = [
      ...ofType(observed, 'tool.started').map((event) => event.started_at),
      ...ofType(observed, 'model.called').map((event) => event.ended_at),
    ]
    expect(times).toHaveLength(2)
    for (const time of times) expect(Math.abs(Date.now() - fromTimestamp(time))).toBeLessThan(60_000)
  })

  test('an unknown version is warned about once per run', async () => {
    const { run } = agentBench(fakeAdapter({ versions: ['2.1.x'] }))
    const first = await run(WORK)
    expect(first.observed).toContainEqual(expect.objectContaining({ code: 'agent_version_unknown' }))
    const second = await run(WORK, named(2))
    expect(ofType(second.observed, 'warning.raised')).toEqual([])
    const known = await run([{ type: 'session', version: '2.1.9' }, DONE], named(3))
    expect(ofType(known.observed, 'warning.raised')).toEqual([])
    expect(known.record().cli_version).toBe('2.1.9')
  })
})

describe('what a client writes', () => {
  test('lines are whole however they arrive, and longer than any buffer', async () => {
    const { run } = agentBench(fakeAdapter())
    const long = 'ü'.repeat(2_500_000)
    const { record, outcome } = await run([{ type: 'text', text: 'x' }, 'noise', { type: 'result', text: long }])
    expect(outcome.failure).toBeUndefined()
    expect(record().final_text).toBe('ü'.repeat(128 * 1024))
  })

  test('an unterminated last line is the rest, never a line', async () => {
    const exits: AgentExit[] = []
    const script = `printf '{"type":"text","text":"a"}\\r\\n{"type":"result"'`
    const { run } = agentBench(fakeAdapter({ exits, launch: () => ({ file: 'sh', args: ['-c', script] }) }))
    const { outcome, record } = await run([])
    expect(exits).toMatchObject([{ rest: '{"type":"result"', exitCode: 0 }])
    expect(record()).toMatchObject({
      status: 'error',
      error_class: 'truncated_output',
      final_text: 'a',
      usage_complete: false,
    })
    expect(outcome.failure).toMatchObject({ code: 'agent_crashed', details: { exit_code: 0 } })
  })

  test('files beside its output are followed while it runs and read to their end', async () => {
    let side = ''
    const { bench, run } = agentBench(
      fakeAdapter({
        launch: ({ cwd }) => {
          side = join(cwd, 'side')
          const script = `printf '{"type":"session","id":"a"}\\n' > side; sleep 0.4; printf '{"type":"call","id":"1","endedAt":0,"usd":1,"tokens":{"input":5,"cache_read":0,"cache_write":0,"output":1}}' >> side; echo '{"type":"result","text":"x"}'`
          return { file: 'sh', args: ['-c', script], side: () => [side, join(cwd, 'not-there')] }
        },
      }),
    )
    const { outcome, observed } = await run([])
    expect(outcome).toMatchObject({ usage: { input: 5 }, session: { id: 'a' } })
    expect(ofType(observed, 'attempt.progressed')[0]).toMatchObject({ session: { id: 'a' } })
    expect(readFileSync(join(bench.cwd, 'side'), 'utf8')).toContain('session')
  })

  test('a reader with a fault costs its line, not the attempt', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, record } = await run(['throw', ...WORK])
    expect(outcome.failure).toBeUndefined()
    expect(record().warnings).toEqual(['a line of the client could not be read: a reader with a fault'])
  })

  test('it gets the prompt on its input, its variables, and none that its adapter takes away', async () => {
    const script = `echo "{\\"type\\":\\"result\\",\\"text\\":\\"$(cat) $ADDED \${GONE-unset}\\"}"`
    const { run } = agentBench(
      fakeAdapter({ launch: () => ({ file: 'sh', args: ['-c', script], env: { ADDED: 'yes', GONE: '' } }) }),
    )
    const { record } = await run([], {
      spec: { prompt: 'Say ${{ params.word }}.' },
      inputs: { 'params.word': 'hi' },
      place: { env: [{ GONE: 'here' }] },
    })
    expect(record().final_text).toBe('Say hi. yes unset')
  })
})

describe('what an agent is asked', () => {
  const seen = (requests: AgentRequest[]): AgentRequest => requests[0]!

  test('templates of the choice are filled in', async () => {
    const requests: AgentRequest[] = []
    const { run } = agentBench(fakeAdapter({ requests }))
    const spec = {
      model: '${{ params.model }}',
      args: ['--x', 'v ${{ params.n }}'],
      session: '${{ nodes.plan.session }}',
    }
    await run([DONE], { spec, inputs: { 'params.model': 'm-9', 'params.n': 3, 'nodes.plan.session': 'abc' } })
    expect(seen(requests)).toMatchObject({
      spec: { model: 'm-9', args: ['--x', 'v 3'] },
      session: { id: 'abc' },
      launch: 1,
    })
    expect(seen(requests).newSessionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('a conversation that the core knows comes with its totals', async () => {
    const requests: AgentRequest[] = []
    const { run } = agentBench(fakeAdapter({ requests }))
    const session = { id: 's', agent: 'claude', totals: { ...tokens, cost_usd: 1 } }
    const done = run([DONE], { spec: { session: 'continue' }, attempt: { session } })
    await done
    expect(seen(requests).session).toEqual(session)
    // It did not tell anything new of it: what was known goes on to the next attempt.
    expect((await done).outcome.session).toEqual(session)
  })

  test('an allow-list leaves what it names and what every program needs', async () => {
    const requests: AgentRequest[] = []
    const env = {
      PATH: process.env['PATH'],
      HOME: '/home/me',
      OTHER: 'x',
      MY_KEY: 'y',
      MY_URL: 'z',
      SPANWRIGHT_MARKERS: 'outer/a@1.1',
    }
    const { run } = agentBench(fakeAdapter({ requests }), { env })
    await run([DONE], { spec: { env_allow: ['MY_*'] }, node: {}, place: { env: [{ OWN: 'declared' }] } })
    const given = seen(requests).env
    expect(given).toMatchObject({ MY_KEY: 'y', MY_URL: 'z', HOME: '/home/me', OWN: 'declared' })
    expect(given).not.toHaveProperty('OTHER')
    expect(given['SPANWRIGHT_MARKERS']).toMatch(/^outer\/a@1\.1,/)
    expect(given['TRACEPARENT']).toBe('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  })

  test('an isolated home is one of the run, the same for each attempt', async () => {
    const requests: AgentRequest[] = []
    const { bench, run } = agentBench(fakeAdapter({ requests }))
    await run([DONE], { spec: { home: 'isolated' } })
    await run([DONE], { spec: { home: 'isolated' }, ...named(2) })
    const home = join(bench.runDir, 'homes/claude')
    expect(requests.map((request) => request.home)).toEqual([home, home])
    expect(seen(requests)).toMatchObject({
      isolated: true,
      env: { HOME: home, XDG_CONFIG_HOME: join(home, '.config') },
    })
    expect(statSync(home).mode & 0o777).toBe(0o700)
    expect(new Set(requests.map((request) => request.newSessionId)).size).toBe(2)
  })

  test('its files are written before it starts', async () => {
    const text = '{"type":"result","text":"from a file"}\n'
    const { run } = agentBench(
      fakeAdapter({
        launch: ({ attemptDir }) => {
          const path = join(attemptDir, 'client/settings.json')
          return { file: 'cat', args: [path], files: [{ path, text }] }
        },
      }),
    )
    expect((await run([])).record().final_text).toBe('from a file')
  })

  test('what an agent changed is on record', async () => {
    const script = `cat > /dev/null; echo new > made.txt; echo '{"type":"result"}'`
    const { bench, run } = agentBench(fakeAdapter({ launch: () => ({ file: 'sh', args: ['-c', script] }) }))
    mkdirSync(join(bench.cwd, 'sub'))
    writeFileSync(join(bench.cwd, 'sub/kept.txt'), 'kept')
    const { file } = await run([])
    expect(JSON.parse(file('changes.json'))).toMatchObject({
      created: ['made.txt'],
      modified: [],
      deleted: [],
      total: 1,
    })
  })
})

describe('the end of an attempt', () => {
  test('nothing of it is left, also after a success', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome, observed } = await run(WORK, { fake: { CHILD: '1' } })
    expect(outcome.failure).toBeUndefined()
    const [ended] = ofType(observed, 'processes.ended')
    expect(ended).toMatchObject({ attempt_id: 'build@1.1', reason: 'left behind by the attempt' })
    expect(readStat(ended!.processes[0]!.pid)?.zombie ?? true).toBe(true)
  })

  test('one that ignores TERM is killed after the grace, and what it spent counts', async () => {
    const { start } = agentBench(fakeAdapter())
    const started = start(WORK.slice(0, -1), {
      node: { grace_ms: 200 },
      fake: { HANG: 'end', TERM: 'ignore', CHILD: '1' },
    })
    await until(() => started.spent.length >= 2)
    started.running.stop({ code: 'budget_exhausted', message: 'the budget of $0.02 is used up', now: false })
    const { outcome, record } = await started.done
    expect(outcome).toMatchObject({
      failure: { code: 'budget_exhausted', message: 'the budget of $0.02 is used up' },
      usage: { input: 200, complete: false },
      cost: { usd: 0.03 },
      session: { id: 'conversation-1' },
      process: { signal: 'SIGKILL' },
    })
    expect(record()).toMatchObject({ status: 'killed', signal: 'SIGKILL', usage_complete: false })
  })

  test('a timeout ends it, whatever it makes of TERM', async () => {
    const { run } = agentBench(fakeAdapter())
    const { outcome } = await run(WORK.slice(0, -1), { node: { timeout_ms: 1_500 }, fake: { HANG: 'end', TERM: '0' } })
    expect(outcome.failure).toMatchObject({
      code: 'timed_out',
      details: { exit_code: 0, session_id: 'conversation-1' },
    })
  })

  test('stopped before its client started it only says so', async () => {
    const { bench, start } = agentBench(fakeAdapter())
    const count = join(bench.cwd, 'count')
    const started = start(WORK, { fake: { COUNT: count } })
    started.running.stop({ code: 'canceled', message: 'canceled by SIGINT', now: false })
    expect((await started.done).outcome.failure).toMatchObject({ code: 'canceled', message: 'canceled by SIGINT' })
    expect(statSync(count, { throwIfNoEntry: false })).toBeUndefined()
  })
})
