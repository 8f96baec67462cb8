// Owns: reading the files of an attempt's directory, bounded; a file that is not there is nothing, not an error.
import { createReadStream } from 'node:fs'
import path from 'node:path'
import { once } from 'node:events'
import { LIMITS } from '../core/limits.ts'
import { readPart, readRegularFile, readRegularJson, withRegularFile } from '../journal/regular-file.ts'

const TAIL_BYTES = 8 * 1024
const WHOLE_BYTES = 1024 * 1024

/** The last part of a log, whole lines; undefined when there is no such file or it is empty. */
export function fileTail(
  directory: string,
  name: string,
  bytes: number = TAIL_BYTES,
): { readonly text: string; readonly size: number } | undefined {
  return withRegularFile(path.join(directory, name), (fd, size) => {
    if (size === 0) return undefined
    const text = readPart(fd, Math.max(0, size - bytes), Math.min(size, bytes))
    return { text: size > bytes ? text.slice(text.indexOf('\n') + 1) : text, size }
  })
}

/** A JSON file up to 64 MiB; undefined when it is not there or no JSON. */
export const jsonFile = (directory: string, name: string): unknown =>
  readRegularJson(path.join(directory, name), LIMITS.recordFileBytes)

/** The beginning of a text file; undefined when it is not there. */
export const textFile = (directory: string, name: string, bytes: number = WHOLE_BYTES): string | undefined =>
  readRegularFile(path.join(directory, name), bytes)

/** The whole of a log to stdout, as it is: it can be larger than memory. False when there is none. */
export async function copyToStdout(
  directory: string,
  name: string,
  filter: (text: string) => string,
): Promise<boolean> {
  const file = path.join(directory, name)
  if (withRegularFile(file, () => true) !== true) return false
  const stream = createReadStream(file, { encoding: 'utf8' })
  try {
    for await (const chunk of stream) {
      if (!process.stdout.writable) break
      if (!process.stdout.write(filter(chunk as string)) && process.stdout.writable)
        await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')])
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
