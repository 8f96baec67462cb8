// Agents whose clients are scripts with the clients' names on PATH: they tell their version and else print a transcript and
// end in every way that a client can. Judged by agent.json, final.json, the exit code and what is left running.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCli, temporaryDirectory, type CliResult } from '../support/cli.ts'
import { eventsOf, finalOf, latestRun, pipelineDirectory, processesOf, runIds } from '../support/run-record.ts'

const CLIENTS = {
  claude: { version: '2.1.329 (Claude Code)', known: '2.1.329', file: 'plain-tools', model: 'claude-sonnet-4-5' },
  codex: { version: 'codex-cli 0.169.0', known: '0.169.0', file: 'tools', model: 'gpt-5' },
  gemini: { version: '0.61.0', known: '0.61.0', file: 'tool', model: 'gemini-2.5-pro' },
  opencode: { version: '1.18.33', known: '1.18.33', file: 'tool', model: 'p/m' },
} as const
type Client = keyof typeof CLIENTS
const NAMES = Object.keys(CLIENTS) as Client[]

let bin: string
beforeAll(() => {
  bin = temporaryDirectory()
  for (const name of NAMES) {
    const file = path.join(bin, name)
    writeFileSync(
      file,
      `#!/bin/sh
if [ "$1" = --version ]; then echo '${CLIENTS[name].version}'; exit; fi
cat > /dev/null
eval "$BEFORE"
[ -z "$TRANSCRIPT" ] || cat "$TRANSCRIPT"
eval "$AFTER"
`,
    )
    chmodSync(file, 0o755)
  }
})

interface Node {
  readonly use: Client
  readonly lines?: readonly string[]
  /** Shell commands before and after the transcript. */
  readonly before?: string
  readonly after?: string
  readonly agent?: object
  readonly node?: object
}
interface Told {
  readonly status: string
  readonly usage_complete: boolean
  readonly tokens: { readonly input: number; readonly output: number }
  readonly [field: string]: unknown
}

let cwd = ''
afterEach(() => {
  for (const id of cwd === '' ? [] : runIds(cwd)) expect(processesOf(id)).toEqual([])
})

async function play(nodes: Readonly<Record<string, Node>>): Promise<CliResult> {
  cwd = pipelineDirectory('')
  const home = path.join(cwd, 'home')
  mkdirSync(home)
  const list = Object.entries(nodes).map(([id, { use, lines, before, after, agent, node }]) => {
    const transcript = path.join(cwd, `${id}.jsonl`)
    if (lines) writeFileSync(transcript, lines.map((line) => `${line}\n`).join(''))
    const env = { TRANSCRIPT: lines ? transcript : '', BEFORE: before ?? '', AFTER: after ?? '' }
    const { model } = CLIENTS[use]
    return { id, needs: [], allow_failure: true, env, ...node, agent: { use, model, prompt: 'Do it.', ...agent } }
  })
  writeFileSync(path.join(cwd, 'p.yaml'), JSON.stringify({ name: 'hostile', max_parallel: 6, nodes: list }))
  const keys = { ANTHROPIC_API_KEY: 'a-key-123456', CODEX_API_KEY: 'a-key-123456', GEMINI_API_KEY: 'a-key-123456' }
  const env = { ...keys, HOME: home, PATH: `${bin}${path.delimiter}${process.env['PATH']}` }
  return await runCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env })
}
const told = (node: string, attempt = '1.1'): Told =>
  JSON.parse(readFileSync(path.join(latestRun(cwd), 'attempts', node, attempt, 'agent.json'), 'utf8')) as Told
const failureOf = (id: string): string => {
  const failure = finalOf(cwd)?.nodes.find(({ path: at }) => at === id)?.failure
  return failure ? `${failure.code}: ${failure.message}` : 'none'
}

