// Owns: what every runner must do, whatever hosts it. A runner passes this suite before anything else is said about it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../../src/core/call.ts'
import type { Entry, EventOf, EventType } from '../../src/core/events.ts'
import type { Refusal } from '../../src/core/inputs.ts'
import type { Final } from '../../src/journal/final.ts'
import { call, fanout, gate, run, wait, type PipelineDefinition } from '../../src/pipeline/builder.ts'
import type { Told } from '../../src/runner/advance.ts'
import { temporaryDirectory } from '../support/cli.ts'
import { define } from './compose.ts'
import { journalProblems } from './journal-check.ts'
import { until } from './until.ts'

export interface ContractRun {
  readonly runId: string
  /** Tells the run something; resolves with its refusal, or once that is on record. */
  send(told: Told): Promise<Refusal | undefined>
  readonly end: Promise<Final>
  /** What is on record. */
  entries(): readonly Entry[]
}

export interface RunnerUnderTest {
  start(definition: PipelineDefinition, options: { readonly cwd: string }): Promise<ContractRun>
  /** Goes on with an ended or interrupted run. */
  resume(runId: string): Promise<ContractRun>
  retry(runId: string, options: { readonly node?: string; readonly resetCount?: boolean }): Promise<ContractRun>
  /** Ends the worker of a run without letting it say anything, and waits until the run is at rest. */
  kill(run: ContractRun): Promise<void>
}

const user = { kind: 'user', user: 'ada' } as const

