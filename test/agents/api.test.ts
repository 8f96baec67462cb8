// The `api` agent as a node, through the command line, against a scripted provider: tokens and cost are the provider's,
// budgets hold while agents work side by side, limits are waited for, others take over.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { startCli } from '../support/cli.ts'
import { AgentRun, type AgentNode } from './support/agent-run.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'
import { CANARY, processesOf } from './support/session.ts'

const MODEL = 'claude-sonnet-4-5'
const USAGE = { input: 1_000, output: 200, cacheRead: 500, cacheWrite: 100 }
/** List price of one such request. */
const USD = (1_000 * 3 + 500 * 0.3 + 100 * 3.75 + 200 * 15) / 1e6
const PRICES = { prices: { 'kimi-k2': { input: 100, output: 200 } } }

const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })
const say = (text: string): Turn => ({ text, usage: USAGE })

let work: AgentRun
afterEach(async () => {
  const left = process.platform === 'linux' ? processesOf(work.session.env['HOME']!) : []
  await work.session.close()
  expect(left).toEqual([])
})

async function open(scenario: Scenario, agent: Readonly<Record<string, unknown>> = {}): Promise<AgentRun> {
  work = await AgentRun.open(scenario, {
    agent: { use: 'api', model: MODEL, args: ['--retry-delay', '10ms'], stalls: { on_loop: 'wait' }, ...agent },
    env: (session, id) => ({
      ANTHROPIC_BASE_URL: `${session.provider.url}/k/${id}`,
      OPENAI_BASE_URL: `${session.provider.url}/k/${id}/v1`,
      OPENAI_API_KEY: CANARY.key,
    }),
  })
  return work
}

test.each([
  ['anthropic', MODEL],
  ['openai', 'gpt-5'],
])('%s: tools, tokens, cost, spans, and nobody sees the key', async (_, model) => {
  await open(
    { turns: [shell('cat note.txt; env | grep -c canary-key; echo "$TRACEPARENT"'), say('All done.')] },
    { model },
  )
  const { exitCode } = await work.run()
  expect(exitCode).toBe(0)
  const record = work.record()
  expect(record).toMatchObject({
    cli: 'api',
    model,
    status: 'ok',
    turns: 2,
    final_text: 'All done.',
    tool_calls: [{ name: 'shell', output_tail: expect.stringContaining(`${CANARY.file}\n`) }],
    cost_source: 'computed',
    usage_complete: true,
  })
  expect(record.tokens.output).toBe(400)
  if (model === MODEL) expect(record.cost_usd).toBeCloseTo(2 * USD, 9)
  const spans = work.session.receiver.spans.filter((span) => /^(chat|execute_tool|invoke_agent)/.test(span.name))
  expect(spans.map((span) => span.name).toSorted()).toEqual([
    `chat ${model}`,
    `chat ${model}`,
    'execute_tool shell',
    'invoke_agent api',
  ])
  const agent = spans.find((span) => span.name === 'invoke_agent api')!
  expect(record.tool_calls[0]?.output_tail).toContain(`-${agent.spanId}-01`)
  expect(work.requests()[0]?.headers['traceparent']).toContain(agent.spanId)
  for (const name of ['transcript.ndjson', 'stderr.log', 'command.json', 'agent.json'])
    expect(readOr(work, name)).not.toContain(CANARY.key)
})

const readOr = (run: AgentRun, name: string): string => {
  try {
    return run.read('attempts', 'work', '1.1', name)
  } catch {
    return ''
  }
}

