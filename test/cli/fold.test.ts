// The view model: what the fold keeps of loops, resumes, lost processes, nested scopes and spend.
import { expect, test } from 'vitest'
import { nodesJson, showRows } from '../../src/cli/show-rows.ts'
import { failureOf, fanoutNode, gateNode, pipelineOf, runNode, Told } from './view-entries.ts'

const look = { columns: 100, color: false, ascii: false }
const states = (told: Told, all = false): string[] =>
  showRows(told.view, { look, now: told.now, all }).map((row) =>
    row
      .map((cell) => (typeof cell === 'string' ? cell : cell.text))
      .slice(0, 3)
      .join(' ')
      .trim(),
  )
const node = (told: Told, id: string) => told.view.root.nodes.get(id)!

test('a lost process: what was open is lost, what did not start was not reached; a resume goes on', () => {
  const told = new Told(pipelineOf('p', [runNode('a'), gateNode('ship', []), runNode('b', ['a'])]))
  told.start('a').attempt('a').start('ship', 'gate')
  told.add({ type: 'gate.opened', node: 'ship', visit: 1, question: 'Ship?', choices: ['yes'], reject: [] })
  const failure = failureOf('worker_lost', 'process 7 is gone')
  told.add({ type: 'attempt.lost', node: 'a', visit: 1, attempt: 1, attempt_id: 'a@1.1', failure, span_id: '1' })
  told.add({ type: 'run.interrupted', execution: 1, failure })
  expect(states(told)).toEqual(['! a worker_lost', '! ship worker_lost', '- b not reached'])
  expect(told.view.openAttempts).toBe(0)
  told.add({ type: 'run.resumed', execution: 2, max_parallel: 4, links: [], span_id: '2' })
  told.start('a').attempt('a', 2, 2).start('ship', 'gate')
  expect(states(told)).toEqual(['⠹ a running', '◆ ship waits for an answer', '· b queued'])
  expect([...told.view.gates.keys()]).toEqual(['ship'])
  expect(node(told, 'a').spend).toMatchObject({ attempts: 2 })
})

test('spend adds up from attempts through branches to the run, once, however often it is reported', () => {
  const told = new Told(pipelineOf('p', [fanoutNode('f', [], { nodes: [runNode('x')] })]))
  told.start('f', 'fanout').expanded('f', ['a', 'b']).lane('f', 'a', 0).start('f:a/x').attempt('f:a/x')
  const usage = (output: number) => ({
    usage: { input: 100, cache_read: 50, cache_write: 0, output },
    cost: { usd: output / 100, source: 'reported' },
  })
  told.said('f:a/x', 'hm', usage(10)).said('f:a/x', 'hm', usage(150))
  told.ended('f:a/x', { usd: 2 })
  expect(told.view.root.spend).toMatchObject({
    attempts: 1,
    input: 1_500,
    cacheRead: 500,
    output: 200,
    usd: 2,
    unpriced: 0,
  })
  expect(node(told, 'f').spend).toEqual(told.view.root.spend)
})

test('a usage without a price is unpriced, not free', () => {
  const told = new Told(pipelineOf('p', [runNode('a')])).start('a').attempt('a')
  const usage = { input: 10, cache_read: 0, cache_write: 0, output: 1 }
  told.add({
    type: 'attempt.finished',
    node: 'a',
    visit: 1,
    attempt: 1,
    attempt_id: 'a@1.1',
    result: 'success',
    usage,
    cost: { usd: null, source: 'unknown' },
    duration_ms: 1,
    span_id: '1',
  })
  expect(told.view.root.spend).toMatchObject({ usd: 0, unpriced: 1 })
})

test('a fan-out that is entered again starts with fresh counts', () => {
  const told = new Told(pipelineOf('p', [fanoutNode('f', [], { nodes: [runNode('x')] })]))
  const failure = failureOf('exit_nonzero', 'no')
  told.start('f', 'fanout').expanded('f', ['a']).lane('f', 'a', 0).laneEnded('f', 'a', 0, failure)
  told
    .start('f', 'fanout', 2)
    .add({ type: 'fanout.expanded', node: 'f', visit: 2, offset: 0, total: 1, branches: [{ key: 'a' }] })
  expect(node(told, 'f').fanout).toMatchObject({ total: 1, failed: 0, started: 0 })
  told.add({ type: 'node.started', node: 'f@2:a/x', visit: 1, kind: 'run', via: 'needs', span_id: '1' })
  expect(nodesJson(told.view, told.now).nodes).toMatchObject([{ path: 'f' }, { path: 'f@2:a/x', state: 'running' }])
})

test('a table of many nodes folds what ended well, unless all is asked for', () => {
  const ids = Array.from({ length: 60 }, (_, index) => `n${index}`)
  const told = new Told(
    pipelineOf(
      'p',
      ids.map((id) => runNode(id)),
    ),
  )
  for (const id of ids.slice(0, 58)) told.ran(id, 1)
  const failure = failureOf('exit_nonzero', 'no')
  told.start('n58').attempt('n58').ended('n58', { failure }).finish('n58', { failure })
  expect(states(told)).toEqual(['✕ n58 exit_nonzero', '· n59 queued', '✓ 58 more (--all)'])
  expect(states(told, true)).toHaveLength(60)
})

test('an event of a node that the definition does not know harms nothing', () => {
  const told = new Told(pipelineOf('p', [runNode('a')]))
  told.start('later/inner').attempt('later/inner').start('not a path!').start('')
  expect(states(told)[0]).toBe('· a queued')
})
