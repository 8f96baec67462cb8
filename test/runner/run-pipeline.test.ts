// runPipeline: runs of a program, several at once, on disk and in memory.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../../src/core/call.ts'
import { createMemoryStore } from '../../src/journal/memory-store.ts'
import { call, fanout, gate, run } from '../../src/pipeline/builder.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { parseDefinition } from '../../src/pipeline/load.ts'
import { readParams } from '../../src/pipeline/params.ts'
import { createRunPipeline } from '../../src/runner/run-pipeline.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { define, TAKEOVER } from './compose.ts'

const runPipeline = createRunPipeline({
  parse: parseDefinition,
  readParams,
  expressions: celExpressions,
  takeover: TAKEOVER,
  version: '0.0.0',
})
const env = childEnvironment()

describe('runPipeline', () => {
  it('runs in memory and gives the result and the outputs of its nodes', async () => {
    const definition = define([call('sum', (ctx) => ({ sum: Number(ctx.params['a']) + 1 }))], {
      params: { a: { type: 'integer' } },
    })
    expect(await runPipeline(definition, { params: { a: 41 }, env })).toMatchObject({
      result: 'success',
      outputs: { sum: { sum: 42 } },
    })
    await expect(runPipeline(definition, { env })).rejects.toMatchObject({ code: 'params.invalid' })
  })

  it('gives the reason of a failure as a result, not as an exception', async () => {
    const definition = define([fanout('fan', { count: 2, nodes: [run('x', { run: 'echo broken >&2; exit 3' })] })])
    const result = await runPipeline(definition, { env, cwd: temporaryDirectory() })
    expect(result).toMatchObject({ result: 'failure', failure: { code: 'branch_failed' } })
    expect(JSON.stringify(result.failure?.causes)).toContain('exit_nonzero')
  })

  it('keeps runs in a directory, many at once', async () => {
    const store = path.join(temporaryDirectory(), 'store')
    const results = await Promise.all(
      Array.from({ length: 4 }, (_, i) => runPipeline(define([call('a', () => ({ i }))]), { store, env })),
    )
    expect(results.map(({ outputs }) => outputs['a'])).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }, { i: 3 }])
    expect(new Set(results.map(({ run_id }) => run_id)).size).toBe(4)
  })

  it('is canceled by its signal, also while it waits for a person', async () => {
    const abort = new AbortController()
    const definition = define([gate('ask', { question: '?', choices: ['yes'] })])
    const running = runPipeline(definition, {
      env,
      signal: abort.signal,
      onEntries: (entries) =>
        void (entries.some(({ event }) => event.type === 'gate.opened') && abort.abort(new Error('enough'))),
    })
    expect(await running).toMatchObject({
      result: 'cancellation',
      failure: { code: 'canceled', message: expect.stringContaining('enough') },
    })
    await expect(runPipeline(definition, { env, signal: AbortSignal.abort() })).rejects.toThrow('abort')
  })

  it.each(['memory', 'directory'])('runs once per key (%s)', async (kind) => {
    const store = kind === 'memory' ? createMemoryStore(temporaryDirectory()) : path.join(temporaryDirectory(), 'store')
    let ran = 0
    const definition = define([call('a', () => void ran++)])
    const results = await Promise.all(
      Array.from({ length: 3 }, () => runPipeline(definition, { store, key: 'k', env })),
    )
    expect(ran).toBe(1)
    expect(new Set(results.map(({ run_id }) => run_id)).size).toBe(1)
    expect((await runPipeline(definition, { store, key: 'k', env })).run_id).toBe(results[0]!.run_id)
    expect(ran).toBe(1)
  })

  it('keeps the value of a secret param out of everything that is written, and usable', async () => {
    const store = path.join(temporaryDirectory(), 'store')
    const definition = define(
      [
        call('a', { call: (ctx: CallContext) => ({ length: (ctx.params['token'] as string).length }) }),
        run('b', { run: 'test "$T" = correct-horse', env: { T: '${{ params.token }}' } }),
      ],
      { params: { token: { type: 'string', secret: true } } },
    )
    const written: string[] = []
    const result = await runPipeline(definition, {
      store,
      env,
      params: { token: 'correct-horse' },
      onEntries: (entries) => void written.push(JSON.stringify(entries)),
    })
    expect(result).toMatchObject({ result: 'success', outputs: { a: { length: 13 } } })
    expect(written.join()).not.toContain('correct-horse')
    expect(spawnSync('grep', ['-r', 'correct-horse', store]).stdout.toString()).toBe('')
  })
})
