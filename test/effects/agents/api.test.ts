// The program of the `api` agent, as a process, against a scripted provider: three wire formats, tools, errors, ends.
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AgentSpec } from '../../../src/core/agent.ts'
import { isAlive } from '../../../src/effects/proc.ts'
import { startProvider, type Turn } from '../../agents/support/scripted-provider.mjs'
import { apiRequest, FORMATS, inCwd, KEY, launchApi, playApi } from './api-support.ts'

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }] })

describe.concurrent('the wire formats', () => {
  test.for(FORMATS)('%s: tools, then an answer; tokens are the provider’s', async (format, { expect }) => {
    const played = await playApi(
      [
        {
          text: 'Looking.',
          reasoning: 'hm',
          tools: [
            { name: 'write', args: { path: 'dir/a.txt', content: 'one\n' } },
            { name: 'shell', args: { command: 'cat dir/a.txt; exit 3' } },
          ],
          usage: { input: 100, cacheRead: 400, output: 30, reasoning: 7 },
        },
        { text: 'It is there.', usage: { input: 50, cacheRead: 500, output: 9 } },
      ],
      { format },
    )
    const { record } = played
    expect(record).toMatchObject({
      status: 'ok',
      error_class: null,
      final_text: 'It is there.',
      turns: 2,
      tool_calls_total: 2,
      usage_complete: true,
      exit_code: 0,
      retries: 0,
      tokens: { input: 150, cache_read: 900, cache_write: 0, output: 46 },
    })
    expect(record.tool_calls).toMatchObject([
      { name: 'write', ok: true },
      {
        name: 'shell',
        ok: false,
        exit_code: 3,
        output_tail: 'one\n\n[exit code 3]',
        input: { command: 'cat dir/a.txt; exit 3' },
      },
    ])
    if (format !== 'openai-compatible') expect(record.cost_usd).toBeGreaterThan(0)
    expect(readFileSync(inCwd(played, 'dir/a.txt'), 'utf8')).toBe('one\n')
  })

  test.for(FORMATS)(
    '%s: what it knows of the trace goes with the request, and to commands',
    async (format, { expect }) => {
      const traceparent = '00-11111111111111111111111111111111-2222222222222222-01'
      const { record, provider } = await playApi([shell('echo $TRACEPARENT'), { text: 'ok' }], {
        format,
        env: { TRACEPARENT: traceparent },
      })
      expect(provider.requests.map((request) => request.headers['traceparent'])).toEqual([traceparent, traceparent])
      expect(record.tool_calls[0]?.output_tail).toBe(`${traceparent}\n`)
    },
  )

  test.for(FORMATS)('%s: a structured answer', async (format, { expect }) => {
    const output_schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
    const { record } = await playApi([shell('true'), {}], { format, spec: { output_schema } })
    expect(record).toMatchObject({ status: 'ok', structured: { n: 1 } })
  })
})

test('what a model does not take is a warning, once', async () => {
  const { record } = await playApi([shell('true'), { text: 'ok' }], {
    format: 'openai',
    spec: { args: ['--temperature', '0.5'] },
  })
  expect(record).toMatchObject({ status: 'ok', warnings: [expect.stringContaining('temperature')] })
})

describe.concurrent('structured answers', () => {
  const output_schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }

  test('are asked for again, with what is wrong', async ({ expect }) => {
    const { record, provider } = await playApi([{ text: 'Here: {"n":"two"}' }, { text: '```json\n{"n":2}\n```' }], {
      spec: { output_schema },
    })
    expect(record).toMatchObject({ status: 'ok', structured: { n: 2 }, turns: 2 })
    expect(JSON.stringify(provider.requests[1])).toContain('expected number')
  })

  test('that never come leave a warning', async ({ expect }) => {
    const { record } = await playApi([{ text: 'no' }], { after: 'repeat-last', spec: { output_schema } })
    expect(record).toMatchObject({ structured: null, turns: 3, warnings: [expect.stringContaining('no JSON')] })
  })

  test('do without the provider’s help where it takes no schema', async ({ expect }) => {
    const error = { status: 400, message: 'response_format: json_schema is not supported' }
    const { record } = await playApi([{ error }, { text: '{"n":4}' }], {
      format: 'openai-compatible',
      spec: { output_schema },
    })
    expect(record).toMatchObject({ status: 'ok', structured: { n: 4 }, retries: 0 })
  })
})

