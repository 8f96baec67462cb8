// Owns: the state of a git working directory as a tree object, made with an index and an object store of its own that go
// away afterwards; and what differs between two such trees. Commits, HEAD and the user's index play no part in it.
import { copyFileSync, lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { git, gitChunks, gitPlace, type GitPlace } from './git.ts'
import { PatchReader, type AddedLine } from './patch-reader.ts'

export interface TreeSnapshot {
  readonly kind: 'git'
  readonly place: GitPlace
  /** Of the temporary index and objects. */
  readonly directory: string
  /** Where the working directory lies in the repository: empty, or `sub/directory/`. */
  readonly prefix: string
  readonly tree: string
  readonly head: string | undefined
  /** Ignored files outside ignored directories (an `.env`), which no tree holds: path → state. */
  readonly ignored: ReadonlyMap<string, string>
}

export interface TreeChanges {
  readonly created: readonly string[]
  readonly modified: readonly string[]
  readonly deleted: readonly string[]
  readonly ignored: readonly string[]
  readonly commits: readonly { readonly id: string; readonly subject: string }[]
  readonly patch: { readonly text: string; readonly truncated: boolean }
  /** False: there was more than is looked through for added lines. */
  readonly scanned: boolean
}

const IGNORED_FILES = 2_000
const COMMITS = 20
/** diff.patch, and what is looked through for added lines. */
const PATCH_BYTES = 1024 * 1024
const SCAN_BYTES = 64 * 1024 * 1024

/**
 * Throws when the directory is in no git repository, is ignored by it, or git cannot read it.
 * @param keep the tree is asked for again by later attempts: what it holds beyond commits goes to the repository's objects,
 *   where git takes it away after two weeks
 */
export async function lookAtTree(cwd: string, inherited: NodeJS.ProcessEnv, keep = false): Promise<TreeSnapshot> {
  const outside = gitPlace(cwd, inherited)
  const said = await git(
    outside,
    'rev-parse',
    '--path-format=absolute',
    '--git-path',
    'index',
    '--git-path',
    'objects',
    '--show-prefix',
  )
  const [index = '', objects = '', prefix = ''] = said.split('\n')
  if (prefix !== '' && (await isIgnored(outside))) throw new Error('the working directory is ignored by git')
  const directory = mkdtempSync(join(tmpdir(), 'spanwright-git-'))
  try {
    copyIndex(index, join(directory, 'index'))
    mkdirSync(join(directory, 'objects'))
    const place = {
      ...outside,
      env: { ...outside.env, ...temporary(directory, objects) },
      settings: [...outside.settings, ...(await withoutFilters(outside))],
    }
    const { GIT_OBJECT_DIRECTORY: _, ...kept } = place.env
    const writing = writeTree(keep ? { ...place, env: kept } : place)
    const [tree, head, ignored] = await Promise.all([writing, headOf(outside), ignoredFiles(outside)])
    return { kind: 'git', place, directory, prefix, tree, head, ignored }
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

const isIgnored = (place: GitPlace): Promise<boolean> =>
  git(place, 'check-ignore', '-q', '.').then(
    () => true,
    () => false,
  )

/** With its time, by which git knows which of its entries are too young to be trusted. */
function copyIndex(from: string, to: string): void {
  const stat = statSync(from, { throwIfNoEntry: false })
  if (!stat) return
  copyFileSync(from, to)
  const seconds = Math.floor(stat.mtimeMs) / 1000
  utimesSync(to, seconds, seconds)
}

const temporary = (directory: string, objects: string): { [name: string]: string } => ({
  GIT_INDEX_FILE: join(directory, 'index'),
  GIT_OBJECT_DIRECTORY: join(directory, 'objects'),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: /[:"\\]/.test(objects) ? JSON.stringify(objects) : objects,
})

/** A filter of the repository's configuration is a program, and whoever edits that configuration chooses it. */
async function withoutFilters(place: GitPlace): Promise<string[]> {
  const names = await git(place, 'config', '--name-only', '-z', '--get-regexp', '^filter\\..*').catch(() => '')
  return names
    .split('\0')
    .filter((name) => /\.(?:clean|smudge|process|required)$/.test(name) && !name.includes('='))
    .map((name) => `${name}=${name.endsWith('.required') ? 'false' : ''}`)
}

/** Files that cannot be read are left out. */
async function writeTree(place: GitPlace): Promise<string> {
  await git(place, 'add', '-A', '--ignore-errors', '--', ':/').catch((error: unknown) => {
    if ((error as { exitCode?: number }).exitCode !== 1) throw error
  })
  return (await git(place, 'write-tree', '--missing-ok')).trim()
}

const headOf = (place: GitPlace): Promise<string | undefined> =>
  git(place, 'rev-parse', '-q', '--verify', 'HEAD').then(
    (head) => head.trim(),
    () => undefined,
  )

async function ignoredFiles(place: GitPlace): Promise<Map<string, string>> {
  const listed = await git(place, 'ls-files', '-z', '--others', '--ignored', '--exclude-standard', '--directory').catch(
    () => '',
  )
  const files = listed.split('\0').filter((path) => path !== '' && !path.endsWith('/'))
  return new Map(files.slice(0, IGNORED_FILES).map((path) => [path, stateOf(join(place.cwd, path))]))
}

function stateOf(path: string): string {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : ''
}

/** The state to compare with when it is not that of the snapshot. */
export interface TreeBase {
  readonly tree: string
  readonly ignored: ReadonlyMap<string, string>
}

export interface TreeFound {
  readonly own: TreeChanges
  /** Since the base, if one was given; its lines are those that were told as added. */
  readonly since?: Omit<TreeChanges, 'commits' | 'patch'> | undefined
}

/** What changed since; the snapshot goes away with it. Throws when git cannot tell. */
export async function treeChanges(
  snapshot: TreeSnapshot,
  added: AddedLine | undefined,
  base?: TreeBase,
): Promise<TreeFound> {
  const { place } = snapshot
  try {
    const [tree, ignored] = await Promise.all([writeTree(place), ignoredFiles(place)])
    const between = async (from: TreeBase, look: AddedLine | undefined): Promise<Omit<TreeChanges, 'commits'>> => ({
      ...(await treesDiffer(snapshot, [from.tree, tree], look)),
      ignored: differing(from.ignored, ignored),
    })
    const own = { ...(await between(snapshot, base ? undefined : added)), commits: await commitsSince(snapshot) }
    if (!base) return { own }
    const { patch: _, ...since } = await between(base, added)
    return { own, since }
  } finally {
    forgetTree(snapshot)
  }
}

async function treesDiffer(
  { place, prefix }: TreeSnapshot,
  [from, to]: readonly [string, string],
  look: AddedLine | undefined,
): Promise<Omit<TreeChanges, 'commits' | 'ignored'>> {
  const shown = (path: string): string => posix.relative(prefix, path)
  if (from === to) return { ...byStatus('', shown), ...NO_PATCH }
  const [names, patch] = await Promise.all([
    git(place, 'diff-tree', '-r', '-z', '--no-renames', '--name-status', from, to),
    readPatch(place, [from, to], look && ((path, line, text) => look(shown(path), line, text))),
  ])
  return { ...byStatus(names, shown), ...patch }
}

export const forgetTree = ({ directory }: TreeSnapshot): void => rmSync(directory, { recursive: true, force: true })

/** `A\0path\0M\0path\0…` */
function byStatus(
  names: string,
  shown: (path: string) => string,
): Pick<TreeChanges, 'created' | 'modified' | 'deleted'> {
  const lists = { created: [] as string[], modified: [] as string[], deleted: [] as string[] }
  const parts = names.split('\0')
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const path = shown(parts[at + 1]!)
    if (parts[at] === 'A') lists.created.push(path)
    else if (parts[at] === 'D') lists.deleted.push(path)
    else lists.modified.push(path)
  }
  return lists
}

function differing(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...before.keys(), ...now.keys()])
  return [...paths].filter((path) => before.get(path) !== now.get(path)).toSorted()
}

async function commitsSince({ place, head }: TreeSnapshot): Promise<TreeChanges['commits']> {
  const now = await headOf(place)
  if (now === undefined || now === head) return []
  const range = head === undefined ? now : `${head}..${now}`
  const said = await git(
    place,
    'log',
    '-z',
    '--no-show-signature',
    `--max-count=${COMMITS}`,
    '--format=%H %s',
    range,
  ).catch(() => '')
  return said
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => ({ id: line.slice(0, line.indexOf(' ')), subject: line.slice(line.indexOf(' ') + 1, 240) }))
}

const NO_PATCH = { patch: { text: '', truncated: false }, scanned: true }
const PATCH = [
  'diff-tree',
  '-r',
  '-p',
  '--no-renames',
  '--no-color',
  '--no-ext-diff',
  '--no-textconv',
  '--src-prefix=a/',
  '--dst-prefix=b/',
]

async function readPatch(
  place: GitPlace,
  trees: readonly string[],
  added: AddedLine | undefined,
): Promise<Pick<TreeChanges, 'patch' | 'scanned'>> {
  const reader = added && new PatchReader(added)
  const kept: Uint8Array[] = []
  let bytes = 0
  let whole = true
  for await (const chunk of gitChunks(place, ...PATCH, ...trees)) {
    if (bytes < PATCH_BYTES) kept.push(chunk.subarray(0, PATCH_BYTES - bytes))
    bytes += chunk.length
    reader?.write(chunk)
    whole = reader ? bytes <= SCAN_BYTES : bytes <= PATCH_BYTES
    if (!whole) break
  }
  reader?.end()
  return {
    patch: { text: Buffer.concat(kept).toString('utf8'), truncated: bytes > PATCH_BYTES },
    scanned: !reader || whole,
  }
}
