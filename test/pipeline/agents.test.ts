// Agents, checks, summaries and prices of a pipeline: what a mistake is told, and what a valid file becomes.
import { describe, expect, test } from 'vitest'
import { agent, pipeline, run } from '../../src/pipeline/builder.ts'
import { parseDefinition } from '../../src/pipeline/load.ts'
import { parsed, problemsOf } from './files.ts'

const one = (node: string): string => `name: p\nnodes:\n  - ${node}\n`
const withAgent = (agentMap: string): string => one(`{ id: a, agent: { ${agentMap} } }`)
const withCheck = (check: string): string => one(`{ id: a, run: x, checks: [{ ${check} }] }`)

const AGENT_PROBLEMS: [what: string, agentMap: string, problem: RegExp][] = [
  ['no command', 'use: command, prompt: p', /^p\.yaml:3:21 missing-key .* missing key `command`; add command/],
  [
    'a command for a client',
    'use: claude, prompt: p, command: x',
    /^p\.yaml:3:56 agent-key `command` is for `use: command`; this is claude; .*`program`/,
  ],
  [
    'api keys for a client',
    'use: codex, prompt: p, base_url: "https://x.example"',
    /agent-key `base_url` is for `use: api`; this is codex/,
  ],
  [
    'a program for an api',
    'use: api, model: m, prompt: p, program: x',
    /agent-key `program` is for the clients .*; this is api/,
  ],
  ['no model for an api', 'use: api, prompt: p', /missing key `model`/],
  ['no endpoint', 'use: api, provider: openai-compatible, model: m, prompt: p', /missing key `base_url`/],
  ['no address', 'use: api, model: m, base_url: localhost, prompt: p', /wrong-value `localhost` is no web address/],
  [
    'a password',
    'use: api, model: m, base_url: "https://u:p@x.example", prompt: p',
    /must not hold a password; .*api_key_env/,
  ],
  [
    'key in place of a variable',
    'use: api, model: m, api_key_env: "sk-1", prompt: p',
    /`agent.api_key_env`: expected the name of an environment variable/,
  ],
  [
    'no prompt',
    'use: claude',
    /^p\.yaml:3:21 wrong-value `agent` needs exactly one of prompt, prompt_file; found none/,
  ],
  ['unknown agent', 'use: cluade, prompt: p', /`agent.use`: expected one of claude, codex/],
  ['turns', 'use: claude, prompt: p, max_turns: 0', /`agent.max_turns`: must be at least 1/],
  [
    'permission',
    'use: claude, prompt: p, permission: write',
    /`agent.permission`: expected one of read, workspace, full/,
  ],
  ['session', 'use: claude, prompt: p, session: contineu', /`contineu` is no conversation, did you mean `continue`\?/],
  [
    'allowed and denied',
    'use: claude, prompt: p, permission: read, allowed_tools: [Read, Bash], denied_tools: [Bash]',
    /^p\.yaml:3:\d+ wrong-value `Bash` is allowed and denied/,
  ],
  [
    'only these tools',
    'use: claude, prompt: p, allowed_tools: [mcp__issues__list, "Bash(git *)"]',
    /^p\.yaml:3:\d+ agent-tools `allowed_tools` adds to what `permission: workspace` allows .*`Bash\(git \*\)` .*write permission: read/,
  ],
  ['env_allow', 'use: claude, prompt: p, env_allow: ["A*B"]', /expected NAME or PREFIX_\*/],
  ['loop of one', 'use: claude, prompt: p, stalls: { repeats: 1 }', /`agent.stalls.repeats`: must be at least 2/],
  [
    'schema of a list',
    'use: claude, prompt: p, output_schema: { type: array }',
    /json-schema the schema is of type "array"; the keys of the value become outputs/,
  ],
  [
    'schema of nonsense',
    'use: claude, prompt: p, output_schema: { type: object, properties: { a: { type: nope } } }',
    /json-schema this JSON Schema cannot be used: .*nope/,
  ],
  [
    'schema with an expression',
    'use: claude, prompt: p, output_schema: { type: object, title: "${{ run.id }}" }',
    /json-schema expressions are not filled in inside a JSON Schema/,
  ],
  [
    'a fallback that is the same',
    'use: claude, model: m, prompt: p, fallback: [{ args: [] }, { model: m }]',
    /agent-other this fallback is the same agent with the same model again/,
  ],
  [
    'a fallback that lacks a key',
    'use: claude, prompt: p, fallback: [{ use: command }]',
    /^p\.yaml:3:\d+ missing-key .*missing key `command`/,
  ],
  [
    'an escalation too late',
    'use: claude, prompt: p, escalate: { model: big, after: 2 }',
    /agent-other it never takes over: the node has 1 attempt; add retry: 3/,
  ],
  [
    'turns of a command',
    'use: command, command: x, prompt: p, max_turns: 3',
    /agent-key `max_turns` means nothing to a command/,
  ],
  [
    'an expression in quotes',
    `use: command, command: "x '\${{ run.id }}'", prompt: p`,
    /shell-.*inside single quotes would stay literal text/,
  ],
  [
    'an unknown name in a command',
    'use: command, command: ["x", "${{ params.nope }}"], prompt: p',
    /expression-unknown unknown param `nope`/,
  ],
]
describe('agents: mistakes', () => {
  test.each(AGENT_PROBLEMS)('%s', async (_, agentMap, problem) => {
    expect(await problemsOf(withAgent(agentMap))).toEqual([expect.stringMatching(problem)])
  })
})