describe.concurrent('what it may', () => {
  test('nobody but the provider sees the key', async ({ expect }) => {
    const { record, lines, provider } = await playApi(
      [shell('env; tr "\\0" "\\n" </proc/$PPID/environ || true'), { text: 'ok' }],
      { asProcess: true },
    )
    expect(record.tool_calls[0]?.output_tail).toContain('PATH=')
    expect(lines.join('\n')).not.toContain(KEY)
    expect(provider.requests[0]?.headers['x-api-key']).toBe('<blank>')
  })

  test('with read it only looks', async ({ expect }) => {
    const { record, provider } = await playApi(
      [{ tools: [{ name: 'write', args: { path: 'a', content: 'x' } }] }, {}],
      {
        spec: { permission: 'read' },
      },
    )
    expect(provider.requests[0]?.body?.['tools']).toMatchObject([{ name: 'read' }])
    expect(record.tool_calls).toMatchObject([{ ok: false }])
    expect(record.status).toBe('ok')
  })

  test.for([
    ['workspace', false],
    ['full', true],
  ] as const)('with %s, files outside: %s', async ([permission, ok], { expect }) => {
    const { record } = await playApi([{ tools: [{ name: 'read', args: { path: '/etc/passwd' } }] }, {}], {
      spec: { permission },
    })
    expect(record.tool_calls[0]?.ok).toBe(ok)
  })

  test('named tools come on top of the level; unknown ones are a problem', async ({ expect }) => {
    const named = async (spec: Partial<AgentSpec>): Promise<unknown> => {
      const { provider } = await playApi([{}], { spec })
      return (provider.requests[0]!.body!['tools'] as { name: string }[]).map((tool) => tool.name)
    }
    expect(await named({ permission: 'read' })).toEqual(['read'])
    const spec = { allowed_tools: ['write', 'shell'], denied_tools: ['shell'] }
    expect(await named({ permission: 'read', ...spec })).toEqual(['read', 'write'])
    expect(await named(spec)).toEqual(['read', 'write', 'edit', 'patch'])
    await expect(playApi([{}], { spec: { denied_tools: ['Bash'] } })).rejects.toThrow('no tool Bash')
    await expect(playApi([{}], { spec: { args: ['--nope'] } })).rejects.toThrow('--max-output-tokens')
  })

  test('a command is ended at its time limit, its children too', async ({ expect }) => {
    const { record } = await playApi([shell('sleep 300 & echo $!; wait'), { text: 'ok' }], {
      spec: { args: ['--command-timeout', '300ms'] },
    })
    const output = record.tool_calls[0]?.output_tail ?? ''
    expect(output).toContain('time limit')
    expect(isAlive(Number.parseInt(output, 10))).toBe(false)
  })

  test('long output is shown with its beginning and its end', async ({ expect }) => {
    const { record, provider } = await playApi([shell('echo first; seq 100000; echo last'), { text: 'ok' }])
    expect(record.tool_calls[0]?.output_tail).toMatch(/last\n$/)
    const sent = JSON.stringify(provider.requests[1]?.body)
    expect(sent).toMatch(/first.*bytes are not shown.*last/)
    expect(sent.length).toBeLessThan(60_000)
  })
})

