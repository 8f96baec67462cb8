// What Claude Code as a node costs: budgets over several at once, models without a list price, large output, its own
// telemetry. The real client against a scripted provider, which knows the truth.
import { readFileSync } from 'node:fs'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { AgentRun } from './support/agent-run.ts'
import { clientFolder } from './support/clients.ts'
import type { Scenario, Turn } from './support/scripted-provider.mjs'
import { processesOf } from './support/session.ts'

const USAGE = { input: 50, output: 10_000 }
/** List price of claude-sonnet-4-5. */
const USD = (50 * 3 + 10_000 * 15) / 1e6
const shell = (command: string): Turn => ({ tools: [{ name: 'shell', args: { command } }], usage: USAGE })

let work: AgentRun
beforeAll(() => void clientFolder())
afterEach(async () => {
  const left = process.platform === 'linux' ? processesOf(work.session.env['HOME']!) : []
  await work.session.close()
  expect(left).toEqual([])
})

async function open(scenario: Scenario, model = 'claude-sonnet-4-5'): Promise<void> {
  work = await AgentRun.open(scenario, {
    agent: { use: 'claude', model, permission: 'full' },
    env: (session, id) => ({ ANTHROPIC_BASE_URL: `${session.provider.url}/k/${id}` }),
  })
}

test('five at once spend at most the budget and one request each', async () => {
  const ids = ['a', 'b', 'c', 'd', 'e']
  await open({
    keys: Object.fromEntries(ids.map((id) => [id, { turns: [shell('echo again')], after: 'repeat-last' }])),
  })
  const nodes = ids.map((id) => ({ id, keys: { needs: [] } }))
  const { exitCode } = await work.run(nodes, { budget: { usd: 1 } })
  expect(exitCode).toBe(1)
  const served = ids.reduce((sum, id) => sum + work.requests(id).length, 0) * USD
  expect(served).toBeGreaterThan(0.7)
  expect(served).toBeLessThanOrEqual(1 + ids.length * USD + 1e-9)
  // What a client was asking when it was ended is served, and not told any more.
  const { cost_usd } = work.final().totals
  expect(cost_usd).toBeLessThanOrEqual(served + 1e-9)
  expect(cost_usd).toBeGreaterThanOrEqual(served - ids.length * USD - 1e-9)
})

test('a model that it does not know costs what `prices:` says', async () => {
  await open({ turns: [shell('echo hi'), { text: 'Done.', usage: USAGE }] }, 'some-new-model')
  await work.run([{}], { prices: { 'some-new-model': { input: 1, output: 2 } } })
  expect(work.record()).toMatchObject({
    status: 'ok',
    cost_source: 'computed',
    cost_usd: expect.closeTo((2 * (50 * 1 + 10_000 * 2)) / 1e6, 9) as number,
    usage_complete: true,
  })
})

test('without a price the cost is unknown, and not nothing', async () => {
  await open({ turns: [{ text: 'Done.', usage: USAGE }] }, 'some-new-model')
  await work.run()
  expect(work.record()).toMatchObject({ status: 'ok', cost_source: 'unknown', cost_usd: null, usage_complete: true })
  expect(work.final().totals).toMatchObject({ cost_unpriced: 1 })
})

test('lines far over 64 KiB', async () => {
  await open({ turns: [shell('seq 1 30000'), { text: 'x'.repeat(300_000), usage: USAGE }] })
  await work.run()
  const record = work.record()
  expect(record).toMatchObject({
    status: 'ok',
    turns: 2,
    usage_complete: true,
    cost_usd: expect.closeTo(2 * USD, 9) as number,
  })
  expect(record.final_text!.length).toBeGreaterThan(200_000)
  expect(record.tool_calls[0]!.output_tail!.length).toBeGreaterThan(1_000)
  const transcript = readFileSync(`${work.directory}/attempts/work/1.1/transcript.ndjson`, 'utf8')
  expect(Math.max(...transcript.split('\n').map((line) => line.length))).toBeGreaterThan(300_000)
})

test('its own telemetry nests below the agent', async () => {
  await open({ turns: [shell('echo hi'), { text: 'Done.', usage: USAGE }] })
  await work.run([{}], {}, { env: { SPANWRIGHT_AGENT_TELEMETRY: 'on' } })
  const { spans } = work.session.receiver
  const agent = spans.find((span) => span.name === 'invoke_agent claude')
  const own = spans.find((span) => span.name === 'claude_code.interaction')
  expect(own).toMatchObject({ traceId: agent!.traceId, parentSpanId: agent!.spanId })
})

test('without credentials nothing is started, and it says what to set', async () => {
  await open({ turns: [{ text: 'never' }] })
  const { exitCode, stderr } = await work.run([{}], {}, { env: { ANTHROPIC_API_KEY: undefined } })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('set ANTHROPIC_API_KEY')
  expect(work.requests()).toEqual([])
})
