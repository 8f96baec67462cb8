// TypeScript pipelines: the same model as YAML, functions apart, problems with their spelling.
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  agent,
  call,
  child,
  fanout,
  gate,
  pipeline,
  run,
  wait,
  type PipelineDefinition,
} from '../../src/pipeline/builder.ts'
import { parseDefinition, parsePipelineFile } from '../../src/pipeline/load.ts'
import { folder, parsed } from './files.ts'

const BUILDER = pathToFileURL(path.resolve('src/pipeline/builder.ts')).href
const detailsOf = async (definition: PipelineDefinition): Promise<readonly string[]> =>
  parseDefinition(definition).then(
    () => [],
    (error: { details: readonly string[] }) => error.details,
  )

test('a definition and its YAML are the same pipeline', async () => {
  const definition = pipeline({
    name: 'release',
    params: { tasks: { type: 'array', default: ['api'] } },
    secrets: ['TOKEN_X'],
    defaults: { timeout: '30m', retry: { maxAttempts: 2 }, env: { keepMyCase: 'x' } },
    maxParallel: 4,
    onFailure: 'fail_fast',
    hooks: { onSuccess: ['echo ok'] },
    nodes: [
      agent('plan', { use: 'claude', prompt: 'p', maxTurns: 3, decision: ['go', 'stop'], goalGate: true }),
      fanout('each', {
        each: '${{ params.tasks }}',
        as: 'task',
        key: '${{ task }}',
        join: { atLeast: 1 },
        maxParallel: 2,
        nodes: [
          run('build', {
            run: 'make ${{ task }}',
            retry: { maxAttempts: 3, initial: '5s' },
            hooks: { onRetry: ['r'] },
            allowFailure: true,
          }),
        ],
      }),
      gate('ship', { question: 'Ship?', timeout: '24h', default: 'reject' }),
      wait('pause', { for: '5m', needs: [] }),
      run('deploy', ['./deploy.sh', '--x']),
      run('after', {
        run: 'x',
        stallTimeout: '1m',
        leaveRunning: true,
        maxVisits: 3,
        secrets: ['TOKEN_X'],
        outputs: { someName: { type: 'string' } },
        routes: [{ when: 'label == "x"', to: 'plan' }],
      }),
    ],
  })
  const yaml = await parsed(`
name: release
params: { tasks: { type: array, default: [api] } }
secrets: [TOKEN_X]
defaults: { timeout: 30m, retry: { max_attempts: 2 }, env: { keepMyCase: x } }
max_parallel: 4
on_failure: fail_fast
hooks: { on_success: [echo ok] }
nodes:
  - { id: plan, agent: { use: claude, prompt: p, max_turns: 3 }, decision: [go, stop], goal_gate: true }
  - id: each
    fanout:
      { each: '\${{ params.tasks }}', as: task, key: '\${{ task }}', join: { at_least: 1 }, max_parallel: 2, nodes: [
        { id: build, run: 'make \${{ task }}', retry: { max_attempts: 3, initial: 5s }, hooks: { on_retry: [r] }, allow_failure: true } ] }
  - { id: ship, gate: { question: 'Ship?', timeout: 24h, default: reject } }
  - { id: pause, wait: { for: 5m }, needs: [] }
  - { id: deploy, run: [./deploy.sh, --x] }
  - { id: after, run: x, stall_timeout: 1m, leave_running: true, max_visits: 3, secrets: [TOKEN_X], outputs: { someName: { type: string } }, routes: [{ when: 'label == "x"', to: plan }] }
`)
  const { pipeline: model, hash, functions } = await parseDefinition(definition)
  expect(model).toEqual(yaml.pipeline)
  expect(hash).toBe(yaml.hash)
  expect(functions.size).toBe(0)
})

