// Owns: reading a unified diff as git prints it: which lines were added to which file. Bounded memory.

/** A line that was added, with its number in the new file. */
export type AddedLine = (path: string, line: number, text: string) => void

/** More of one line is not looked at. */
const LINE_BYTES = 64 * 1024
const NEWLINE = 0x0a

export class PatchReader {
  readonly #added: AddedLine
  #rest: Buffer[] = []
  #restBytes = 0
  #path: string | undefined
  /** Lines of the hunk at hand that are still to come. */
  #old = 0
  #new = 0
  #line = 0

  constructor(added: AddedLine) {
    this.#added = added
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#keep(bytes.subarray(from, end))
      this.#take()
      from = end + 1
    }
    this.#keep(bytes.subarray(from))
  }

  end(): void {
    if (this.#restBytes > 0) this.#take()
  }

  #keep(part: Buffer): void {
    const fitting = part.subarray(0, LINE_BYTES - this.#restBytes)
    if (fitting.length === 0) return
    this.#rest.push(Buffer.from(fitting))
    this.#restBytes += fitting.length
  }

  #take(): void {
    const line = Buffer.concat(this.#rest).toString('utf8')
    this.#rest = []
    this.#restBytes = 0
    if (this.#old > 0 || this.#new > 0) this.#hunkLine(line)
    else this.#headerLine(line)
  }

  #hunkLine(line: string): void {
    switch (line[0]) {
      case '+':
        if (this.#path !== undefined) this.#added(this.#path, this.#line, line.slice(1))
        this.#new--
        this.#line++
        return
      case '-':
        this.#old--
        return
      case '\\':
        return
      default:
        this.#old--
        this.#new--
        this.#line++
    }
  }

  #headerLine(line: string): void {
    if (line.startsWith('diff --git ')) this.#path = undefined
    else if (line.startsWith('+++ ')) this.#path = newPath(line.slice(4))
    const hunk = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line)
    if (!hunk) return
    this.#old = Number(hunk[1] ?? 1)
    this.#line = Number(hunk[2])
    this.#new = Number(hunk[3] ?? 1)
  }
}

/** `b/path`, with a tab after it when it holds a blank, in quotes when it holds more than that; undefined for /dev/null. */
function newPath(text: string): string | undefined {
  if (text === '/dev/null') return undefined
  const path = text.startsWith('"') ? unquoted(text) : text.replace(/\t$/, '')
  return path.startsWith('b/') ? path.slice(2) : path
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    return text.slice(1, -1)
  }
}
