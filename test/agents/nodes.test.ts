// Agents as nodes through the built program, with Spanwright's own agent over a scripted provider: what the next attempt
// is told, questions, decomposition, limits that outlive the process, budgets, fallbacks, summaries.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startProvider, type Provider, type Scenario, type Turn } from './support/scripted-provider.mjs'
import { runCli, startCli, temporaryDirectory, type CliResult } from '../support/cli.ts'
import {
  eventsOf,
  eventually,
  finalOf,
  latestRun,
  pipelineDirectory,
  processesOf,
  runIds,
  type FinalFile,
} from '../support/run-record.ts'

const USAGE = { input: 1_000, output: 100 }
/** Of one request: 1,000 in at $1 and 100 out at $10 per million. */
const USD = 0.002
/** The conversations of the agents are kept in the home. */
const KEY = { OPENAI_API_KEY: 'scripted-key-1234', HOME: temporaryDirectory() }

let provider: Provider | undefined
let cwd: string
afterEach(async () => {
  await provider?.close()
  provider = undefined
  for (const id of runIds(cwd)) expect(processesOf(id)).toEqual([])
})

const say = (text: string): Turn => ({ text, usage: USAGE })
const block = (value: object): string => `I am done.\n\`\`\`json\n${JSON.stringify(value)}\n\`\`\``
const shell = (command: string): Turn => ({
  text: 'I try.',
  tools: [{ name: 'shell', args: { command } }],
  usage: USAGE,
})

/** A provider with a script for each key, and a directory with `p.yaml`; `AGENT(key)` is an agent with that script. */
async function scene(keys: Record<string, Scenario>, yaml: string, model = 'scripted'): Promise<void> {
  provider = await startProvider({ scenario: { keys } })
  const agent = (_: string, key: string): string =>
    `use: api, provider: openai-compatible, model: ${model}, base_url: "${provider!.url}/k/${key}/v1", args: [--max-output-tokens, "100", --retry-delay, 10ms]`
  cwd = pipelineDirectory(
    `prices: { scripted: { input: 1, output: 10 } }\n${yaml.replaceAll(/AGENT\((\w+)\)/g, agent)}`,
  )
}
const run = (...args: string[]): Promise<CliResult> =>
  runCli(['run', 'p.yaml', '--ui', 'plain', ...args], { cwd, env: KEY })
const final = (): FinalFile => finalOf(cwd)!
const attemptFile = (node: string, attempt: string, name: string): string =>
  readFileSync(path.join(latestRun(cwd), 'attempts', node, attempt, name), 'utf8')
const served = (): number => provider!.requests.filter((request) => request.main !== false).length
const totals = (): { cost_usd: number; cost_unpriced: number; tokens: Record<string, number> } =>
  final()['totals'] as never

test('each attempt is told what was learnt from the ones before', async () => {
  await scene(
    { work: { turns: [1, 2, 3].flatMap((n) => [shell(`echo try ${n} > tried.txt`), say(`I wrote try ${n}.`)]) } },
    `name: learn
nodes:
  - id: work
    agent: { AGENT(work), prompt: Write the right number into tried.txt. }
    retry: { max_attempts: 3, initial: 10ms, jitter: 0 }
    checks: [{ name: number, run: 'read line < tried.txt; case "$line" in "try 3") ;; *) echo "error: $line is too small" >&2; exit 7;; esac' }]
`,
  )
  expect(await run()).toMatchObject({ exitCode: 0 })
  const prompts = ['1.1', '1.2', '1.3'].map((attempt) => attemptFile('work', attempt, 'prompt.md'))
  expect(prompts[0]).toContain('Write the right number')
  expect(prompts[0]).not.toContain('too small')
  expect(prompts[1]).toContain('error: try 1 is too small')
  expect(prompts[1]).toContain('tried.txt')
  expect(prompts[2]).toContain('error: try 2 is too small')
  expect(new Set(prompts).size).toBe(3)
  const shown = await runCli(['attempt', 'show', 'latest', 'work@1.3', '--context'], { cwd })
  expect(shown.stdout).toContain('try 2 is too small')
  expect(totals().cost_usd).toBeCloseTo(6 * USD, 9)
})

