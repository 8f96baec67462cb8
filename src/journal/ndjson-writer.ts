// Owns: the writer of one run's journal.ndjson: buffer, file, and the repair of a torn tail when it is opened again.
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { SpanwrightError } from '../core/error.ts'
import type { Entry, Event } from '../core/events.ts'
import { EntryDamaged, EntryDecoder } from './codec.ts'
import { EntryBuffer } from './entry-buffer.ts'
import { JournalFile } from './journal-file.ts'
import type { Mask } from './masking.ts'
import { damaged, errorCodeOf, unwritable } from './store-error.ts'
import type { JournalWriter, Recovered, SyncMode } from './store.ts'
import { findEnd } from './torn-tail.ts'

export interface NdjsonWriterOptions {
  readonly mask: Mask
  readonly sync?: SyncMode | undefined
  readonly checkIntervalMs: number
}

export class NdjsonWriter implements JournalWriter {
  readonly runId: string
  readonly recovered: Recovered | undefined
  readonly #file: JournalFile
  readonly #buffer: EntryBuffer
  #committedSeq: number

  constructor(runId: string, file: JournalFile, state: { buffer: EntryBuffer; recovered?: Recovered | undefined }) {
    this.runId = runId
    this.#file = file
    this.#buffer = state.buffer
    this.recovered = state.recovered
    this.#committedSeq = state.buffer.seq
  }

  get lastSeq(): number {
    return this.#buffer.seq
  }

  get committedSeq(): number {
    return this.#committedSeq
  }

  append(events: readonly Event[], nowMs: number): readonly Entry[] {
    return this.#buffer.append(events, nowMs)
  }

  commit(): void {
    const text = this.#buffer.pending()
    if (text === '') return
    this.#file.write(Buffer.from(text), `Entries up to ${this.#committedSeq} are kept`)
    this.#buffer.clear()
    this.#committedSeq = this.#buffer.seq
  }

  close(): void {
    this.#file.close()
  }

  /** The run directory was renamed. */
  movedTo(path: string): void {
    this.#file.path = path
  }
}

/** A new, empty journal, on the disk. Throws the system's error. */
export function createJournal(runId: string, path: string, options: NdjsonWriterOptions): NdjsonWriter {
  const file = new JournalFile(path, { sync: options.sync ?? 'always', checkIntervalMs: options.checkIntervalMs })
  try {
    file.sync()
  } catch (error) {
    file.close()
    throw error
  }
  return new NdjsonWriter(runId, file, { buffer: new EntryBuffer(options.mask, 0, '') })
}

/** The journal of an interrupted or ended run, to go on with. See Store.open. */
export function openJournal(runId: string, path: string, options: NdjsonWriterOptions): NdjsonWriter {
  const { seq, at, recovered } = repair(path, options.sync ?? 'always')
  try {
    const file = new JournalFile(path, { sync: options.sync ?? 'always', checkIntervalMs: options.checkIntervalMs })
    return new NdjsonWriter(runId, file, { buffer: new EntryBuffer(options.mask, seq, at), recovered })
  } catch (error) {
    throw unwritable(`cannot open ${path}`, error)
  }
}

interface LastEntry {
  readonly seq: number
  readonly at: string
  readonly recovered?: Recovered | undefined
}

/** Cuts a torn tail off and says where the journal ends. */
function repair(path: string, sync: SyncMode): LastEntry {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') {
      throw damaged(path, 'it is missing', 'restore it from a backup, or start a new run', error)
    }
    throw unwritable(`cannot open ${path}`, error)
  }
  try {
    const { size } = fstatSync(fd)
    const { end, lastLine, reason } = findEnd(fd, size)
    const decoder = new EntryDecoder({ anyStart: true })
    if (lastLine) decoder.decode(Buffer.from(lastLine).toString('utf8'))
    if (reason === undefined) return decoder
    ftruncateSync(fd, end)
    if (sync === 'always') fdatasyncSync(fd)
    return { seq: decoder.seq, at: decoder.at, recovered: { bytes: size - end, reason } }
  } catch (error) {
    if (error instanceof SpanwrightError) throw error
    if (error instanceof EntryDamaged) {
      throw damaged(
        path,
        `its last entry is damaged: ${error.message}`,
        'restore the file from a backup, or start a new run',
        error,
      )
    }
    throw unwritable(`cannot repair ${path}`, error)
  } finally {
    closeSync(fd)
  }
}
