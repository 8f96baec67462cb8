// Agents that are any program reading a prompt on its standard input.
import { describe, expect, test } from 'vitest'
import type { CommandLine } from '../../../src/core/pipeline.ts'
import { agentBench, type AgentOptions } from './support.ts'

const sh = (script: string, bindings: { name: string; expression: string }[] = []): CommandLine => ({
  shell: 'sh',
  script,
  bindings,
})
const run = (command: CommandLine, options: AgentOptions = {}) =>
  agentBench(undefined).run([], { ...options, spec: { use: 'command', command, ...options.spec } })

describe('a command as agent', () => {
  test('reads the prompt; what it prints is its answer', async () => {
    const { outcome, record, file } = await run(sh('tr a-z A-Z; echo oops >&2'), { spec: { prompt: 'say it' } })
    expect(outcome.failure).toBeUndefined()
    expect(record()).toMatchObject({ cli: 'command', final_text: 'SAY IT', status: 'ok', usage_complete: true })
    expect(file('stdout.log')).toBe('SAY IT\n')
    expect(file('stderr.log')).toBe('oops\n')
    expect(() => file('transcript.ndjson')).toThrow('ENOENT')
  })

  test('values reach its script by variables, arguments follow it', async () => {
    const command = sh('cat > /dev/null; echo "${SPANWRIGHT_X1} $0"', [
      { name: 'SPANWRIGHT_X1', expression: 'params.x' },
    ])
    const { record } = await run(command, { inputs: { 'params.x': '$(exit 3)' }, spec: { args: ['more'] } })
    expect(record().final_text).toBe('$(exit 3) more')
  })

  test('what it spent is told in its outcome file', async () => {
    const usage =
      '{"usage":{"input_tokens":100,"cache_read_tokens":40,"output_tokens":7,"cost_usd":0.5,"model":"m","turns":3}}'
    const { outcome, record } = await run(sh(`echo '${usage}' > "$SPANWRIGHT_OUTCOME"`))
    expect(outcome).toMatchObject({
      usage: { input: 60, cache_read: 40, output: 7 },
      cost: { usd: 0.5, source: 'reported' },
    })
    expect(record()).toMatchObject({
      model: 'm',
      turns: 3,
      tokens: { input: 60, output: 7 },
      cost_usd: 0.5,
      cost_source: 'reported',
    })
  })

  test('its exit code counts, with what it reports about it', async () => {
    const plain = await run(sh('echo "error: no money" >&2; exit 7'))
    expect(plain.outcome.failure).toMatchObject({ code: 'exit_nonzero', source: 'agent', details: { exit_code: 7 } })
    const told = await run(
      sh(`echo '{"failure":{"code":"rate_limited","message":"wait"}}' > "$SPANWRIGHT_OUTCOME"; exit 1`),
    )
    expect(told.outcome.failure).toMatchObject({ code: 'rate_limited', message: 'wait' })
    const killed = await run(sh('kill -9 $$'))
    expect(killed.outcome.failure).toMatchObject({ code: 'signaled' })
    expect(killed.record()).toMatchObject({ status: 'killed', usage_complete: false })
  })

  test('it may think in silence, and need not read', async () => {
    const stalls = { start_ms: 50, start: 'end', silence: 'end', loop_repeats: 8, loop: 'end', linger_ms: 50 } as const
    const { outcome, observed } = await run(sh('sleep 0.3; echo ok'), { spec: { stalls, prompt: 'x'.repeat(500_000) } })
    expect(outcome.failure).toBeUndefined()
    expect(observed.filter((event) => event.type === 'stall.detected')).toEqual([])
  })

  test('its text may hold a decision or the form that was asked for', async () => {
    const decided = await run(sh(`printf '\`\`\`json\\n{"label":"approve"}\\n\`\`\`\\n'`), {
      node: { decision: ['approve'] },
    })
    expect(decided.outcome.label).toBe('approve')
    const schema = { type: 'object', required: ['n'] }
    const formed = await run(sh(`grep -q 'JSON Schema' && echo '{"n":1}'`), { spec: { output_schema: schema } })
    expect(formed.outcome.outputs).toEqual({ n: 1 })
    expect(formed.file('prompt.md')).toMatch(/^Do it\.[^]*JSON Schema/)
  })

  test('without a command it says what is missing', async () => {
    const { outcome } = await agentBench(undefined).run([], { spec: { use: 'command' } })
    expect(outcome.failure).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('agent.command is missing'),
    })
  })
})
