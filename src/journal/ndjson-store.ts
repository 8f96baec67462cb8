// Owns: the store in a directory: `<store>/runs/<runId>/` (DESIGN 5). A run appears by one rename, whole.
// Must not: decide who may write; the lease does (runner/).
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { FILE_MODE, makeDirectory, syncDirectory, writeFileAtomic } from './atomic-file.ts'
import { finalSchema, type Final } from './final.ts'
import { readJournal } from './journal-reader.ts'
import { tailJournal } from './journal-tail.ts'
import { createJournal, openJournal } from './ndjson-writer.ts'
import { isRunId, pathsIn, runPaths, runsDirectory, type RunPaths } from './run-directory.ts'
import { runIdentitySchema, type RunIdentity } from './run-identity.ts'
import { resolveRun } from './run-lookup.ts'
import { damaged, errorCodeOf, unwritable } from './store-error.ts'
import type { JournalWriter, RunInit, StagedRun, Store, WriterOptions } from './store.ts'

export interface NdjsonStoreOptions {
  /** How long a writer trusts its last look at the file on disk; default 1,000 ms. */
  readonly checkIntervalMs?: number | undefined
}

const CHECK_INTERVAL_MS = 1_000
const STAGED = '.staged-'
/** A staged run older than this was left by a process that died before its run began. */
const STAGED_MAX_AGE_MS = 3_600_000

const RESTORE = 'restore it from a backup, or start a new run'
/** final.json can be made again from the journal. */
const REMAKE = 'delete it and run `spanwright recover`, which makes it again'

/** The store in `directory`. Nothing is made before the first run. */
export const createNdjsonStore = (directory: string, options: NdjsonStoreOptions = {}): Store =>
  new NdjsonStore(resolve(directory), options.checkIntervalMs ?? CHECK_INTERVAL_MS)

class NdjsonStore implements Store {
  readonly kind = 'ndjson'
  readonly directory: string
  readonly #checkIntervalMs: number

  constructor(directory: string, checkIntervalMs: number) {
    this.directory = directory
    this.#checkIntervalMs = checkIntervalMs
  }

