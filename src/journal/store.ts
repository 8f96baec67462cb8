// Owns: the journal port. Everything that runs, shows or exports a run goes through it; the NDJSON and the memory store
// keep it, and test/journal/contract.ts says what that means.
import type { Entry, Event } from '../core/events.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Final } from './final.ts'
import type { Mask } from './masking.ts'
import type { RunPaths } from './run-directory.ts'
import type { RunIdentity } from './run-identity.ts'

/** `always`: a commit returns once its bytes are on the disk. `os`: once the operating system has them. */
export type SyncMode = 'always' | 'os'

export interface WriterOptions {
  /** Applied to everything before it is kept (I8). */
  readonly mask: Mask
  /** Default `always`. */
  readonly sync?: SyncMode | undefined
}

export interface RunInit extends WriterOptions {
  readonly identity: RunIdentity
  readonly pipeline: Pipeline
}

export interface Store {
  readonly kind: 'ndjson' | 'memory'
  /** Absolute. */
  readonly directory: string
  /**
   * Prepares a run in a temporary directory beside the others; no reader sees it. Params and pipeline are masked.
   * Throws store.unwritable.
   */
  create(init: RunInit): Promise<StagedRun>
  /**
   * For the holder of the run's lease. Truncates a torn tail and says so in `recovered`.
   * Throws run.not_found, store.unwritable, journal.corrupt (the last entry is damaged).
   */
  open(runId: string, options: WriterOptions): Promise<JournalWriter>
  /**
   * The committed entries after `afterSeq` (default 0 = all), in order, read in chunks. A torn tail is not shown.
   * Throws run.not_found, and journal.corrupt for damage anywhere else.
   */
  read(runId: string, afterSeq?: number): Iterable<Entry>
  /**
   * Follows a journal: every entry after `afterSeq` once, in order, in batches, as they are committed (at most 100 ms
   * late). Ends when `signal` aborts, not when the run does. Throws like `read`.
   */
  tail(runId: string, afterSeq: number, signal: AbortSignal): AsyncIterable<readonly Entry[]>
  /** Run ids, oldest first. */
  list(): string[]
  /** A run id for what a user wrote: `latest`, or a unique beginning in any case. Throws run.not_found. */
  resolve(text: string): string
  readIdentity(runId: string): RunIdentity
  readPipeline(runId: string): Pipeline
  /** Undefined while the run is not ended. */
  readFinal(runId: string): Final | undefined
  /** Whole or not at all, and durable. */
  writeFinal(runId: string, final: Final): void
  deleteFinal(runId: string): void
  /** Removes the run with all its files; it disappears at once. Does nothing if there is none. Throws store.unwritable. */
  remove(runId: string): void
  /** Where the run's files are; the directory need not exist (memory). */
  paths(runId: string): RunPaths
}

/** A run that nobody sees yet. */
export interface StagedRun {
  readonly runId: string
  /** Its directory before it is published: what is written there (lease, sentinel) appears with it. */
  readonly directory: string
  /** The pipeline holds the value of a secret: pipeline.json has `***` there, so a resume would run that. */
  readonly pipelineMasked: boolean
  /** Makes the run appear, durably. Throws run.conflict (the id is taken), store.unwritable. */
  publish(): JournalWriter
  /** Removes it. Does nothing after `publish`. */
  discard(): void
}

/** What `open` cut off the end of a journal. */
export interface Recovered {
  readonly bytes: number
  readonly reason: string
}

export interface JournalWriter {
  readonly runId: string
  /** Of the last appended entry; 0 before the first. */
  readonly lastSeq: number
  /** Of the last entry known to be kept. */
  readonly committedSeq: number
  /** Only after `open`, and only if the tail was torn. */
  readonly recovered?: Recovered | undefined
  /**
   * Masks and stamps events and buffers them in memory; all of them or none. The entries come back as recorded: an
   * entry whose event is not the object that was given was masked. `nowMs`: epoch milliseconds; recorded time never
   * goes back, even if the clock does. Throws EntryTooLarge.
   */
  append(events: readonly Event[], nowMs: number): readonly Entry[]
  /**
   * Writes everything appended since the last commit: one write, one fdatasync. Does nothing without such.
   * Throws store.unwritable (nothing new is kept, what was committed still is; the entries stay buffered and the next
   * commit tries again) and journal.corrupt (the file was replaced, truncated or written by someone else).
   */
  commit(): void
  /** Closes without committing. */
  close(): void
}
