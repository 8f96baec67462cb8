// The `api` agent against a provider that means no good, or is broken: it stays bounded, says what is wrong, and neither
// the key nor the conversation goes anywhere else.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createGzip } from 'node:zlib'
import { pipeline } from 'node:stream'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import type { Provider, Turn } from '../../agents/support/scripted-provider.mjs'
import { apiRequest, launchApi, playApi, type PlayOptions } from './api-support.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function serverOf(answer: Answer): Promise<{ readonly url: string; readonly requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    request.resume()
    response.on('error', () => {})
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

async function play(answer: Answer, options: PlayOptions = {}) {
  const { url, requests } = await serverOf(answer)
  const spec = { args: ['--max-retries', '1', '--idle-timeout', '10s'] }
  const played = await launchApi({ url } as Provider, apiRequest(url, { spec, ...options }), options)
  return { ...played, requests }
}

const event = (data: object & { type: string }): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
const START =
  event({
    type: 'message_start',
    message: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  } as never) + event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } as never)
const delta = (text: string): string =>
  event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } } as never)
const stream = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { 'content-type': 'text/event-stream' })

/** Writes the same again and again, as long as somebody reads. */
function endless(response: NodeJS.WritableStream, text: string): void {
  const forever = Readable.from(
    (function* () {
      for (;;) yield text
    })(),
  )
  pipeline(forever, response, () => {})
}

test.each(['http://127.0.0.1:PORT/elsewhere', 'file:///etc/passwd', 'https://u:p@other.example/v1', ''])(
  'a redirect to %j is not followed',
  async (location) => {
    const other = await serverOf((_, response) => response.end('{}'))
    const target = location.replace('http://127.0.0.1:PORT', other.url)
    const { verdict, requests } = await play((_, response) =>
      response.writeHead(307, target === '' ? {} : { location: target }).end(),
    )
    expect(verdict).toMatchObject({ status: 'error', errorClass: 'bad_request', httpStatus: 307 })
    expect(verdict.message).toMatch(
      /sends requests on to .*, which is not followed: name the right address in base_url$/,
    )
    expect(verdict.message).not.toContain('u:p')
    expect([requests.length, other.requests.length]).toEqual([1, 0])
  },
)

test('an answer without an end is cut, and not asked for again', async () => {
  const text = 'x'.repeat(60_000)
  const { verdict, requests, lines } = await play((_, response) => {
    stream(response).write(START)
    endless(response, delta(text))
  })
  expect(verdict).toMatchObject({ status: 'error', errorClass: 'output_limit', usageComplete: false })
  expect(verdict.message).toContain('in one answer')
  expect(requests).toHaveLength(1)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(LIMITS.streamLineBytes)
})

test.each([
  ['a line without an end', 200, 'text/event-stream'],
  ['an error without an end', 500, 'application/json'],
])('%s, packed a thousandfold, is cut', async (_, status, type) => {
  const { verdict, requests } = await play((_, response) => {
    response.writeHead(status, { 'content-type': type, 'content-encoding': 'gzip' })
    const packed = createGzip()
    pipeline(packed, response, () => {})
    endless(packed, `data: ${'0'.repeat(1024 * 1024)}`)
  })
  expect(verdict).toMatchObject({ status: 'error', errorClass: 'output_limit' })
  expect(verdict.message).toContain('more than any model writes in one answer')
  expect(requests).toHaveLength(1)
})

test.each([
  ['no JSON in its stream', (r: ServerResponse) => stream(r).end(`${START}data: {"type": canary-of-an-answer\n\n`)],
  ['another kind of JSON', (r: ServerResponse) => stream(r).end(`${START}data: {"type": ["canary-of-an-answer"]}\n\n`)],
  ['a page', (r: ServerResponse) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>canary-of-an-answer')],
  ['nothing', (r: ServerResponse) => stream(r).end()],
  [
    'half an answer',
    (r: ServerResponse) => void (stream(r).write(START + delta('a')), setTimeout(() => r.destroy(), 50)),
  ],
] as [string, (response: ServerResponse) => void][])('%s is an error that quotes nothing of it', async (_, answer) => {
  const { verdict, requests } = await play((_, response) => answer(response))
  expect(verdict).toMatchObject({ status: 'error', errorClass: 'stream', usageComplete: false })
  expect(verdict.message).not.toContain('canary')
  expect(requests).toHaveLength(2)
})

test('one that sends nothing any more is given up', async () => {
  const spec = { args: ['--max-retries', '0', '--idle-timeout', '200ms'] }
  const { verdict } = await play((_, response) => void stream(response).write(START), { spec })
  expect(verdict).toMatchObject({ errorClass: 'stream', message: 'nothing arrived from the provider for 0.2 s' })
})

test('a patience of a month is not that of a millisecond', async () => {
  const args = ['--max-retries', '0', '--idle-timeout', '30d', '--command-timeout', '30d']
  const tools = [{ name: 'shell', args: { command: 'sleep 0.1; echo done' } }]
  const { record } = await playApi([{ tools }, { text: 'ok' }], { spec: { args } })
  expect(record).toMatchObject({
    status: 'ok',
    tool_calls: [{ ok: true, output_tail: expect.stringContaining('done') }],
  })
})

const calls = (count: number): Turn => ({
  tools: Array.from({ length: count }, (_, i) => ({ name: 'read', args: { path: `none-${i}` } })),
})

test('of many tool calls in one answer the first ones are run', async () => {
  const { record, provider } = await playApi([calls(300), { text: 'I see.' }])
  expect(record).toMatchObject({ status: 'ok', tool_calls_total: LIMITS.answerCallsRun })
  expect(record.warnings).toEqual(['200 tool calls of one answer were not run: at most 100 are run'])
  expect(provider.requests).toHaveLength(2)
})

test('ten thousand tool calls are no answer', async () => {
  const { record, provider } = await playApi([calls(10_000), { text: 'I see.' }])
  expect(record).toMatchObject({ status: 'error', error_class: 'output_limit', tool_calls_total: 0 })
  expect(provider.requests).toHaveLength(1)
})
