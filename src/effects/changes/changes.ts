// Owns: what an attempt changed in its working directory: a look before, a look after, changes.json and diff.patch. It
// never fails an attempt: what cannot be known is said to be unknown. Must not: judge what changed (checks do).
import { join } from 'node:path'
import type { RunAttempt } from '../../core/commands.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Check } from '../../core/pipeline.ts'
import { readRegularJson } from '../../journal/regular-file.ts'
import { ForbiddenText, type Finding } from '../checks/forbidden-text.ts'
import { withoutSecrets } from '../checks/secret-formats.ts'
import type { StepFiles } from '../run-files.ts'
import { readBaseline, writeBaseline, type Baseline } from './baseline.ts'
import { forgetTree, lookAtTree, treeChanges, type TreeSnapshot } from './git-tree.ts'
import { gitProblem } from './git.ts'
import type { AddedLine } from './patch-reader.ts'
import { listingChanges, lookAtListing, type ListingSnapshot } from './file-listing.ts'

/** The state of a working directory at one moment, and the one that checks compare with. */
export type Snapshot = State & { readonly base?: Baseline | undefined }
type State = TreeSnapshot | ListingSnapshot | { readonly kind: 'unknown'; readonly problem: string }

/** Paths are relative to the working directory, those outside of it begin with `../`. */
export interface ChangeLists {
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
  /** Forbidden text in what was added, by the position of the check. */
  readonly findings: readonly Finding[]
  /** False: too much was added to look through all of it. */
  readonly scanned: boolean
}

/** changes.json: what the attempt changed. */
export interface Changes extends ChangeLists {
  /** Newest first. */
  readonly commits: readonly { readonly id: string; readonly subject: string }[]
  /** Another attempt worked in the same directory at the same time: some of it may be that one's. */
  readonly overlapped: boolean
  /**
   * What all attempts of the visit changed together, where that is not the same and checks ask for it: what one attempt
   * did wrong stays wrong until another takes it back, and to take it back is no new wrong.
   */
  readonly visit?: ChangeLists | undefined
}

const CHANGES_FILE = 'changes.json'
const PATCH_FILE = 'diff.patch'
/** Paths of a list of changes.json. */
const MAX_PATHS = 10_000

/** Whether a node has checks that ask what an attempt changed. */
export const asksForChanges = (checks: readonly Check[]): boolean =>
  checks.some(({ rule }) => rule && ('scope' in rule || 'forbidden' in rule))

/** The attempt whose files are looked at. */
export interface Watched {
  readonly ground: { readonly files: StepFiles; readonly context: { readonly runDir: string } }
  readonly command: RunAttempt
  /** Of the attempt. */
  readonly directory: string
}

/**
 * Looks at the files before an attempt: of a git repository all that it does not ignore, else those of the directory
 * (at most 20,000). Never throws. Every snapshot goes to `changesSince` or `forget`.
 * @param env the orchestrator's environment, for git
 * @param watched with checks that ask what changed, the state before the first attempt of the visit is kept for the others
 */
export async function lookAtFiles(
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
  watched?: Watched,
): Promise<Snapshot> {
  if (!watched || !asksForChanges(watched.command.node.checks)) return look(cwd, env, false)
  const { ground, command, directory } = watched
  const base = readBaseline(command.prior, ground.context.runDir)
  const state = await look(cwd, env, !base && command.attempt < command.max)
  if (!base) writeBaseline(ground.files, directory, state)
  return base ? { ...state, base } : state
}

async function look(cwd: string, env: NodeJS.ProcessEnv, keep: boolean): Promise<State> {
  try {
    return await lookAtTree(cwd, env, keep)
  } catch (error) {
    const problem = gitProblem(error)
    return lookAtListing(cwd).catch((cause: unknown): State => ({
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
    return await compared(snapshot, { text, added, overlapped })
  } catch (error) {
    forget(snapshot)
    return unknown(snapshot.kind === 'git' ? gitProblem(error) : (error as Error).message, overlapped)
  }
}

interface Looking {
  readonly text: ForbiddenText
  readonly added: AddedLine | undefined
  readonly overlapped: boolean
}

async function compared(snapshot: Snapshot, { text, added, overlapped }: Looking): Promise<Found> {
  const { base, kind } = snapshot
  if (kind === 'unknown') return unknown(snapshot.problem, overlapped)
  const findings = (): readonly Finding[] => text.findings
  if (kind === 'git') {
    const { own, since } = await treeChanges(snapshot, added, base?.kind === 'git' ? base : undefined)
    const { patch, commits, ...lists } = own
    const changes = changesOf({ own: lists, since, base, kind }, findings())
    const end = patch.truncated ? '\n# cut: there is more\n' : ''
    return { changes: { ...changes, commits, overlapped }, patch: patch.text + end }
  }
  const { own, since } = await listingChanges(snapshot, added, base?.kind === 'listing' ? base.files : undefined)
  return { changes: { ...changesOf({ own, since, base, kind }, findings()), commits: [], overlapped }, patch: '' }
}

const unknown = (problem: string, overlapped: boolean): Found => ({
  changes: { ...listsOf('unknown', { scanned: false }), problem, commits: [], overlapped },
  patch: '',
})

interface Compared {
  readonly own: Partial<ChangeLists>
  readonly since: Partial<ChangeLists> | undefined
  readonly base: Baseline | undefined
  readonly kind: 'git' | 'listing'
}

function changesOf(
  { own, since, base, kind }: Compared,
  findings: readonly Finding[],
): Omit<Changes, 'commits' | 'overlapped'> {
  if (!base) return listsOf(kind, { ...own, findings })
  const lost = `the state before the first attempt was ${base.kind}, now it is ${kind}`
  const visit = since
    ? listsOf(kind, { ...since, findings })
    : { ...listsOf('unknown', { scanned: false }), problem: lost }
  return { ...listsOf(kind, own), visit }
}

function listsOf(source: ChangeLists['source'], found: Partial<ChangeLists>): ChangeLists {
  const { created = [], modified = [], deleted = [], ignored = [], findings = [], scanned = true } = found
  const first = (paths: readonly string[]): readonly string[] => paths.slice(0, MAX_PATHS)
  return {
    source,
    created: first(created),
    modified: first(modified),
    deleted: first(deleted),
    ignored: first(ignored),
    total: created.length + modified.length + deleted.length,
    truncated: [created, modified, deleted, ignored].some((paths) => paths.length > MAX_PATHS),
    findings,
    scanned,
  }
}

/** Writes changes.json, and diff.patch when there is something to show. */
export function recordChanges(files: StepFiles, directory: string, { changes, patch }: Found): void {
  files.write(directory, CHANGES_FILE, JSON.parse(JSON.stringify(changes)) as JsonObject)
  if (patch !== '') files.write(directory, PATCH_FILE, withoutSecrets(patch))
}

/** changes.json of an attempt; undefined when it has none. */
export function readChanges(directory: string): Changes | undefined {
  const value = readRegularJson(join(directory, CHANGES_FILE), LIMITS.recordFileBytes)
  return isJsonObject(value) ? (value as unknown as Changes) : undefined
}
