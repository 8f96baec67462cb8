// Owns: the shape of one node of the pipeline file, all kinds (DESIGN 3). Must not: hold rules that need more than the
// value itself (rules-*.ts do).
import { z } from 'zod'
import { agent } from './schema-agent.ts'
import {
  budget,
  check,
  command,
  duration,
  durationOrTemplate,
  environment,
  json,
  nodeHooks,
  nodeId,
  positive,
  retry,
  says,
  secretName,
  template,
  text,
} from './schema-terms.ts'

const join = z.union(
  [
    z.enum(['all', 'any']),
    z.strictObject({ at_least: positive.describe('Branches that must succeed.') }),
    z.strictObject({ quorum: z.number().describe('Share of the branches that must succeed, in (0, 1].') }),
  ],
  says('expected all, any, { at_least: n } or { quorum: share }'),
)

const list = (what: string) => z.union([z.array(json), template], says(`expected ${what} or one expression: \${{ … }}`))

const fanout = z.strictObject({
  each: list('a list').optional().describe('A list, or an expression giving one: a branch per item.'),
  count: z
    .union([z.int().min(0), template], says('expected a whole number or one expression: ${{ … }}'))
    .optional()
    .describe('Number of branches; item is 0, 1, 2 …'),
  get branches() {
    return z.record(z.string(), z.array(nodeSchema)).optional().describe('Named branches, each with its own nodes.')
  },
  matrix: z
    .record(z.string(), list('a list'))
    .optional()
    .describe('A branch per combination of the axes; `include` adds combinations, `exclude` removes some.'),
  as: text.optional().describe('Name under which expressions see the item (`item` always works).'),
  key: text.optional().describe('Branch key of an item (each only), e.g. ${{ task.name }}.'),
  max_parallel: positive.optional().describe('Branches at once; default: no bound of its own.'),
  join: join.optional().describe('When the fan-out succeeds; default all.'),
  on_failure: z
    .enum(['continue', 'fail_fast', 'ignore'])
    .optional()
    .describe('What a failed branch does to the others; default continue.'),
  workspace: z
    .enum(['shared', 'worktree'])
    .optional()
    .describe('worktree gives each branch a git worktree; default shared.'),
  merge: z
    .enum(['all', 'best', 'none'])
    .optional()
    .describe('Which branches are merged back (worktree only); default all.'),
  get nodes() {
    return z.array(nodeSchema).optional().describe('The graph of each branch (not with `branches`).')
  },
})

const gate = z.strictObject({
  question: text.describe('What a person is asked; may hold ${{ … }}.'),
  choices: z.array(text).min(1).optional().describe('Default [approve, reject].'),
  reject: z.array(text).optional().describe('Choices that fail the gate; default: the choice named reject.'),
  timeout: duration.optional().describe('How long to wait for an answer; default: for ever.'),
  default: text.optional().describe('The answer when the time is over; without it the gate fails.'),
})

const child = z.strictObject({
  file: text.describe('Pipeline file, relative to this file.'),
  params: z.record(z.string(), json).optional().describe('Values for its params; may hold ${{ … }}.'),
})

const wait = z.strictObject({
  for: durationOrTemplate.optional().describe('How long, e.g. 5m.'),
  until: text.optional().describe('Until when (RFC 3339), or an expression giving it.'),
})

const route = z.strictObject({
  when: z
    .union([text, z.boolean()], says('expected a CEL expression'))
    .optional()
    .describe('CEL; the first route whose `when` holds is taken. None = always.'),
  to: text.describe('A node of the same scope, `end` or `fail`.'),
})

/** The key that says a node's kind, each with what it holds. */
const kindKeys = {
  run: command
    .optional()
    .describe('Kind: a command. String = shell script, list = program and arguments without a shell.'),
  agent: agent.optional().describe('Kind: a coding agent.'),
  call: z.strictObject({ name: text }).optional().describe('Kind: a function of a TypeScript pipeline.'),
  fanout: fanout.optional().describe('Kind: the same nodes in several branches.'),
  gate: gate.optional().describe('Kind: waits for a person.'),
  child: child.optional().describe('Kind: another pipeline as a part of this run.'),
  wait: wait.optional().describe('Kind: waits for a time.'),
}
export const KIND_KEYS = [
  'run',
  'agent',
  'call',
  'fanout',
  'gate',
  'child',
  'wait',
] as const satisfies readonly (keyof typeof kindKeys)[]

export const nodeSchema = z
  .strictObject({
    id: nodeId.describe('Unique in its list; letters, digits, _ and -.'),
    description: z.string().optional(),
    ...kindKeys,
    needs: z
      .array(z.string())
      .optional()
      .describe(
        'Nodes that must have a result first; default: the nearest node above that is not routed. [] = starts at once.',
      ),
    when: z
      .union([text, z.boolean()], says('expected a CEL expression'))
      .optional()
      .describe('CEL; the node is skipped when it does not hold.'),
    routes: z.array(route).optional().describe('Where to go after the final outcome (loops).'),
    routed: z.boolean().optional().describe('true: starts only when a route leads to it.'),
    retry: retry.optional().describe('Preset, number of attempts, or map; run, agent and call only.'),
    timeout: duration.optional().describe('Of one attempt (default 1h); of the visit for kinds without attempts.'),
    stall_timeout: z
      .union([duration, z.literal('off')], says('a duration needs a unit, like 10m; `off` switches it off'))
      .optional()
      .describe('No output and no progress for this long ends the attempt; default 10m for agents, off otherwise.'),
    grace: duration.optional().describe('Between TERM and KILL; default 5s.'),
    checks: z.array(check).optional().describe('Verifications after a main action that succeeded.'),
    outputs: z.record(z.string(), z.record(z.string(), json)).optional().describe('JSON Schema per output name.'),
    env: environment.optional().describe('Environment variables; values may hold ${{ … }}.'),
    secrets: z.array(secretName).optional().describe('Secrets (declared at the top) that this node gets.'),
    shell: z
      .enum(['sh', 'bash'])
      .optional()
      .describe('Shell of its string commands: sh -ec (default) or bash -eo pipefail -c.'),
    cwd: text.optional().describe('Working directory; default: where the command was called.'),
    hooks: nodeHooks.optional(),
    decision: z
      .array(text)
      .min(1)
      .optional()
      .describe('Labels of which the outcome must have one; fail and blocked are failures.'),
    goal_gate: z.boolean().optional().describe('Its scope fails if it did not succeed.'),
    allow_failure: z.boolean().optional().describe('Its failure is tolerated.'),
    budget: budget.optional(),
    max_visits: positive.optional().describe('How often it may be entered; default 20.'),
    leave_running: z.boolean().optional().describe('Its processes live until the run ends.'),
  })
  .meta({ id: 'node' })
export type NodeFile = z.infer<typeof nodeSchema>
