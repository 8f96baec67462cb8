// Runs the benchmarks, each in a process of its own: all of them, or those that are named (`node bench/run.ts step
// fold`). They measure the built program. Numbers belong to a quiet machine; nothing here fails for being slow.
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import path from 'node:path'
import { build } from '../scripts/build.ts'

const ALL = ['step', 'fanout', 'command', 'tracing', 'startup', 'fold', 'cancel', 'journal']
const names = process.argv.length > 2 ? process.argv.slice(2) : ALL

build()
console.log(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}`)
for (const name of names) {
  if (!ALL.includes(name)) throw new Error(`there is no benchmark ${name}: ${ALL.join(' ')}`)
  const { status } = spawnSync(process.execPath, [path.join(import.meta.dirname, `${name}.ts`)], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
