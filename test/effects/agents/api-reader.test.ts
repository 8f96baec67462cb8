// The reader of the `api` agent on what its program wrote: the contract of all agents, and what is its own.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { api } from '../../../src/effects/agents/api.ts'
import { adapterContract, agentRequest, linesOf, play, type Fixture } from './contract.ts'

const lines = (name: string): string[] =>
  linesOf(readFileSync(new URL(`./transcripts/api/${name}.jsonl`, import.meta.url), 'utf8'))

const FIXTURES: readonly Fixture[] = [
  {
    name: 'tools',
    lines: lines('tools'),
    truth: {
      status: 'ok',
      final_text: 'Done.',
      model: 'claude-sonnet-4-5',
      cli_version: '1.0.0',
      turns: 3,
      tool_calls_total: 3,
      tokens: { input: 150, cache_read: 1420, output: 45 },
      cost_source: 'computed',
      usage_complete: true,
    },
  },
  {
    name: 'structured',
    lines: lines('structured'),
    truth: { status: 'ok', structured: { n: 2 }, turns: 1, usage_complete: true },
  },
  {
    name: 'retried',
    lines: lines('retried'),
    truth: { status: 'ok', retries: 1, tokens: { input: 100, output: 20 }, usage_complete: true },
  },
  {
    name: 'cut, then well',
    lines: lines('cut-then-well'),
    truth: { status: 'ok', retries: 1, usage_complete: false },
  },
  {
    name: 'rate limited',
    lines: lines('rate-limited'),
    exit: { exitCode: 1 },
    truth: { status: 'limit', error_class: 'rate_limit', http_status: 429, turns: 0, usage_complete: true },
  },
  {
    name: 'max turns',
    lines: lines('max-turns'),
    exit: { exitCode: 1 },
    truth: { status: 'limit', error_class: 'max_turns', turns: 2, usage_complete: true },
  },
  {
    name: 'terminated',
    lines: lines('terminated'),
    exit: { exitCode: 143, ended: 'stop' },
    truth: { status: 'killed', error_class: null, tokens: { input: 100, output: 20 }, usage_complete: false },
  },
]

adapterContract(api, FIXTURES)

describe('the end', () => {
  test('without a result says what stderr said', () => {
    const record = play(api, lines('tools').slice(0, 5), {
      exitCode: 1,
      stderr: 'TypeError: x\n    at y\nNode.js v24\n',
    })
    expect(record).toMatchObject({ status: 'error', error_class: 'truncated_output', usage_complete: false })
    expect(record.error_message).toContain('exit code 1')
  })

  test('of the process after its result is only a warning', () => {
    const record = play(api, lines('tools'), { exitCode: 7 })
    expect(record).toMatchObject({ status: 'ok', warnings: [expect.stringContaining('exit code 7')] })
    expect(play(api, lines('tools'), { signal: 'SIGKILL', ended: 'result' })).toMatchObject({
      status: 'ok',
      warnings: [],
    })
  })

  test('knows when a request’s line is missing', () => {
    const without = lines('tools').filter(
      (line, index, all) =>
        !line.includes('request.finished') || all.findIndex((one) => one.includes('request.finished')) !== index,
    )
    expect(play(api, without)).toMatchObject({ status: 'ok', usage_complete: false })
  })
})

describe('the endpoint', () => {
  const env = { ANTHROPIC_API_KEY: 'k', OPENAI_API_KEY: 'k' }
  const problem = (changes: Parameters<typeof agentRequest>[0] = {}): unknown =>
    api.launch(agentRequest({ env, ...changes }))
  const asked = (spec: Parameters<typeof agentRequest>[0]): unknown => {
    const launch = api.launch(agentRequest({ env, ...spec }))
    return 'problem' in launch ? launch : JSON.parse(launch.stdin ?? '')
  }

  test.each([
    ['claude-sonnet-4-5', undefined, 'anthropic'],
    ['gpt-5', undefined, 'openai'],
    ['o3', undefined, 'openai'],
    ['kimi-k2', 'https://api.moonshot.ai/v1', 'openai-compatible'],
  ])('%s is asked of %s', (model, base_url, provider) => {
    expect(asked({ spec: { model, base_url } })).toMatchObject({ provider, model })
  })

  test.each([
    ['https://api.moonshot.ai/anthropic', 'anthropic', 'https://api.moonshot.ai/anthropic/v1'],
    ['https://api.anthropic.com/v1/', 'anthropic', 'https://api.anthropic.com/v1'],
    ['https://api.z.ai/api/paas/v4', 'openai-compatible', 'https://api.z.ai/api/paas/v4'],
    ['http://127.0.0.1:8080', 'openai-compatible', 'http://127.0.0.1:8080/v1'],
  ] as const)('%s for %s', (base_url, provider, url) => {
    expect(asked({ spec: { model: 'm', base_url, provider } })).toMatchObject({ base_url: url })
  })

  test('what is missing is said', () => {
    expect(problem()).toEqual({ problem: expect.stringContaining('model is missing') })
    expect(problem({ spec: { model: 'kimi-k2' } })).toEqual({ problem: expect.stringContaining('Set provider') })
    expect(problem({ spec: { model: 'm', provider: 'openai-compatible' } })).toEqual({
      problem: expect.stringContaining('needs base_url'),
    })
    expect(problem({ spec: { model: 'm', base_url: 'ftp://x' } })).toEqual({
      problem: expect.stringContaining('ftp://x'),
    })
    expect(problem({ spec: { model: 'gpt-5' }, env: {} })).toEqual({
      problem: expect.stringContaining('OPENAI_API_KEY'),
    })
    const { spec } = agentRequest({ spec: { model: 'claude-sonnet-4-5' } })
    expect(api.credentialProblem(spec, {}, '/')).toContain('set ANTHROPIC_API_KEY')
    expect(api.credentialProblem(spec, { ANTHROPIC_API_KEY: 'k' }, '/')).toBeUndefined()
    expect(api.credentialProblem(spec, { ANTHROPIC_AUTH_TOKEN: 'k' }, '/')).toBeUndefined()
  })
})
