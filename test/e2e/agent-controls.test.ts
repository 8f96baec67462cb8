// Control characters in everything that an agent can say reach no terminal: its texts, tools, names, questions, reasons.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startProvider, type Provider, type Turn } from '../agents/support/scripted-provider.mjs'
import { runCli, startCli, temporaryDirectory, type CliResult } from '../support/cli.ts'

/** Clears the screen, sets the title, draws over the line, turns the text around; in both forms of escapes. */
const EVIL = 'a\u001b[2Jb\u001b]0;owned\u0007c\rd\u009b31me\u202ef\u0008g\u2066h\u0000i\u001bP+q\u001b\\j'
/** What may be there: tabs and ends of lines. The program's own colours are off. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/

const block = (value: object): string => `${EVIL}\n\`\`\`json\n${JSON.stringify(value)}\n\`\`\``
const option = { label: `${EVIL} yes`, value: EVIL, description: EVIL }
const TURNS: readonly Turn[] = [
  {
    text: EVIL,
    tools: [
      { name: 'shell', args: { command: `printf '\\033[2J\\007\\r'; echo '${EVIL.replaceAll('\0', '')}' >&2; false` } },
    ],
  },
  { tools: [{ name: EVIL, args: { [EVIL]: EVIL } }] },
  { text: block({ disposition: EVIL, reason: EVIL }) },
  {
    text: block({
      disposition: 'needs_input',
      reason: EVIL,
      questions: [
        { id: EVIL, question: `${EVIL} which one?`, context: EVIL.repeat(500), options: [option, option] },
        ...Array.from({ length: 100 }, () => ({ id: EVIL, question: EVIL })),
      ],
    }),
  },
  { text: block({ disposition: 'blocked', message: EVIL, block_on: [EVIL] }) },
]
const PIPELINE = `
name: controls
nodes:
  - id: work
    agent: { use: api, model: claude-sonnet-4-5, prompt: go, stalls: { on_loop: wait } }
    decision: [done, blocked, needs_input]
    retry: { max_attempts: 3, initial: 1ms, on: [invalid_output] }
`

let provider: Provider
beforeEach(async () => {
  provider = await startProvider({ scenario: { turns: TURNS }, full: true })
})
afterEach(() => provider.close())

test('nothing that an agent says moves the cursor', { timeout: 60_000 }, async () => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'p.yaml'), PIPELINE)
  const env = { HOME: temporaryDirectory(), ANTHROPIC_API_KEY: 'x', ANTHROPIC_BASE_URL: provider.url }
  const shown: [string, CliResult][] = []
  const cli = async (...words: string[]): Promise<CliResult> => {
    const result = await runCli(words, { cwd, env })
    shown.push([words.join(' '), result])
    return result
  }
  const run = startCli(['run', 'p.yaml', '--skip-preflight', '--ui', 'plain'], { cwd, env })
  await run.saw(/which one\?/, 15_000)
  for (const words of ['status latest', 'runs', 'gate list', 'show latest', 'attempt show latest work@1.2']) {
    const { exitCode, stdout } = await cli(...words.split(' '))
    expect([words, exitCode, stdout.length < 64 * 1024]).toEqual([words, 0, true])
  }
  const answered = await cli('gate', 'answer', 'latest', 'work', 'answer', '--comment', 'the first one')
  expect(answered).toMatchObject({ exitCode: 0 })
  shown.push(['run', await run.ended])
  // `--output` gives the bytes as they are where no terminal reads them.
  for (const more of ['', ' --context', ' --diff']) await cli(...`attempt show latest work@1.1${more}`.split(' '))
  for (const words of ['show latest', 'events latest', 'status latest', 'runs', 'doctor latest', 'trace latest'])
    await cli(...words.split(' '))
  for (const [words, { stdout, stderr }] of shown)
    expect([words, CONTROLS.exec(stdout)?.[0], CONTROLS.exec(stderr)?.[0]]).toEqual([words, undefined, undefined])
})
