// Owns: how numbers are taken and printed. Sides of a comparison take turns, so that a machine that is busy for a while
// is busy for all of them; every number is a median with its range. Must not: know what is measured.

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** Throws for an empty list. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const median = sorted[sorted.length >> 1]
  if (median === undefined) throw new Error('nothing was measured')
  return { min: sorted[0]!, median, max: sorted.at(-1)! }
}

/** Runs every side once a round, in turns, after one round that does not count. Results by round, then side. */
export async function takeTurns<T>(rounds: number, sides: readonly (() => Promise<T> | T)[]): Promise<T[][]> {
  const results: T[][] = []
  for (let round = -1; round < rounds; round++) {
    const row: T[] = []
    for (const side of sides) row.push(await side())
    if (round >= 0) results.push(row)
  }
  return results
}

/** One number of every round. */
export const column = <T>(rounds: readonly T[], pick: (round: T) => number): Spread => spread(rounds.map(pick))

/** `unit` is put behind every number that is printed. */
export const shown = ({ min, median, max }: Spread, unit: string, digits = 1): string =>
  `${median.toFixed(digits)} ${unit} (${min.toFixed(digits)} to ${max.toFixed(digits)})`

export function heading(text: string): void {
  console.log(`\n${text}`)
}

/** One line: what, its value, and what it has to be compared with. */
export function row(what: string, value: string, remark = ''): void {
  console.log(`  ${what.padEnd(44)} ${value.padEnd(34)} ${remark}`.trimEnd())
}

/** A line with a target: `met` says whether the medians are within it. */
export function target(what: string, value: string, { wanted, met }: { wanted: string; met: boolean }): void {
  row(what, value, `target ${wanted}: ${met ? 'met' : 'MISSED'}`)
}