test('what an agent needs to know is asked, answered, and told to the next attempt', async () => {
  const questions = [
    {
      id: 'db',
      question: 'Which database?',
      options: [
        { label: 'PostgreSQL', value: 'pg' },
        { label: 'SQLite', value: 'lite' },
      ],
    },
  ]
  await scene(
    {
      plan: {
        turns: [
          say(block({ disposition: 'needs_input', plan_questions: questions })),
          say(block({ disposition: 'continue' })),
        ],
      },
    },
    `name: ask
nodes:
  - { id: plan, agent: { AGENT(plan), prompt: Make a plan. }, decision: [continue, needs_input] }
`,
  )
  const running = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: KEY })
  await eventually(() => runIds(cwd).length > 0 && eventsOf(cwd, 'gate.opened').length > 0)
  const gates = await runCli(['gate', 'list'], { cwd })
  expect(gates.stdout).toContain('Which database?')
  const wrong = await runCli(['gate', 'answer', 'latest', 'plan', 'oracle'], { cwd })
  expect(wrong.exitCode).not.toBe(0)
  const answer = await runCli(['gate', 'answer', 'latest', 'plan', 'lite', '--comment', 'keep it small'], { cwd })
  expect(answer).toMatchObject({ exitCode: 0 })
  expect((await running.ended).exitCode).toBe(0)
  const prompt = attemptFile('plan', '1.2', 'prompt.md')
  expect(prompt).toContain('lite')
  expect(prompt).toContain('keep it small')
  expect(final().nodes[0]).toMatchObject({ result: 'success', attempts: 2, retries: 0 })
})

test('a task is decomposed, its parts go to the branches of a fan-out', async () => {
  await scene(
    { plan: { turns: [say(block({ disposition: 'decompose', subtasks: ['parser', 'printer'] }))] } },
    `name: decompose
nodes:
  - { id: plan, agent: { AGENT(plan), prompt: Split it. }, decision: [continue, decompose] }
  - id: parts
    fanout: { each: "\${{ nodes.plan.outputs.subtasks }}", as: part, nodes: [{ id: do, run: 'echo \${{ part }}' }] }
`,
  )
  expect(await run()).toMatchObject({ exitCode: 0 })
  expect(eventsOf(cwd, 'branch.finished').map((event) => (event['branch'] as { key: string }).key)).toEqual(
    expect.arrayContaining(['parser', 'printer']),
  )
})

test('an invalid decision is tried again with the reason, none at all fails closed', async () => {
  await scene(
    {
      review: {
        turns: [say('Looks fine.'), say(block({ disposition: 'ship it' })), say(block({ disposition: 'approve' }))],
      },
      mute: { turns: [say('Hm.')], after: 'repeat-last' },
    },
    `name: decide
nodes:
  - { id: review, agent: { AGENT(review), prompt: Review it. }, decision: [approve, rework] }
  - { id: mute, agent: { AGENT(mute), prompt: Review it. }, decision: [approve, rework] }
`,
  )
  expect(await run()).toMatchObject({ exitCode: 1 })
  const [review, mute] = final().nodes
  expect(review).toMatchObject({ result: 'success', attempts: 3 })
  expect(attemptFile('review', '1.3', 'prompt.md')).toContain('ship it')
  expect(mute).toMatchObject({ result: 'failure', attempts: 3, failure: { code: 'invalid_output' } })
})

test('a limit is waited for, also when the process is killed meanwhile', async () => {
  const limited: Turn = { error: { status: 429, message: 'slow down', headers: { 'retry-after': '6' } } }
  await scene(
    { work: { turns: [limited, say('Done.')], after: 'repeat-last' } },
    `name: limited
nodes:
  - { id: work, agent: { AGENT(work), prompt: Do it. } }
`,
  )
  const running = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: KEY })
  const [waiting] = await eventually(() => {
    const found = runIds(cwd).length > 0 ? eventsOf(cwd, 'attempt.waiting') : []
    return found.length > 0 && found
  })
  const due = Date.parse(String(waiting!['due_at']))
  expect((await runCli(['status', 'latest', '--json'], { cwd })).stdout).toContain('waiting')
  running.kill('SIGKILL')
  await running.ended
  await eventually(() => finalOf(cwd))
  expect(final()).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  expect(await runCli(['resume', 'latest', '--ui', 'plain'], { cwd, env: KEY })).toMatchObject({ exitCode: 0 })
  const starts = readFileSync(path.join(latestRun(cwd), 'journal.ndjson'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { at: string; event: { type: string } })
    .filter(({ event }) => event.type === 'attempt.started')
  expect(starts).toHaveLength(2)
  expect(Date.parse(starts[1]!.at)).toBeGreaterThanOrEqual(due - 1)
  expect(final().nodes[0]).toMatchObject({ result: 'success', retries: 0 })
})

