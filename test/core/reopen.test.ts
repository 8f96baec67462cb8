// DESIGN 3 and 5: a manual retry runs again what fail_fast or a join canceled, in branches, child pipelines and what is
// nested in them; what ended well is held no longer, with all that lies inside it.
import { describe, expect, test } from 'vitest'
import type { Entry, Event } from '../../src/core/events.ts'
import type { Json } from '../../src/core/json.ts'
import { checkHeldScopes } from '../support/held-scopes.ts'
import { checkInvariants } from '../support/invariants.ts'
import { attempts, killed, playUntil, results, type Answer } from '../support/play.ts'
import { answers, pipelineOf, World } from '../support/world.ts'

const RETRY = { type: 'retry', reset_count: false, mode: 'clean' } as const
const CHILD = { name: 'inner', nodes: ['x', 'y', 'z'].map((id) => ({ id, run: 'x' })) }
const MIDDLE = { name: 'middle', nodes: [{ id: 'd', child: { file: 'child.yaml' } }] }

/** `bad` fails at 5 ms of its first visit; whatever takes longer is canceled then, and takes no time when it runs again. */
const failing = {
  bad: (command: { readonly place: { readonly visit: number } }): Answer | string =>
    command.place.visit === 1 ? { takes: 5, fail: 'boom' } : 'ok',
  y: (command: { readonly attempt: number }): Answer | string => (command.attempt === 1 ? { takes: 500 } : 'ok'),
}

async function lanes(lane: string, more = '', script: Parameters<typeof answers>[0] = failing): Promise<World> {
  const files: { [name: string]: Json } = { 'child.yaml': CHILD, 'middle.yaml': MIDDLE }
  const nodes = `[{ id: f, ${more} fanout: { branches: { a: [{ id: bad, run: x }], b: ${lane} }, on_failure: fail_fast } }]`
  return new World(
    await pipelineOf(`name: tested\nnodes: ${nodes}`, files),
    typeof script === 'function' ? script : answers(script),
  ).create()
}

function retried(world: World): World {
  expect(world.finished.result).toBe('failure')
  checkHeldScopes(world.state)
  expect(world.tell(RETRY)).toBeUndefined()
  world.play()
  checkInvariants(world.entries, world.pipeline)
  checkHeldScopes(world.state)
  return world
}

/** Attempts of the latest execution. */
const again = (world: World): string[] =>
  attempts(new World(world.pipeline, world.script, world.entries)).slice(
    world.entries
      .slice(
        0,
        world.entries.findLastIndex(({ event }) => event.type === 'run.resumed'),
      )
      .filter(({ event }) => event.type === 'attempt.started').length,
  )

describe('given a branch that fail_fast canceled, when the run is retried, then what it had not done runs', () => {
  test.each([
    ['the steps', '[{ id: x, run: x }, { id: y, run: x }, { id: z, run: x }]', ['f:b/y@1.2', 'f:b/z@2.1']],
    ['a child pipeline', '[{ id: c, child: { file: child.yaml } }]', ['f:b/c/y@1.2', 'f:b/c/z@2.1']],
    [
      'a child pipeline in a child pipeline',
      '[{ id: c, child: { file: middle.yaml } }]',
      ['f:b/c/d/y@1.2', 'f:b/c/d/z@2.1'],
    ],
    [
      'the branches of a fan-out',
      '[{ id: g, fanout: { count: 2, nodes: [{ id: y, run: x }] } }]',
      ['f:b/g:0/y@1.2', 'f:b/g:1/y@1.2'],
    ],
    [
      'a child pipeline in a fan-out',
      '[{ id: g, fanout: { count: 1, nodes: [{ id: c, child: { file: child.yaml } }] } }]',
      ['f:b/g:0/c/y@1.2', 'f:b/g:0/c/z@2.1'],
    ],
  ])('%s', async (_, lane, expected) => {
    const world = retried((await lanes(lane)).play())
    expect(again(world)).toEqual(['f:a/bad@2.1', ...expected])
    expect(world.finished.result).toBe('success')
    expect(new Set(Object.values(results(world)))).toEqual(new Set(['success']))
  })

  test('what came after it, and ran because of the cancel, runs after it again', async () => {
    const world = retried(
      (
        await lanes('[{ id: y, run: x }, { id: tidy, when: always(), run: x }, { id: never, when: "false", run: x }]')
      ).play(),
    )
    expect(again(world)).toEqual(['f:a/bad@2.1', 'f:b/y@1.2', 'f:b/tidy@2.1'])
    expect(results(world)).toMatchObject({ 'f:b/tidy': 'success', 'f:b/never': 'skip: when_false' })
  })

  test('a step that reported a skip is not asked again', async () => {
    const world = retried(
      (await lanes('[{ id: x, run: x }, { id: y, run: x }]', '', { ...failing, x: [{ skipped: true }] })).play(),
    )
    expect(again(world)).toEqual(['f:a/bad@2.1', 'f:b/y@1.2'])
  })

  test('as often as it takes: being canceled is not being lost', async () => {
    const world = await lanes('[{ id: c, child: { file: child.yaml } }]', '', {
      bad: (command) => (command.place.visit < 5 ? { takes: 5, fail: `boom ${'abcde'[command.place.visit]!}` } : 'ok'),
      y: (command) => (command.attempt < 5 ? { takes: 500 } : 'ok'),
    })
    world.play()
    for (let n = 0; n < 4; n++) retried(world)
    expect(world.finished.result).toBe('success')
    expect(attempts(world).at(-1)).toBe('f:b/c/z@5.1')
  })

  test('its timeouts begin anew, and a gate keeps the time it had left', async () => {
    const lane =
      '[{ id: c, timeout: 60s, needs: [], child: { file: child.yaml } }, { id: ask, needs: [], gate: { question: "Go on?", choices: [yes], timeout: 60s } }]'
    const world = (await lanes(lane, 'timeout: 60s,')).play()
    world.now += 3_600_000
    retried(world)
    const timeOf = (type: Event['type']): number =>
      Date.parse(world.entries.find(({ event }) => event.type === type)!.at)
    expect(again(world)).toEqual(['f:a/bad@2.1', 'f:b/c/y@1.2', 'f:b/c/z@2.1'])
    expect(timeOf('gate.expired') - timeOf('run.resumed')).toBe(60_000 - 5)
  })

  test('killed in between and resumed, it goes on inside', async () => {
    const world = await lanes('[{ id: c, child: { file: child.yaml } }]')
    world.play().tell(RETRY)
    const next = killed(playUntil(world, 'node.started f:b/c/z'))
    next.tell({ type: 'resume' })
    next.play()
    checkInvariants(next.entries, next.pipeline)
    checkHeldScopes(next.state)
    expect(next.finished.result).toBe('success')
    expect(attempts(next).filter((id) => id.startsWith('f:b/c/x'))).toEqual(['f:b/c/x@1.1'])
  })
})

