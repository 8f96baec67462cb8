// The local runner against the contract of runners, and what only it promises.
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fromTimestamp } from '../../src/core/time.ts'
import type { Final } from '../../src/journal/final.ts'
import type { Store } from '../../src/journal/store.ts'
import { call, fanout, gate, run } from '../../src/pipeline/builder.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { finalOf } from '../../src/runner/final.ts'
import { foldRun } from '../../src/runner/fold.ts'
import { resumeRun, retryRun } from '../../src/runner/resume.ts'
import type { StartedRun } from '../../src/runner/start.ts'
import { childEnvironment } from '../support/cli.ts'
import { define, portsFor } from './compose.ts'
import { runnerContract, type ContractRun, type RunnerUnderTest } from './contract.ts'
import { entriesOf, eventsOf, memory, onDisk, start } from './run-support.ts'

/** The local runner; a kill is a process that says nothing any more: here, a journal that takes nothing any more. */
function localRunner(store: Store): RunnerUnderTest {
  const functions = new Map()
  const wrap = (started: StartedRun): ContractRun => ({
    runId: started.runId,
    send: (told) => started.execution!.send(told),
    end: started.end.then(({ final }): Final => final),
    entries: () => entriesOf(store, started.runId),
  })
  const ports = () => portsFor(store, { env: childEnvironment(), functions })
  return {
    start: async (definition, { cwd }) => wrap(await start(definition, store, { cwd })),
    resume: async (runId) => wrap(await resumeRun({ runId }, ports())),
    retry: async (runId, { node, resetCount }) =>
      wrap(await retryRun({ runId, node, resetCount: resetCount ?? false, mode: 'clean' }, ports())),
    kill: async (run) => {
      // The worker of a run in this process cannot be killed alone; its end is told as the sentinel would tell it.
      await run.send({ type: 'interrupt', message: 'the process is gone' })
      await run.end
    },
  }
}

runnerContract('the local runner on disk', () => localRunner(onDisk()))
runnerContract('the local runner in memory', () => localRunner(memory()))

