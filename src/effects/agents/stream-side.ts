// Owns: following the files that a client writes beside its output: new lines as they come, the rest at the end.
// Must not: understand them, or trust that they stay as they are.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { LIMITS } from '../../core/limits.ts'
import { LineSplitter } from './stream-lines.ts'

const POLL_MS = 100
const CHUNK_BYTES = 256 * 1024
/** What is read of one file in one go, so that nothing else has to wait for long. */
const TURN_BYTES = 16 * CHUNK_BYTES
const FILES = 100

interface Followed {
  readonly lines: LineSplitter
  offset: number
}

export class SideFiles {
  readonly #list: () => readonly string[]
  readonly #tell: (line: string, file: string) => void
  readonly #followed = new Map<string, Followed>()
  readonly #timer: NodeJS.Timeout

  /** @param list the files there are by now; asked again and again */
  constructor(list: () => readonly string[], tell: (line: string, file: string) => void) {
    this.#list = list
    this.#tell = tell
    this.#timer = setInterval(() => this.#look(TURN_BYTES), POLL_MS)
  }

  /** Reads what is left; an unterminated last line counts too. */
  end(): void {
    clearInterval(this.#timer)
    this.#look(LIMITS.sideFileBytes)
    for (const [file, { lines }] of this.#followed) {
      const rest = lines.rest()
      if (rest !== '') this.#tell(rest, file)
    }
  }

  #look(bytes: number): void {
    for (const file of this.#list()) {
      if (!this.#followed.has(file) && this.#followed.size < FILES)
        this.#followed.set(file, { lines: new LineSplitter((line) => this.#tell(line, file)), offset: 0 })
      const followed = this.#followed.get(file)
      if (followed) readNew(file, followed, bytes)
    }
  }
}

/** A file that is not there (yet), or cannot be read, has nothing new. */
function readNew(file: string, followed: Followed, bytes: number): void {
  let fd: number
  try {
    // NONBLOCK: a FIFO of that name must not keep us waiting for a writer.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    const end = Math.min(stat.size, LIMITS.sideFileBytes, followed.offset + bytes)
    while (followed.offset < end) {
      const read = readSync(fd, buffer, 0, buffer.length, followed.offset)
      if (read === 0) return
      followed.offset += read
      followed.lines.push(buffer.subarray(0, read))
    }
  } catch {
    // It went away while it was read.
  } finally {
    closeSync(fd)
  }
}
