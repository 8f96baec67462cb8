// Owns: reading the files of an attempt's directory, bounded; a file that is not there is nothing, not an error.
import { closeSync, createReadStream, openSync, readFileSync, readSync, fstatSync } from 'node:fs'
import path from 'node:path'
import { once } from 'node:events'

const TAIL_BYTES = 8 * 1024
const WHOLE_BYTES = 1024 * 1024
/** agent.json holds up to 2,000 tool calls with input and output. */
const JSON_BYTES = 64 * 1024 * 1024

/** The last part of a log, whole lines; undefined when there is no such file or it is empty. */
export function fileTail(
  directory: string,
  name: string,
  bytes: number = TAIL_BYTES,
): { readonly text: string; readonly size: number } | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path.join(directory, name), 'r')
    const { size } = fstatSync(descriptor)
    if (size === 0) return undefined
    const buffer = Buffer.alloc(Math.min(size, bytes))
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length)
    const text = buffer.toString('utf8')
    return { text: size > bytes ? text.slice(text.indexOf('\n') + 1) : text, size }
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/** A JSON file up to 64 MiB; undefined when it is not there or no JSON. */
export function jsonFile(directory: string, name: string): unknown {
  const text = textFile(directory, name, JSON_BYTES)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** The beginning of a text file; undefined when it is not there. */
export function textFile(directory: string, name: string, bytes: number = WHOLE_BYTES): string | undefined {
  try {
    return readFileSync(path.join(directory, name)).subarray(0, bytes).toString('utf8')
  } catch {
    return undefined
  }
}

/** The whole of a log to stdout, as it is: it can be larger than memory. False when there is none. */
export async function copyToStdout(
  directory: string,
  name: string,
  filter: (text: string) => string,
): Promise<boolean> {
  const stream = createReadStream(path.join(directory, name), { encoding: 'utf8' })
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
