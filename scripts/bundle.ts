// Owns: the command line as few files: starting it from 500 modules takes twice as long as all that it then does.
// Bundles dist/cli with the libraries that it uses; the library itself (dist/index.js) stays as the compiler made it.
// Run by build.ts: node scripts/bundle.ts <dist>
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rolldown } from 'rolldown'

/** Programs and threads that are started by name, and what main.js loads once it knows that Node is new enough. */
const ENTRIES = { program: 'cli/program.js', version: 'cli/version.js', takeover: 'cli/takeover.js' }
const WORKER = { worker: 'telemetry/worker.js' }
const API_AGENT = { 'api-agent': 'effects/agents/api-agent.js' }
/** The API must be the one that a user's own SDK registers with; pino starts threads from its own files. */
const EXTERNAL = [/^@opentelemetry\//, 'pino']
/** The worker has no user's code in it, and loading the SDK from 200 files takes twice as long as from one. */
const WORKER_EXTERNAL = [/^@opentelemetry\/exporter-.*-grpc$/]

async function bundle(dist: string): Promise<void> {
  const target = path.join(dist, 'cli.bundled')
  const modules: string[] = []
  for (const [entries, external] of [
    [ENTRIES, EXTERNAL],
    [WORKER, WORKER_EXTERNAL],
    [API_AGENT, EXTERNAL],
  ] as const) {
    const input = Object.entries(entries).map(([name, file]) => [name, path.join(dist, file)] as const)
    const made = await rolldown({ input: Object.fromEntries(input), platform: 'node', external: [...external] })
    const { output } = await made.write({
      dir: target,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'part-[name]-[hash].js',
    })
    await made.close()
    modules.push(...output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : [])))
  }
  writeFileSync(path.join(target, 'LICENSES.txt'), licenses(modules))
  // The one file that has to be readable for every version of Node.
  copyFileSync(path.join(dist, 'cli/main.js'), path.join(target, 'main.js'))
  rmSync(path.join(dist, 'cli'), { recursive: true })
  renameSync(target, path.join(dist, 'cli'))
}

/** Name, version and licence text of every package that is in the bundle. */
function licenses(modules: readonly string[]): string {
  const packages = new Set(
    modules.flatMap((file) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []),
  )
  return [...packages]
    .toSorted()
    .map((directory) => {
      const { name, version, license } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
        readonly [key: string]: string
      }
      const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry))
      const text = file === undefined ? '' : readFileSync(path.join(directory, file), 'utf8').trim()
      return `${name} ${version} (${license})\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

const [dist] = process.argv.slice(2)
if (dist === undefined || !existsSync(dist)) throw new Error('usage: node scripts/bundle.ts <dist>')
await bundle(path.resolve(dist))
