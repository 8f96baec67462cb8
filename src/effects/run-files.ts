// Owns: the files of steps in the run directory (0700/0600): attempt directories, artifacts, capped logs with their tails.
// Everything passes the mask on its way (I8) and is bounded (I9).
import { closeSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS } from '../core/limits.ts'
import { parseAttemptId } from '../core/ids.ts'
import type { Mask, StepFiles } from './context.ts'
import type { Log, LogEnd } from './log.ts'

export function createStepFiles(runDir: string, mask: Mask): StepFiles {
  return {
    directory(id) {
      const attempt = parseAttemptId(id)
      const directory = attempt
        ? join(runDir, 'attempts', attempt.path, `${attempt.visit}.${attempt.attempt}`)
        : join(runDir, 'attempts', ...splitVisit(id))
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return directory
    },
    openLog: (directory, name, capped) => new CappedLog(mask, join(directory, name), capped),
    openTail: () => new CappedLog(mask, undefined, () => {}),
    write(directory, name, content) {
      const path = join(directory, name)
      writeFileSync(`${path}.new`, content, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    },
  }
}

function splitVisit(id: string): string[] {
  const at = id.lastIndexOf('@')
  return at < 0 ? [id] : [id.slice(0, at), id.slice(at + 1)]
}

/** Lines are masked whole; a line longer than this is masked in pieces. */
const PIECE_BYTES = 128 * 1024

class CappedLog implements Log {
  readonly #mask: Mask
  readonly #path: string | undefined
  readonly #capped: (limitBytes: number) => void
  #fd: number | undefined
  #pending: Buffer[] = []
  #pendingBytes = 0
  #written = 0
  #bytes = 0
  #isCapped = false
  #tail = ''

  constructor(mask: Mask, path: string | undefined, capped: (limitBytes: number) => void) {
    this.#mask = mask
    this.#path = path
    this.#capped = capped
  }

  write(chunk: Buffer): void {
    this.#bytes += chunk.length
    const end = chunk.lastIndexOf(10) + 1
    if (end === 0 && this.#pendingBytes + chunk.length <= PIECE_BYTES) {
      this.#pending.push(chunk)
      this.#pendingBytes += chunk.length
      return
    }
    const cut = end === 0 ? chunk.length : end
    this.#put(Buffer.concat([...this.#pending, chunk.subarray(0, cut)]))
    this.#pending = cut < chunk.length ? [chunk.subarray(cut)] : []
    this.#pendingBytes = chunk.length - cut
  }

  #put(piece: Buffer): void {
    const text = this.#mask.text(piece.toString('utf8'))
    this.#tail = (this.#tail + text).slice(-LIMITS.tailBytes)
    if (this.#path === undefined || this.#isCapped) return
    this.#fd ??= openSync(this.#path, 'a', 0o600)
    const bytes = Buffer.from(text)
    const room = LIMITS.logBytes - this.#written
    writeSync(this.#fd, bytes.subarray(0, room))
    this.#written += Math.min(bytes.length, room)
    if (bytes.length <= room) return
    this.#isCapped = true
    writeSync(this.#fd, `\n[log capped at ${LIMITS.logBytes} bytes]\n`)
    this.#capped(LIMITS.logBytes)
  }

  soFar(): LogEnd {
    return { tail: this.#tail, bytes: this.#bytes, capped: this.#isCapped }
  }

  end(): LogEnd {
    if (this.#pendingBytes > 0) this.#put(Buffer.concat(this.#pending))
    this.#pending = []
    this.#pendingBytes = 0
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    return this.soFar()
  }
}
