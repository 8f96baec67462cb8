// Ending for sure: stops, timeouts, stalls, what a command leaves behind, what leave_running keeps.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Stop } from '../../src/core/commands.ts'
import { isAlive } from '../../src/effects/proc.ts'
import { attempt, ofType, program, until, workbench, type Workbench } from './support.ts'

const cancel: Stop = { code: 'canceled', message: 'the run was canceled by a user', now: false }
const pidIn = (bench: Workbench, name: string): number => Number(readFileSync(join(bench.cwd, name), 'utf8'))
/** A script that says it is ready by a file. */
const ready = (script: string): string => `touch ready; ${script}`

describe('stop', () => {
  test('TERM is enough for most, and the reason is the host’s', async () => {
    const bench = workbench()
    const { running, done, outcomes } = bench.start(attempt(ready('sleep 60')))
    await until(() => existsSync(join(bench.cwd, 'ready')))
    running.stop(cancel)
    expect((await done).failure).toMatchObject({ code: 'canceled', message: cancel.message, source: 'user' })
    running.stop(cancel)
    expect(outcomes).toHaveLength(1)
  })

  test('what ignores TERM is killed after the grace, with everything in its group', async () => {
    const bench = workbench()
    const script = ready(`"${program('stubborn.sh')}" & echo $! > child; trap '' TERM; while :; do sleep 0.05; done`)
    const { running, done } = bench.start(attempt(script, { node: { grace_ms: 200 } }))
    await until(() => existsSync(join(bench.cwd, 'child')))
    const child = pidIn(bench, 'child')
    const before = performance.now()
    running.stop(cancel)
    await done
    const took = performance.now() - before
    expect(isAlive(child)).toBe(false)
    expect(took).toBeGreaterThanOrEqual(195)
  })

  test('"now" does not wait for the grace, also when it comes second', async () => {
    const bench = workbench()
    const { running, done, observed } = bench.start(
      attempt({ argv: [program('stubborn.sh')] }, { node: { grace_ms: 60_000 } }),
    )
    await until(() => existsSync(join(bench.runDir, 'attempts/build/1.1/stdout.log')))
    running.stop(cancel)
    running.stop({ ...cancel, code: 'forced', now: true })
    expect(await done).toMatchObject({ failure: { code: 'canceled' }, process: { signal: 'SIGKILL' } })
    expect(ofType(observed, 'attempt.progressed')).toEqual([])
  })

  test('a daemon in a session of its own goes with its step, even one that ignores TERM', async () => {
    const bench = workbench()
    const script = `"${program('daemon.sh')}" "$PWD/one"; "${program('daemon.sh')}" "$PWD/two" stubborn; sleep 60`
    const { running, done, observed } = bench.start(attempt(script, { node: { grace_ms: 300 } }))
    await until(() => existsSync(join(bench.cwd, 'two')))
    const daemons = [pidIn(bench, 'one'), pidIn(bench, 'two')]
    running.stop(cancel)
    await done
    expect(daemons.map((pid) => isAlive(pid))).toEqual([false, false])
    const [ended] = ofType(observed, 'processes.ended')
    expect(ended!.processes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ pid: daemons[0], signal: 'SIGTERM' }),
        expect.objectContaining({ pid: daemons[1], signal: 'SIGKILL' }),
      ]),
    )
  })

  test('a stop that was asked for before the start starts nothing', async () => {
    const bench = workbench()
    const { done } = bench.start(attempt('touch started', { attempt: { stop: cancel } }))
    expect((await done).failure?.code).toBe('canceled')
    expect(existsSync(join(bench.cwd, 'started'))).toBe(false)
  })

  test('many canceled together end together', async () => {
    const bench = workbench()
    const started = Array.from({ length: 20 }, (_, i) =>
      bench.start(attempt(`touch ready${i}; sleep 60`, { place: { node: `n${i}` } })),
    )
    await until(() => started.every((_, i) => existsSync(join(bench.cwd, `ready${i}`))))
    for (const { running } of started) running.stop(cancel)
    const outcomes = await Promise.all(started.map(({ done }) => done))
    expect(outcomes.every((outcome) => outcome.failure?.code === 'canceled')).toBe(true)
  })
})

