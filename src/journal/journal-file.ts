// Owns: the file behind a writer: one write and one fdatasync per commit, nothing acknowledged is ever lost or changed,
// and a file that changed under its holder is noticed (I6). Must not: know what the bytes mean.
import { closeSync, constants, fdatasyncSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs'
import type { SpanwrightError } from '../core/error.ts'
import { FILE_MODE } from './atomic-file.ts'
import { damaged, errorCodeOf, unwritable } from './store-error.ts'
import type { SyncMode } from './store.ts'

export interface JournalFileOptions {
  readonly sync: SyncMode
  /** How long a look at the file on disk is trusted. */
  readonly checkIntervalMs: number
}

/** Tries of a write that the system asked to repeat, a millisecond apart. */
const MAX_REPEATS = 1_000

export class JournalFile {
  path: string
  readonly #options: JournalFileOptions
  readonly #fd: number
  readonly #device: number
  readonly #inode: number
  /** Bytes that are acknowledged. */
  #size: number
  /** A failed write may have left bytes behind these. */
  #dirty = false
  #checkedAt = Number.NEGATIVE_INFINITY

  /** Opens `path` for appending, creating it. Throws the system's error. */
  constructor(path: string, options: JournalFileOptions) {
    this.path = path
    this.#options = options
    // Append mode: even a holder that lost its lease can never overwrite what another one wrote.
    this.#fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, FILE_MODE)
    const stat = fstatSync(this.#fd)
    this.#size = stat.size
    this.#device = stat.dev
    this.#inode = stat.ino
  }

  /** All of `bytes` or nothing. `kept` is put behind the message of a store.unwritable. Throws also journal.corrupt. */
  write(bytes: Uint8Array, kept: string): void {
    try {
      if (this.#dirty) this.#undo()
    } catch (error) {
      throw this.#failed(error, kept)
    }
    this.#verify()
    try {
      this.#dirty = true
      for (let done = 0, repeats = 0; done < bytes.length;) {
        const count = writeSome(this.#fd, bytes, done)
        done += count
        repeats = count > 0 ? 0 : repeats + 1
        if (repeats > MAX_REPEATS) throw new Error('the system accepts no bytes')
      }
      if (this.#options.sync === 'always') fdatasyncSync(this.#fd)
    } catch (error) {
      try {
        this.#undo()
      } catch {
        // Tried again before the next write; until then a reader may see a torn tail.
      }
      throw this.#failed(error, kept)
    }
    this.#dirty = false
    this.#size += bytes.length
  }

  sync(): void {
    if (this.#options.sync === 'always') fdatasyncSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #undo(): void {
    ftruncateSync(this.#fd, this.#size)
    this.#dirty = false
  }

  #failed(error: unknown, kept: string): SpanwrightError {
    return unwritable(`cannot write ${this.path}`, error, kept)
  }

  #verify(): void {
    const now = performance.now()
    if (now - this.#checkedAt < this.#options.checkIntervalMs) return
    const found = this.#changed()
    if (found !== undefined) {
      throw damaged(
        this.path,
        found,
        'nothing more is written to it; make sure that nothing else uses this store and resume the run',
      )
    }
    this.#checkedAt = now
  }

  #changed(): string | undefined {
    const { size } = fstatSync(this.#fd)
    if (size < this.#size)
      return `it was truncated to ${size} bytes while this process held it (expected ${this.#size})`
    if (size > this.#size)
      return `something else wrote to it while this process held it (${size} bytes, expected ${this.#size})`
    try {
      const stat = statSync(this.path)
      if (stat.ino === this.#inode && stat.dev === this.#device) return undefined
      return 'it was replaced while this process held it'
    } catch (error) {
      if (errorCodeOf(error) === 'ENOENT') return 'it was removed while this process held it'
      throw unwritable(`cannot look at ${this.path}`, error)
    }
  }
}

/** Bytes written; 0 when the system asks to try again. */
function writeSome(fd: number, bytes: Uint8Array, from: number): number {
  try {
    return writeSync(fd, bytes, from, bytes.length - from)
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === 'EINTR') return 0
    if (code !== 'EAGAIN') throw error
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    return 0
  }
}
