// Measures how long the program takes to start, beside the floor: `node -e 0` on the same machine, the two taken in turns
// so that both meet the same load. Prints medians, the difference and the target. Run: node bench/startup.ts [rounds]
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../scripts/build.ts'

const rounds = Number(process.argv[2] ?? 20)
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const directory = mkdtempSync(path.join(tmpdir(), 'spanwright-bench-'))
const pipeline = path.join(directory, 'true.yaml')

/** Wall time in ms of one start. */
function once(args: readonly string[]): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
  const took = performance.now() - started
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${String(stderr)}`)
  return took
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

try {
  build()
  writeFileSync(pipeline, 'name: bench\nnodes:\n  - { id: a, run: "true" }\n')
  const cases = [
    { name: 'spanwright --version', args: [main, '--version'], targetMs: 60 },
    { name: 'spanwright run (one `true`)', args: [main, 'run', pipeline, '--ui', 'quiet'], targetMs: 150 },
    { name: 'spanwright show latest', args: [main, 'show', 'latest'], targetMs: undefined },
  ]
  console.log(`floor: node -e 0; median of ${rounds} rounds, taken in turns`)
  for (const { name, args, targetMs } of cases) {
    once(args)
    const pairs = Array.from({ length: rounds }, () => [once(['-e', '0']), once(args)] as const)
    const [floor, own] = [median(pairs.map(([time]) => time)), median(pairs.map(([, time]) => time))]
    const over = own - floor
    const verdict =
      targetMs === undefined ? '' : `   target ≤ ${targetMs} ms over: ${over <= targetMs ? 'met' : 'missed'}`
    console.log(
      `${name.padEnd(30)} ${own.toFixed(0)} ms, floor ${floor.toFixed(0)} ms, ${over.toFixed(0)} ms over, ratio ${(own / floor).toFixed(2)}${verdict}`,
    )
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
