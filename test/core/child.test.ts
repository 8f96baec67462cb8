// DESIGN 3, Child pipelines: scopes of the same run with their own params, defaults, outputs, budget, hooks, on_failure.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parsePipelineFile } from '../../src/pipeline/load.ts'
import { attempts, cause, chain, killed, playUntil, results, SIGINT, type Answer } from '../support/play.ts'
import { answers, World, type Script } from '../support/world.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

async function withChild(
  child: string,
  parent: string,
  script: Script | Parameters<typeof answers>[0] = {},
): Promise<World> {
  const folder = mkdtempSync(path.join(tmpdir(), 'spanwright-'))
  folders.push(folder)
  writeFileSync(path.join(folder, 'child.yaml'), `name: inner\n${child}`)
  writeFileSync(path.join(folder, 'parent.yaml'), `name: outer\n${parent}`)
  const { pipeline } = await parsePipelineFile(path.join(folder, 'parent.yaml'))
  return new World(pipeline, typeof script === 'function' ? script : answers(script)).create()
}
const call = 'nodes: [{ id: c, child: { file: child.yaml } }, { id: z, run: x }]'

describe('a child pipeline', () => {
  test('is a scope of the same run: paths, results, counts', async () => {
    const world = (await withChild('nodes: [{ id: a, run: x }, { id: b, run: x }]', call)).play()
    expect(attempts(world)).toEqual(['c/a@1.1', 'c/b@1.1', 'z@1.1'])
    expect(world.events('node.started', 'c/a')[0]!.parent_span_id).toBe(world.events('node.started', 'c')[0]!.span_id)
    expect(world.events('node.finished', 'c')[0]).toMatchObject({
      result: 'success',
      children: { total: 2, failed: 0 },
      rollup: { attempts: 2 },
    })
  })

  test('its budget is on record beside that of its node', async () => {
    const world = (
      await withChild(
        'budget: { tokens: 50 }\nnodes: [{ id: a, run: x }]',
        'nodes: [{ id: c, budget: { attempts: 2 }, child: { file: child.yaml } }]',
      )
    ).play()
    expect(world.events('node.started', 'c')[0]).toMatchObject({
      budget: { attempts: 2, mode: 'enforce' },
      child_budget: { tokens: 50, mode: 'enforce' },
    })
    expect(world.events('node.started', 'c/a')[0]).not.toHaveProperty('child_budget')
  })

  test('params: given ones, defaults, and one that is missing', async () => {
    const inner =
      'params: { who: { type: string }, n: { type: integer, default: 7 } }\nnodes: [{ id: a, run: [echo, "${{ params.who }}", "${{ params.n }}"] }]'
    const world = (
      await withChild(
        inner,
        'params: { me: { type: string, default: ada } }\nnodes: [{ id: c, child: { file: child.yaml, params: { who: "${{ params.me }}" } } }]',
      )
    ).play()
    expect(world.events('attempt.started')[0]!.inputs).toEqual({ 'params.who': 'ada', 'params.n': 7 })
  })

  test('a value of the wrong type is config_invalid before anything starts inside', async () => {
    const inner = 'params: { n: { type: integer, default: 7 } }\nnodes: [{ id: a, run: x }]'
    const world = (
      await withChild(
        inner,
        'nodes: [{ id: s, run: x }, { id: c, child: { file: child.yaml, params: { n: "${{ nodes.s.outputs.n }}" } } }]',
        { s: [{ outputs: { n: 'seven' } }] },
      )
    ).play()
    expect(world.finished.failure).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('param n'),
    })
    expect(attempts(world)).toEqual(['s@1.1'])
  })

  test('outputs are its own, by its `outputs:`', async () => {
    const world = (
      await withChild(
        'outputs: { total: "${{ nodes.a.outputs.n }}" }\nnodes: [{ id: a, run: x }]',
        'nodes: [{ id: c, child: { file: child.yaml } }, { id: z, run: [echo, "${{ nodes.c.outputs.total }}"] }]',
        { a: [{ outputs: { n: 42 } }] },
      )
    ).play()
    expect(world.events('attempt.started', 'z')[0]!.inputs).toEqual({ 'nodes.c.outputs.total': 42 })
  })

  test("the parent's nodes are not visible inside", async () => {
    await expect(
      withChild(
        'nodes: [{ id: a, run: [echo, "${{ nodes.outer.label }}"] }]',
        'nodes: [{ id: outer, run: x }, { id: c, child: { file: child.yaml } }]',
      ),
    ).rejects.toThrow(/outer/)
  })

  test('its failure is handed on verbatim', async () => {
    const world = (
      await withChild('nodes: [{ id: a, run: x }, { id: b, run: x }]', call, { a: ['disk is full: /var'] })
    ).play()
    expect(world.finished.failure).toEqual(world.events('attempt.finished', 'c/a')[0]!.failure)
    expect(results(world)).toEqual({
      'c/a': 'failure',
      'c/b': 'skip: upstream_failed',
      c: 'failure',
      z: 'skip: upstream_failed',
    })
  })

  test('on_failure holds inside, not outside', async () => {
    const world = (
      await withChild(
        'on_failure: fail_fast\nnodes: [{ id: a, needs: [], run: x }, { id: b, needs: [], run: x }]',
        'nodes: [{ id: c, needs: [], child: { file: child.yaml } }, { id: z, needs: [], run: x }]',
        { a: [{ takes: 5, fail: 'boom' }], b: [{ takes: 50 }], z: [{ takes: 100 }] },
      )
    ).play()
    expect(results(world)).toMatchObject({ 'c/b': 'cancellation', c: 'failure', z: 'success' })
  })

  test.each([
    [1, 4, 1],
    [4, 2, 2],
  ])('max_parallel is the lower one (child %i, run %i)', async (inner, outer, most) => {
    const world = (
      await withChild(
        `max_parallel: ${inner}\nnodes: [{ id: f, fanout: { count: 5, nodes: [{ id: s, run: x }] } }]`,
        `max_parallel: ${outer}\nnodes: [{ id: c, child: { file: child.yaml } }]`,
        { s: [{ takes: 10 }] },
      )
    ).play()
    let open = 0
    let seen = 0
    for (const { event } of world.entries) {
      if (event.type === 'attempt.started') seen = Math.max(seen, ++open)
      if (event.type === 'attempt.finished') open--
    }
    expect(seen).toBe(most)
  })

  test("its budget holds inside; the node's own holds beside it", async () => {
    const usage = { usage: { input: 60, cache_read: 0, cache_write: 0, output: 0 } }
    const inner = 'budget: { tokens: 100 }\nnodes: [{ id: a, run: x }, { id: b, run: x }, { id: d, run: x }]'
    const world = (
      await withChild(
        inner,
        'nodes: [{ id: c, budget: { tokens: 1000 }, child: { file: child.yaml }, allow_failure: true }, { id: z, run: x }]',
        { a: [usage], b: [usage], z: [usage] },
      )
    ).play()
    expect(world.events('budget.exceeded')).toMatchObject([{ scope: 'c/', budget: 'tokens', used: 120, limit: 100 }])
    expect(results(world)).toMatchObject({ 'c/a': 'success', c: 'failure', z: 'success' })
    expect(attempts(world)).toEqual(['c/a@1.1', 'c/b@1.1', 'z@1.1'])
    expect(chain(world.events('node.finished', 'c')[0]!.failure).at(-1)).toBe('budget_exhausted')
  })

  test('breaker: its own limit', async () => {
    const world = (
      await withChild(
        'breaker: { limit: 1 }\nnodes: [{ id: a, run: x }]',
        'nodes: [{ id: c, child: { file: child.yaml } }]',
        { a: ['boom'] },
      )
    ).play()
    expect(chain(world.finished.failure)).toEqual(['breaker_open', 'exit_nonzero'])
  })

  test('entered again it shows its visit', async () => {
    const world = (
      await withChild(
        'nodes: [{ id: a, run: x }]',
        'nodes: [{ id: c, child: { file: child.yaml }, routes: [{ when: "nodes.c.visits < 2", to: c }] }]',
      )
    ).play()
    expect(attempts(world)).toEqual(['c/a@1.1', 'c@2/a@1.1'])
  })

  test('routes to end and fail end the child only', async () => {
    const world = (
      await withChild(
        'nodes: [{ id: a, run: x, routes: [{ when: "failure != null", to: fail }] }, { id: b, run: x }]',
        'nodes: [{ id: c, allow_failure: true, child: { file: child.yaml } }, { id: z, run: x }]',
        { a: ['boom'] },
      )
    ).play()
    expect(results(world)).toEqual({ 'c/a': 'failure', 'c/b': 'skip: not_reached', c: 'failure', z: 'success' })
    expect(cause(world.events('node.finished', 'c')[0]!.failure)).toBe('boom')
  })

  test('timeout bounds the visit', async () => {
    const world = (
      await withChild('nodes: [{ id: a, run: x }]', 'nodes: [{ id: c, timeout: 5s, child: { file: child.yaml } }]', {
        a: [{ takes: 60_000 }],
      })
    ).play()
    expect(world.finished).toMatchObject({ result: 'timeout', failure: { code: 'timed_out' } })
    expect(results(world)['c/a']).not.toBe('success')
  })

  test('killed inside, it goes on inside: finished nodes are not redone', async () => {
    const world = await withChild('nodes: [{ id: a, run: x }, { id: b, run: x }]', call, { b: [{ takes: 100 }] })
    const next = killed(playUntil(world, 'attempt.started c/b'))
    next.tell({ type: 'resume' })
    next.play()
    expect(attempts(next)).toEqual(['c/a@1.1', 'c/b@1.1', 'c/b@1.2', 'z@1.1'])
    expect(next.finished.result).toBe('success')
  })

  test('a failed node inside can be retried by hand', async () => {
    const world = (
      await withChild('nodes: [{ id: a, run: x }, { id: b, run: x }]', call, {
        a: (command) => (command.place.visit === 1 ? 'boom' : 'ok'),
      })
    ).play()
    expect(world.tell({ type: 'retry', reset_count: false, mode: 'clean' })).toBeUndefined()
    world.play()
    expect(world.events('run.resumed')[0]!.retry!.nodes).toEqual(['c/a'])
    expect(world.finished.result).toBe('success')
    expect(results(world)).toMatchObject({ 'c/a': 'success', 'c/b': 'success', c: 'success', z: 'success' })
  })
})