describe.concurrent('errors of providers', () => {
  const CASES: readonly (readonly [string, Turn['error'] & object, string, string])[] = [
    ['a key that is refused', { status: 401 }, 'error', 'auth'],
    ['a model that is not there', { status: 404 }, 'error', 'not_found'],
    ['a bad request', { status: 400, message: 'tools.0: bad' }, 'error', 'bad_request'],
    [
      'a context that is full',
      { status: 400, message: 'prompt is too long: 210000 tokens > 200000 maximum' },
      'error',
      'context_length',
    ],
    [
      'a quota',
      { status: 429, type: 'insufficient_quota', message: 'You exceeded your current quota' },
      'limit',
      'quota',
    ],
    ['no money', { status: 400, message: 'Your credit balance is too low to access the API' }, 'limit', 'quota'],
    ['a rate limit', { status: 429, headers: { 'retry-after': '0' } }, 'limit', 'rate_limit'],
    ['a provider that is overloaded', { status: 529, message: 'Overloaded' }, 'error', 'overloaded'],
    ['a provider that is down', { status: 503 }, 'error', 'server'],
    ['a filter', { status: 400, message: 'blocked by our content policy' }, 'error', 'content_filter'],
  ]
  test.for(CASES)('%s', async ([, error, status, error_class], { expect }) => {
    const { record } = await playApi([{ error }], {
      after: 'repeat-last',
      format: 'openai',
      spec: { args: ['--max-retries', '1'] },
    })
    expect(record).toMatchObject({ status, error_class, usage_complete: true, exit_code: 1, http_status: error.status })
    expect(record.retries).toBe(['rate_limit', 'overloaded', 'server'].includes(error_class) ? 1 : 0)
  })

  test.for(FORMATS)('%s: what passes is tried again', async (format, { expect }) => {
    const { record, events } = await playApi(
      [{ error: { status: 429 } }, { error: { status: 500 } }, { text: 'ok', usage: { input: 10, output: 5 } }],
      { format },
    )
    expect(record).toMatchObject({
      status: 'ok',
      final_text: 'ok',
      retries: 2,
      usage_complete: true,
      tokens: { input: 10, output: 5 },
    })
    expect(events.flatMap((event) => (event.type === 'retry' ? [event.httpStatus] : []))).toEqual([429, 500])
  })

  test('a limit with a far end is not waited for', async ({ expect }) => {
    const before = Date.now()
    const { record, verdict } = await playApi([{ error: { status: 429, headers: { 'retry-after': '3600' } } }])
    expect(record).toMatchObject({ status: 'limit', error_class: 'rate_limit', retries: 0 })
    expect(verdict.resetsAt! - before).toBeGreaterThan(3_599_000)
  })

  test.for([
    ['length', 'output_limit'],
    ['safety', 'content_filter'],
  ] as const)('an answer that stops for %s', async ([stop, error_class], { expect }) => {
    const { record } = await playApi([{ text: 'Well', stop }], { format: 'openai-compatible' })
    expect(record).toMatchObject({ status: 'error', error_class, final_text: 'Well', usage_complete: true })
  })
})

describe.concurrent('streams that break', () => {
  const CUT: readonly (readonly [string, Turn])[] = [
    ['cut', { text: 'a long answer that is cut', truncate: true }],
    ['not JSON', { text: 'a long answer that is cut', malformed: true }],
    [
      'overloaded half way',
      { text: 'a long answer', streamError: { type: 'overloaded_error', message: 'Overloaded' } },
    ],
    ['silent half way', { text: 'a long answer that stops', stall: true }],
    ['silent from the start', { hang: true }],
  ]
  for (const format of FORMATS) {
    test.for(CUT)(`${format}: %s, then well`, async ([, turn], { expect }) => {
      const { record } = await playApi([turn, { text: 'now well' }], {
        format,
        spec: { args: ['--idle-timeout', '700ms'] },
      })
      expect(record).toMatchObject({ status: 'ok', final_text: 'now well', retries: 1 })
      // What the broken one cost is not told, but by the error of an overloaded provider.
      expect(record.usage_complete).toBe(turn.streamError !== undefined)
    })
  }

  test('again and again are an error', async ({ expect }) => {
    const { record } = await playApi([{ text: 'a long answer that is cut', truncate: true }], {
      after: 'repeat-last',
      spec: { args: ['--max-retries', '2'] },
    })
    expect(record).toMatchObject({ status: 'error', error_class: 'stream', retries: 2, usage_complete: false })
  })

  test('a provider that is not there', async ({ expect }) => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const provider = await startProvider()
    const played = await launchApi(
      provider,
      apiRequest(`http://127.0.0.1:${port}`, { spec: { args: ['--max-retries', '1'] } }),
    )
    await provider.close()
    expect(played.record).toMatchObject({ status: 'error', error_class: 'network', retries: 1, usage_complete: true })
  })
})

