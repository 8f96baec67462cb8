// Owns: the commit that is checked out where a run is started, read from the repository's files: no git is started for
// it. Nothing is said where there is no repository, or one that keeps its refs in another way.
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { RunIdentity } from '../journal/run-identity.ts'

export type GitHead = NonNullable<RunIdentity['git']>

/** HEAD of the repository around `directory`; undefined when there is none. */
export function gitHead(directory: string): GitHead | undefined {
  try {
    const git = gitDirectory(directory)
    if (git === undefined) return undefined
    const head = readText(path.join(git, 'HEAD'))
    if (!head.startsWith('ref: ')) return isCommit(head) ? { head } : undefined
    const ref = head.slice('ref: '.length)
    const commit = refIn(git, ref)
    return commit === undefined ? undefined : { head: commit, branch: ref.replace(/^refs\/heads\//, '') }
  } catch {
    return undefined
  }
}

function gitDirectory(from: string): string | undefined {
  for (let directory = path.resolve(from); ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, '.git')
    const found = statSync(candidate, { throwIfNoEntry: false })
    if (found?.isDirectory()) return candidate
    // A linked worktree or a submodule: the file says where its directory is.
    if (found?.isFile()) return path.resolve(directory, readText(candidate).replace(/^gitdir: /, ''))
    if (path.dirname(directory) === directory) return undefined
  }
}

function refIn(git: string, ref: string): string | undefined {
  const shared = sharedDirectory(git)
  for (const directory of [git, shared]) {
    const text = textOrNothing(path.join(directory, ref))
    if (text !== undefined && isCommit(text)) return text
  }
  const packed = textOrNothing(path.join(shared, 'packed-refs')) ?? ''
  return packed
    .split('\n')
    .find((line) => line.endsWith(` ${ref}`))
    ?.split(' ')[0]
}

function sharedDirectory(git: string): string {
  const common = textOrNothing(path.join(git, 'commondir'))
  return common === undefined ? git : path.resolve(git, common)
}

const readText = (file: string): string => readFileSync(file, 'utf8').trim()
const isCommit = (text: string): boolean => /^[0-9a-f]{40,64}$/.test(text)

function textOrNothing(file: string): string | undefined {
  try {
    return readText(file)
  } catch {
    return undefined
  }
}