describe('hooks of a child pipeline run for the child', () => {
  const inner = (nodes = '[{ id: a, run: x }]'): string => `
params: { who: { type: string, default: ada } }
hooks: { on_success: [[echo, "\${{ params.who }}", "\${{ nodes.a.result }}"]], on_failure: [{ name: page, run: page }], on_finish: [{ name: inner-end, run: x }] }
nodes: ${nodes}`
  const outer =
    'hooks: { on_finish: [{ name: outer-end, run: x }] }\nnodes: [{ id: c, hooks: { on_success: [{ name: mine, run: x }], on_finish: [{ name: my-end, run: x }] }, child: { file: child.yaml } }]'
  const hooks = (world: World): unknown[] =>
    world.events('hook.started').map((event) => [event.node, event.hook, event.name, event.result])

  test('before those of its node, with its params and nodes in sight', async () => {
    const world = (await withChild(inner(), outer)).play()
    expect(hooks(world)).toEqual([
      ['c', 'on_success', expect.any(String), 'success'],
      ['c', 'on_finish', 'inner-end', 'success'],
      ['c', 'on_success', 'mine', 'success'],
      ['c', 'on_finish', 'my-end', 'success'],
      [undefined, 'on_finish', 'outer-end', 'success'],
    ])
    expect(world.events('hook.started')[0]!.inputs).toEqual({ 'params.who': 'ada', 'nodes.a.result': 'success' })
    expect(world.finished.result).toBe('success')
  })

  test('after a failure, told its reason', async () => {
    const told: unknown[] = []
    const world = (
      await withChild(inner(), outer, (command): Answer => {
        if (command.kind === 'hook') told.push([command.name, command.result, command.failure?.message])
        return command.kind === 'attempt' ? { fail: 'boom' } : {}
      })
    ).play()
    expect(told).toEqual([
      ['page', 'failure', 'boom'],
      ['inner-end', 'failure', 'boom'],
      ['my-end', 'failure', 'boom'],
      ['outer-end', 'failure', 'boom'],
    ])
    expect(world.finished).toMatchObject({ result: 'failure', failure: { message: 'boom' } })
  })

  test('a failing one changes neither the child nor its node, but the run', async () => {
    const world = (
      await withChild(inner(), outer, (command): Answer =>
        command.kind === 'hook' && command.name === 'inner-end' ? { fail: 'no disk' } : {},
      )
    ).play()
    expect(results(world)).toMatchObject({ c: 'success' })
    expect(world.finished).toMatchObject({
      result: 'failure',
      failure: { code: 'hook_failed' },
      hook_failures: [{ node: 'c', hook: 'on_finish', name: 'inner-end' }],
    })
    expect(cause(world.finished.failure)).toBe('no disk')
  })

  test('after a cancel only on_finish', async () => {
    const world = await withChild(inner(), outer, (command): Answer =>
      command.kind === 'attempt' ? { takes: 1_000 } : {},
    )
    world.tell(SIGINT)
    expect(hooks(world.play())).toEqual([
      ['c', 'on_finish', 'inner-end', 'cancellation'],
      ['c', 'on_finish', 'my-end', 'cancellation'],
      [undefined, 'on_finish', 'outer-end', 'cancellation'],
    ])
  })

  test("a child that could not begin has only its node's hooks", async () => {
    const world = (
      await withChild(
        inner(),
        'nodes: [{ id: s, run: x }, { id: c, hooks: { on_finish: [{ name: my-end, run: x }] }, child: { file: child.yaml, params: { who: "${{ nodes.s.outputs.missing }}" } } }]',
      )
    ).play()
    expect(hooks(world)).toEqual([['c', 'on_finish', 'my-end', 'error']])
  })
})

