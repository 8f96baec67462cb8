// Owns: where a journal really ends (I6). A write that was cut off leaves a line without a newline, or NULs where the
// size was on disk before the data. Must not: change the file.
import { readSync } from 'node:fs'

export interface JournalEnd {
  /** Bytes that are whole lines. */
  readonly end: number
  /** The last whole line, without its newline; undefined when there is none. */
  readonly lastLine: Uint8Array | undefined
  /** Why the bytes after `end` are no entry; undefined when there are none. */
  readonly reason: string | undefined
}

const BLOCK = 64 * 1024
const NEWLINE = 10

/** Looks from the end of an open file of `size` bytes backwards, as far as its last whole line. */
export function findEnd(fd: number, size: number): JournalEnd {
  const dataEnd = skipNulsBack(fd, size)
  let end = newlineBefore(fd, dataEnd) + 1
  let reason = end === size ? undefined : dataEnd < size ? 'it ended in NUL bytes' : 'its last line was cut off'
  let lastLine = lineBefore(fd, end)
  if (lastLine?.includes(0)) {
    // The newline of a last line reached the disk before the middle did.
    end -= lastLine.length + 1
    reason = 'its last line held NUL bytes'
    lastLine = lineBefore(fd, end)
  }
  return { end, lastLine, reason }
}

/** Whether an open file holds nothing but NULs from `from` to its end. */
export function onlyNulsFrom(fd: number, from: number, size: number): boolean {
  return skipNulsBack(fd, size, from) <= from
}

/** The line that ends (with its newline) at offset `end`. */
function lineBefore(fd: number, end: number): Uint8Array | undefined {
  if (end === 0) return undefined
  const start = newlineBefore(fd, end - 1) + 1
  return readRange(fd, start, end - 1)
}

/** Offset behind the last byte before `to` that is no NUL, looking back to `from`. */
function skipNulsBack(fd: number, to: number, from = 0): number {
  for (let end = to; end > from;) {
    const start = Math.max(from, end - BLOCK)
    const block = readRange(fd, start, end)
    for (let i = block.length - 1; i >= 0; i--) if (block[i] !== 0) return start + i + 1
    end = start
  }
  return from
}

/** Offset of the last newline before `to`, or -1. */
function newlineBefore(fd: number, to: number): number {
  for (let end = to; end > 0;) {
    const start = Math.max(0, end - BLOCK)
    const at = readRange(fd, start, end).lastIndexOf(NEWLINE)
    if (at >= 0) return start + at
    end = start
  }
  return -1
}

function readRange(fd: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start)
  let done = 0
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, start + done)
    if (count === 0) return bytes.subarray(0, done)
    done += count
  }
  return bytes
}