export function runnerContract(name: string, newRunner: () => RunnerUnderTest): void {
  const events = <T extends EventType>(of: ContractRun, type: T): EventOf<T>[] =>
    of.entries().flatMap(({ event }) => (event.type === type ? [event as EventOf<T>] : []))
  const begin = async (definition: PipelineDefinition) => {
    const runner = newRunner()
    const cwd = temporaryDirectory()
    const started = await runner.start(definition, { cwd })
    const file = (of: string): string =>
      existsSync(path.join(cwd, of)) ? readFileSync(path.join(cwd, of), 'utf8') : ''
    return { runner, started, cwd, file }
  }

  describe(`${name} keeps the runner contract`, () => {
    it('runs to the end, outputs feed later nodes, the journal is sound (I4)', async () => {
      const { started } = await begin(
        define([
          call('one', () => ({ n: 20 })),
          run('two', { run: 'echo "n=${{ nodes.one.outputs.n * 2 }}" >> "$SPANWRIGHT_OUTPUTS"' }),
          call('three', {
            call: (ctx: CallContext) => ({ got: ctx.inputs['N'] ?? null }),
            env: { N: '${{ nodes.two.outputs.n }}' },
          }),
        ]),
      )
      expect(await started.end).toMatchObject({ result: 'success', totals: { attempts: 3, retries: 0 } })
      expect(events(started, 'node.finished').map(({ node, result }) => `${node} ${result}`)).toEqual([
        'one success',
        'two success',
        'three success',
      ])
      expect(events(started, 'node.finished')[2]?.outputs).toEqual({ got: '40' })
      expect(journalProblems(started.entries())).toEqual([])
    })

    it('retries with a delay, tells the next attempt, and counts', async () => {
      const contexts: (string | undefined)[] = []
      const flaky = call('flaky', {
        call: (ctx: CallContext) => {
          contexts.push(ctx.retryContext)
          if (ctx.attempt.number < 3) throw new Error(`broken ${ctx.attempt.number}`)
        },
        retry: { maxAttempts: 3, initial: '20ms', jitter: 0 },
      })
      const { started } = await begin(define([flaky]))
      expect(await started.end).toMatchObject({ result: 'success', totals: { attempts: 3, retries: 2 } })
      expect(
        events(started, 'retry.scheduled').map(({ delay_ms, failure }) => [
          delay_ms,
          failure.message.includes('broken'),
        ]),
      ).toEqual([
        [20, true],
        [40, true],
      ])
      expect(contexts[0]).toBeUndefined()
      expect(contexts[1]).toContain('broken 1')
      expect(events(started, 'node.finished')[0]?.retry_count).toBe(2)
    })

    it('cancels: attempts end, hooks run, the run says so and can be resumed', async () => {
      const { started, runner, file } = await begin(
        define(
          [run('long', { run: 'echo $SPANWRIGHT_ATTEMPT >> attempts.txt; test $SPANWRIGHT_ATTEMPT = 2 || sleep 60' })],
          { hooks: { onFinish: ['echo "$SPANWRIGHT_RESULT" >> hooks.txt'] } },
        ),
      )
      await until(() => file('attempts.txt') !== '')
      expect(await started.send({ type: 'cancel', by: user, force: false })).toBeUndefined()
      expect(await started.end).toMatchObject({
        result: 'cancellation',
        failure: { code: 'canceled' },
        resumable: true,
      })
      expect(file('hooks.txt')).toBe('cancellation\n')
      const again = await runner.resume(started.runId)
      expect(await again.end).toMatchObject({ result: 'success' })
      expect(file('attempts.txt')).toBe('1\n2\n')
      expect(journalProblems(again.entries())).toEqual([])
    })

    it('refuses what makes no sense, and records nothing of it', async () => {
      const { started } = await begin(define([gate('ask', { question: '?', choices: ['yes', 'no'] })]))
      await until(() => events(started, 'gate.opened').length === 1)
      const before = started.entries().length
      expect(await started.send({ type: 'gate.answer', node: 'other', choice: 'yes', by: user })).toMatchObject({
        refused: 'not_found',
      })
      expect(await started.send({ type: 'gate.answer', node: 'ask', choice: 'maybe', by: user })).toMatchObject({
        refused: 'invalid',
      })
      expect(started.entries()).toHaveLength(before)
      expect(
        await started.send({ type: 'gate.answer', node: 'ask', choice: 'no', by: user, comment: 'not today' }),
      ).toBeUndefined()
      expect(await started.end).toMatchObject({ result: 'success' })
      expect(events(started, 'gate.answered')).toMatchObject([{ choice: 'no', by: user, comment: 'not today' }])
      expect(await started.send({ type: 'cancel', by: user, force: false })).toMatchObject({ refused: 'conflict' })
    })

    it('fires timers: waits, gate expiry, timeouts', async () => {
      const { started } = await begin(
        define([
          wait('pause', { for: '30ms' }),
          gate('ask', { question: '?', choices: ['yes', 'no'], timeout: '30ms', default: 'yes' }),
          run('slow', { run: 'sleep 60', timeout: '50ms', grace: '50ms', allowFailure: true }),
        ]),
      )
      expect(await started.end).toMatchObject({ result: 'success' })
      expect(events(started, 'gate.expired')).toHaveLength(1)
      expect(events(started, 'attempt.finished')).toMatchObject([{ result: 'timeout', failure: { code: 'timed_out' } }])
    })

    it('runs a fan-out of 300 within its bounds', async () => {
      let open = 0
      let most = 0
      const lane = call('lane', async () => {
        most = Math.max(most, ++open)
        await new Promise((resolve) => void setImmediate(resolve))
        open--
      })
      const { started } = await begin(define([fanout('fan', { count: 300, nodes: [lane] })], { maxParallel: 7 }))
      expect(await started.end).toMatchObject({ result: 'success', totals: { branches: 300, attempts: 300 } })
      expect(most).toBe(7)
    })

    it('a kill: the open attempt is lost, resume redoes only that, with the next number and counts kept', async () => {
      const { started, runner, file } = await begin(
        define([
          run('done', { run: 'echo done >> done.txt' }),
          run('open', {
            run: 'echo "$SPANWRIGHT_ATTEMPT of $SPANWRIGHT_MAX_ATTEMPTS" >> open.txt; case $SPANWRIGHT_ATTEMPT in 1) exit 7;; 2) sleep 60;; esac',
            retry: { maxAttempts: 2, initial: '10ms' },
          }),
        ]),
      )
      await until(() => file('open.txt').includes('2 of 2'))
      await runner.kill(started)
      expect(events(started, 'attempt.lost')).toMatchObject([
        { attempt_id: 'open@1.2', failure: { code: 'worker_lost' } },
      ])
      expect(events(started, 'run.interrupted')).toHaveLength(1)
      const again = await runner.resume(started.runId)
      expect(await again.end).toMatchObject({ result: 'success' })
      expect(file('done.txt')).toBe('done\n')
      expect(file('open.txt')).toBe('1 of 2\n2 of 2\n3 of 3\n')
      expect(events(again, 'node.finished').find(({ node }) => node === 'open')?.retry_count).toBe(1)
      expect(journalProblems(again.entries())).toEqual([])
    })

    it('a kill at a gate and during a retry delay: both go on where they were', async () => {
      const { started, runner, file } = await begin(
        define([
          gate('ask', { question: '?', choices: ['yes', 'no'], needs: [] }),
          run('flaky', {
            run: 'echo x >> x.txt; test $SPANWRIGHT_ATTEMPT = 2',
            retry: { maxAttempts: 2, initial: '400ms', jitter: 0 },
            needs: [],
          }),
        ]),
      )
      await until(() => events(started, 'retry.scheduled').length === 1)
      await runner.kill(started)
      const again = await runner.resume(started.runId)
      await until(() => file('x.txt') === 'x\nx\n')
      expect(await again.send({ type: 'gate.answer', node: 'ask', choice: 'yes', by: user })).toBeUndefined()
      expect(await again.end).toMatchObject({ result: 'success', totals: { attempts: 2, retries: 1 } })
      expect(events(again, 'gate.opened').every(({ visit }) => visit === 1)).toBe(true)
    })

    it('refuses to resume a success, retries failed nodes as their next visit', async () => {
      const { started, runner, cwd, file } = await begin(
        define([
          run('needs-file', { run: 'echo x >> tries.txt; test -e ready.txt' }),
          run('after', { run: 'echo y >> after.txt' }),
        ]),
      )
      expect(await started.end).toMatchObject({ result: 'failure', resumable: false })
      await expect(runner.resume(started.runId)).rejects.toMatchObject({ code: 'run.not_resumable', exitCode: 4 })
      await expect(runner.retry(started.runId, { node: 'nothing' })).rejects.toMatchObject({
        code: 'node.not_found',
        exitCode: 3,
      })
      writeFileSync(path.join(cwd, 'ready.txt'), '')
      const again = await runner.retry(started.runId, {})
      expect(await again.end).toMatchObject({ result: 'success' })
      expect(file('tries.txt')).toBe('x\nx\n')
      expect(file('after.txt')).toBe('y\n')
      expect(
        events(again, 'attempt.started')
          .map(({ attempt_id }) => attempt_id)
          .slice(0, 2),
      ).toEqual(['needs-file@1.1', 'needs-file@2.1'])
    })

    it('what does not fit the journal is a failed attempt (I9)', async () => {
      const { started } = await begin(define([call('big', () => ({ text: 'x'.repeat(300 * 1024) }))]))
      expect(await started.end).toMatchObject({ result: 'failure', failure: { code: 'invalid_output' } })
    })
  })
}