describe('slots of nested child pipelines', () => {
  test('no visit that waits is forgotten: all run, never more than any bound', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'spanwright-'))
    folders.push(folder)
    const lanes = (n: number, inside: string): string =>
      `nodes: [{ id: f, fanout: { count: ${n}, nodes: [${inside}] } }]`
    writeFileSync(path.join(folder, 'inner.yaml'), `name: inner\nmax_parallel: 2\n${lanes(5, '{ id: s, run: x }')}`)
    writeFileSync(
      path.join(folder, 'middle.yaml'),
      `name: middle\nmax_parallel: 3\n${lanes(4, '{ id: c, child: { file: inner.yaml } }')}`,
    )
    writeFileSync(
      path.join(folder, 'parent.yaml'),
      `name: outer\nmax_parallel: 4\n${lanes(2, '{ id: m, child: { file: middle.yaml } }')}`,
    )
    const { pipeline } = await parsePipelineFile(path.join(folder, 'parent.yaml'))
    const open = new Map<string, number>()
    const most = new Map<string, number>()
    const world = new World(pipeline, (command) => ({ takes: 1 + (command.id.length % 7) }))
    world.onEntry = ({ event }) => {
      if (event.type !== 'attempt.started' && event.type !== 'attempt.finished') return
      const [, run = '', middle = '', inner = ''] = /^((f:\d+\/m\/)f:\d+\/c\/)/.exec(event.node)
        ? ['', '', /^f:\d+\/m\//.exec(event.node)![0], /^f:\d+\/m\/f:\d+\/c\//.exec(event.node)![0]]
        : []
      for (const scope of [run, middle, inner]) {
        open.set(scope, (open.get(scope) ?? 0) + (event.type === 'attempt.started' ? 1 : -1))
        most.set(scope, Math.max(most.get(scope) ?? 0, open.get(scope)!))
      }
    }
    world.create().play()
    expect(world.finished).toMatchObject({ result: 'success', totals: { attempts: 40 } })
    expect(most.get('')).toBe(4)
    for (const [scope, count] of most)
      expect([scope, count]).toEqual([scope, Math.min(count, scope === '' ? 4 : scope.endsWith('/c/') ? 2 : 3)])
  })
})