describe.concurrent('ends', () => {
  test('at the limit of turns', async ({ expect }) => {
    const { record } = await playApi([shell('true')], { after: 'repeat-last', spec: { max_turns: 3 } })
    expect(record).toMatchObject({ status: 'limit', error_class: 'max_turns', turns: 3, usage_complete: true })
  })

  test.for([
    ['while a command runs', shell('echo started; sleep 300'), true],
    ['while the provider thinks', { hang: true }, false],
  ] as const)('by TERM %s: what was used is told first', async ([, turn, complete], { expect }) => {
    let alive = 0
    const { record, lines } = await playApi([{ ...shell('true'), usage: { input: 10, output: 5 } }, turn], {
      asProcess: true,
      on: (event, stop) => {
        const inCommand = event.type === 'tool.started' && JSON.stringify(event.input).includes('sleep')
        // The second request has begun.
        const waiting = event.type === 'alive' && ++alive === 2 && !complete
        if (inCommand || waiting) setTimeout(stop, 100)
      },
    })
    expect(record).toMatchObject({ status: 'killed', exit_code: 143, usage_complete: complete })
    expect(record.tokens.input).toBeGreaterThanOrEqual(10)
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ type: 'result', status: 'killed' })
  })

  test('where nothing more may be spent', async ({ expect }) => {
    const asked: (number | undefined)[] = []
    const { record, provider } = await playApi([shell('true'), { text: 'never' }], {
      refuse: (usd) => {
        asked.push(usd)
        return asked.length > 1 ? 'the budget of 1 USD is used up' : undefined
      },
    })
    expect(record).toMatchObject({
      status: 'limit',
      error_class: 'budget',
      error_message: expect.stringContaining('the budget of 1 USD is used up'),
      turns: 1,
      usage_complete: true,
    })
    expect(provider.requests).toHaveLength(1)
    expect(asked).toHaveLength(2)
  })

  test('not where others only hold what it wants: it asks again', async ({ expect }) => {
    let asked = 0
    const { record, events } = await playApi([{ text: 'at last' }], {
      refuse: () => (++asked < 3 ? 'what calls under way may cost' : undefined),
    })
    expect(record).toMatchObject({ status: 'ok', final_text: 'at last', turns: 1 })
    // What is left of it is given back.
    expect(events.filter((event) => event.type === 'reserve').at(-1)).toMatchObject({ usd: 0, tokens: 0 })
  })

  test('by TERM while nobody answers whether it may spend', async ({ expect }) => {
    const { record, provider } = await playApi([{}], {
      refuse: () => null,
      on: (event, stop) => {
        if (event.type === 'reserve') stop()
      },
    })
    expect(record).toMatchObject({ status: 'killed', turns: 0, usage_complete: true })
    expect(provider.requests).toEqual([])
  })

  test('a conversation goes on in another launch', async ({ expect }) => {
    const provider = await startProvider({
      scenario: { turns: [shell('echo hi'), { text: 'one' }, { text: 'two' }] },
      full: true,
    })
    const request = apiRequest(provider.url, { prompt: 'First.' })
    const first = await launchApi(provider, request)
    const session = { id: first.record.session_id! }
    const second = await launchApi(provider, { ...request, prompt: 'Second.', session })
    await provider.close()
    expect(second.record).toMatchObject({ status: 'ok', final_text: 'two', session_id: session.id, turns: 1 })
    expect(JSON.stringify(provider.requests[2]?.body)).toMatch(/First\..*hi.*one.*Second\./)
  })

  test('a conversation that is not there is an error', async ({ expect }) => {
    const { record } = await playApi([{}], { session: { id: 'nowhere' } })
    expect(record).toMatchObject({ status: 'error', error_class: 'not_found', turns: 0 })
  })

  test('a conversation that was cut in a tool goes on', async ({ expect }) => {
    const provider = await startProvider({
      scenario: { turns: [shell('kill -9 $PPID'), { text: 'again' }] },
      full: true,
    })
    const request = apiRequest(provider.url, {})
    const first = await launchApi(provider, request, { asProcess: true })
    expect(first.record).toMatchObject({ status: 'killed', signal: 'SIGKILL', usage_complete: false, turns: 1 })
    const second = await launchApi(provider, { ...request, session: { id: first.record.session_id! } })
    await provider.close()
    expect(second.record.status).toBe('ok')
    expect(JSON.stringify(provider.requests[1]?.body)).toContain('interrupted')
  })

  test('a patch that fails tells the model how', async ({ expect }) => {
    const provider = await startProvider({
      scenario: {
        turns: [
          { tools: [{ name: 'patch', args: { patch: '*** Begin Patch\n*** Update File: x\n@@\n-b\n+c\n' } }] },
          {},
        ],
      },
      full: true,
    })
    const request = apiRequest(provider.url, { format: 'openai-compatible' })
    writeFileSync(join(request.cwd, 'x'), 'a\n')
    const { record } = await launchApi(provider, request)
    await provider.close()
    expect(record.tool_calls[0]).toMatchObject({
      ok: false,
      output_tail: expect.stringContaining('*** Update File: x'),
    })
  })
})
