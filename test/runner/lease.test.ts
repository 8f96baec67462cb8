// The lease of a run: at most one live holder (I5), also when holders die, race or are replaced.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { acquireLease, isLeaseHeld, readLease } from '../../src/runner/lease.ts'
import { temporaryDirectory } from '../support/cli.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] }))
afterEach(() => void vi.useRealTimers())

const runner = { role: 'runner', execution: 1 } as const

describe('lease.json', () => {
  it('says who runs the run, is renewed every 10 s, and is gone when released', () => {
    const directory = temporaryDirectory()
    const lease = acquireLease(directory, runner)
    lease.keep(() => {})
    const first = readLease(directory)
    expect(first).toMatchObject({
      pid: process.pid,
      role: 'runner',
      execution: 1,
      host: expect.any(String),
      start_time: expect.any(Number),
    })
    vi.advanceTimersByTime(10_000)
    const second = readLease(directory)
    expect(Date.parse(second!.renewed_at) - Date.parse(first!.renewed_at)).toBe(10_000)
    lease.update({ execution: 2, sentinel: first! })
    expect(readLease(directory)).toMatchObject({ execution: 2, sentinel: { pid: process.pid } })
    lease.release()
    expect(existsSync(path.join(directory, 'lease.json'))).toBe(false)
    vi.advanceTimersByTime(60_000)
    expect(isLeaseHeld(directory)).toBe(false)
  })

  it('refuses a second holder, naming the first (I5)', () => {
    const directory = temporaryDirectory()
    acquireLease(directory, runner)
    expect(() => acquireLease(directory, runner)).toThrow(`is being run by process ${process.pid} on `)
  })

  it('tells its holder, once, when another process took it, and leaves that one alone', () => {
    const directory = temporaryDirectory()
    const lease = acquireLease(directory, runner)
    let lost = 0
    lease.keep(() => lost++)
    const file = path.join(directory, 'lease.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"token":"[^"]+"/, '"token":"other"'))
    vi.advanceTimersByTime(30_000)
    expect(lost).toBe(1)
    lease.release()
    expect(readLease(directory)?.token).toBe('other')
  })
})
