// Owns: reading a journal file forwards in chunks of bounded size, also while someone writes to it. A tail that is no
// whole line yet is not there; damage anywhere else is journal.corrupt with its place.
import { isAscii, isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import { EntryDamaged, EntryDecoder } from './codec.ts'
import { damaged, errorCodeOf, unwritable } from './store-error.ts'
import { onlyNulsFrom } from './torn-tail.ts'

/** Four times the longest line that is ever written. */
const CHUNK = 1024 * 1024
const NEWLINE = 10
const RESTORE = 'restore the file from a backup, or start a new run'

export interface JournalReaderOptions {
  readonly afterSeq?: number | undefined
  /** Validate every event with the full schema. */
  readonly strict?: boolean | undefined
}

export class JournalReader {
  readonly #path: string
  readonly #fd: number
  readonly #afterSeq: number
  readonly #decoder: EntryDecoder
  readonly #buffer = Buffer.allocUnsafe(CHUNK)
  #position = 0

  /** Throws journal.corrupt when there is no such file: a run without its journal is a damaged one. */
  constructor(path: string, options: JournalReaderOptions = {}) {
    this.#path = path
    this.#afterSeq = options.afterSeq ?? 0
    this.#decoder = new EntryDecoder({ strict: options.strict })
    try {
      this.#fd = openSync(path, 'r')
    } catch (error) {
      throw errorCodeOf(error) === 'ENOENT'
        ? damaged(path, 'it is missing', RESTORE, error)
        : unwritable(`cannot read ${path}`, error)
    }
  }

  /** Offset behind the last line read. */
  get position(): number {
    return this.#position
  }

  /** Entries of the next chunk that holds any after `afterSeq`; empty at the end of what is there now. */
  next(): Entry[] {
    for (;;) {
      const length = this.#fill()
      const end = length === 0 ? 0 : this.#buffer.lastIndexOf(NEWLINE, length - 1) + 1
      if (end === 0) {
        if (length === CHUNK) this.#overlong()
        return []
      }
      const from = this.#position
      const entries = this.#decode(end)
      if (entries.length > 0 || this.#position === from) return entries
    }
  }

  close(): void {
    closeSync(this.#fd)
  }

  #fill(): number {
    let length = 0
    while (length < CHUNK) {
      const count = readSync(this.#fd, this.#buffer, length, CHUNK - length, this.#position + length)
      if (count === 0) break
      length += count
    }
    return length
  }

  /** The whole lines in the first `end` bytes of the buffer. */
  #decode(end: number): Entry[] {
    const bytes = this.#buffer.subarray(0, end)
    const encoding = isAscii(bytes) ? 'latin1' : 'utf8'
    const valid = encoding === 'latin1' || isUtf8(bytes)
    const entries: Entry[] = []
    for (let start = 0; start < end;) {
      const newline = bytes.indexOf(NEWLINE, start)
      try {
        if (!valid && !isUtf8(bytes.subarray(start, newline))) throw new EntryDamaged('it is no valid UTF-8')
        const line = bytes.toString(encoding, start, newline)
        if (this.#decoder.seq >= this.#afterSeq) entries.push(this.#decoder.decode(line))
        else this.#decoder.skip(line)
      } catch (error) {
        if (!(error instanceof EntryDamaged)) throw error
        if (this.#isTorn(bytes.subarray(start, newline + 1))) return entries
        throw this.#damaged(error.message, error)
      }
      this.#position += newline + 1 - start
      start = newline + 1
    }
    return entries
  }

  /** A last line with NULs in it was never acknowledged: its newline reached the disk before the middle did. */
  #isTorn(line: Uint8Array): boolean {
    const { size } = fstatSync(this.#fd)
    return line.includes(0) && onlyNulsFrom(this.#fd, this.#position + line.length, size)
  }

  /** A chunk without a newline: a long tail of NULs, or no journal at all. */
  #overlong(): void {
    const nul = this.#buffer.indexOf(0)
    const { size } = fstatSync(this.#fd)
    if (nul >= 0 && onlyNulsFrom(this.#fd, this.#position + nul, size)) return
    throw this.#damaged(`it is longer than ${CHUNK} bytes`)
  }

  #damaged(found: string, cause?: unknown): SpanwrightError {
    return damaged(
      this.#path,
      `line ${this.#decoder.seq + 1} (seq ${this.#decoder.seq + 1}, byte ${this.#position}) is damaged: ${found}`,
      RESTORE,
      cause,
    )
  }
}

/** All entries after `afterSeq`, chunk by chunk. The file is open while the iteration lasts. */
export function* readJournal(path: string, options: JournalReaderOptions = {}): Generator<Entry, void, undefined> {
  const reader = new JournalReader(path, options)
  try {
    for (let entries = reader.next(); entries.length > 0; entries = reader.next()) yield* entries
  } finally {
    reader.close()
  }
}
