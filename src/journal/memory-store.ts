// Owns: the store without files, for programs and tests that keep nothing. Entries are encoded and decoded as on disk,
// so that what is read is never the object that was written. Its directory holds artifacts only, if anybody writes any.
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { SpanwrightError } from '../core/error.ts'
import type { Entry, Event } from '../core/events.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { EntryDecoder } from './codec.ts'
import { EntryBuffer } from './entry-buffer.ts'
import type { Final } from './final.ts'
import { isRunId, runPaths, type RunPaths } from './run-directory.ts'
import type { RunIdentity } from './run-identity.ts'
import { resolveRun } from './run-lookup.ts'
import type { JournalWriter, RunInit, StagedRun, Store, WriterOptions } from './store.ts'

interface MemoryRun {
  readonly identity: string
  readonly pipeline: string
  /** Committed lines, without newlines. */
  readonly lines: string[]
  lastAt: string
  final: string | undefined
  readonly followers: Set<() => void>
}

/** @param directory where artifacts of its runs go; default a new name in the temporary directory, made when needed. */
export const createMemoryStore = (directory?: string): Store => new MemoryStore(directory)

class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly directory: string
  readonly #runs = new Map<string, MemoryRun>()

  constructor(directory = join(tmpdir(), `spanwright-${randomUUID()}`)) {
    this.directory = directory
  }

  async create(init: RunInit): Promise<StagedRun> {
    const runId = init.identity.run_id
    if (!isRunId(runId)) throw new Error(`not a run id: ${JSON.stringify(runId)}`)
    const { mask } = init
    const pipeline = mask.pipeline(init.pipeline)
    const identity = {
      ...init.identity,
      params: mask.json(init.identity.params),
      labels: mask.json(init.identity.labels),
    }
    const run: MemoryRun = {
      identity: JSON.stringify(identity),
      pipeline: JSON.stringify(pipeline),
      lines: [],
      lastAt: '',
      final: undefined,
      followers: new Set(),
    }
    let open = true
    return {
      runId,
      directory: this.paths(runId).directory,
      pipelineMasked: pipeline !== init.pipeline,
      publish: () => {
        if (!open) throw new Error('this run was published or discarded before')
        if (this.#runs.has(runId))
          throw new SpanwrightError('run.conflict', `there is a run ${runId} already; start it again for another id`)
        open = false
        this.#runs.set(runId, run)
        return new MemoryWriter(runId, run, init)
      },
      discard: () => {
        open = false
      },
    }
  }

  async open(runId: string, options: WriterOptions): Promise<JournalWriter> {
    return new MemoryWriter(runId, this.#run(runId), options)
  }

  read(runId: string, afterSeq = 0): Iterable<Entry> {
    return readLines(this.#run(runId).lines, afterSeq)
  }

  async *tail(runId: string, afterSeq: number, signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined> {
    const { lines, followers } = this.#run(runId)
    for (let seq = afterSeq; !signal.aborted;) {
      const entries = [...readLines(lines, seq)]
      if (entries.length > 0) {
        seq = entries.at(-1)!.seq
        yield entries
      } else {
        await nextCommit(followers, signal)
      }
    }
  }

  list(): string[] {
    return [...this.#runs.keys()].sort()
  }

  resolve(text: string): string {
    return resolveRun(text, this.list(), 'memory')
  }

  readIdentity(runId: string): RunIdentity {
    return JSON.parse(this.#run(runId).identity) as RunIdentity
  }

  readPipeline(runId: string): Pipeline {
    return JSON.parse(this.#run(runId).pipeline) as Pipeline
  }

  readFinal(runId: string): Final | undefined {
    const { final } = this.#run(runId)
    return final === undefined ? undefined : (JSON.parse(final) as Final)
  }

  writeFinal(runId: string, final: Final): void {
    this.#run(runId).final = JSON.stringify(final)
  }

  deleteFinal(runId: string): void {
    this.#run(runId).final = undefined
  }

  remove(runId: string): void {
    this.#runs.delete(runId)
    rmSync(this.paths(runId).directory, { recursive: true, force: true })
  }

  paths(runId: string): RunPaths {
    return runPaths(this.directory, runId)
  }

  #run(runId: string): MemoryRun {
    const run = this.#runs.get(runId)
    if (!run) throw new SpanwrightError('run.not_found', `no run ${runId} in memory; \`spanwright runs\` lists them`)
    return run
  }
}

class MemoryWriter implements JournalWriter {
  readonly runId: string
  readonly #run: MemoryRun
  readonly #buffer: EntryBuffer

  constructor(runId: string, run: MemoryRun, options: WriterOptions) {
    this.runId = runId
    this.#run = run
    this.#buffer = new EntryBuffer(options.mask, run.lines.length, run.lastAt)
  }

  get lastSeq(): number {
    return this.#buffer.seq
  }

  get committedSeq(): number {
    return this.#run.lines.length
  }

  append(events: readonly Event[], nowMs: number): readonly Entry[] {
    const entries = this.#buffer.append(events, nowMs)
    this.#run.lastAt = entries.at(-1)?.at ?? this.#run.lastAt
    return entries
  }

  commit(): void {
    const text = this.#buffer.pending()
    if (text === '') return
    for (const line of text.slice(0, -1).split('\n')) this.#run.lines.push(line)
    this.#buffer.clear()
    for (const wake of [...this.#run.followers]) wake()
  }

  close(): void {
    this.#buffer.clear()
  }
}

function* readLines(lines: readonly string[], afterSeq: number): Generator<Entry, void, undefined> {
  const decoder = new EntryDecoder({ anyStart: true })
  for (let i = afterSeq; i < lines.length; i++) yield decoder.decode(lines[i]!)
}

function nextCommit(followers: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      followers.delete(wake)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    followers.add(wake)
    signal.addEventListener('abort', wake)
  })
}
