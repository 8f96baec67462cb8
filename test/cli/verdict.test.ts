// What is certain before the end: that a run will fail, and what can no longer start. Never a guess.
import { expect, test } from 'vitest'
import { blockedIn, runIsDoomed } from '../../src/cli/live/verdict.ts'
import { treeRows } from '../../src/cli/live/rows.ts'
import type { Node } from '../../src/core/pipeline.ts'
import { failureOf, fanoutNode, pipelineOf, runNode, Told } from './view-entries.ts'

const failure = failureOf('exit_nonzero', 'no')
const failed = (first: Node, ...others: Node[]): Told =>
  new Told(pipelineOf('p', [first, ...others]))
    .start(first.id)
    .attempt(first.id)
    .ended(first.id, { failure })
    .finish(first.id, { failure })

test('a failed node dooms the run, unless the failure is tolerated or a route handled it', () => {
  expect(runIsDoomed(failed(runNode('a')).view)).toBe(true)
  expect(runIsDoomed(failed(runNode('a', [], { allow_failure: true })).view)).toBe(false)
  const tolerated = failed(runNode('a'))
  tolerated.view.root.nodes.get('a')!.tolerated = true
  expect(runIsDoomed(tolerated.view)).toBe(false)
  expect(
    runIsDoomed(failed(runNode('a')).add({ type: 'route.taken', node: 'a', visit: 1, to: 'fix', index: 0 }).view),
  ).toBe(false)
})

test.each([
  [{ join: { kind: 'all' } }, true],
  [{ join: { kind: 'any' } }, false],
  [{ join: { kind: 'all' }, on_failure: 'ignore' }, false],
] as const)('one failed branch of a fan-out with %o: doomed is %s', (fanout, doomed) => {
  const told = new Told(pipelineOf('p', [fanoutNode('f', [], fanout)])).start('f', 'fanout').expanded('f', ['a', 'b'])
  told.lane('f', 'a', 0).lane('f', 'b', 1).laneEnded('f', 'a', 0, failure)
  expect(runIsDoomed(told.view)).toBe(doomed)
})

test('what needs a failed node is blocked, over any number of steps; what has its own condition is not', () => {
  const when = { expression: 'always()', calls: ['always'] } as const
  const told = failed(
    runNode('a'),
    runNode('b', ['a']),
    runNode('c', ['b']),
    runNode('always', ['a'], { when }),
    runNode('free'),
  )
  const blocked = [...blockedIn(told.view.root)].map(([node, blocker]) => `${node.id} by ${blocker.id}`)
  expect(blocked).toEqual(['b by a', 'c by a'])
})

test('causes of a wide fan-out come by how often they happened, three of them', () => {
  const keys = Array.from({ length: 20 }, (_, index) => `b${index}`)
  const told = new Told(pipelineOf('p', [fanoutNode('f', [], {})])).start('f', 'fanout').expanded('f', keys)
  const cause = (index: number): string => (index < 2 ? 'rare' : index < 3 ? 'once' : index < 4 ? 'other' : 'often')
  for (const [index, key] of keys.entries()) {
    const reason = failureOf('exit_nonzero', cause(index), { signature: cause(index) })
    told.lane('f', key, index).laneEnded('f', key, index, reason)
  }
  const text = treeRows(told.view, { look: { columns: 100, color: false, ascii: false }, now: told.now })
    .map(({ detail }) => detail.map((piece) => piece.text).join(''))
    .filter((line) => line.includes('×') || line.includes('more'))
  expect(text).toEqual([
    '✕ 16 × exit_nonzero   often   first: b4',
    '✕  2 × exit_nonzero   rare   first: b0',
    '✕  1 × exit_nonzero   once   first: b2',
    'and 1 more cause',
  ])
})
