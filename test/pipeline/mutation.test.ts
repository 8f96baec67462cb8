// Damaged pipeline files: whatever is done to a good file, the answer is a pipeline or problems with a place; never a
// crash, never a hang. The seed replays: MUTATION_SEED=n.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { isMap, isScalar, isSeq, parseDocument, visit, type Document, type Node } from 'yaml'
import { SpanwrightError } from '../../src/core/error.ts'
import type { Diagnostic } from '../../src/pipeline/diagnostic.ts'
import { parsePipelineFile, validatePipelineFile } from '../../src/pipeline/load.ts'
import { folder } from './files.ts'

const GOOD = [
  `name: release
params:
  tasks: { type: array, default: [api, web] }
  target: { type: string, default: staging, enum: [staging, production] }
secrets: [DEPLOY_TOKEN]
defaults: { timeout: 30m, retry: none, env: { CI: "1" } }
budget: { usd: 5, tokens: 2000000, time: 4h, attempts: 200, mode: enforce }
breaker: { limit: 3 }
hooks: { on_success: [npm run announce], on_failure: [{ run: [npm, run, page], timeout: 5s }], on_finish: [] }
nodes:
  - id: plan
    agent: { use: claude, model: some-model, prompt: "Plan \${{ params.target }}", max_turns: 30 }
    decision: [continue, blocked]
  - id: implement
    fanout:
      each: \${{ params.tasks }}
      as: task
      key: \${{ task }}
      join: { at_least: 2 }
      nodes:
        - id: build
          run: make "\${{ task }}" && echo 'done' # \${{ not.read }}
          retry: { max_attempts: 3, initial: 5s, factor: 2, max: 30s, jitter: 0.25, on: [transient, exit_nonzero] }
          checks:
            - { name: tests, run: npm test, level: L1 }
  - id: review
    agent: { use: codex, prompt: Review. }
    decision: [approve, rework]
    goal_gate: true
    routes:
      - { when: label == "rework", to: fix }
  - { id: fix, routed: true, run: "true", routes: [{ to: review }], max_visits: 5 }
  - id: ship
    gate: { question: "Ship it?", choices: [approve, reject], timeout: 24h, default: reject }
  - id: deploy
    run: [./deploy.sh, --target, "\${{ params.target }}"]
    secrets: [DEPLOY_TOKEN]
`,
  `x-common: &common { timeout: 5m, grace: 1s, env: { A: b } }
name: shapes
nodes:
  - id: a
    <<: *common
    needs: []
    run: |
      cat <<EOF
      \${{ run.id }} $(echo "\${{ env.A }}")
      EOF
  - id: lanes
    fanout:
      branches:
        left: [{ id: l, run: echo l }]
        right: [{ id: r, wait: { for: 1s } }]
      join: any
      on_failure: ignore
  - id: grid
    needs: [a]
    when: failure() || nodes["a"].label == "x"
    fanout: { matrix: { os: [linux, mac], node: [22, 24], include: [{ os: bsd, node: 24 }], exclude: [] }, nodes: [{ id: t, run: [echo, "\${{ item.os }}"] }] }
  - id: sub
    child: { file: child.yaml, params: { n: 3 } }
    outputs: { n: { type: integer } }
  - id: late
    wait: { until: "2030-01-01T00:00:00Z" }
`,
]
const CHILD =
  'name: child\nparams: { n: { type: integer } }\noutputs: { n: "${{ params.n }}" }\nnodes: [{ id: c, run: "echo ${{ params.n }}" }]\n'

function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

type Random = () => number
const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!

const VALUES: unknown[] = [
  null,
  true,
  0,
  -1,
  Number.POSITIVE_INFINITY,
  Number.NaN,
  3.5,
  '',
  'x',
  '${{',
  '${{ }}',
  '${{ nodes }}',
  '${{ ((((( }}',
  'a\0b',
  '∞',
  [],
  {},
  [[]],
  { a: { b: [] } },
  ['a', 1],
  '30',
  '30s',
  'end',
  'toString',
  '__proto__',
  '../../etc/passwd',
  '/dev/zero',
  { __proto__x: 1, constructor: 2 },
  'p.yaml',
  "'${{ run.id }}'",
]

function nodesOf(document: Document): Node[] {
  const found: Node[] = []
  visit(document, { Node: (_, node) => void found.push(node) })
  return found
}

