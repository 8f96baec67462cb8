// The committed JSON Schema is the one of the code, and the drawings of a pipeline.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { toDot, toMermaid } from '../../src/pipeline/render.ts'
import { pipelineJsonSchema } from '../../src/pipeline/schema.ts'
import { parsed } from './files.ts'

test('schema/pipeline.schema.json is up to date (scripts/generate-schema.ts writes it)', async () => {
  const committed = await readFile(new URL('../../schema/pipeline.schema.json', import.meta.url), 'utf8')
  expect(JSON.parse(committed)).toEqual(JSON.parse(JSON.stringify(pipelineJsonSchema())))
})

test('editors get names, values, descriptions and free x- keys', () => {
  const schema = JSON.parse(JSON.stringify(pipelineJsonSchema()))
  expect(schema).toMatchObject({
    $schema: expect.stringContaining('2020-12'),
    additionalProperties: false,
    patternProperties: { '^x-': {} },
    required: ['name', 'nodes'],
  })
  const { node } = schema.$defs
  expect(node.properties.shell.enum).toEqual(['sh', 'bash'])
  const properties = Object.entries<{ description?: string }>(node.properties)
  expect(properties.filter(([, property]) => !property.description).map(([key]) => key)).toEqual([
    'description',
    'hooks',
    'budget',
  ])
})

const YAML = `name: p "q"
nodes:
  - { id: plan, agent: { use: claude, prompt: x } }
  - { id: f, fanout: { each: [1, 2], nodes: [{ id: b, run: x }] } }
  - { id: lanes, fanout: { branches: { left: [{ id: b, run: x }] } } }
  - { id: end-node, run: x, routes: [{ when: label == "again", to: plan }, { when: label == "stop", to: fail }] }
  - { id: ok, gate: { question: 'Ship "it"?' } }
  - { id: sub, child: { file: c.yaml } }
`
const CHILD = { 'c.yaml': 'name: c\nnodes: [{ id: b, wait: { for: 1s } }]\n' }

test('Mermaid', async () => {
  expect(toMermaid((await parsed(YAML, CHILD)).pipeline)).toBe(`flowchart TD
  n1(["plan (claude)"])
  subgraph n2["f × 2"]
    n3["b"]
  end
  subgraph n4["lanes × 1"]
    subgraph n5["left"]
      n6["b"]
    end
  end
  n7["end-node"]
  n8{"ok: Ship #34;it#34;?"}
  subgraph n9["sub (c.yaml)"]
    n10(("b"))
  end
  n1 --> n2
  n2 --> n4
  n4 --> n7
  n7 -. "label == #34;again#34;" .-> n1
  n11(["fail"])
  n7 -. "label == #34;stop#34;" .-> n11
  n7 --> n8
  n8 --> n9
`)
})

test('Graphviz', async () => {
  const text = toDot((await parsed(YAML, CHILD)).pipeline)
  for (const line of [
    'digraph "p \\"q\\"" {',
    '  "plan" [label="plan (claude)" shape=oval]',
    '  subgraph "cluster_f" {',
    '    "f/b" [label="b" shape=box]',
    '    subgraph "cluster_lanes:left/" {',
    '  "ok" [label="ok: Ship \\"it\\"?" shape=diamond]',
    '  "end-node" -> "plan" [style=dashed label="label == \\"again\\""]',
    '  "@fail" [label="fail" shape=doublecircle]',
    '    "sub/b" [label="b" shape=circle]',
    '  "plan" -> "f"',
  ])
    expect(text).toContain(`${line}\n`)
  expect(text.split('{').length).toBe(text.split('}').length)
})