describe('functions', () => {
  const one = () => ({ one: 1 })
  const two = async () => ({ two: 2 })
  test('are kept by the path of their node', async () => {
    const nodes = (step = two) => [
      call('sum', one),
      fanout('f', { count: 2, nodes: [call('sum', { call: step, retry: 3 })] }),
      fanout('g', { branches: { left: [call('sum', step, { timeout: '5s' })] } }),
    ]
    const { pipeline: model, functions, hash } = await parseDefinition(pipeline({ name: 'p', nodes: nodes() }))
    expect([...functions]).toEqual([
      ['sum', one],
      ['f/sum', two],
      ['g:left/sum', two],
    ])
    expect(model.nodes).toMatchObject([
      { kind: 'call', call: { name: 'sum' } },
      { fanout: { nodes: [{ call: { name: 'f/sum' }, retry: { max_attempts: 3 } }] } },
      { fanout: { over: { branches: { left: [{ call: { name: 'g:left/sum' }, timeout_ms: 5_000 }] } } } },
    ])
    expect((await parseDefinition(pipeline({ name: 'p', nodes: nodes() }))).hash).toBe(hash)
    expect((await parseDefinition(pipeline({ name: 'p', nodes: nodes(async () => ({ two: 3 })) }))).hash).not.toBe(hash)
  })
  test('of child pipelines come along under the child', async () => {
    const cwd = await folder({
      'c.ts': `import { call, pipeline } from '${BUILDER}'\nexport default pipeline({ name: 'c', nodes: [call('sum', (ctx): object => ({ n: ctx.params }))] })\n`,
    })
    const definition = pipeline({ name: 'p', nodes: [call('sum', one), child('sub', { file: 'c.ts' })] })
    const { functions, pipeline: model } = await parseDefinition(definition, { cwd })
    expect([...functions.keys()]).toEqual(['sum', 'sub/sum'])
    expect(model.nodes[1]).toMatchObject({ child: { pipeline: { nodes: [{ call: { name: 'sub/sum' } }] } } })
  })
})

describe('files', () => {
  test('.ts and .mjs are imported', async () => {
    const text = `import { pipeline, run } from '${BUILDER}'\nexport default pipeline({ name: 'p', nodes: [run('a', 'echo hi')] })\n`
    const cwd = await folder({ 'p.ts': text, 'q.mjs': text })
    const { hash, pipeline: model } = await parsePipelineFile('p.ts', { cwd })
    expect(model.nodes).toMatchObject([{ id: 'a', run: { script: 'echo hi' } }])
    expect((await parsePipelineFile('q.mjs', { cwd })).hash).toBe(hash)
  })
  test.each([
    [
      'export default { name: "p", nodes: [] }',
      "p.ts:1:1 module-export the default export is not a pipeline; write `export default pipeline({ … })` with pipeline from 'spanwright'",
    ],
    ['export const x = 1', 'p.ts:1:1 module-export the default export is not a pipeline'],
    ['throw new Error("at load")', 'p.ts:1:1 module-load the module cannot be loaded: at load'],
    ['import "./nope.ts"', 'p.ts:1:1 module-load the module cannot be loaded: '],
    ['export default (', 'p.ts:1:1 module-load the module cannot be loaded: '],
  ])('%s', async (text, message) => {
    const cwd = await folder({ 'p.ts': text })
    await expect(parsePipelineFile('p.ts', { cwd })).rejects.toMatchObject({
      code: 'pipeline.invalid',
      details: [expect.stringContaining(message)],
    })
  })
})

test('problems are told in the spelling of TypeScript', async () => {
  const nodes = [
    // @ts-expect-error the key is misspelled
    run('a', { run: 'x', maxVisit: 3 }),
    run('b', { run: 'x', retry: { maxAttempts: 0 } }),
    run('c', { run: 'x', needs: ['bb'] }),
  ]
  expect(await detailsOf(pipeline({ name: 'p', nodes }))).toEqual([
    'pipeline p:1:1 unknown-key unknown key `maxVisit`, did you mean `maxVisits`?',
    'pipeline p:1:1 wrong-value `retry.maxAttempts`: must be at least 1 (the first attempt counts), found 0',
    'pipeline p:1:1 needs-missing `c` needs `bb`, which is no node of this list, did you mean `b`?',
  ])
})

test('a definition that contains itself is an error', async () => {
  const nodes: never[] = []
  const loop = { id: 'f', fanout: { count: 1, nodes } }
  ;(nodes as unknown[]).push(loop)
  expect((await detailsOf(pipeline({ name: 'p', nodes }))).join()).toContain('too-deep')
  const value: { [key: string]: never } = {}
  value['self'] = value as never
  expect(
    (
      await detailsOf(
        pipeline({ name: 'p', params: { x: { type: 'object', default: value } }, nodes: [run('a', 'x')] }),
      )
    ).join(),
  ).toContain('too-deep')
})