/** Ways to damage a document; each gives the new text. */
const MUTATIONS: { [name: string]: (text: string, random: Random) => string } = {
  'drop a key': (text, random) =>
    changed(text, (document) => {
      const map = pick(random, nodesOf(document).filter(isMap))
      map?.items.splice(Math.floor(random() * map.items.length), 1)
    }),
  'rename a key': (text, random) =>
    changed(text, (document) => {
      const key = pick(
        random,
        pick(
          random,
          nodesOf(document)
            .filter(isMap)
            .filter((map) => map.items.length > 0),
        ).items,
      ).key
      if (isScalar(key)) key.value = `${String(key.value).slice(0, -1)}${pick(random, ['', 'x', 'zz', '-', ' '])}`
    }),
  'another value': (text, random) =>
    changed(text, (document) => {
      const map = pick(
        random,
        nodesOf(document)
          .filter(isMap)
          .filter((item) => item.items.length > 0),
      )
      pick(random, map.items).value = document.createNode(pick(random, VALUES))
    }),
  'another scalar': (text, random) =>
    changed(text, (document) => {
      const scalar = pick(random, nodesOf(document).filter(isScalar))
      scalar.value = pick(
        random,
        VALUES.filter((value) => typeof value !== 'object'),
      )
    }),
  'repeat an item': (text, random) =>
    changed(text, (document) => {
      const list = pick(
        random,
        nodesOf(document)
          .filter(isSeq)
          .filter((item) => item.items.length > 0),
      )
      list.items.push(pick(random, list.items))
    }),
  'drop an item': (text, random) =>
    changed(text, (document) => {
      const list = pick(
        random,
        nodesOf(document)
          .filter(isSeq)
          .filter((item) => item.items.length > 0),
      )
      list.items.splice(Math.floor(random() * list.items.length), 1)
    }),
  truncate: (text, random) => text.slice(0, Math.floor(random() * text.length)),
  'cut out': (text, random) => {
    const from = Math.floor(random() * text.length)
    return text.slice(0, from) + text.slice(from + Math.floor(random() * 40))
  },
  'insert noise': (text, random) => {
    const at = Math.floor(random() * text.length)
    return (
      text.slice(0, at) +
      pick(random, [
        '\0',
        '\t',
        '\r',
        '}',
        '- ',
        ': ',
        '&a ',
        '*a',
        '"',
        "'",
        '\u{1f600}',
        '\ufeff',
        '%',
        '!!js ',
        '| ',
        '<<: ',
        '${{',
      ]) +
      text.slice(at)
    )
  },
  'swap lines': (text, random) => {
    const lines = text.split('\n')
    const [a, b] = [Math.floor(random() * lines.length), Math.floor(random() * lines.length)]
    ;[lines[a], lines[b]] = [lines[b]!, lines[a]!]
    return lines.join('\n')
  },
  reindent: (text, random) =>
    text
      .split('\n')
      .map((line) => (random() < 0.1 ? ` ${line}` : line))
      .join('\n'),
}

function changed(text: string, change: (document: Document) => void): string {
  const document = parseDocument(text, { merge: true })
  try {
    change(document)
    return document.toString()
  } catch {
    return text // the mutation made something YAML cannot write
  }
}

/** A pipeline, or problems with a place. */
async function judged(cwd: string, what: string): Promise<'valid' | 'invalid'> {
  return (await judgement(cwd, what)).verdict
}

