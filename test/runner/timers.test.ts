// Timers follow the wall clock, however far away and in whatever order they are set.
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClock } from '../../src/runner/clock.ts'
import { createTimers } from '../../src/runner/timers.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

const wall = { now: () => Date.now() }

describe('timers', () => {
  it('fire once, when they are due and in that order, whatever is set, moved and dropped', () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 9 }),
      due: fc.option(fc.integer({ min: -5, max: 60_000 })),
      pass: fc.integer({ min: 0, max: 8_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const expected = new Map<string, number>()
        const fired: string[] = []
        const timers = createTimers(wall, (id) => {
          expect(expected.get(id)).toBeLessThanOrEqual(Date.now())
          expected.delete(id)
          fired.push(id)
        })
        for (const { id, due, pass } of steps) {
          const name = `t${id}`
          if (due === null) {
            timers.drop(name)
            expected.delete(name)
          } else {
            timers.set(name, Date.now() + due)
            expected.set(name, Date.now() + due)
          }
          vi.advanceTimersByTime(pass + 1)
          expect([...expected.values()].every((at) => at > Date.now() - 1)).toBe(true)
        }
        vi.advanceTimersByTime(70_000)
        expect(expected.size).toBe(0)
        timers.clear()
        expect(vi.getTimerCount()).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('are due in wall clock: after a suspend they fire soon, and a far one does not overflow', () => {
    const fired: string[] = []
    const timers = createTimers(wall, (id) => fired.push(id))
    timers.set('hour', Date.now() + 3_600_000)
    timers.set('century', Date.now() + 3.15e12)
    vi.advanceTimersByTime(1_000)
    // The machine slept for two hours: the wall clock jumps, timers do not.
    vi.setSystemTime(Date.now() + 7_200_000)
    vi.advanceTimersByTime(10_000)
    expect(fired).toEqual(['hour'])
    timers.clear()
  })
})

describe('the clock', () => {
  it('follows the wall clock when that jumps, and has fractions of milliseconds otherwise', () => {
    vi.useRealTimers()
    const clock = createClock()
    const times = Array.from({ length: 1_000 }, () => clock.now())
    expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true)
    expect(times.some((time) => !Number.isInteger(time))).toBe(true)
    const jumped = vi.spyOn(Date, 'now').mockReturnValue(2_000_000)
    expect(Math.abs(clock.now() - 2_000_000)).toBeLessThan(3)
    jumped.mockRestore()
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(5)
  })
})
