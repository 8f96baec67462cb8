// Owns: one log stream of one attempt: masked, capped, with a tail in memory. Writes are synchronous, so a process that
// writes faster than the disk is slowed down instead of filling memory. Must not: interpret what is in the log.
import { closeSync, constants, fstatSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SpanwrightError } from '../core/error.ts'
import { LIMITS } from '../core/limits.ts'
import { FILE_MODE, makeDirectory } from './atomic-file.ts'
import { ByteTail, lastText } from './byte-tail.ts'
import type { MaskStream } from './mask-stream.ts'
import type { Mask } from './masking.ts'
import { errorCodeOf, unwritable } from './store-error.ts'

export interface LogWriterOptions {
  /** Created, with its directory, at the first byte; absent = only count and tail are kept. */
  readonly path?: string | undefined
  readonly mask: Mask
  /** Bytes of the file before the announcement that it was capped; default LIMITS.logBytes. */
  readonly limitBytes?: number | undefined
  /** Default LIMITS.tailBytes. */
  readonly tailBytes?: number | undefined
  /** Called once, when the cap is reached. */
  readonly onCapped?: ((limitBytes: number) => void) | undefined
  /** Called once, with store.unwritable; the file stays as it is, tail and count go on. */
  readonly onFailed?: ((error: SpanwrightError) => void) | undefined
}

export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #limit: number
  readonly #tail: ByteTail
  readonly #stream: MaskStream
  #fd: number | undefined
  #written = 0
  #state: 'writing' | 'full' | 'closed' = 'writing'
  #received = 0
  #capped = false

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#limit = options.limitBytes ?? LIMITS.logBytes
    this.#tail = new ByteTail(options.tailBytes ?? LIMITS.tailBytes)
    this.#stream = options.mask.stream()
  }

  /** Bytes received, also those beyond the cap. */
  get bytes(): number {
    return this.#received
  }

  get capped(): boolean {
    return this.#capped
  }

  /** Takes bytes as they come. Never throws: a disk that is full is reported to `onFailed`. */
  write(chunk: Uint8Array): void {
    if (this.#state === 'closed') return
    this.#received += chunk.length
    this.#keep(this.#stream.write(chunk))
  }

  /** Writes what masking still held back and closes the file. May be called twice. */
  close(): void {
    if (this.#state === 'closed') return
    this.#keep(this.#stream.end())
    this.#state = 'closed'
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  /** The last bytes, masked, as text; complete only after `close`. */
  tail(maxBytes: number = this.#options.tailBytes ?? LIMITS.tailBytes): string {
    return lastText(this.#tail.bytes(), maxBytes)
  }

  #keep(masked: Uint8Array): void {
    this.#tail.push(masked)
    const { path } = this.#options
    if (path === undefined || this.#state !== 'writing' || masked.length === 0) return
    const room = this.#limit - this.#written
    const capped = masked.length > room
    try {
      this.#append(path, capped ? masked.subarray(0, room) : masked)
      if (capped)
        this.#append(
          path,
          Buffer.from(`\n[spanwright: this log is capped at ${this.#limit} bytes; what follows was not kept]\n`),
        )
    } catch (error) {
      this.#state = 'full'
      this.#options.onFailed?.(unwritable(`cannot write ${path}`, error))
      return
    }
    if (!capped) return
    this.#state = 'full'
    this.#capped = true
    this.#options.onCapped?.(this.#limit)
  }

  #append(path: string, bytes: Uint8Array): void {
    if (this.#fd === undefined) {
      makeDirectory(dirname(path))
      this.#fd = openLog(path)
    }
    for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done)
    this.#written += bytes.length
  }
}

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * A step knows its directory and may have made something else there first: what is written to a FIFO waits for ever, and
 * a link leads elsewhere. What is no regular file is replaced.
 */
function openLog(path: string): number {
  try {
    const fd = openSync(path, APPEND, FILE_MODE)
    if (fstatSync(fd).isFile()) return fd
    closeSync(fd)
  } catch (error) {
    // A link, a FIFO that nobody reads, a directory, a socket; everything else is the disk's.
    if (!['ELOOP', 'EMLINK', 'ENXIO', 'EISDIR'].includes(errorCodeOf(error) ?? '')) throw error
  }
  rmSync(path, { force: true, recursive: true })
  return openSync(path, APPEND | constants.O_EXCL, FILE_MODE)
}
