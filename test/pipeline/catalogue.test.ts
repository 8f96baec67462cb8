// The catalogue of problems: what each mistake is told, word for word where users and tools rely on it.
import { expect, test } from 'vitest'
import { problemsOf } from './files.ts'

const head = 'name: p\nnodes:\n'
const inline = (nodes: string): string =>
  `${head}${nodes
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n`

const CATALOGUE: [what: string, yaml: string, problems: (string | RegExp)[]][] = [
  [
    'unknown key of a node',
    inline('- id: a\n  run: x\n  retires: 3'),
    ['p.yaml:5:5 unknown-key unknown key `retires`, did you mean `retry`?'],
  ],
  [
    'unknown key at the top',
    `nmae: x\n${head}  - {id: a, run: x}`,
    ['p.yaml:1:1 unknown-key unknown key `nmae`, did you mean `name`?'],
  ],
  [
    'unknown key inside a kind',
    inline('- {id: a, fanout: {count: 1, max_paralel: 2, nodes: [{id: b, run: x}]}}'),
    ['p.yaml:3:32 unknown-key unknown key `max_paralel`, did you mean `max_parallel`?'],
  ],
  [
    'missing keys',
    'x-y: 1\n',
    ['p.yaml:1:1 missing-key missing key `name`', 'p.yaml:1:1 missing-key missing key `nodes`'],
  ],
  ['empty file', '', ['p.yaml:1:1 wrong-type expected a map, found nothing']],
  [
    'no nodes',
    'name: p\nnodes: []\n',
    ['p.yaml:2:8 wrong-value `nodes`: a pipeline needs at least one node, found a list'],
  ],
  [
    'duration without a unit',
    inline('- {id: a, run: x, timeout: 30}'),
    ['p.yaml:3:30 wrong-type `timeout`: a duration needs a unit (ms, s, m, h or d), like 30s or 1h30m, found 30'],
  ],
  [
    'wrong enum',
    inline('- {id: a, run: x, shell: fish}'),
    ['p.yaml:3:28 wrong-value `shell`: expected one of sh, bash, found "fish"'],
  ],
  [
    'unknown preset',
    inline('- {id: a, run: x, retry: agressive}'),
    [/^p\.yaml:3:28 wrong-value `retry`: expected one of none, standard, aggressive, linear, patient, a number/],
  ],
  [
    'wrong type',
    inline('- {id: a, run: x, goal_gate: maybe}'),
    ['p.yaml:3:32 wrong-type `goal_gate`: expected true or false, found "maybe"'],
  ],
  [
    'env is text',
    inline('- {id: a, run: x, env: {A: 1}}'),
    ['p.yaml:3:30 wrong-type `env.A`: values of env are text: put quotes around it, found 1'],
  ],
  [
    'no kind',
    inline('- id: a'),
    ['p.yaml:3:5 node-kind node `a` does nothing; give it exactly one of run, agent, fanout, gate, child, wait'],
  ],
  [
    'two kinds',
    inline('- id: a\n  run: x\n  wait: {for: 1s}'),
    ['p.yaml:5:11 node-kind node `a` has 2 kinds: run, wait; a node has exactly one; split it'],
  ],
  [
    'functions in YAML',
    inline('- {id: a, call: {name: f}}'),
    [/^p\.yaml:3:19 call-function only a TypeScript pipeline can call functions/],
  ],
  [
    'bad id',
    inline('- {id: a b, run: x}'),
    ['p.yaml:3:10 bad-id `id`: ids begin with a letter or _ and hold letters, digits, _ and - only, found "a b"'],
  ],
  [
    'reserved id',
    inline('- {id: end, run: x}'),
    ['p.yaml:3:10 bad-id `end` means something else in routes; choose another id'],
  ],
  [
    'duplicate id',
    inline('- {id: a, run: x}\n- {id: a, run: x}'),
    ['p.yaml:4:10 duplicate-id another node of this list is called `a` (line 3); rename one of them'],
  ],
  [
    'missing need',
    inline('- {id: build, run: x}\n- {id: b, run: x, needs: [biuld]}'),
    ['p.yaml:4:29 needs-missing `b` needs `biuld`, which is no node of this list, did you mean `build`?'],
  ],
  [
    'cycle',
    inline('- {id: a, run: x, needs: [b]}\n- {id: b, run: x}'),
    ['p.yaml:4:5 needs-cycle needs go in a circle: a → b → a; use routes for loops'],
  ],
  [
    'cycle of one',
    inline('- {id: a, run: x, needs: [a]}'),
    ['p.yaml:3:28 needs-cycle needs go in a circle: a → a; use routes for loops'],
  ],
  [
    'route to a missing node',
    inline('- {id: a, run: x, routes: [{when: "true", to: bb}]}\n- {id: b, run: x}'),
    ['p.yaml:3:49 route-missing the route leads to `bb`, which is no node of this list, did you mean `b`?'],
  ],
  [
    'routed and unreached',
    inline('- {id: a, run: x}\n- {id: b, run: x, routed: true}'),
    [
      'p.yaml:4:10 unreachable `b` is `routed` and no route that can be taken leads to it; add a route with `to: b`, or remove `routed`',
    ],
  ],
  [
    'needs a routed node that no route reaches',
    inline('- {id: a, run: x, routed: true}\n- {id: b, run: x, needs: [a]}'),
    [
      /^p\.yaml:3:10 unreachable/,
      'p.yaml:4:29 needs-unreached `b` needs `a`, which is `routed` and no route of this list leads to it; add a route to `a` or remove `routed`',
    ],
  ],
  [
    'behind a route that is always taken',
    inline('- {id: a, run: x, routes: [{to: end}]}\n- {id: b, run: x}'),
    [
      'p.yaml:4:10 unreachable `b` can never start: it needs `a`, whose route without `when` is always taken; give that route a `when`, or change `needs`',
    ],
  ],
  [
    'join beyond its branches',
    inline('- {id: a, fanout: {each: [1, 2], join: {at_least: 3}, nodes: [{id: b, run: x}]}}'),
    ['p.yaml:3:53 join-impossible the join can never be met: at_least 3 of 2 branches; use at_least 2 or less'],
  ],
  [
    'join beyond a matrix',
    inline('- {id: a, fanout: {matrix: {x: [1, 2], y: [1, 2]}, join: {at_least: 5}, nodes: [{id: b, run: x}]}}'),
    [/at_least 5 of 4 branches/],
  ],
  [
    'quorum out of range',
    inline('- {id: a, fanout: {count: 2, join: {quorum: 1.5}, nodes: [{id: b, run: x}]}}'),
    [/join-impossible a quorum is a share in \(0, 1\], found 1\.5/],
  ],
  [
    'retry without attempts',
    inline('- {id: a, wait: {for: 1s}, retry: 3, stall_timeout: 1s}'),
    [
      'p.yaml:3:37 no-attempts `retry` is for run, agent and call nodes; a wait node has no attempts; remove it',
      /no-attempts `stall_timeout`/,
    ],
  ],
  [
    'when that does not compile',
    inline('- {id: a, run: x, when: "1 +"}'),
    ['p.yaml:3:31 expression `1 +` does not compile: Unexpected token: EOF'],
  ],
  [
    'when that is no condition',
    inline('- {id: a, run: x, when: \'"yes"\'}'),
    ['p.yaml:3:28 expression `"yes"` must be true or false, it is of type string'],
  ],
  [
    'unknown node in an expression',
    inline('- {id: build, run: x}\n- {id: b, run: x, when: nodes.biuld.result == "success"}'),
    ['p.yaml:4:27 expression-unknown there is no node `biuld`, did you mean `build`?'],
  ],
  [
    'unknown param',
    `params: {target: {type: string}}\n${inline('- {id: a, run: "x ${{ params.tarhet }}"}')}`,
    ['p.yaml:4:25 expression-unknown unknown param `tarhet`, did you mean `target`?; there are target'],
  ],
  [
    'label before the outcome',
    inline('- {id: a, run: x, when: label == "x"}'),
    [/^p\.yaml:3:27 expression-unknown `label` is known only after the node's outcome/],
  ],
  [
    'ids with a dash',
    inline('- {id: my-node, run: x}\n- {id: b, run: x, when: nodes.my-node.result == "success"}'),
    [
      'p.yaml:4:27 node-id-quoting `nodes.my-node` does not name node `my-node`: CEL reads `-` as minus; write nodes["my-node"]',
    ],
  ],
  [
    'ids that are keywords',
    inline('- {id: in, run: x}\n- {id: b, run: x, when: nodes.in.result == "success"}'),
    [/node-id-quoting `nodes\.in` .* write nodes\["in"\]/],
  ],
  [
    'an expression in single quotes',
    inline("- id: a\n  run: |\n    echo 'it is ${{ run.id }}'"),
    [
      'p.yaml:5:19 shell-quote an expression inside single quotes would stay literal text; use double quotes around it, or end the single quotes before it',
    ],
  ],
  ['eval', inline('- id: a\n  run: eval ${{ run.id }}'), [/^p\.yaml:4:15 shell-eval/]],
  [
    'unclosed expression',
    inline('- id: a\n  run: echo ${{ run.id'),
    ['p.yaml:4:10 expression `${{` is not closed; close it with }}'],
  ],
  [
    'secret not declared',
    `secrets: [DEPLOY_TOKEN]\n${inline('- {id: a, run: x, secrets: [DEPLOY_TOKN]}')}`,
    ['p.yaml:4:31 secret-undeclared secret `DEPLOY_TOKN` is not declared, did you mean `DEPLOY_TOKEN`?'],
  ],
  [
    'default not among choices',
    inline('- {id: a, gate: {question: q, choices: [yes, no], timeout: 1h, default: maybe}}'),
    [/choice-unknown `maybe` is none of the choices \(yes, no\)/],
  ],
  [
    'reject not among choices',
    inline('- {id: a, gate: {question: q, reject: [nope]}}'),
    [/choice-unknown `nope` is none of the choices \(approve, reject\)/],
  ],
  [
    'prompt file missing',
    inline('- {id: a, agent: {use: claude, prompt_file: nope.md}}'),
    ['p.yaml:3:47 file-missing prompt file `nope.md` does not exist; paths are relative to the pipeline file'],
  ],
  [
    'child missing',
    inline('- {id: a, child: {file: nope.yaml}}'),
    ['p.yaml:3:27 child-missing child pipeline `nope.yaml` does not exist; paths are relative to the pipeline file'],
  ],
  [
    'child of itself',
    inline('- {id: a, child: {file: p.yaml}}'),
    ['p.yaml:3:27 child-cycle child pipelines go in a circle: p.yaml → p.yaml; use routes for loops'],
  ],
  [
    'default of another type',
    `params: {n: {type: integer, default: x}}\n${inline('- {id: a, run: x}')}`,
    ['p.yaml:1:38 wrong-value the default of `n` is not of its type (integer)'],
  ],
  ['YAML that is none', 'name: [p\n', [/^p\.yaml:\d+:\d+ yaml-syntax /]],
  [
    'a key twice',
    'name: p\nname: q\nnodes: []\n',
    ['p.yaml:2:1 duplicate-key this key is already in the mapping; remove one of them'],
  ],
]

test.each(CATALOGUE)('%s', async (_, yaml, expected) => {
  const problems = await problemsOf(yaml)
  expect(problems).toHaveLength(expected.length)
  for (const [index, text] of expected.entries()) {
    if (typeof text === 'string') expect(problems[index]).toBe(text)
    else expect(problems[index]).toMatch(text)
  }
})

test('all problems are reported at once, in file order', async () => {
  const problems = await problemsOf(
    inline(
      '- {id: a, run: 5, retires: 1, needs: [z]}\n- {id: b, run: "${{ params.x }}", when: "("}\n- {id: a, agent: {use: x}}',
    ),
  )
  expect(problems.map((line) => line.split(' ')[0] + ' ' + line.split(' ')[1])).toEqual([
    'p.yaml:3:18 wrong-value',
    'p.yaml:3:21 unknown-key',
    'p.yaml:3:41 needs-missing',
    'p.yaml:4:23 expression-unknown',
    'p.yaml:4:45 expression',
    'p.yaml:5:10 duplicate-id',
    'p.yaml:5:20 wrong-value',
    'p.yaml:5:26 wrong-value',
  ])
})

test('expressions in prompt files are checked where they stand', async () => {
  const yaml = inline('- {id: a, agent: {use: claude, prompt_file: prompts/a.md}}')
  expect(
    await problemsOf(yaml, {
      'prompts/a.md': 'Work on ${{ run.id }}\n\nand ${{ params.nope }}, ${{ nodes.b.label }}\n',
    }),
  ).toEqual([
    'prompts/a.md:3:9 expression-unknown unknown param `nope`; declare it under `params` at the top',
    'prompts/a.md:3:29 expression-unknown there is no node `b`, did you mean `a`?',
  ])
})
