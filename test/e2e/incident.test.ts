// The incident that this project began with, as one pipeline through the built program: four branches in directories of
// their own, of which one works, one reports in `.ai/status.json` only, one is at its turn limit for ever, one sends
// malformed patches. The run ends by itself with the right result, reasons, cost and time.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProvider, type Provider, type Turn } from '../agents/support/scripted-provider.mjs'
import { runCli, temporaryDirectory } from '../support/cli.ts'
import { finalOf, journalOf, latestRun, pipelineDirectory, type Reason } from '../support/run-record.ts'

const USAGE = { input: 1_000, output: 100 }
const PRICE = { input: 1, output: 10 }
const REQUEST_USD = (USAGE.input * PRICE.input + USAGE.output * PRICE.output) / 1e6

const write = (file: string, content: string): Turn => ({
  text: 'I write it.',
  tools: [{ name: 'write', args: { path: file, content } }],
  usage: USAGE,
})
const patch = (text: string): Turn => ({
  text: 'I patch it.',
  tools: [{ name: 'patch', args: { patch: text } }],
  usage: USAGE,
})
const say = (text: string): Turn => ({ text, usage: USAGE })

/** One that goes on looking around, each time at something else. */
const endless = Array.from({ length: 200 }, (_, index): Turn => ({
  text: `Step ${index}.`,
  tools: [{ name: 'shell', args: { command: `echo looking at ${index}` } }],
  usage: USAGE,
}))

const MALFORMED = [
  '--- src/monsters.rs\nfn spawn() {}',
  '*** Update src/monsters.rs\n@@\n-fn gone() {}\n+fn spawn() {}',
  'apply this: s/fn gone/fn spawn/',
]

const PIPELINE = `name: rogue
params: { provider: { type: string } }
prices: { scripted: { input: ${PRICE.input}, output: ${PRICE.output} } }
budget: { usd: 5, time: 10m }
nodes:
  - id: fanout
    fanout:
      branches:
        dungeon:
          - { id: impl, cwd: dungeon, agent: &agent { use: api, provider: openai-compatible, model: scripted, base_url: "\${{ params.provider }}/k/dungeon/v1", prompt: Write the dungeon., max_turns: 4, args: [--max-output-tokens, "500"] }, checks: [{ name: there, files: [dungeon.rs], level: L0 }] }
          - { id: verify, cwd: dungeon, run: grep -q spawn dungeon.rs }
        combat_items:
          - id: impl
            cwd: combat
            agent: { use: command, command: 'cat > /dev/null; mkdir -p .ai; printf ''{"status":"success","notes":"104 turns of work"}'' > .ai/status.json', prompt: Write combat and items. }
          - { id: verify, cwd: combat, run: test -s .ai/status.json }
        monsters:
          - id: impl
            cwd: monsters
            agent: { <<: *agent, base_url: "\${{ params.provider }}/k/monsters/v1", prompt: Write the monsters. }
            routes: [{ when: result == "failure", to: impl }]
        player_io:
          - id: impl
            cwd: player
            agent: { <<: *agent, base_url: "\${{ params.provider }}/k/player/v1", prompt: Write the player. }
            retry: { max_attempts: 3, initial: 50ms, jitter: 0 }
            checks: [{ name: compiles, run: grep -q spawn src/monsters.rs }]
  - { id: release, run: echo never }
`

let provider: Provider
beforeAll(async () => {
  provider = await startProvider({
    scenario: {
      keys: {
        dungeon: { turns: [write('dungeon.rs', 'fn spawn() {}\n'), say('The dungeon is there.')] },
        monsters: { turns: endless, after: 'repeat-last' },
        player: {
          turns: MALFORMED.flatMap((text, index) => [patch(text), say(`Patched, try ${index + 1}.`)]),
          after: 'repeat-last',
        },
      },
    },
  })
})
afterAll(() => provider.close())

test('it ends by itself, with the right result and reasons, total cost and time', async () => {
  const cwd = pipelineDirectory(PIPELINE)
  for (const lane of ['dungeon', 'combat', 'monsters', 'player/src'])
    mkdirSync(path.join(cwd, lane), { recursive: true })
  writeFileSync(path.join(cwd, 'player/src/monsters.rs'), 'fn other() {}\n')
  const { exitCode, stdout, stderr } = await runCli(
    ['run', 'p.yaml', '--param', `provider=${provider.url}`, '--ui', 'plain'],
    { cwd, env: { OPENAI_API_KEY: 'test-key-1234', HOME: temporaryDirectory() } },
  )
  expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 1 })
  const final = finalOf(cwd)!
  const nodeOf = (name: string) => final.nodes.find((node) => node.path === name)!
  expect(final.result).toBe('failure')
  expect(final.failure?.code).toBe('branch_failed')
  expect(final.resumable).toBe(false)

  // The good one, and the one whose status lies elsewhere, are successes.
  expect(nodeOf('fanout:dungeon/verify').result).toBe('success')
  expect(nodeOf('fanout:combat_items/impl').result).toBe('success')
  expect(nodeOf('fanout:combat_items/verify').result).toBe('success')

  // The one that never comes to an end is stopped by the breaker, with what really happened.
  const monsters = nodeOf('fanout:monsters/impl')
  expect(codesOf(monsters.failure)).toEqual(['breaker_open', 'turn_limit'])
  expect(monsters).toMatchObject({ result: 'failure', attempts: 3 })

  // The one with the patches was told each time what was wrong with them.
  const player = nodeOf('fanout:player_io/impl')
  expect(codesOf(player.failure)).toEqual(['check_failed', 'exit_nonzero'])
  expect(player.attempts).toBe(3)
  const contexts = [2, 3].map((attempt) =>
    readFileSync(
      path.join(latestRun(cwd), 'attempts/fanout:player_io/impl', `1.${attempt}`, 'retry-context.md'),
      'utf8',
    ),
  )
  expect(contexts[0]).toContain('compiles')
  expect(contexts[1]).not.toBe(contexts[0])

  // Nothing after it, and no reason is lost on the way up.
  expect(nodeOf('release')).toMatchObject({ result: 'skip', failure: { code: 'upstream_failed' } })
  expect(stderr).not.toContain('failure_reason')

  // Money: what the provider served, to the last request.
  const requests = provider.requests.filter((request) => request.main !== false).length
  const totals = final['totals'] as {
    readonly cost_usd: number
    readonly cost_unpriced: number
    readonly tokens: object
  }
  expect(totals.cost_usd).toBeCloseTo(requests * REQUEST_USD, 9)
  expect(totals.tokens).toMatchObject({ input: requests * USAGE.input, output: requests * USAGE.output })
  expect(totals.cost_unpriced).toBe(0)
  expect(final['duration_ms']).toBeGreaterThan(0)

  // Every start has its end, and nothing is told of a node after it.
  const events = journalOf(cwd).map(({ event }) => event)
  const ended = new Set(events.filter(({ type }) => type === 'attempt.finished').map((event) => event.attempt_id))
  for (const event of events) if (event.type === 'attempt.started') expect(ended).toContain(event.attempt_id)
})

const codesOf = (failure: Reason | undefined): string[] =>
  failure ? [failure.code, ...codesOf(failure.causes?.[0])] : []
