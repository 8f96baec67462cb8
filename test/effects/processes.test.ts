// Finding processes by their mark, ending them by identity, sparing nested sentinels, refusing inside a step.
import { spawn, type ChildProcess } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { carries, insideRun, MARKERS, markerOf, SENTINEL, variableOf, withMarker } from '../../src/effects/marker.ts'
import { bootId, groupMembers, isAlive, pidNamespace, readStat, startTime } from '../../src/effects/proc.ts'
import { endedObservation, endMarked, endOrphans, scanMarked } from '../../src/effects/processes.ts'
import { until } from './support.ts'

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

let count = 0
const newRun = (): string => `PROC${process.pid}R${++count}`

function sleeper(env: { [name: string]: string }, script = 'exec sleep 60'): ChildProcess & { pid: number } {
  const child = spawn('sh', ['-c', script], {
    env: { PATH: process.env['PATH'], ...env },
    detached: true,
    stdio: 'ignore',
  })
  children.push(child)
  return child as ChildProcess & { pid: number }
}

describe('marks', () => {
  test('a list grows with nesting; a run covers its attempts, not those of a run whose id begins the same', () => {
    const list = withMarker(withMarker(undefined, markerOf('OUTER', 'a:b/c@1.1')), markerOf('INNER', 'x@1.1'))
    expect(list).toBe('OUTER/a:b/c@1.1,INNER/x@1.1')
    expect(carries(list, 'OUTER/')).toBe(true)
    expect(carries(list, 'INNER/x@1.1')).toBe(true)
    expect(carries(list, 'INNER/x@1.')).toBe(false)
    expect(carries(list, 'INN/')).toBe(false)
    expect(carries('', 'OUTER/')).toBe(false)
  })

  test('a variable is found by its whole name', () => {
    const environ = Buffer.from('A=1\0XSPANWRIGHT_MARKERS=no\0SPANWRIGHT_MARKERS=yes\0B=2\0')
    expect(variableOf(environ, MARKERS)).toBe('yes')
    expect(variableOf(environ, 'C')).toBeUndefined()
    expect(variableOf(Buffer.from('A=1'), 'A')).toBe('1')
  })

  test('the caller is inside a run by its own environment or by an ancestor’s', async () => {
    const run = newRun()
    expect(insideRun(run, { [MARKERS]: `${run}/x@1.1` })).toBe(true)
    expect(insideRun(run, {})).toBe(false)
    const probe = `import(${JSON.stringify(new URL('../../src/effects/marker.ts', import.meta.url).href)}).then(({ insideRun }) => process.exit(insideRun(${JSON.stringify(run)}) ? 7 : 8))`
    // The mark is taken out of the probe's environment; its parent, the shell, still has it.
    const child = sleeper(
      { [MARKERS]: `${run}/x@1.1`, PROBE: probe, NODE: process.execPath },
      `env -u ${MARKERS} "$NODE" -e "$PROBE"; exit $?`,
    )
    const code = await new Promise((resolve) => void child.once('exit', resolve))
    expect(code).toBe(7)
  })
})

describe('identity', () => {
  test('a process is known by pid and start time', async () => {
    const child = sleeper({})
    const start = startTime(child.pid)
    expect(isAlive(child.pid, start)).toBe(true)
    expect(isAlive(child.pid, start! + 1)).toBe(false)
    expect(readStat(child.pid)).toMatchObject({ pid: child.pid, parent: process.pid, group: child.pid, zombie: false })
    expect(groupMembers(child.pid).map((stat) => stat.pid)).toEqual([child.pid])
    child.kill('SIGKILL')
    await until(() => !isAlive(child.pid, start))
    expect(groupMembers(child.pid)).toEqual([])
  })

  test('machine and namespace have ids', () => {
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/)
    expect(pidNamespace()).toMatch(/^pid:\[\d+\]$/)
  })
})

describe('ending what is marked', () => {
  test('finds and ends by TERM what carries the mark, and only that', async () => {
    const [run, other] = [newRun(), newRun()]
    const mine = [sleeper({ [MARKERS]: `${run}/a@1.1` }), sleeper({ [MARKERS]: `${other}/x@1.1,${run}/b@1.1` })]
    const theirs = sleeper({ [MARKERS]: `${other}/a@1.1` })
    await until(() => scanMarked(`${run}/`).length === 2)
    const ended = await endMarked(`${run}/`, { killAfterMs: 2_000 })
    expect(new Map(ended.map(({ pid, signal }) => [pid, signal]))).toEqual(
      new Map(mine.map(({ pid }) => [pid, 'SIGTERM'])),
    )
    expect(isAlive(theirs.pid)).toBe(true)
    expect(await endMarked(`${other}/a@1.1`, { killAfterMs: 2_000 })).toHaveLength(1)
  })

  test('what ignores TERM, or is stopped, is killed in the end', async () => {
    const run = newRun()
    const env = { [MARKERS]: `${run}/a@1.1` }
    const stubborn = sleeper(env, 'trap "" TERM; while :; do sleep 0.02; done')
    const stopped = sleeper(env)
    await until(() => scanMarked(`${run}/`).length >= 2)
    process.kill(stopped.pid, 'SIGSTOP')
    await endMarked(`${run}/`, { killAfterMs: 150 })
    expect([isAlive(stubborn.pid), isAlive(stopped.pid)]).toEqual([false, false])
  })

  test('what keeps forking is caught up with', async () => {
    const run = newRun()
    sleeper({ [MARKERS]: `${run}/a@1.1` }, 'trap "" TERM; while :; do sleep 60 & sleep 0.01; done')
    await until(() => scanMarked(`${run}/`).length > 3)
    await endMarked(`${run}/`, { killAfterMs: 100 })
    expect(scanMarked(`${run}/`)).toEqual([])
  })

  test('a nested sentinel has time to finish; one that does not is ended', async () => {
    const run = newRun()
    const env = { [MARKERS]: `${run}/a@1.1`, [SENTINEL]: '1' }
    const quick = sleeper(env, 'sleep 0.2')
    await until(() => scanMarked(`${run}/`).some((found) => found.sentinel))
    expect(await endMarked(`${run}/`, { killAfterMs: 0 })).toEqual([])
    expect(isAlive(quick.pid)).toBe(false)
    const slow = sleeper(env)
    await until(() => scanMarked(`${run}/`).length > 0)
    expect(await endMarked(`${run}/`, { killAfterMs: 0, spareSentinelsMs: 'never' })).toEqual([])
    expect(isAlive(slow.pid)).toBe(true)
    expect(await endMarked(`${run}/`, { killAfterMs: 0, spareSentinelsMs: 100 })).toMatchObject([
      { pid: slow.pid, signal: 'SIGKILL' },
    ])
  })

  test('orphans of a dead orchestrator end, whatever groups they are in', async () => {
    const run = newRun()
    const orphan = sleeper({ [MARKERS]: `${run}/a@1.1` })
    const bystander = sleeper({})
    await until(() => scanMarked(`${run}/`).length === 1)
    expect(await endOrphans(run, [bystander.pid])).toMatchObject([{ pid: orphan.pid }])
    expect(isAlive(bystander.pid)).toBe(true)
  })

  test('the record is bounded', () => {
    const many = Array.from({ length: 60 }, (_, pid) => ({ pid, command: 'x', signal: 'SIGKILL' }))
    expect(endedObservation(many, 'test')).toMatchObject({ omitted: 10 })
    expect(endedObservation([], 'test')).toBeUndefined()
  })
})