async function judgement(
  cwd: string,
  what: string,
): Promise<{ verdict: 'valid' | 'invalid'; diagnostics: Diagnostic[] }> {
  const diagnostics = await validatePipelineFile('p.yaml', { cwd })
  const unclear = diagnostics.filter(({ file, line, column, rule, message }) => {
    const placed =
      file.endsWith('.yaml') && Number.isInteger(line) && line >= 1 && Number.isInteger(column) && column >= 1
    return !placed || !/^[a-z-]+$/.test(rule) || /undefined|\[object|Invalid input|TypeError/.test(message)
  })
  expect({ what, unclear }).toEqual({ what, unclear: [] })
  const errors = diagnostics.filter((item) => item.severity === 'error').length
  try {
    const { pipeline } = await parsePipelineFile('p.yaml', { cwd })
    expect({ what, errors, pipeline }).toEqual({ what, errors: 0, pipeline: JSON.parse(JSON.stringify(pipeline)) })
    return { verdict: 'valid', diagnostics }
  } catch (error) {
    if (!(error instanceof SpanwrightError)) throw new Error(`${what}: ${String(error)}`, { cause: error })
    expect({ what, code: error.code, errors: error.details.length }).toEqual({ what, code: 'pipeline.invalid', errors })
    return { verdict: 'invalid', diagnostics }
  }
}

test('120 damaged files', async () => {
  const seed = Number(process.env['MUTATION_SEED'] ?? 20_261_121)
  const cwd = await folder({ 'child.yaml': CHILD })
  const counts = { valid: 0, invalid: 0 }
  for (const [index, good] of GOOD.entries()) {
    await writeFile(path.join(cwd, 'p.yaml'), good)
    expect(await judged(cwd, `good ${index}`)).toBe('valid')
  }
  const names = Object.keys(MUTATIONS)
  for (let i = 0; i < 120; i++) {
    const random = generator(seed + i)
    const name = names[i % names.length]!
    let text = MUTATIONS[name]!(pick(random, GOOD), random)
    if (random() < 0.3) text = MUTATIONS[pick(random, names)]!(text, random)
    await writeFile(path.join(cwd, 'p.yaml'), text)
    counts[await judged(cwd, `seed ${seed + i} (${name})`)]++
  }
  expect(counts.invalid).toBeGreaterThan(50)
  expect(counts.valid).toBeGreaterThan(5)
})

const repeat = (text: string, count: number): string => text.repeat(count)
const chain = (depth: number): string => {
  let nodes = '[{id: x, run: x}]'
  for (let i = 0; i < depth; i++) nodes = `[{id: f, fanout: {count: 1, nodes: ${nodes}}}]`
  return `name: p\nnodes: ${nodes}\n`
}
const bomb = (width: number): string => {
  const letters = [...'abcdefghij']
  const rows = letters.map(
    (letter, i) =>
      `x-${letter}: &${letter} [${i === 0 ? repeat('lol,', width) : repeat(`*${letters[i - 1]},`, width)}]`,
  )
  return `${rows.join('\n')}\nname: p\nnodes: [{id: a, run: x}]\n`
}

test.each<[string, string, RegExp | undefined]>([
  ['deep brackets', repeat('[', 20_000), /too-deep/],
  ['deep maps', repeat('{a: ', 10_000), /too-deep/],
  ['deep blocks', Array.from({ length: 1_200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), /too-deep/],
  ['fan-outs within the limit', chain(15), undefined],
  ['fan-outs too deep', chain(17), /too-deep nodes nest deeper than 16 levels/],
  ['fan-outs far too deep', chain(60), /too-deep/],
  ['an alias bomb', bomb(9), /alias-expansion aliases may expand at most 100 times/],
  [
    'one large anchor, many aliases',
    `x-a: &a [${repeat('lol,', 20_000)}]\nx-b: [${repeat('*a,', 90)}]\nname: p\nnodes: [{id: a, run: x}]\n`,
    /alias-expansion aliases expand the file to more than/,
  ],
  ['an alias of itself', 'name: p\nnodes: &n [{id: a, fanout: {count: 1, nodes: *n}}]\n', /too-deep|alias-expansion/],
  [
    'too many nodes',
    `name: p\nnodes:\n${repeat('  - {id: a, run: x}\n', 10_001)}`,
    /too-many-nodes a pipeline file holds at most 10000 nodes/,
  ],
  ['too large', `# ${repeat('x', 1024 * 1024)}\n`, /file-size/],
  ['not UTF-8', '\u00ff', /file-unreadable the file is not UTF-8 text/],
  ['NUL bytes', repeat('\0', 1_000), /./],
])('%s', async (name, text, expected) => {
  const cwd = await folder({})
  await writeFile(path.join(cwd, 'p.yaml'), name === 'not UTF-8' ? Buffer.from(text, 'latin1') : text)
  const { verdict, diagnostics } = await judgement(cwd, name)
  expect(verdict).toBe(expected ? 'invalid' : 'valid')
  if (expected) expect(diagnostics.map((item) => `${item.rule} ${item.message}`).join('\n')).toMatch(expected)
})

test('4,000 nodes that all look at each other are judged in time', async () => {
  const nodes = Array.from(
    { length: 4_000 },
    (_, i) => `  - {id: my-${i}, needs: [my-${(i * 7) % (i || 1)}], run: 'echo "\${{ nodes["my-${i}"].label }}"'}`,
  )
  nodes[0] = '  - {id: my-0, run: x}'
  const cwd = await folder({ 'p.yaml': `name: p\nnodes:\n${nodes.join('\n')}\n` })
  expect(await judged(cwd, 'many nodes')).toBe('valid')
})

test('thousands of problems among thousands of names are told in time', async () => {
  const lanes = Array.from(
    { length: 1_500 },
    (_, i) =>
      `  - {id: node_${i}, needs: [nodd_${i}], fanout: {count: 1, nodes: [{id: inner_${i}, run: 'x \${{ nodes.innes_${i}.label }} \${{ itom }}'}]}}`,
  )
  const cwd = await folder({ 'p.yaml': `name: p\nnodes:\n${lanes.join('\n')}\n` })
  const diagnostics = await validatePipelineFile('p.yaml', { cwd })
  expect(diagnostics).toHaveLength(4_500)
})
