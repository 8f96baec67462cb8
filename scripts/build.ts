// Owns: making `dist/` from `src/`. Compiles and bundles beside it and swaps by rename, so that a process started from
// dist/ never loads a half-written file; does nothing when dist/ is newer than all that it is made of. Must not run anything
// else.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const stamp = path.join(dist, '.built')
const sources = ['src', 'scripts/bundle.ts', 'package.json', 'tsconfig.json', 'tsconfig.build.json']

/** Newest change below `entry`, in ms; directories count too, so that a deleted file is seen. */
function newestChangeMs(entry: string): number {
  const { mtimeMs } = statSync(entry)
  if (!statSync(entry).isDirectory()) return mtimeMs
  return Math.max(mtimeMs, ...readdirSync(entry).map((name) => newestChangeMs(path.join(entry, name))))
}

/** Builds when needed. Throws with the compiler's own words when `src/` does not build. */
export function build(): void {
  const startedMs = Date.now()
  if (
    existsSync(stamp) &&
    statSync(stamp).mtimeMs >= Math.max(...sources.map((name) => newestChangeMs(path.join(root, name))))
  )
    return
  const fresh = path.join(root, `dist.${process.pid}.tmp`)
  const old = path.join(root, `dist.${process.pid}.old.tmp`)
  try {
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    execFileSync(
      process.execPath,
      [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', fresh, '--noEmitOnError'],
      {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    execFileSync(process.execPath, [path.join(root, 'scripts/bundle.ts'), fresh], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    writeFileSync(path.join(fresh, '.built'), `${new Date(startedMs).toISOString()}\n`)
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(fresh, dist)
  } catch (error) {
    const output =
      error instanceof Error && 'stdout' in error
        ? `${String(error.stdout)}${'stderr' in error ? String(error.stderr) : ''}`
        : ''
    throw new Error(`src/ does not build, dist/ is unchanged.\n${output}`, { cause: error })
  } finally {
    rmSync(fresh, { recursive: true, force: true })
    rmSync(old, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  try {
    build()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
