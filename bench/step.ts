// Measures a durable function step: a chain of functions through the real store with --sync always, beside the same
// bytes in the same groups appended and fdatasynced without anything else.
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { functionChain, measuredRun, writtenGroups } from './measured-run.ts'
import { openFloor, scratchDirectory } from './scratch.ts'

const STEPS = 1_000
const ROUNDS = 9
const ALLOWED_RATIO = 1.5
const ALLOWED_OVER_MS = 0.1

const directory = scratchDirectory()
let groups: readonly Buffer[] = []
const floor = (): number => {
  const file = openFloor(directory)
  const startedAt = performance.now()
  for (const group of groups) file.append(group)
  const took = performance.now() - startedAt
  file.close()
  return took / STEPS
}
const chain = functionChain(STEPS)
const own = async (): Promise<number> => {
  const measured = await measuredRun(chain, directory)
  groups = writtenGroups(measured, directory)
  return measured.workMs / STEPS
}

const rounds = await takeTurns(ROUNDS, [own, floor])
heading(`durable function step, chain of ${STEPS}, ${ROUNDS} rounds`)
const step = column(rounds, ([a]) => a!)
const bare = column(rounds, ([, b]) => b!)
const ratio = column(rounds, ([a, b]) => a! / b!)
const over = column(rounds, ([a, b]) => a! - b!)
target('step', shown(step, 'ms', 3), {
  wanted: `≤ ${ALLOWED_RATIO} x floor or ${ALLOWED_OVER_MS} ms over it`,
  met: ratio.median <= ALLOWED_RATIO || over.median <= ALLOWED_OVER_MS,
})
row('floor: append + fdatasync of the same bytes', shown(bare, 'ms', 3))
row('step / floor', shown(ratio, 'x', 2))
row('step - floor', shown(over, 'ms', 3))