describe('limits of time', () => {
  test('a timeout', async () => {
    const { outcome } = await workbench().run('echo working >&2; sleep 60', { node: { timeout_ms: 100 } })
    expect(outcome.failure).toMatchObject({ code: 'timed_out' })
    expect(outcome.failure!.message).toContain('ran longer than its timeout of 100ms and was ended: working')
  })

  test('a timeout of months does not fire at once', async () => {
    const { outcome } = await workbench().run('sleep 0.05', { node: { timeout_ms: 90 * 86_400_000 } })
    expect(outcome.failure).toBeUndefined()
  })

  test('a stall is on record before the step is ended', async () => {
    const { outcome, observed } = await workbench().run('echo once; sleep 60', { node: { stall_timeout_ms: 150 } })
    expect(outcome.failure).toMatchObject({ code: 'stalled' })
    expect(ofType(observed, 'stall.detected')).toEqual([
      expect.objectContaining({ attempt_id: 'build@1.1', reason: 'no output' }),
    ])
    expect(ofType(observed, 'stall.detected')[0]!.idle_ms).toBeGreaterThanOrEqual(150)
  })

  test('output keeps a step from stalling', async () => {
    const { outcome } = await workbench().run('for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.05; done', {
      node: { stall_timeout_ms: 350 },
    })
    expect(outcome.failure).toBeUndefined()
  })

  test('progress is told while it runs, and never after the end', async () => {
    const { outcome, observed } = await workbench().run('echo 12345; sleep 1.2')
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'attempt.progressed')).toEqual([
      expect.objectContaining({
        attempt_id: 'build@1.1',
        output_bytes: 6,
        process: { pid: outcome.process!.pid, executable: 'sh' },
      }),
    ])
  })
})

describe('what is left behind', () => {
  test('the rest of the group ends with a successful attempt, and is on record', async () => {
    const bench = workbench()
    const { outcome, observed } = await bench.run('sleep 60 & echo $! > pid')
    expect(outcome.failure).toBeUndefined()
    expect(isAlive(pidIn(bench, 'pid'))).toBe(false)
    expect(ofType(observed, 'processes.ended')).toEqual([
      expect.objectContaining({
        attempt_id: 'build@1.1',
        processes: [{ pid: pidIn(bench, 'pid'), command: expect.any(String), signal: 'SIGTERM' }],
      }),
    ])
  })

  test('a daemon that left group and session ends with the run', async () => {
    const bench = workbench()
    await bench.run({ argv: [program('daemon.sh'), join(bench.cwd, 'pid'), 'stubborn'] })
    const pid = pidIn(bench, 'pid')
    expect(isAlive(pid)).toBe(true)
    const ended = await bench.effects.sweep()
    expect(isAlive(pid)).toBe(false)
    expect(ended).toMatchObject({ type: 'processes.ended', reason: 'left behind by the run' })
    expect(await bench.effects.sweep()).toBeUndefined()
  })

  test('one run does not end what belongs to another', async () => {
    const [mine, other] = [workbench(), workbench()]
    await other.run({ argv: [program('daemon.sh'), join(other.cwd, 'pid')] })
    await mine.effects.sweep()
    expect(isAlive(pidIn(other, 'pid'))).toBe(true)
    await other.effects.sweep()
    expect(isAlive(pidIn(other, 'pid'))).toBe(false)
  })

  test('leave_running keeps the group, with its output, until the run ends', async () => {
    const bench = workbench()
    const script = '(while :; do echo serving; sleep 0.05; done) & echo $! > pid'
    const { outcome, observed, file } = await bench.run(script, { node: { leave_running: true } })
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'warning.raised')).toMatchObject([
      { code: 'left_running', message: expect.stringMatching(/process(es)? stays? until the run ends/) },
    ])
    const length = file('stdout.log').length
    await until(() => file('stdout.log').length > length + 'serving\n'.length)
    expect(isAlive(pidIn(bench, 'pid'))).toBe(true)
    await bench.effects.sweep()
    expect(isAlive(pidIn(bench, 'pid'))).toBe(false)
  })

  test('a failed attempt keeps nothing, whatever leave_running says', async () => {
    const bench = workbench()
    await bench.run('sleep 60 & echo $! > pid; exit 1', { node: { leave_running: true } })
    expect(isAlive(pidIn(bench, 'pid'))).toBe(false)
  })
})