test('five agents at once spend at most one request each above the budget', async () => {
  const endless = { turns: Array.from({ length: 100 }, (_, n) => shell(`echo ${n}`)), after: 'repeat-last' } as const
  await scene(
    Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((key) => [key, endless])),
    `name: spend
budget: { usd: 0.02 }
max_parallel: 5
nodes:
${['a', 'b', 'c', 'd', 'e'].map((key) => `  - { id: ${key}, needs: [], agent: { AGENT(${key}), prompt: Go on. } }\n`).join('')}`,
  )
  expect(await run()).toMatchObject({ exitCode: 1 })
  expect(final().failure?.code).toBe('budget_exhausted')
  expect(final().resumable).toBe(true)
  expect(served() * USD).toBeGreaterThan(0.01)
  expect(served() * USD).toBeLessThanOrEqual(0.02 + 5 * USD + 1e-9)
  expect(totals().cost_usd).toBeLessThanOrEqual(served() * USD + 1e-9)
})

test('a budget that cannot be measured refuses to start, an audit only counts', async () => {
  const yaml = (mode: string): string => `name: unpriced
budget: { usd: 1, mode: ${mode} }
nodes: [{ id: work, agent: { AGENT(work), prompt: Do it. } }]
`
  const keys = { work: { turns: [say('Done.')] } }
  await scene(keys, yaml('enforce'), 'nobody-knows-it')
  const refused = await run()
  expect(refused).toMatchObject({ exitCode: 2 })
  expect(refused.stderr).toMatch(/cannot be measured.*nobody-knows-it.*`prices:`/)
  expect(runIds(cwd)).toEqual([])
  const blind = await run('--skip-preflight')
  expect(blind.exitCode).not.toBe(0)
  expect(final().failure?.code).toBe('config_invalid')
  expect(served()).toBe(0)
  await provider!.close()
  await scene(keys, yaml('audit'), 'nobody-knows-it')
  expect(await run()).toMatchObject({ exitCode: 0 })
  expect(totals()).toMatchObject({ cost_usd: 0, cost_unpriced: 1 })
})

test('steps that are no agents report usage in their outcome file', async () => {
  await scene(
    {},
    `name: reported
nodes:
  - id: ask
    run: 'printf ''{"result":"success","usage":{"input_tokens":100,"cache_read_tokens":40,"output_tokens":7,"cost_usd":0.5,"model":"m"}}'' > "$SPANWRIGHT_OUTCOME"'
`,
  )
  expect(await run()).toMatchObject({ exitCode: 0 })
  expect(totals()).toMatchObject({ cost_usd: 0.5, tokens: { input: 60, cache_read: 40, output: 7 } })
})

test('a fallback takes over from one that is limited, a stronger model after failures', async () => {
  const limited: Turn = { error: { status: 429, message: 'quota exceeded' } }
  await scene(
    {
      first: { turns: [limited], after: 'repeat-last' },
      other: { turns: [say('no')] },
      second: { turns: [say('yes')] },
    },
    `name: others
nodes:
  - id: work
    agent: { AGENT(first), prompt: Say yes., fallback: [{ AGENT(other) }], escalate: { after: 1, AGENT(second) } }
    retry: { max_attempts: 2, initial: 10ms, jitter: 0 }
    checks: [{ name: yes, run: 'grep -q ''"final_text": "yes"'' "$SPANWRIGHT_ATTEMPT_DIR/agent.json"' }]
`,
  )
  expect(await run()).toMatchObject({ exitCode: 0 })
  const started = eventsOf(cwd, 'attempt.started').map(({ agent, model, chosen }) => ({ agent, model, chosen }))
  expect(started).toEqual([
    { agent: 'api', model: 'scripted', chosen: undefined },
    { agent: 'api', model: 'scripted', chosen: 'fallback' },
    { agent: 'api', model: 'scripted', chosen: 'escalation' },
  ])
  expect(final().nodes[0]).toMatchObject({ result: 'success', attempts: 3 })
})

test('differing failures are summed up, marked as generated, beside their reasons', async () => {
  await scene(
    { sum: { turns: [say('The disk was full, then the network was gone. Free some space.')] } },
    `name: summed
summaries: { agent: { AGENT(sum) } }
nodes:
  - id: work
    run: 'if [ "$SPANWRIGHT_ATTEMPT" = 1 ]; then echo "error: disk full" >&2; exit 3; fi; echo "error: network unreachable" >&2; exit 4'
    retry: { max_attempts: 2, initial: 10ms, jitter: 0 }
`,
  )
  expect(await run()).toMatchObject({ exitCode: 1 })
  expect(eventsOf(cwd, 'failure.summarized')).toEqual([
    expect.objectContaining({ node: 'work', text: expect.stringContaining('disk was full') as string }),
  ])
  expect(final().nodes[0]!.failure?.message).not.toContain('Free some space')
  expect(totals().cost_usd).toBeCloseTo(USD, 9)
  const shown = await runCli(['show', 'latest'], { cwd, env: { COLUMNS: '120' } })
  expect(shown.stdout).toContain('generated')
  expect(shown.stdout).toContain('Free some space')
})
