import { describe, expect, it } from 'vitest'
import { call, run } from '../../src/pipeline/builder.ts'
import { define } from './compose.ts'
import { eventsOf, memory, onDisk, start } from './run-support.ts'

describe.each([['memory', memory], ['disk', onDisk]])('a run (%s)', (_, newStore) => {
  it('goes from start to end', async () => {
    const store = newStore()
    const definition = define([
      run('a', { run: 'echo hello; echo "x=1" >> "$SPANWRIGHT_OUTPUTS"' }),
      call('b', (ctx) => ({ sum: 2, node: ctx.attempt.node })),
    ])
    const { runId, end } = await start(definition, store)
    const { final } = await end
    expect(final).toMatchObject({ result: 'success', run_id: runId })
    expect(store.readFinal(runId)).toEqual(final)
    expect(eventsOf(store, runId, 'node.finished').map(({ node, result }) => [node, result])).toEqual([['a', 'success'], ['b', 'success']])
  })
})