const CHECK_PROBLEMS: [what: string, check: string, problem: RegExp][] = [
  [
    'nothing',
    'name: n',
    /^p\.yaml:3:31 check-kind this check looks at nothing; give it exactly one of run, files, forbid, scope, outputs/,
  ],
  ['two', 'run: x, files: [a]', /^p\.yaml:3:\d+ check-kind this check has 2 kinds: run, files; make a check of each/],
  ['nothing forbidden', 'forbid: { secrets: false }', /check-kind `forbid` names nothing/],
  ['a broken pattern', 'forbid: { patterns: ["("] }', /this is no JavaScript regular expression/],
  ['a path outside', 'files: [../x]', /`\.\.\/x` leads out of the working directory/],
  ['an absolute path', 'scope: [/etc/**]', /leads out of the working directory/],
  ['a negation', 'scope: ["!src/**"]', /a glob cannot be turned round here/],
  ['a broken schema', 'outputs: { type: nope }', /json-schema this JSON Schema cannot be used/],
  ['an unknown key', 'forbid: { path: [x] }', /unknown key `path`, did you mean `paths`\?/],
]
describe('checks: mistakes', () => {
  test.each(CHECK_PROBLEMS)('%s', async (_, check, problem) => {
    expect(await problemsOf(withCheck(check))).toEqual([expect.stringMatching(problem)])
  })

  test('what an attempt changed is asked only where there is one', async () => {
    const fanout = one(
      '{ id: f, fanout: { count: 1, nodes: [{ id: a, run: x }] }, checks: [{ scope: [src/**] }, { files: [x] }] }',
    )
    expect(await problemsOf(fanout)).toEqual([
      expect.stringMatching(
        /check-place `scope` looks at an attempt of a run or agent node; this is a fanout node; put it on the nodes inside/,
      ),
    ])
  })
})

test('summaries and prices: mistakes', async () => {
  const head = 'name: p\nnodes: [{ id: a, run: x }]\n'
  expect(await problemsOf(`${head}summaries: { agent: { use: api } }\nprices: { m: { input: -1 } }\n`)).toEqual([
    expect.stringMatching(/^p\.yaml:3:\d+ missing-key .*missing key `model`/),
    expect.stringMatching(/^p\.yaml:4:14 missing-key missing key `output`/),
    expect.stringMatching(/^p\.yaml:4:23 wrong-value `prices.m.input`: must not be negative, found -1/),
  ])
  expect(await problemsOf(`${head}summaries: { agent: { use: command, command: "x \${{ run.id }}" } }\n`)).toEqual([
    expect.stringMatching(/^p\.yaml:3:\d+ expression expressions are not filled in here/),
  ])
})

