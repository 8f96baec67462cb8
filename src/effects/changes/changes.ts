// Owns: what an attempt changed in its working directory: a look before, a look after, changes.json and diff.patch. It
// never fails an attempt: what cannot be known is said to be unknown. Must not: judge what changed (checks do).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { Check } from '../../core/pipeline.ts'
import { ForbiddenText, type Finding } from '../checks/forbidden-text.ts'
import type { StepFiles } from '../run-files.ts'
import { forgetTree, lookAtTree, treeChanges, type TreeSnapshot } from './git-tree.ts'
import { gitProblem } from './git.ts'
import { listingChanges, lookAtListing, type ListingSnapshot } from './file-listing.ts'

/** The state of a working directory at one moment. */
export type Snapshot = TreeSnapshot | ListingSnapshot | { readonly kind: 'unknown'; readonly problem: string }

/** changes.json. Paths are relative to the working directory, those outside of it begin with `../`. */
export interface Changes {
  /** How it was found out; unknown = it could not be. */
  readonly source: 'git' | 'listing' | 'unknown'
  /** Why it is unknown. */
  readonly problem?: string | undefined
  readonly created: readonly string[]
  readonly modified: readonly string[]
  readonly deleted: readonly string[]
  /** Files that git ignores and that were created, changed or deleted; those in ignored directories are not seen. */
  readonly ignored: readonly string[]
  /** How many there are in all; the lists hold the first ones. */
  readonly total: number
  readonly truncated: boolean
  /** Newest first. */
  readonly commits: readonly { readonly id: string; readonly subject: string }[]
  /** Another attempt worked in the same directory at the same time: some of it may be that one's. */
  readonly overlapped: boolean
  /** Forbidden text in what was added, by the position of the check. */
  readonly findings: readonly Finding[]
  /** False: too much was added to look through all of it. */
  readonly scanned: boolean
}

const CHANGES_FILE = 'changes.json'
const PATCH_FILE = 'diff.patch'
/** Paths of a list of changes.json. */
const MAX_PATHS = 10_000

/** Whether a node has checks that ask what an attempt changed. */
export const asksForChanges = (checks: readonly Check[]): boolean =>
  checks.some(({ rule }) => rule && ('scope' in rule || 'forbidden' in rule))

/**
 * Looks at the files before an attempt: of a git repository all that it does not ignore, else those of the directory
 * (at most 20,000). Never throws. Every snapshot goes to `changesSince` or `forget`.
 * @param env the orchestrator's environment, for git
 */
export async function lookAtFiles(cwd: string, env: NodeJS.ProcessEnv = process.env): Promise<Snapshot> {
  try {
    return await lookAtTree(cwd, env)
  } catch (error) {
    const problem = gitProblem(error)
    return lookAtListing(cwd).catch((cause: unknown): Snapshot => ({
      kind: 'unknown',
      problem: `${(cause as Error).message}; git: ${problem}`,
    }))
  }
}

/** Takes a snapshot's files away when nothing is asked of it any more. */
export function forget(snapshot: Snapshot): void {
  if (snapshot.kind === 'git') forgetTree(snapshot)
}

export interface Found {
  readonly changes: Changes
  /** For diff.patch; empty without git. */
  readonly patch: string
}

/**
 * What changed since; to be asked once. Never throws.
 * @param checks of the node: text that they forbid is looked for in what was added
 */
export async function changesSince(
  snapshot: Snapshot,
  checks: readonly Check[] = [],
  overlapped = false,
): Promise<Found> {
  const text = new ForbiddenText(checks)
  const added = text.isAsked ? text.look : undefined
  try {
    if (snapshot.kind === 'git') {
      const { patch, ...found } = await treeChanges(snapshot, added)
      const end = patch.truncated ? '\n# cut: there is more\n' : ''
      return { changes: changesOf('git', { ...found, findings: text.findings, overlapped }), patch: patch.text + end }
    }
    if (snapshot.kind === 'listing')
      return {
        changes: changesOf('listing', {
          ...(await listingChanges(snapshot, added)),
          findings: text.findings,
          overlapped,
        }),
        patch: '',
      }
    return unknown(snapshot.problem, overlapped)
  } catch (error) {
    return unknown(snapshot.kind === 'git' ? gitProblem(error) : (error as Error).message, overlapped)
  }
}

const unknown = (problem: string, overlapped: boolean): Found => ({
  changes: { ...changesOf('unknown', { overlapped, scanned: false }), problem },
  patch: '',
})

function changesOf(source: Changes['source'], found: Partial<Changes>): Changes {
  const {
    created = [],
    modified = [],
    deleted = [],
    ignored = [],
    commits = [],
    findings = [],
    scanned = true,
    overlapped = false,
  } = found
  const first = (paths: readonly string[]): readonly string[] => paths.slice(0, MAX_PATHS)
  return {
    source,
    created: first(created),
    modified: first(modified),
    deleted: first(deleted),
    ignored: first(ignored),
    total: created.length + modified.length + deleted.length,
    truncated: [created, modified, deleted, ignored].some((paths) => paths.length > MAX_PATHS),
    commits,
    overlapped,
    findings,
    scanned,
  }
}

/** Writes changes.json, and diff.patch when there is something to show. */
export function recordChanges(files: StepFiles, directory: string, { changes, patch }: Found): void {
  files.write(directory, CHANGES_FILE, JSON.parse(JSON.stringify(changes)) as JsonObject)
  if (patch !== '') files.write(directory, PATCH_FILE, patch)
}

/** changes.json of an attempt; undefined when it has none. */
export function readChanges(directory: string): Changes | undefined {
  try {
    const value = JSON.parse(readFileSync(join(directory, CHANGES_FILE), 'utf8')) as Json
    return isJsonObject(value) ? (value as unknown as Changes) : undefined
  } catch {
    return undefined
  }
}