const TRANSCRIPTS = path.join(import.meta.dirname, '../effects/agents/transcripts')
const linesOf = (use: Client): string[] =>
  readFileSync(path.join(TRANSCRIPTS, use, `${CLIENTS[use].file}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')

describe.each(NAMES)('%s', (use) => {
  const lines = linesOf(use)
  const cut = lines.slice(0, -1)

  test('ends in every way', async () => {
    const { exitCode } = await play({
      whole: { use, lines },
      noise: {
        use,
        lines: [
          `\uFEFF${lines[0]}\r`,
          'npm warn deprecated x',
          '[1,2]',
          '42',
          '{"type":',
          '\0\0',
          `{"type":"of tomorrow","x":"${'y'.repeat(1_000_000)}"}`,
          ...lines.slice(1),
        ],
      },
      killed: { use, lines: cut, after: 'kill -9 $$' },
      zero: { use, lines: cut },
      one: { use, lines: cut, after: 'echo the disk is on fire >&2; exit 1' },
      term: { use, lines: cut, after: 'exit 143' },
      mute: { use, before: 'sleep 1000', agent: { stalls: { start: '300ms' } } },
      lives: {
        use,
        lines,
        after: 'trap : TERM; while :; do sleep 0.1; done',
        agent: { stalls: { linger: '200ms' } },
        node: { grace: '300ms' },
      },
      polite: {
        use,
        lines: cut,
        after: 'trap "exit 0" TERM; while :; do sleep 0.05; done',
        node: { timeout: '1s' },
      },
      child: { use, lines, before: '(setsid sleep 1000 &)' },
    })
    expect(exitCode).toBe(0)
    const whole = told('whole')
    expect(whole).toMatchObject({ status: 'ok', usage_complete: true, cli_version: CLIENTS[use].known })
    const { tokens, final_text: text, cost_usd: cost } = whole
    for (const id of ['noise', 'lives', 'child'])
      expect({ id, ...told(id) }).toMatchObject({ id, status: 'ok', usage_complete: true, tokens, final_text: text })
    expect(told('lives')['cost_usd']).toBe(cost)
    for (const id of ['killed', 'zero', 'one', 'term', 'mute', 'polite']) {
      expect({ id, ...told(id) }).toMatchObject({ id, usage_complete: false })
      expect(told(id).status).toMatch(/^(?:error|killed)$/)
    }
    expect(failureOf('killed')).toMatch(/^signaled: .*SIGKILL/)
    expect(failureOf('zero')).toMatch(/^agent_crashed: .*(?:without|break|ends)/)
    expect(failureOf('one')).toContain('the disk is on fire')
    expect(failureOf('term')).toMatch(/^signaled: .*signal 15, which Spanwright did not send/)
    expect(failureOf('mute')).toMatch(/^stalled: .*said nothing for 300ms/)
    expect(failureOf('polite')).toMatch(/^timed_out: .*timeout of 1\.0s/)
  })
})

const THREAD = '01a1fc42-d17e-73a0-b747-8fce778afc06'
const conversation = (input: number, output: number, text = 'Done.'): string[] =>
  [
    { type: 'thread.started', thread_id: THREAD },
    { type: 'item.completed', item: { id: 'item_0', type: 'agent_message', text } },
    { type: 'turn.completed', usage: { input_tokens: input, cached_input_tokens: 0, output_tokens: output } },
  ].map((line) => JSON.stringify(line))

test('a conversation over four nodes counts each part once, whatever became of one of them', async () => {
  const goesOn = (node: string): object => ({ session: `\${{ nodes.${node}.session }}` })
  const result = await play({
    a: { use: 'codex', lines: conversation(100, 10) },
    b: { use: 'codex', lines: conversation(350, 30), agent: goesOn('a'), node: { needs: ['a'] } },
    c: { use: 'codex', lines: conversation(0, 0).slice(0, 2), agent: goesOn('b'), node: { needs: ['b'] } },
    d: { use: 'codex', lines: conversation(400, 35), agent: goesOn('c'), node: { needs: ['c'] } },
  })
  expect(result.exitCode).toBe(0)
  expect(told('a')).toMatchObject({ tokens: { input: 100, output: 10 }, usage_complete: true })
  expect(told('b')).toMatchObject({ tokens: { input: 250, output: 20 }, usage_complete: true })
  expect(told('c')).toMatchObject({ tokens: { input: 0, output: 0 }, usage_complete: false, status: 'error' })
  // Its own and that of the one before it, which nobody can tell apart.
  expect(told('d')).toMatchObject({ tokens: { input: 50, output: 5 }, usage_complete: false, status: 'ok' })
  expect(told('d')['warnings']).toEqual([expect.stringContaining('known in part only')])
  expect(finalOf(cwd)).toMatchObject({ totals: { tokens: { input: 400, output: 35 } } })
})

test('what is only shown decides nothing, and what is asked for in a form has it', async () => {
  const block = '```json\n{"label":"yes"}\n```'
  const tool = { id: 'item_0', type: 'command_execution', command: 'x', exit_code: 0, status: 'completed' }
  const inTool = [JSON.stringify({ type: 'item.completed', item: { ...tool, aggregated_output: block } })]
  const decision = { decision: ['yes', 'no'], retry: 'none' }
  const form = { output_schema: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } } }
  await play({
    said: {
      use: 'codex',
      lines: conversation(1, 1, `No: ${block.replace('yes', 'no')}\nBut:\n${block}`),
      node: decision,
    },
    shown: { use: 'codex', lines: conversation(1, 1, `I would say\n\`\`\`\`md\n${block}\n\`\`\`\``), node: decision },
    printed: { use: 'codex', lines: [...inTool, ...conversation(1, 1).slice(2)], node: decision },
    fits: { use: 'codex', lines: conversation(1, 1, 'So:\n```json\n{"n":1}\n```'), agent: form },
    misfits: { use: 'codex', lines: conversation(1, 1, '{"n":"1"}'), agent: form },
    missing: { use: 'codex', lines: conversation(1, 1, 'One.'), agent: form },
  })
  const ends = new Map(eventsOf(cwd, 'attempt.finished').map((event) => [event.node, event]))
  expect(ends.get('said')).toMatchObject({ result: 'success', label: 'yes' })
  expect(failureOf('shown')).toMatch(/^invalid_output: .*no decision/)
  expect(failureOf('printed')).toMatch(/^invalid_output: .*no decision/)
  expect(ends.get('fits')).toMatchObject({ outputs: { n: 1 } })
  expect(told('fits')['structured']).toEqual({ n: 1 })
  expect(failureOf('misfits')).toMatch(/^invalid_output: .*expected number/)
  expect(failureOf('missing')).toMatch(/^invalid_output: .*no JSON was found/)
})
