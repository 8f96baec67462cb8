// Owns: what an installed agent client is: where it lies, its version, whether it knows the flags we give it. Asked of the
// program itself, within a bound; the answer is kept as long as the file stays the same.
import { execa } from 'execa'
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { LIMITS } from '../../core/limits.ts'
import type { AgentAdapter } from './adapter.ts'

export interface ClientFacts {
  /** Absolute. */
  readonly file: string
  /** Undefined: it did not tell. */
  readonly version: string | undefined
  /** Flags that its help does not name. Only asked of versions that are not known. */
  readonly missingFlags: readonly string[]
}

/** The file that `program` stands for, as the system would find it; undefined: there is none that can be run. */
export function findProgram(program: string, env: NodeJS.ProcessEnv, cwd: string): string | undefined {
  const places = program.includes('/')
    ? [path.resolve(cwd, program)]
    : (env['PATH'] ?? '').split(path.delimiter).map((directory) => path.join(directory || '.', program))
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK)
      return statSync(place).isFile()
    } catch {
      return false
    }
  })
}

/** `2.1.x` stands for every version that begins with `2.1.`. */
export const isKnownVersion = (version: string, known: readonly string[]): boolean =>
  known.some((pattern) => (pattern.endsWith('.x') ? version.startsWith(pattern.slice(0, -1)) : version === pattern))

/** @param cache directory for what was found out; it may not exist yet and need not be writable */
export async function clientFacts(
  adapter: AgentAdapter,
  file: string,
  env: NodeJS.ProcessEnv,
  cache: string,
): Promise<ClientFacts> {
  const { size, mtimeMs, ino } = statSync(file)
  const key = `${adapter.name} ${file} ${ino}:${size}:${mtimeMs}`
  const kept = readCache(cache)
  const before = kept[key]
  if (before) return { file, version: before.version, missingFlags: before.missingFlags ?? [] }
  const version = adapter.parseVersion(await ask(file, '--version', env))
  const known = version !== undefined && isKnownVersion(version, adapter.versions)
  const help = known || adapter.flags.length === 0 ? '' : await ask(file, '--help', env)
  const missingFlags = help === '' ? [] : adapter.flags.filter((flag) => !help.includes(flag))
  // A program that says nothing of itself is asked again next time.
  if (version !== undefined) writeCache(cache, { ...kept, [key]: { version, missingFlags } })
  return { file, version, missingFlags }
}

/**
 * What it prints; empty when it fails, hangs or cannot be started. Clients make files in their home even for this question
 * (Gemini CLI leaves a new one each time), so it is given one that is thrown away. A program that fails there, as wrappers
 * of version managers do that look for the real one below the user's home, is asked again as it is.
 */
async function ask(file: string, flag: string, env: NodeJS.ProcessEnv): Promise<string> {
  const home = mkdtempSync(path.join(tmpdir(), 'spanwright-ask-'))
  // A run may end before the answer is there.
  const remove = (): void => {
    try {
      rmSync(home, { recursive: true, force: true, maxRetries: 3 })
    } catch {}
  }
  process.once('exit', remove)
  try {
    const away = { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, XDG_CACHE_HOME: home, XDG_STATE_HOME: home }
    const told = await run(file, flag, { ...env, ...away })
    return told.failed && !told.timedOut ? (await run(file, flag, env)).all : told.all
  } finally {
    process.off('exit', remove)
    remove()
  }
}

interface Told {
  readonly all: string
  readonly failed: boolean
  readonly timedOut: boolean
}

async function run(file: string, flag: string, env: NodeJS.ProcessEnv): Promise<Told> {
  const { all, failed, timedOut } = await execa(file, [flag], {
    env,
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    reject: false,
    timeout: LIMITS.agentVersionMs,
    forceKillAfterDelay: 500,
    maxBuffer: LIMITS.tailBytes,
  })
  return { all: all ?? '', failed, timedOut }
}

interface Cache {
  readonly [key: string]: { readonly version: string; readonly missingFlags?: readonly string[] }
}
const CACHE_FILE = 'agent-clients.json'
const CACHE_ENTRIES = 50

function readCache(directory: string): Cache {
  try {
    return JSON.parse(readFileSync(path.join(directory, CACHE_FILE), 'utf8')) as Cache
  } catch {
    return {}
  }
}

/** A cache that cannot be written only costs time. */
function writeCache(directory: string, cache: Cache): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const staging = path.join(directory, `${CACHE_FILE}.${process.pid}.tmp`)
    const entries = Object.entries(cache).slice(-CACHE_ENTRIES)
    writeFileSync(staging, JSON.stringify(Object.fromEntries(entries)), { mode: 0o600 })
    renameSync(staging, path.join(directory, CACHE_FILE))
  } catch {}
}
