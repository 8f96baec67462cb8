// Owns: the state of the files before the first attempt of a visit, kept in baseline.json of that attempt for those that
// follow, in whichever process they run.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunAttempt } from '../../core/commands.ts'
import type { JsonObject } from '../../core/json.ts'
import { attemptDirectory } from '../../journal/run-directory.ts'
import type { StepFiles } from '../run-files.ts'
import type { FileState, ListingSnapshot } from './file-listing.ts'
import type { TreeBase, TreeSnapshot } from './git-tree.ts'

export type Baseline =
  | (TreeBase & { readonly kind: 'git' })
  | { readonly kind: 'listing'; readonly files: ReadonlyMap<string, FileState> }

const BASELINE_FILE = 'baseline.json'

export function writeBaseline(
  files: StepFiles,
  directory: string,
  state: TreeSnapshot | ListingSnapshot | { readonly kind: 'unknown' },
): void {
  if (state.kind === 'unknown') return
  const kept =
    state.kind === 'git'
      ? { kind: state.kind, tree: state.tree, ignored: [...state.ignored] }
      : { kind: state.kind, files: [...state.files] }
  files.write(directory, BASELINE_FILE, JSON.parse(JSON.stringify(kept)) as JsonObject)
}

/** That of the first attempt that has one; undefined on a first attempt, or when none could be kept. */
export function readBaseline(prior: RunAttempt['prior'], runDir: string): Baseline | undefined {
  for (const { attempt_id: id } of prior) {
    const kept = read(join(attemptDirectory(runDir, id), BASELINE_FILE))
    if (kept) return kept
  }
  return undefined
}

interface Kept {
  readonly kind: 'git' | 'listing'
  readonly tree: string
  readonly ignored: [string, string][]
  readonly files: [string, FileState][]
}

function read(path: string): Baseline | undefined {
  try {
    const { kind, tree, ignored, files } = JSON.parse(readFileSync(path, 'utf8')) as Kept
    return kind === 'git' ? { kind, tree, ignored: new Map(ignored) } : { kind, files: new Map(files) }
  } catch {
    return undefined
  }
}