test('given a canceled child pipeline, when a node inside is retried by name, then that one runs', async () => {
  const text =
    'name: tested\non_failure: fail_fast\nnodes: [{ id: bad, needs: [], run: x }, { id: c, needs: [], child: { file: child.yaml } }]'
  const world = new World(await pipelineOf(text, { 'child.yaml': CHILD }), answers(failing)).create().play()
  expect(results(world)).toMatchObject({ c: 'cancellation', 'c/y': 'cancellation' })
  expect(world.tell({ ...RETRY, node: 'c/y' })).toBeUndefined()
  world.play()
  checkInvariants(world.entries, world.pipeline)
  expect(again(world)).toEqual(['c/y@2.1', 'c/z@2.1'])
})

describe('I7: given a journal in which a retry had started an attempt of a child node', () => {
  const step = { node: 'f:b/c', visit: 1, attempt: 1, attempt_id: 'f:b/c@1.1' }
  const spans = { span_id: 'c'.repeat(16), parent_span_id: 'd'.repeat(16) }
  const wrong: Event[] = [
    { type: 'node.started', node: 'f:b/c', visit: 1, kind: 'child', via: 'resume', ...spans },
    { type: 'attempt.started', ...step, kind: 'child', max: 2, inputs: {}, ...spans },
    { type: 'attempt.finished', ...step, result: 'success', duration_ms: 1, span_id: spans.span_id },
  ]
  async function folded(events: readonly Event[]): Promise<World> {
    const world = (await lanes('[{ id: c, child: { file: child.yaml } }]')).play()
    world.tell(RETRY)
    const before = world.entries.slice(
      0,
      world.entries.findLastIndex(({ event }) => event.type === 'node.started' && event.node === 'f:b/c'),
    )
    const made = events.map((event, i): Entry => ({ v: 1, seq: before.length + 1 + i, at: before.at(-1)!.at, event }))
    return new World(world.pipeline, world.script, [...before, ...made], world.now)
  }

  test.each([2, 3])('when it is resumed after %i of its entries, then the run ends', async (count) => {
    const world = await folded(wrong.slice(0, count))
    world.tell({ type: 'interrupt', message: 'the orchestrator was killed' })
    world.tell({ type: 'resume' })
    world.play()
    expect(world.finished.result).toBe('success')
    checkHeldScopes(world.state)
  })
})

describe('given scopes and budgets inside a branch or child that ended well, when it ends, then they are held no longer', () => {
  const step = { id: 's', budget: { attempts: 9 }, run: 'x' }
  const nested = [{ id: 'g', fanout: { each: ['u', 'v'], on_failure: 'ignore', nodes: [step] } }]
  const ignored = answers({ s: (command) => (command.item === 'u' ? 'boom' : 'ok') })
  test.each([
    ['a branch', `nodes: [{ id: f, fanout: { count: 3, nodes: ${JSON.stringify(nested)} } }]`],
    ['a child', 'nodes: [{ id: c, child: { file: inner.yaml } }]'],
  ])('%s', async (_, text) => {
    const pipeline = await pipelineOf(`name: tested\n${text}`, { 'inner.yaml': { name: 'inner', nodes: nested } })
    const world = new World(pipeline, ignored).create().play()
    expect(world.finished.result).toBe('success')
    expect([...world.state.scopes.keys()]).toEqual([''])
    expect([...world.state.budgets.keys()]).toEqual([])
    expect(world.tell({ ...RETRY, node: text.includes('count') ? 'f:0/g:u/s' : 'c/g:u/s' })).toMatchObject({
      refused: 'not_found',
    })
  })
})