const FULL = `name: p
summaries: { agent: { use: api, model: small } }
prices: { "x-ai/m": { input: 1, output: 2, cache_read: 0.1 } }
nodes:
  - id: a
    agent:
      use: command
      command: run-it --task \${{ params.task }}
      prompt: Do \${{ run.id }}
      max_turns: 4
      permission: read
      denied_tools: [Bash]
      output_schema: { type: object, properties: { n: { type: integer } } }
      session: \${{ nodes.b.session }}
      env_allow: [PATH, "LC_*"]
      fallback: [{ use: claude, model: m1 }, { use: claude, model: m2 }]
      escalate: { use: codex, after: 2, args: ["--x", "\${{ run.name }}"] }
      stalls: { start: 10s, on_silence: wait }
    decision: [go, stop]
    checks:
      - { files: ["out/\${{ params.task }}.md"] }
      - { forbid: { paths: [.env], secrets: true }, level: L0 }
      - { scope: [src/**], required: false }
      - { outputs: { type: object, required: [n] }, name: shape }
  - { id: b, run: x, decision: [yes-it-is] }
params: { task: { type: string, default: t } }
`

test('an agent node in the form of the model', async () => {
  const { pipeline: model, warnings } = await parsed(FULL)
  expect(warnings).toEqual([])
  expect(model.summaries).toEqual({ agent: { use: 'api', model: 'small', args: [] } })
  expect(model.prices).toEqual({ 'x-ai/m': { input: 1, output: 2, cache_read: 0.1 } })
  const [node, command] = model.nodes
  expect(node).toMatchObject({
    kind: 'agent',
    agent: {
      use: 'command',
      command: {
        shell: 'sh',
        script: 'run-it --task "${SPANWRIGHT_X1}"',
        bindings: [{ name: 'SPANWRIGHT_X1', expression: 'params.task' }],
      },
      permission: 'read',
      fallback: [
        { use: 'claude', model: 'm1', args: [] },
        { use: 'claude', model: 'm2', args: [] },
      ],
      escalate: { use: 'codex', args: ['--x', '${{ run.name }}'], after: 2 },
      stalls: { start_ms: 10_000, start: 'end', silence: 'wait', loop_repeats: 8, loop: 'end', linger_ms: 5_000 },
    },
    retry: { max_attempts: 3, initial_ms: 0, factor: 1, jitter: 0, on: ['invalid_output'] },
    checks: [
      { name: 'files out/${{ params.task }}.md', rule: { required_files: ['out/${{ params.task }}.md'] }, level: 'L1' },
      {
        name: 'forbid .env secrets',
        rule: { forbidden: { paths: ['.env'], patterns: [], secrets: true } },
        level: 'L0',
      },
      { name: 'scope src/**', rule: { scope: ['src/**'] }, required: false },
      { name: 'shape', rule: { outputs_schema: { type: 'object', required: ['n'] } }, timeout_ms: 600_000 },
    ],
  })
  expect(new Set(node!.expressions)).toEqual(new Set(['run.id', 'nodes.b.session', 'run.name', 'params.task']))
  // A command is not repeated by itself: what it does may not bear it.
  expect(command!.retry).toMatchObject({ max_attempts: 1 })
})

test('a retry of the node or of the defaults is kept for decisions', async () => {
  const node = (extra: string) => `{ id: a, agent: { use: claude, prompt: p }, decision: [go]${extra} }`
  const max = async (yaml: string) => (await parsed(yaml)).pipeline.nodes[0]!.retry.max_attempts
  expect(await max(one(node('')))).toBe(3)
  expect(await max(one(node(', retry: none')))).toBe(1)
  expect(await max(`defaults: { retry: 2 }\n${one(node(''))}`)).toBe(2)
})

