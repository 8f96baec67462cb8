// A process of its own that makes one run and prints what it took as JSON: for memory, and for anything that must not
// profit from what an earlier run warmed up. Arguments: shape, size, store.
import { commandChain, functionChain, functionFanout, functionFanouts, measuredRun } from '../measured-run.ts'

const [shape, size, store] = process.argv.slice(2)
const shapes: { readonly [name: string]: (size: number) => Parameters<typeof measuredRun>[0] } = {
  functions: functionFanout,
  rows: functionFanouts,
  chain: functionChain,
  commands: (count) => commandChain(count, ['/bin/true']),
}
const { groupSizes: _, ...measured } = await measuredRun(shapes[shape!]!(Number(size)), store!)
const { maxRSS } = process.resourceUsage()
process.stdout.write(`${JSON.stringify({ ...measured, peakMb: maxRSS / 1024 })}\n`)
// As the command line does: what still delivers must not hold the process.
process.exit(0)
