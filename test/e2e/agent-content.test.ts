// What an agent reads, says and does stays on the machine: with the real program, its own agent, a scripted provider and a
// receiver that keeps every body. The same run with `--capture content` sends it. A key leaves in no case, and is nowhere
// in the run's directory and on the terminal.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startProvider, type Provider, type Turn } from '../agents/support/scripted-provider.mjs'
import { runCli, temporaryDirectory, type CliResult } from '../support/cli.ts'
import { startSink, type Sink } from '../support/otlp-sink.ts'

/** Words that can come from nowhere else. */
const SAID = {
  prompt: 'canary-of-the-prompt',
  answer: 'canary-of-an-answer',
  thought: 'canary-of-a-thought',
  command: 'canary-of-a-command',
  output: 'canary-of-an-output',
  complaint: 'error: canary-of-a-complaint',
  content: 'canary-of-written-content',
  file: 'canary-of-a-file',
  decision: 'canary-of-a-decision',
  question: 'canary-of-no-json',
}
const KEYS = { ANTHROPIC_API_KEY: 'canary-key-"of"-the-provider', DEPLOY_TOKEN: 'canary/token\\of-the-user' }

const tool = (name: string, args: Readonly<Record<string, string>>): Turn => ({ tools: [{ name, args }] })
const block = (text: string): string => `${SAID.answer}\n\`\`\`json\n${text}\n\`\`\``
/** Five attempts, each of which fails in another way that speaks of its answer; the last one decides. */
const TURNS: readonly Turn[] = [
  { text: SAID.thought, ...tool('shell', { command: `: ${SAID.command}; cat note.txt; echo $DEPLOY_TOKEN` }) },
  tool('shell', { command: `echo canary-of-an-output; echo '${SAID.complaint}' >&2; exit 3` }),
  tool('write', { path: 'made.txt', content: `${SAID.content}\n` }),
  tool('edit', { path: 'made.txt', old_text: SAID.content, new_text: KEYS.DEPLOY_TOKEN }),
  tool('read', { path: `${SAID.file}.txt` }),
  { text: SAID.answer },
  { text: block(`{"disposition": "${SAID.decision} is what I would do"}`) },
  { text: block(`{"disposition": ${SAID.question}`) },
  { text: block('{"disposition": "done", "reason": "canary-of-an-answer"}') },
]
const PIPELINE = `
name: content
secrets: [DEPLOY_TOKEN]
nodes:
  - id: work
    agent: { use: api, model: claude-sonnet-4-5, prompt: "Do ${SAID.prompt} with \${{ env.WITH }}.", home: isolated }
    env: { WITH: "${SAID.prompt}" }
    secrets: [DEPLOY_TOKEN]
    decision: [done, fail]
    retry: { max_attempts: 5, initial: 1ms, on: [invalid_output] }
`

let provider: Provider
let sink: Sink
beforeEach(async () => {
  provider = await startProvider({ scenario: { turns: TURNS }, full: true })
  sink = await startSink()
})
afterEach(async () => {
  await provider.close()
  await sink.close()
})

async function run(...args: string[]): Promise<{ readonly cwd: string; readonly shown: CliResult[] }> {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'p.yaml'), PIPELINE)
  writeFileSync(join(cwd, 'note.txt'), `${SAID.file}\n`)
  const env = {
    ...KEYS,
    HOME: temporaryDirectory(),
    ANTHROPIC_BASE_URL: provider.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
  }
  const cli = (...words: string[]): Promise<CliResult> => runCli(words, { cwd, env })
  const ran = await cli('run', 'p.yaml', '--skip-preflight', '--ui', 'plain', ...args)
  expect({ code: ran.exitCode, said: ran.stderr }).toEqual({ code: 0, said: expect.anything() })
  const shown = [ran, await cli('show', 'latest'), await cli('events', 'latest')]
  for (const more of [[], ['--output'], ['--context'], ['--diff']])
    shown.push(await cli('attempt', 'show', 'latest', 'work@1.2', ...more))
  return { cwd, shown }
}

const sent = (): string => sink.requests.map(({ body }) => body.toString('utf8')).join('\n')
const saidIn = (text: string): string[] =>
  Object.entries(SAID).flatMap(([what, word]) => (text.includes(word) ? [what] : []))

/** Every form in which a key may be written. */
const keysIn = (text: string): string[] =>
  Object.values(KEYS).filter((key) => {
    const once = JSON.stringify(key).slice(1, -1)
    return [key, once, JSON.stringify(once).slice(1, -1)].some((form) => text.includes(form))
  })

/** But for the agent's own home: its conversation is what it goes on with. */
const filesOf = (cwd: string): string[] =>
  readdirSync(join(cwd, '.spanwright'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/homes/'))
    .map((entry) => join(entry.parentPath, entry.name))

test('nothing of it leaves, and no key is anywhere', { timeout: 60_000 }, async () => {
  const { cwd, shown } = await run()
  expect(sink.spans.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['chat claude-sonnet-4-5', 'execute_tool shell', 'work attempt', 'RUN content']),
  )
  expect(sink.logs.length).toBeGreaterThan(0)
  expect(sink.points.length).toBeGreaterThan(0)
  expect(saidIn(sent())).toEqual([])
  expect(keysIn(sent())).toEqual([])
  const files = filesOf(cwd)
  const names = new Set(files.map((file) => file.split('/').at(-1)))
  for (const name of [
    'agent.json',
    'transcript.ndjson',
    'prompt.md',
    'command.json',
    'retry-context.md',
    'outcome.json',
  ])
    expect(names).toContain(name)
  expect(files.filter((file) => keysIn(readFileSync(file, 'utf8')).length > 0)).toEqual([])
  for (const { stdout, stderr } of shown) expect(keysIn(stdout + stderr)).toEqual([])
})

test('with `--capture content` it leaves, without the keys', async () => {
  await run('--capture', 'content')
  expect(saidIn(sent())).toEqual(Object.keys(SAID))
  expect(keysIn(sent())).toEqual([])
})
