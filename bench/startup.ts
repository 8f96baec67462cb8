// Measures how long the program takes to start, beside the floor: `node -e 0` on the same machine, taken in turns so that
// both meet the same load; with what Node keeps of compiled code (warm) and without (cold, as after an installation).
// Run: node bench/startup.ts [rounds]
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../scripts/build.ts'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const ROUNDS = Number(process.argv[2] ?? 21)
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const directory = scratchDirectory()
const pipeline = path.join(directory, 'true.yaml')
let colds = 0

/** Wall time in ms of one start. */
function once(args: readonly string[], cache: string): number {
  const env = { ...process.env, NODE_COMPILE_CACHE: path.join(directory, cache) }
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd: directory,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const took = performance.now() - startedAt
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${String(stderr)}`)
  return took
}

build()
writeFileSync(pipeline, 'name: bench\nnodes:\n  - { id: a, run: "true" }\n')
const run = [main, 'run', pipeline, '--ui', 'quiet']
const cases = [
  { name: 'spanwright --version', args: [main, '--version'], cold: false, limitMs: 60 },
  { name: 'spanwright run (one `true`)', args: run, cold: false, limitMs: 150 },
  { name: 'spanwright run, nothing compiled', args: run, cold: true, limitMs: undefined },
  { name: 'spanwright show latest', args: [main, 'show', 'latest'], cold: false, limitMs: undefined },
]

heading(`start of the program, ${ROUNDS} rounds; each figure is over its own floor`)
for (const { name, args, cold, limitMs } of cases) {
  const rounds = await takeTurns(ROUNDS, [
    () => once(['-e', '0'], 'warm'),
    () => once(args, cold ? `cold${colds++}` : 'warm'),
  ])
  const over = column(rounds, ([floor, own]) => own! - floor!)
  const remark = `floor: node -e 0 ${shown(
    column(rounds, ([floor]) => floor!),
    'ms',
    0,
  )}`
  row(
    name,
    shown(
      column(rounds, ([, own]) => own!),
      'ms',
      0,
    ),
    remark,
  )
  if (limitMs === undefined) row('  over it', shown(over, 'ms', 0))
  else target('  over it', shown(over, 'ms', 0), { wanted: `≤ ${limitMs} ms`, met: over.median <= limitMs })
}
