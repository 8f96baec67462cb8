// Owns: the state of a directory that is in no git repository, as a bounded list of its files, and what differs between
// two of them. Links are not followed; places where tools keep what is not the user's are left out.
import { createHash } from 'node:crypto'
import { lstat, open, opendir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { AddedLine } from './patch-reader.ts'

export interface ListingSnapshot {
  readonly kind: 'listing'
  readonly cwd: string
  readonly files: ReadonlyMap<string, FileState>
}

export interface FileState {
  /** Equal = nobody touched it. */
  readonly stat: string
  /** Of the content; undefined where that is too large. */
  readonly hash: string | undefined
}

export interface ListingChanges {
  readonly created: readonly string[]
  readonly modified: readonly string[]
  readonly deleted: readonly string[]
  readonly scanned: boolean
}

const MAX_FILES = 20_000
const MAX_MS = 15_000
/** Content of larger files, and of all after so much, is not read: their size and times have to do. */
const FILE_BYTES = 1024 * 1024
const ALL_BYTES = 256 * 1024 * 1024
const AT_ONCE = 64
const LEFT_OUT = new Set(['.git', '.hg', '.svn', 'node_modules'])

/** Throws when there are more files than are looked at, or it takes too long. */
export async function lookAtListing(
  cwd: string,
  known: ListingSnapshot['files'] = new Map(),
): Promise<ListingSnapshot> {
  const files = new Map<string, FileState>()
  const until = performance.now() + MAX_MS
  let budget = ALL_BYTES
  let batch: string[] = []
  const take = async (): Promise<void> => {
    if (files.size + batch.length > MAX_FILES) throw new Error(`there are more than ${MAX_FILES} files`)
    if (performance.now() > until) throw new Error(`looking at the files took longer than ${MAX_MS / 1000} s`)
    const states = await Promise.all(batch.map((path) => stateOf(join(cwd, path), known.get(path), budget)))
    for (const [index, state] of states.entries()) {
      if (!state) continue
      budget -= state.read
      files.set(batch[index]!, { stat: state.stat, hash: state.hash })
    }
    batch = []
  }
  for await (const path of walk(cwd, '')) if (batch.push(path) >= AT_ONCE) await take()
  await take()
  return { kind: 'listing', cwd, files }
}

async function* walk(root: string, below: string): AsyncGenerator<string> {
  if (below !== '' && (await isSealed(join(root, below)))) return
  let entries
  try {
    entries = await opendir(join(root, below), { bufferSize: 1_024 })
  } catch (error) {
    if (below === '') throw error
    return // gone or not to be read
  }
  for await (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (!entry.isDirectory()) yield path
    else if (!LEFT_OUT.has(entry.name)) yield* walk(root, path)
  }
}

/** A directory whose `.gitignore` leaves out everything (a store of runs, a cache) holds nothing of the user's. */
const isSealed = async (directory: string): Promise<boolean> => {
  const path = join(directory, '.gitignore')
  const stat = await lstat(path).catch(() => undefined)
  if (!stat?.isFile() || stat.size > 16) return false
  return (await readFile(path, 'utf8').catch(() => '')).trim() === '*'
}

async function stateOf(
  path: string,
  before: FileState | undefined,
  budget: number,
): Promise<(FileState & { read: number }) | undefined> {
  const stat = await lstat(path, { bigint: true }).catch(() => undefined)
  if (!stat) return undefined
  const seen = `${stat.mode}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
  if (before?.stat === seen) return { ...before, read: 0 }
  if (stat.isSymbolicLink()) return { stat: seen, hash: `link ${await readlink(path).catch(() => '')}`, read: 0 }
  const size = Number(stat.size)
  if (!stat.isFile() || size > FILE_BYTES || size > budget) return { stat: seen, hash: undefined, read: 0 }
  const content = await readFile(path).catch(() => undefined)
  const hash = content && `${stat.mode & 0o111n} ${createHash('sha256').update(content).digest('base64')}`
  return { stat: seen, hash, read: size }
}

export interface ListingFound {
  readonly own: ListingChanges
  /** Since the base, if one was given. */
  readonly since?: ListingChanges | undefined
}

/**
 * What changed since. Without git nothing tells which lines are new: all of a created or changed file are.
 * @param base the state to compare with besides that of the snapshot; its changes are those looked through
 */
export async function listingChanges(
  { cwd, files: before }: ListingSnapshot,
  added: AddedLine | undefined,
  base?: ListingSnapshot['files'],
): Promise<ListingFound> {
  const { files: now } = await lookAtListing(cwd, before)
  const between = async (from: ListingSnapshot['files'], look: AddedLine | undefined): Promise<ListingChanges> => {
    const created = [...now.keys()].filter((path) => !from.has(path)).toSorted()
    const deleted = [...from.keys()].filter((path) => !now.has(path)).toSorted()
    const changed = [...now].filter(([path, state]) => differs(from.get(path), state))
    const modified = changed.map(([path]) => path).toSorted()
    let scanned = true
    if (look) for (const path of [...created, ...modified]) scanned = (await scan(cwd, path, look)) && scanned
    return { created, modified, deleted, scanned }
  }
  const own = await between(before, base ? undefined : added)
  return base ? { own, since: await between(base, added) } : { own }
}

const differs = (before: FileState | undefined, now: FileState): boolean =>
  before !== undefined && before.stat !== now.stat && (before.hash === undefined || before.hash !== now.hash)

/** Lines of a text file; false when it is too large. */
async function scan(cwd: string, path: string, added: AddedLine): Promise<boolean> {
  const stat = await lstat(join(cwd, path)).catch(() => undefined)
  if (!stat?.isFile()) return true
  if (stat.size > FILE_BYTES) return false
  const file = await open(join(cwd, path)).catch(() => undefined)
  if (!file) return true
  try {
    const content = await file.readFile()
    if (content.includes(0)) return true // binary, as git sees it
    for (const [index, line] of content.toString('utf8').split('\n').entries()) added(path, index + 1, line)
    return true
  } finally {
    await file.close()
  }
}
