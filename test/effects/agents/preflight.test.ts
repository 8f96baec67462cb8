// Agents before a run starts: all problems at once, from programs that are really started.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { agentPreflight, type AgentPreflight } from '../../../src/effects/agents/preflight.ts'
import { parsePipelineFile } from '../../../src/pipeline/load.ts'
import { temporaryDirectory } from '../../support/cli.ts'

const directory = temporaryDirectory()
const bin = path.join(directory, 'bin')
mkdirSync(bin)
const cache = path.join(directory, 'store')

/** A program that says `version` and `help`, and notes how it was called. */
function client(name: string, version: string, help = ''): void {
  const file = path.join(bin, name)
  writeFileSync(
    file,
    `#!/bin/sh\necho "$1" >> "${file}.calls"\ncase "$1" in --version) echo "${version}";; --help) echo "${help}";; esac\n`,
  )
  chmodSync(file, 0o755)
}
const callsOf = (name: string): string[] =>
  readFileSync(path.join(bin, `${name}.calls`), 'utf8')
    .trim()
    .split('\n')

async function look(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<AgentPreflight> {
  const file = path.join(directory, 'pipeline.yaml')
  writeFileSync(file, yaml)
  const { pipeline } = await parsePipelineFile(file)
  const home = path.join(directory, 'home')
  return await agentPreflight(pipeline, {
    env: { PATH: `${bin}${path.delimiter}/usr/bin:/bin`, HOME: home, ...env },
    cwd: directory,
    cache,
    probe: false,
  })
}

const agents = (...specs: string[]): string =>
  `name: p\nnodes:\n${specs.map((spec, index) => `  - { id: n${index}, needs: [], agent: { prompt: x, home: isolated, ${spec} } }\n`).join('')}`

test.each([
  { what: 'a secret that the node does not list', whole: 'secrets: [KEY]', isFine: false },
  { what: 'a secret that it lists', whole: 'secrets: [KEY]', node: 'secrets: [KEY]', allow: '[LANG]', isFine: true },
  { what: 'a variable that the allow-list leaves out', allow: '[LANG]', isFine: false },
  { what: 'a variable that the allow-list holds', allow: '[K*]', isFine: true },
])('credentials count only where they reach the agent: $what', async ({ whole = '', node = '', allow, isFine }) => {
  const { problems } = await look(
    `name: p
${whole}
nodes:
  - id: a
    ${node}
    agent:
      env_allow: ${allow ?? '["*"]'}
      use: api
      model: m
      provider: openai-compatible
      base_url: http://127.0.0.1:1
      api_key_env: KEY
      prompt: x
`,
    { KEY: 'k' },
  )
  expect(problems).toEqual(isFine ? [] : [expect.stringMatching(/^a: agent api has no credentials for m: set KEY/)])
})

test('what a client can never do is told before the start', async () => {
  client('codex', 'codex-cli 0.169.0')
  const { problems } = await look(
    agents(
      'use: codex, allowed_tools: [shell], permission: read',
      'use: api, model: m, provider: openai-compatible, base_url: "http://127.0.0.1:1", denied_tools: [Bash]',
      'use: codex, permission: read, allowed_tools: ["${{ run.id }}"]',
    ),
    { CODEX_API_KEY: 'k' },
  )
  expect(problems.filter((problem) => !problem.includes('does not know'))).toEqual([
    expect.stringMatching(
      /^n0: codex: agent\.allowed_tools: codex cannot choose its tools by name; .*agent\.permission/,
    ),
    expect.stringMatching(/^n1: api: it has no tool Bash: its tools are shell,/),
  ])
})

test('programs, credentials and budgets that stand in the way are told together', async () => {
  const { problems } = await look(
    `name: p
budget: { usd: 1 }
nodes:
  - id: lanes
    fanout:
      branches:
        a: [{ id: work, agent: { use: claude, prompt: x, home: isolated, program: no-such-claude } }]
        b: [{ id: work, agent: { use: codex, prompt: x, home: isolated, program: no-such/codex, model: no-such-model } }]
`,
  )
  expect(problems).toEqual([
    expect.stringMatching(/^lanes:a\/work: .*ANTHROPIC_API_KEY/),
    expect.stringMatching(/^lanes:a\/work: agent claude needs the program `no-such-claude`, which is not on PATH/),
    expect.stringMatching(/^lanes:b\/work: .*(?:CODEX|OPENAI)_API_KEY/),
    expect.stringMatching(
      /^lanes:b\/work: the budget in usd cannot be measured, because the model no-such-model has no/,
    ),
    expect.stringMatching(/^lanes:b\/work: agent codex needs the program `no-such\/codex`/),
  ])
})

test('a price of the pipeline, or an audit, makes the budget fine', async () => {
  const with_ = (budget: string, prices = ''): Promise<AgentPreflight> =>
    look(
      `budget: { usd: 1${budget} }\n${prices}${agents('use: api, provider: openai, model: no-such-model, api_key_env: K')}`,
      {
        K: 'x',
      },
    )
  expect((await with_('')).problems).toHaveLength(1)
  expect((await with_(', mode: audit')).problems).toEqual([])
  expect((await with_('', 'prices: { no-such-model: { input: 1, output: 2 } }\n')).problems).toEqual([])
})

test('fallbacks and escalations are looked at like the first choice', async () => {
  const { problems } = await look(
    agents(
      'use: api, model: gpt-5, provider: openai, api_key_env: K, fallback: [{ use: codex, program: gone-codex }], escalate: { after: 2, use: gemini, program: gone-gemini }',
    ),
    { K: 'x', CODEX_API_KEY: 'x', OPENAI_API_KEY: 'x', GEMINI_API_KEY: 'x' },
  )
  expect(problems).toEqual([expect.stringContaining('`gone-codex`'), expect.stringContaining('`gone-gemini`')])
})

test('a known version is asked once, and its flags are not', async () => {
  client('claude', '2.1.329 (Claude Code)')
  const key = { ANTHROPIC_API_KEY: 'x' }
  expect(await look(agents('use: claude', 'use: claude'), key)).toEqual({ problems: [], warnings: [] })
  expect(await look(agents('use: claude'), key)).toEqual({ problems: [], warnings: [] })
  expect(callsOf('claude')).toEqual(['--version'])
})

test('an unknown version is a warning; one that does not know our flags is a problem', async () => {
  client('gemini', '9.0.0', '--output-format --approval-mode --skip-trust --model --session-id --resume --policy')
  client('codex', 'codex-cli 9.0.0', '--config --model')
  const env = { GEMINI_API_KEY: 'x', CODEX_API_KEY: 'x', OPENAI_API_KEY: 'x' }
  const { problems, warnings } = await look(agents('use: gemini', 'use: codex'), env)
  expect(warnings).toEqual([
    expect.stringContaining('gemini 9.0.0 is not known'),
    expect.stringContaining('codex 9.0.0 is not known'),
  ])
  expect(problems).toEqual([expect.stringMatching(/codex does not know --sandbox.*: install codex 0\.169\.x/)])
})

test('what a client makes in its home when it is asked stays nowhere', async () => {
  const home = path.join(directory, 'home')
  const homes = path.join(directory, 'homes')
  mkdirSync(home, { recursive: true })
  const file = path.join(bin, 'opencode')
  const script = `echo "$HOME" >> ${homes}; touch "$HOME/made" "$XDG_DATA_HOME/made"; echo 1.18.33`
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  expect(await look(agents('use: opencode'))).toMatchObject({ warnings: [] })
  const asked = readFileSync(homes, 'utf8').trim()
  expect([asked === home, existsSync(asked), readdirSync(home)]).toEqual([false, false, []])
})

test('a wrapper that needs the user’s home to find the client is asked there', async () => {
  const home = path.join(directory, 'home')
  mkdirSync(home, { recursive: true })
  const file = path.join(bin, 'opencode')
  const real = path.join(home, 'opencode')
  writeFileSync(real, '#!/bin/sh\necho 1.18.33\n')
  writeFileSync(file, '#!/bin/sh\nexec "$HOME/opencode" "$@"\n')
  for (const program of [real, file]) chmodSync(program, 0o755)
  expect(await look(agents('use: opencode'))).toMatchObject({ warnings: [] })
})

test('a program under another name is not asked for its version', async () => {
  client('my-claude', 'hello')
  const { problems, warnings } = await look(agents('use: claude, program: my-claude'), { ANTHROPIC_API_KEY: 'x' })
  expect({ problems, warnings }).toEqual({ problems: [], warnings: [] })
  expect(() => callsOf('my-claude')).toThrow('ENOENT')
})