describe('budgets', () => {
  const FIVE: readonly AgentNode[] = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, keys: { needs: [] } }))
  const keysOf = (turn: Turn): Scenario => ({
    keys: Object.fromEntries(FIVE.map(({ id }) => [id!, { turns: [turn], after: 'repeat-last' as const }])),
  })

  test('of ten cents over five that would go on for ever: at most one request each more', async () => {
    await open(keysOf(shell('true')))
    const { exitCode } = await work.run(FIVE, { budget: { usd: 0.1 }, max_parallel: 5 })
    expect(exitCode).toBe(1)
    const { cost_usd } = work.final().totals
    expect(cost_usd).toBeLessThanOrEqual(0.1 + 5 * USD)
    expect(cost_usd).toBeGreaterThan(0.1 - 5 * USD)
    for (const { id } of FIVE) expect(work.codes(id)).toEqual(['budget_exhausted'])
    // What the run says it spent is what the provider was asked for.
    expect(cost_usd).toBeCloseTo(work.session.provider.requests.length * USD, 6)
  })

  test('of one dollar, where one request costs a tenth of it', async () => {
    await open(keysOf({ ...shell('true'), usage: { input: 600, output: 200 } }), {
      model: 'kimi-k2',
      provider: 'openai-compatible',
      api_key_env: 'OPENAI_API_KEY',
      base_url: '${{ env.OPENAI_BASE_URL }}',
    })
    await work.run(FIVE, { ...PRICES, budget: { usd: 1 }, max_parallel: 5 })
    const { cost_usd } = work.final().totals
    expect(cost_usd).toBeLessThanOrEqual(1 + 5 * 0.1)
    expect(cost_usd).toBeGreaterThanOrEqual(0.9)
    for (const { id } of FIVE) expect(work.codes(id)).toEqual(['budget_exhausted'])
  })

  test('of which all have enough are waited for, not refused', async () => {
    await open(keysOf({ ...say('done'), delayMs: 200 }))
    const { exitCode } = await work.run(FIVE, { budget: { usd: 1 }, max_parallel: 5 })
    expect(exitCode).toBe(0)
    expect(work.final().totals.cost_usd).toBeCloseTo(5 * USD, 9)
  })

  test('that cannot be measured refuse to start', async () => {
    await open({ turns: [say('x')] }, { model: 'claude-nobody-knows' })
    const { exitCode, stderr } = await work.run([{}], { budget: { usd: 1 } })
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('claude-nobody-knows')
    expect(work.session.provider.requests).toEqual([])
  })
})

describe('limits', () => {
  const limited = (seconds: number): Turn => ({
    error: { status: 429, message: 'slow down', headers: { 'retry-after': String(seconds) } },
  })

  test('with an end are waited for in the same conversation, without a retry', async () => {
    await open({ turns: [shell('echo hi'), limited(6), say('done')] })
    const { exitCode } = await work.run([{ keys: { retry: 'none' } }])
    expect(exitCode).toBe(0)
    expect(work.events('attempt.waiting')).toHaveLength(1)
    expect(work.record()).toMatchObject({ status: 'ok', turns: 2, final_text: 'done' })
    expect(work.record().cost_usd).toBeCloseTo(2 * USD, 9)
  })

  test('give way to a fallback at once', async () => {
    await open({ turns: [limited(3_600)], keys: { work: { turns: [limited(3_600), say('I did it')] } } })
    const { exitCode } = await work.run([
      {
        agent: { fallback: [{ use: 'api', model: 'gpt-5', provider: 'openai' }] },
        keys: { retry: { max_attempts: 2, initial: '1ms' } },
      },
    ])
    expect(exitCode).toBe(0)
    expect(work.codes()).toEqual(['rate_limited', undefined])
    expect(work.record('work', '1.2')).toMatchObject({ model: 'gpt-5', final_text: 'I did it' })
  })
})

test('a canceled one tells what it used, and nothing of it stays', async () => {
  await open({ turns: [shell('echo started > started; sleep 300 & sleep 300')] })
  const file = path.join(work.session.cwd, 'pipeline.yaml')
  writeFileSync(file, work.pipeline([{}]))
  const cli = startCli(['run', 'pipeline.yaml', '--ui', 'plain'], { cwd: work.session.cwd, env: work.session.env })
  await expect.poll(() => work.events('tool.started').length, { timeout: 20_000 }).toBe(1)
  await expect
    .poll(() => readFileSync(path.join(work.session.cwd, 'started'), 'utf8'), { timeout: 5_000 })
    .toBe('started\n')
  cli.kill('SIGINT')
  expect((await cli.ended).exitCode).toBe(130)
  expect(work.record()).toMatchObject({ status: 'killed', turns: 1, usage_complete: true })
  expect(work.final().totals.cost_usd).toBeCloseTo(USD, 9)
})

test('a structured answer becomes outputs; the conversation goes on in the next attempt', async () => {
  const output_schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
  await open(
    {
      turns: [
        { text: '{"n":1}', usage: USAGE },
        { text: '{"n":2}', usage: USAGE },
      ],
    },
    { output_schema, session: 'continue' },
  )
  const { exitCode } = await work.run([
    {
      keys: {
        checks: [{ name: 'second', run: 'test -e again || { touch again; exit 1; }' }],
        retry: { max_attempts: 2, initial: '1ms' },
      },
    },
  ])
  expect(exitCode).toBe(0)
  expect(work.record('work', '1.2')).toMatchObject({ structured: { n: 2 }, session_id: work.record().session_id })
  expect(work.events('node.finished').find((event) => event['node'] === 'work')).toMatchObject({ outputs: { n: 2 } })
})