  async create(init: RunInit): Promise<StagedRun> {
    const runId = init.identity.run_id
    const target = this.paths(runId)
    const staged = pathsIn(join(runsDirectory(this.directory), STAGED + runId))
    try {
      this.#prepare()
      return stage(init, staged, { target, checkIntervalMs: this.#checkIntervalMs })
    } catch (error) {
      rmSync(staged.directory, { recursive: true, force: true })
      throw unwritable(`cannot create a run in ${this.directory}`, error, 'Nothing was started')
    }
  }

  async open(runId: string, options: WriterOptions): Promise<JournalWriter> {
    this.#assertExists(runId)
    return openJournal(runId, this.paths(runId).journal, { ...options, checkIntervalMs: this.#checkIntervalMs })
  }

  read(runId: string, afterSeq = 0): Iterable<Entry> {
    this.#assertExists(runId)
    const { journal, final } = this.paths(runId)
    // A run that ended has entries; one that has none yet was killed at its very start.
    if (statSync(journal, { throwIfNoEntry: false })?.size === 0 && existsSync(final))
      throw damaged(journal, 'it is empty, although the run has ended', RESTORE)
    return readJournal(journal, { afterSeq })
  }

  tail(runId: string, afterSeq: number, signal: AbortSignal): AsyncIterable<readonly Entry[]> {
    this.#assertExists(runId)
    return tailJournal(this.paths(runId).journal, afterSeq, signal)
  }

  list(): string[] {
    try {
      return readdirSync(runsDirectory(this.directory)).filter(isRunId).sort()
    } catch (error) {
      if (errorCodeOf(error) === 'ENOENT') return []
      throw unwritable(`cannot list the runs in ${this.directory}`, error)
    }
  }

  resolve(text: string): string {
    return resolveRun(text, this.list(), this.directory)
  }

  readIdentity(runId: string): RunIdentity {
    const { identity } = this.paths(runId)
    const parsed = runIdentitySchema.safeParse(this.#readJson(runId, identity))
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]!
    throw damaged(identity, `${issue.path.join('.')}: ${issue.message}`, RESTORE)
  }

  readPipeline(runId: string): Pipeline {
    const { pipeline } = this.paths(runId)
    const value = this.#readJson(runId, pipeline) as Pipeline | null
    if (value !== null && typeof value === 'object' && Array.isArray(value.nodes)) return value
    throw damaged(pipeline, 'it holds no pipeline', RESTORE)
  }

  readFinal(runId: string): Final | undefined {
    const { final } = this.paths(runId)
    if (!existsSync(final)) {
      this.#assertExists(runId)
      return undefined
    }
    const parsed = finalSchema.safeParse(this.#readJson(runId, final, REMAKE))
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]!
    throw damaged(final, `${issue.path.join('.')}: ${issue.message}`, REMAKE)
  }

  writeFinal(runId: string, final: Final): void {
    const path = this.paths(runId).final
    try {
      writeFileAtomic(path, `${JSON.stringify(final, null, 2)}\n`, true)
    } catch (error) {
      throw unwritable(`cannot write ${path}`, error)
    }
  }

  deleteFinal(runId: string): void {
    const { directory, final } = this.paths(runId)
    try {
      rmSync(final, { force: true })
      syncDirectory(directory)
    } catch (error) {
      throw unwritable(`cannot delete ${final}`, error)
    }
  }

  remove(runId: string): void {
    const { directory } = this.paths(runId)
    const gone = join(runsDirectory(this.directory), STAGED + runId)
    try {
      if (!existsSync(directory)) return
      rmSync(gone, { recursive: true, force: true })
      renameSync(directory, gone)
      rmSync(gone, { recursive: true, force: true })
    } catch (error) {
      throw unwritable(`cannot remove ${directory}`, error)
    }
  }

  paths(runId: string): RunPaths {
    return runPaths(this.directory, runId)
  }

  #assertExists(runId: string): void {
    if (!existsSync(this.paths(runId).directory)) {
      throw new SpanwrightError('run.not_found', `no run ${runId} in ${this.directory}; \`spanwright runs\` lists them`)
    }
  }

  #readJson(runId: string, path: string, advice = RESTORE): unknown {
    this.#assertExists(runId)
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      throw damaged(path, `it cannot be read (${errorCodeOf(error) || String(error)})`, advice, error)
    }
    try {
      return JSON.parse(text)
    } catch (error) {
      throw damaged(path, `it is not JSON (${(error as Error).message})`, advice, error)
    }
  }

  /** The store's own directories, its .gitignore, and no leftovers of processes that died while they staged a run. */
  #prepare(): void {
    const runs = runsDirectory(this.directory)
    makeDirectory(runs)
    const ignore = join(this.directory, '.gitignore')
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n', { mode: FILE_MODE })
    for (const name of readdirSync(runs)) {
      if (!name.startsWith(STAGED)) continue
      const path = join(runs, name)
      const stat = statSync(path, { throwIfNoEntry: false })
      if (stat && Date.now() - stat.mtimeMs > STAGED_MAX_AGE_MS) rmSync(path, { recursive: true, force: true })
    }
  }
}

interface StagePlace {
  readonly target: RunPaths
  readonly checkIntervalMs: number
}

function stage(init: RunInit, staged: RunPaths, place: StagePlace): StagedRun {
  const { mask } = init
  const sync = init.sync ?? 'always'
  const durable = sync === 'always'
  const pipeline = mask.pipeline(init.pipeline)
  const identity = {
    ...init.identity,
    params: mask.json(init.identity.params),
    labels: mask.json(init.identity.labels),
  }
  rmSync(staged.directory, { recursive: true, force: true })
  makeDirectory(staged.directory)
  makeDirectory(staged.control)
  writeFileAtomic(staged.identity, `${JSON.stringify(identity, null, 2)}\n`, durable)
  writeFileAtomic(staged.pipeline, `${JSON.stringify(pipeline, null, 2)}\n`, durable)
  const journal = createJournal(init.identity.run_id, staged.journal, {
    mask,
    sync,
    checkIntervalMs: place.checkIntervalMs,
  })
  let open = true
  return {
    runId: init.identity.run_id,
    directory: staged.directory,
    pipelineMasked: pipeline !== init.pipeline,
    publish: () => {
      if (!open) throw new Error('this run was published or discarded before')
      publish(staged, place.target, durable)
      journal.movedTo(place.target.journal)
      open = false
      return journal
    },
    discard: () => {
      if (!open) return
      open = false
      journal.close()
      rmSync(staged.directory, { recursive: true, force: true })
    },
  }
}

function publish(staged: RunPaths, target: RunPaths, durable: boolean): void {
  try {
    if (durable) syncDirectory(staged.directory)
    renameSync(staged.directory, target.directory)
    if (durable) syncDirectory(join(target.directory, '..'))
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === 'ENOTEMPTY' || code === 'EEXIST') {
      throw new SpanwrightError(
        'run.conflict',
        `there is a run ${target.directory} already; start it again for another id`,
        { cause: error },
      )
    }
    throw unwritable(`cannot create ${target.directory}`, error, 'Nothing was started')
  }
}
