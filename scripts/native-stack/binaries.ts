// Owns: the servers' programs: where they lie, and building those that are not there from their Go modules
// (collector/native). A finished build appears by rename, so two builds at a time do not disturb each other. Must not
// start a server.
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = path.join(root, '.cache/stack')

interface GoModule {
  /** What `go build` is asked for: the module's own program, or the `tool` lines of its go.mod. */
  readonly target: '.' | 'tool'
  readonly programs: readonly Program[]
  readonly tags?: string
}

const MODULES = {
  otelcol: { target: '.', programs: ['otelcol'] },
  // Service discovery of clouds is most of Prometheus' size and nothing here uses it.
  prometheus: { target: 'tool', programs: ['prometheus', 'promtool'], tags: 'remove_all_sd' },
  alertmanager: { target: 'tool', programs: ['alertmanager', 'amtool'] },
  jaeger: { target: 'tool', programs: ['jaeger'] },
} as const satisfies Record<string, GoModule>

type ModuleName = keyof typeof MODULES
export type Program = 'otelcol' | 'prometheus' | 'promtool' | 'alertmanager' | 'amtool' | 'jaeger'

export interface BuildOptions {
  readonly report: (line: string) => void
  /** Ends a build that is under way. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Absolute paths of the programs asked for, built first where the cache (`.cache/stack/<module>-<hash of its sources>`)
 * has none. Throws with what to do when there is no Go, an old one, or a build fails.
 */
export async function programs<P extends Program>(
  wanted: readonly P[],
  options: BuildOptions,
): Promise<Record<P, string>> {
  const found: [string, string][] = []
  for (const [name, module] of Object.entries(MODULES) as [ModuleName, GoModule][]) {
    const here = wanted.filter((program) => module.programs.includes(program))
    if (here.length === 0) continue
    const directory = await builtModule(name, module, options)
    found.push(...here.map((program): [string, string] => [program, path.join(directory, program)]))
  }
  return Object.fromEntries(found) as Record<P, string>
}

async function builtModule(name: ModuleName, module: GoModule, options: BuildOptions): Promise<string> {
  const { report, signal } = options
  const source = path.join(root, 'collector/native', name)
  const directory = path.join(cache, `${name}-${sourceHash(source, module)}`)
  if (existsSync(directory)) return directory
  await requireGo(source)
  const fresh = path.join(cache, `.${name}.${process.pid}.tmp`)
  const startedMs = Date.now()
  report(`${name}: building into ${path.relative(root, directory)} (the first time it takes minutes)`)
  mkdirSync(fresh, { recursive: true })
  try {
    await goBuild(source, module, { into: fresh, signal })
    putInPlace(fresh, directory)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  for (const entry of readdirSync(cache))
    if (entry.startsWith(`${name}-`) && entry !== path.basename(directory))
      rmSync(path.join(cache, entry), { recursive: true, force: true })
  report(`${name}: built in ${Math.round((Date.now() - startedMs) / 1_000)} s`)
  return directory
}

/** Another process may have finished the same build meanwhile: then its result stays. */
function putInPlace(fresh: string, directory: string): void {
  try {
    renameSync(fresh, directory)
  } catch (error) {
    if (!existsSync(directory)) throw error
  }
}

function sourceHash(source: string, module: GoModule): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${module.tags ?? ''}\n`)
  for (const file of readdirSync(source).toSorted())
    if (/^go\.(mod|sum)$|\.go$/.test(file)) hash.update(`${file}\n`).update(readFileSync(path.join(source, file)))
  return hash.digest('hex').slice(0, 16)
}

/** Go's settings of this machine stay (proxy, caches); what would change the result is fixed. */
function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' }
}

/** Asks in the module's directory, where Go itself compares its version with the one in go.mod. */
async function requireGo(source: string): Promise<void> {
  const needed = /^go (\S+)$/m.exec(readFileSync(path.join(source, 'go.mod'), 'utf8'))?.[1] ?? 'a current version'
  try {
    await promisify(execFile)('go', ['version'], { cwd: source, env: goEnvironment() })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new Error(
      `Building the servers needs Go ${needed} or later as \`go\` in PATH. ${said === '' ? 'There is none.' : `It says: ${said}.`} ` +
        'Install it (https://go.dev/dl), or use docker: spanwright stack up.',
      { cause: error },
    )
  }
}

async function goBuild(
  source: string,
  module: GoModule,
  { into, signal }: { readonly into: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const tags = module.tags === undefined ? [] : ['-tags', module.tags]
  const args = [
    'build',
    '-p',
    `${availableParallelism()}`,
    ...tags,
    '-trimpath',
    '-buildvcs=false',
    '-ldflags=-s',
    '-o',
  ]
  const child = spawn('go', [...args, `${into}${path.sep}`, module.target], {
    cwd: source,
    env: goEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-8_000)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`go build in ${path.relative(root, source)} ended with ${code}:\n${said}`)
}