describe('the local runner', () => {
  it('several runs in one process do not know of each other', async () => {
    const store = onDisk()
    const ends = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const started = await start(define([call('a', async () => ({ i })), run('b', { run: `exit ${i % 2}` })]), store)
        return (await started.end).final.result
      }),
    )
    expect(ends).toEqual(['success', 'failure', 'success', 'failure', 'success'])
    expect(store.list()).toHaveLength(5)
  })

  it('leaves no lease behind, and a directory as the contract says', async () => {
    const store = onDisk()
    const { runId, end } = await start(define([run('a', { run: 'echo hi' })]), store)
    const { final } = await end
    const paths = store.paths(runId)
    expect(existsSync(paths.lease)).toBe(false)
    expect(
      [paths.identity, paths.pipeline, paths.journal, paths.final, paths.control].every((file) => existsSync(file)),
    ).toBe(true)
    expect(store.readFinal(runId)).toEqual(JSON.parse(JSON.stringify(final)))
    expect(existsSync(paths.log)).toBe(false)
  })

  it('what a function logs is in log.ndjson, with trace and span id', async () => {
    const store = onDisk()
    const { runId, end } = await start(define([call('a', (ctx) => ctx.logger.info('working', { step: 1 }))]), store)
    await end
    const [attempt] = eventsOf(store, runId, 'attempt.started')
    const [line] = readFileSync(store.paths(runId).log, 'utf8').trim().split('\n')
    expect(JSON.parse(line!)).toMatchObject({
      msg: 'working',
      step: 1,
      trace_id: store.readIdentity(runId).trace_id,
      span_id: attempt!.span_id,
    })
  })

  it.each([
    ['memory', memory],
    ['disk', onDisk],
  ])('I1: a step begins after its start is on record (%s)', async (_, newStore) => {
    const store = newStore()
    const seen: unknown[] = []
    const step = (id: string) =>
      call(id, (ctx) => {
        const last = eventsOf(store, store.list()[0]!, 'attempt.started').at(-1)
        seen.push([ctx.attempt.id, last?.attempt_id])
      })
    const { end } = await start(define([step('a'), step('b')]), store)
    await end
    expect(seen).toEqual([
      ['a@1.1', 'a@1.1'],
      ['b@1.1', 'b@1.1'],
    ])
  })

  it('records nothing of an attempt after its end', async () => {
    const store = memory()
    let late: (() => void) | undefined
    const { runId, end } = await start(
      define([
        call('a', (ctx) => {
          late = () => ctx.progress('late')
        }),
        call('b', () => {
          late?.()
        }),
      ]),
      store,
    )
    await end
    const entries = entriesOf(store, runId)
    const finished = entries.findIndex(({ event }) => event.type === 'attempt.finished' && event.attempt_id === 'a@1.1')
    expect(
      entries
        .slice(finished)
        .some(
          ({ event }) => 'attempt_id' in event && event.attempt_id === 'a@1.1' && event.type !== 'attempt.finished',
        ),
    ).toBe(false)
  })

  it('puts the process of a step that lasts on record, once, and of a short one only at its end', async () => {
    const store = memory()
    const { runId, end } = await start(
      define([run('short', { run: 'true' }), run('long', { run: 'sleep 1.2' })]),
      store,
    )
    await end
    const progressed = eventsOf(store, runId, 'attempt.progressed')
    expect(progressed).toMatchObject([{ attempt_id: 'long@1.1', process: { pid: expect.any(Number) } }])
  })

  it('asks a person at the terminal, and stops asking when somebody else answered', async () => {
    const store = memory()
    const gates = define([
      gate('a', { question: 'A?', choices: ['yes', 'no'] }),
      gate('b', { question: 'B?', choices: ['yes', 'no'], timeout: '50ms', default: 'no' }),
    ])
    const asked: string[] = []
    let stopped = false
    const { runId, end } = await start(gates, store, {
      askPerson: async ({ node, question, choices }, signal) => {
        asked.push(`${question} ${choices.join('|')}`)
        if (node === 'a') return { type: 'gate.answer', node, choice: 'yes', by: { kind: 'user', terminal: 'here' } }
        signal.addEventListener('abort', () => {
          stopped = true
        })
        return await new Promise<undefined>(() => {})
      },
    })
    await end
    expect(asked).toEqual(['A? yes|no', 'B? yes|no'])
    expect(stopped).toBe(true)
    expect(eventsOf(store, runId, 'gate.answered').map(({ choice, by }) => [choice, by.kind])).toEqual([
      ['yes', 'user'],
      ['no', 'default'],
    ])
  })

  it('groups what one turn decides: the outcome of one step and the start of the next are one commit', async () => {
    const store = memory()
    let commits = 0
    const definition = define(Array.from({ length: 20 }, (_, i) => call(`n${i}`, () => undefined)))
    const { end } = await start(definition, store, {
      interpose: (log) => ({
        ...log,
        commit: () => {
          commits++
          return log.commit()
        },
      }),
    })
    await end
    // One for the start, one per step, one for the sweep.
    expect(commits).toBeLessThanOrEqual(23)
  })

  it('I3: what a reader folds from the journal is what the run came to in memory', async () => {
    const store = onDisk()
    const definition = define([
      run('flaky', { run: 'test "$SPANWRIGHT_ATTEMPT" -ge 3', retry: { maxAttempts: 3, initial: '1ms' } }),
      fanout('fan', { count: 5, onFailure: 'ignore', nodes: [run('x', { run: 'exit $(( SPANWRIGHT_BRANCH % 2 ))' })] }),
      call('broken', () => {
        throw new Error('no')
      }),
      run('skipped', { run: 'true' }),
    ])
    const { runId, end } = await start(definition, store)
    const { final } = await end
    const folded = foldRun(store.read(runId), { pipeline: store.readPipeline(runId), expressions: celExpressions })
    expect(finalOf(folded)).toEqual(final)
    expect(final.nodes.map(({ path, result }) => `${path} ${result}`).slice(0, 2)).toEqual([
      'flaky success',
      'fan success',
    ])
  })

  it('times never go back and lie within the run', async () => {
    const store = memory()
    const before = Date.now() - 2
    const { runId, end } = await start(define([fanout('f', { count: 50, nodes: [call('x', () => undefined)] })]), store)
    await end
    const times = entriesOf(store, runId).map(({ at }) => fromTimestamp(at))
    expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true)
    expect(times[0]).toBeGreaterThan(before)
    expect(times.at(-1)).toBeLessThan(Date.now() + 2)
  })
})
