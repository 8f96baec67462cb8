// Owns: cutting what a client writes into lines: across chunks, characters split between them, lines without an end.
import { LIMITS } from '../../core/limits.ts'

const NEWLINE = 0x0a

/** Bytes in, lines out (without `\n` or `\r\n`, without NULs). A line longer than `limitBytes` is left out and counted. */
export class LineSplitter {
  readonly #tell: (line: string) => void
  readonly #limitBytes: number
  #parts: Buffer[] = []
  #length = 0
  #skipping = false
  #skipped = 0

  constructor(tell: (line: string) => void, limitBytes: number = LIMITS.streamLineBytes) {
    this.#tell = tell
    this.#limitBytes = limitBytes
  }

  /** Lines that were too long. */
  get skipped(): number {
    return this.#skipped
  }

  push(chunk: Buffer): void {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end < 0) break
      this.#keep(chunk.subarray(from, end))
      from = end + 1
      if (this.#skipping) this.#skipping = false
      else this.#tell(this.#take())
    }
    this.#keep(chunk.subarray(from))
  }

  /** What came after the last newline. */
  rest(): string {
    return this.#take()
  }

  #keep(part: Buffer): void {
    if (this.#skipping || part.length === 0) return
    this.#length += part.length
    if (this.#length <= this.#limitBytes) {
      // The stream may use the memory of its chunk again.
      this.#parts.push(Buffer.from(part))
      return
    }
    this.#take()
    this.#skipping = true
    this.#skipped++
  }

  #take(): string {
    const line = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    this.#parts = []
    this.#length = 0
    return line.toString('utf8').replace(/\r$/, '').replaceAll('\0', '')
  }
}