test('the TypeScript of the same pipeline', async () => {
  const definition = pipeline({
    name: 'p',
    summaries: { agent: { use: 'api', model: 'small' } },
    prices: { 'x-ai/m': { input: 1, output: 2, cacheRead: 0.1 } },
    params: { task: { type: 'string', default: 't' } },
    nodes: [
      agent('a', {
        use: 'command',
        command: 'run-it --task ${{ params.task }}',
        prompt: 'Do ${{ run.id }}',
        maxTurns: 4,
        permission: 'read',
        deniedTools: ['Bash'],
        outputSchema: { type: 'object', properties: { n: { type: 'integer' } } },
        session: '${{ nodes.b.session }}',
        envAllow: ['PATH', 'LC_*'],
        fallback: [
          { use: 'claude', model: 'm1' },
          { use: 'claude', model: 'm2' },
        ],
        escalate: { use: 'codex', after: 2, args: ['--x', '${{ run.name }}'] },
        stalls: { start: '10s', onSilence: 'wait' },
        decision: ['go', 'stop'],
        checks: [
          { files: ['out/${{ params.task }}.md'] },
          { forbid: { paths: ['.env'], secrets: true }, level: 'L0' },
          { scope: ['src/**'], required: false },
          { outputs: { type: 'object', required: ['n'] }, name: 'shape' },
        ],
      }),
      run('b', { run: 'x', decision: ['yes-it-is'] }),
    ],
  })
  expect((await parseDefinition(definition)).pipeline).toEqual((await parsed(FULL)).pipeline)
})

test("the contract's example is valid", async () => {
  const { pipeline: model } = await parsed(EXAMPLE, { 'prompts/plan.md': 'Plan ${{ params.target }}' })
  expect(model.nodes.map(({ id, kind }) => [id, kind])).toEqual([
    ['plan', 'agent'],
    ['implement', 'fanout'],
    ['review', 'agent'],
    ['fix', 'agent'],
    ['ship', 'gate'],
    ['deploy', 'run'],
  ])
})

const EXAMPLE = `name: release                            # name and nodes are required
description: Implement, verify and ship one change
params:
  tasks: { type: array, default: [api, web] }
  target: { type: string, default: staging }
secrets: [DEPLOY_TOKEN]                  # masked everywhere; only nodes that list it get it
defaults: { timeout: 30m, retry: none, env: { CI: "1" } }
budget: { usd: 5, tokens: 2000000, time: 4h, attempts: 200, mode: enforce }   # mode: audit | enforce
breaker: { limit: 3 }                    # equal failure signatures before a loop is stopped
max_parallel: 4                          # attempts running at once in this run (default 8)
on_failure: continue                     # continue | fail_fast  (independent nodes)
hooks: { on_success: [npm run announce], on_failure: [npm run page], on_finish: [] }   # nodes also: on_retry
nodes:
  - id: plan
    agent: { use: claude, model: claude-sonnet-5, prompt_file: prompts/plan.md, max_turns: 30 }
    decision: [continue, blocked, needs_input]
  - id: implement
    fanout:
      each: \${{ params.tasks }}
      as: task
      key: \${{ task }}
      max_parallel: 8
      join: all
      on_failure: continue
      workspace: worktree
      merge: all
      nodes:
        - id: build
          run: make "\${{ task }}"
          retry: { max_attempts: 3, initial: 5s, factor: 2, max: 30s, jitter: 0.25, on: [transient, exit_nonzero] }
          checks:
            - { name: tests, run: npm test, level: L1 }
            - { name: lint, run: npm run lint, required: false }
  - id: review
    agent: { use: codex, prompt: "Review the change. End with a JSON disposition." }
    decision: [approve, rework]
    goal_gate: true
    routes:
      - { when: label == "rework", to: fix }
  - id: fix
    routed: true
    agent: { use: claude, prompt: "Fix what the review found." }
    routes: [ { to: review } ]
    max_visits: 5
  - id: ship
    gate: { question: "Ship it?", choices: [approve, reject], timeout: 24h, default: reject }
  - id: deploy
    run: [./deploy.sh, --target, "\${{ params.target }}"]
    secrets: [DEPLOY_TOKEN]
`
