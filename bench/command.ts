// Measures command nodes: runs of commands through the real library, store and disk, beside bare unbuffered execa calls
// of the same command, each followed by one append + fdatasync; one after another and 8 at once, in the same process.
import { execa } from 'execa'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { commandChain, commandFanout, measuredRun, type Command } from './measured-run.ts'
import { openFloor, scratchDirectory } from './scratch.ts'

const COMMANDS = 100
const ROUNDS = 9
const ALLOWED_RATIO = 1.2

const directory = scratchDirectory()
/** About what one command puts on record. */
const ENTRIES = Buffer.alloc(1_200, 'x')

async function bare(command: Command, atOnce: number): Promise<number> {
  const [file, ...args] = typeof command === 'string' ? ['sh', '-ec', command] : command
  const floor = openFloor(directory)
  let left = COMMANDS
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await execa(file!, args, { buffer: false, stdin: 'ignore' })
      floor.append(ENTRIES)
    }
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: atOnce }, worker))
  const took = performance.now() - startedAt
  floor.close()
  return took / COMMANDS
}

async function compare(name: string, command: Command, atOnce: number): Promise<void> {
  const definition = atOnce === 1 ? commandChain(COMMANDS, command) : commandFanout(COMMANDS, command, atOnce)
  const rounds = await takeTurns(ROUNDS, [
    async () => (await measuredRun(definition, directory)).workMs / COMMANDS,
    () => bare(command, atOnce),
  ])
  const node = column(rounds, ([a]) => a!)
  const floor = column(rounds, ([, b]) => b!)
  const ratio = column(rounds, ([a, b]) => a! / b!)
  heading(
    `${name}, ${atOnce === 1 ? 'one after another' : `${atOnce} at once`}: ${COMMANDS} commands, ${ROUNDS} rounds`,
  )
  row('node', shown(node, 'ms', 2))
  row('floor: bare execa + append + fdatasync', shown(floor, 'ms', 2), 'peer: LangGraph 4.5 ms')
  target('node / floor', shown(ratio, 'x', 2), {
    wanted: `≤ ${ALLOWED_RATIO}`,
    met: ratio.median <= ALLOWED_RATIO,
  })
}

for (const atOnce of [1, 8]) {
  await compare('/bin/true', ['/bin/true'], atOnce)
  await compare('sh -ec true', 'true', atOnce)
}
