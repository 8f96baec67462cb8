// Owns: what colours mean on the dashboards, the same as in the terminal and on the page: red is failing and nothing else.
import type { Threshold } from '@grafana/grafana-foundation-sdk/dashboard'
import type { Result } from '../../src/core/failure.ts'

const GOOD = 'green'
export const FAILING = 'red'
export const WAITING_FOR_PEOPLE = 'orange'
export const RUNNING = 'blue'
/** Neither good nor bad: counts, money, what waits for a limit. */
const PLAIN = 'text'

export const RESULT_COLORS: Readonly<Record<Result, string>> = {
  success: GOOD,
  failure: FAILING,
  error: 'dark-red',
  timeout: 'light-red',
  cancellation: '#8e8e8e',
  skip: '#c4c4c4',
}

/** The smallest part of a dollar or a second that is told apart from nothing. */
const ABOVE_ZERO = 1e-9

const steps = (base: string, ...above: readonly [number, string][]): Threshold[] => [
  { value: null, color: base },
  ...above.map(([value, color]) => ({ value, color })),
]

/** No judgement. */
export const neutral = (color = PLAIN): Threshold[] => steps(color)
/** 0 is quiet; anything above gets the colour. */
export const fromOne = (color: string, quiet = PLAIN): Threshold[] => steps(quiet, [ABOVE_ZERO, color])
/** The higher the better: below `low` it is failing, below `high` it needs a look. */
export const goodAbove = (low: number, high: number): Threshold[] =>
  steps(FAILING, [low, WAITING_FOR_PEOPLE], [high, GOOD])
/** From here on it needs a look; it is not failing. */
export const noticeAbove = (high: number): Threshold[] => steps(PLAIN, [high, WAITING_FOR_PEOPLE])
/** The lower the better; from `tooHigh` on something fails or is lost. */
export const badAbove = (high: number, tooHigh: number): Threshold[] =>
  steps(GOOD, [high, WAITING_FOR_PEOPLE], [tooHigh, FAILING])
