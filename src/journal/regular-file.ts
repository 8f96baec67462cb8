// Owns: reading files that lie where steps can reach them: regular ones only, never through a link, never waiting for
// somebody to write (a FIFO), never more than asked for. What is not there or is something else is nothing.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What `read` makes of the open file; undefined when there is no regular file or it cannot be read. */
export function withRegularFile<T>(path: string, read: (fd: number, size: number) => T): T | undefined {
  let fd: number
  try {
    fd = openSync(path, FLAGS)
  } catch {
    return undefined
  }
  try {
    const stat = fstatSync(fd)
    return stat.isFile() ? read(fd, stat.size) : undefined
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

/** A part of an open file, shorter where the file ends. */
export function readPart(fd: number, from: number, bytes: number): string {
  const buffer = Buffer.allocUnsafe(Math.max(0, bytes))
  let length = 0
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, from + length)
    if (read === 0) break
    length += read
  }
  return buffer.toString('utf8', 0, length)
}

/** Text of a regular file; of a larger one its beginning. */
export const readRegularFile = (path: string, bytes: number): string | undefined =>
  withRegularFile(path, (fd, size) => readPart(fd, 0, Math.min(size, bytes)))

/** JSON of a regular file; undefined also when it is no JSON or larger than that. */
export function readRegularJson(path: string, bytes: number): unknown {
  const text = withRegularFile(path, (fd, size) => (size > bytes ? undefined : readPart(fd, 0, size)))
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown)
  } catch {
    return undefined
  }
}
