// Owns: how the tools read and write files: regular ones of bounded size, text that stays as it is, without waiting for a
// FIFO and without writing through a hard link to what lies outside. Which paths may be used is workspace.ts's.
import { constants } from 'node:fs'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { ToolError } from './workspace.ts'

const FILE_BYTES = 10 * 1024 * 1024
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

export interface FileText {
  readonly text: string
  readonly mode: number
}

/**
 * The text of a file; undefined when there is none. Throws a ToolError for what is no regular file or too large, and with
 * `exact` also for bytes that are no UTF-8: written back, they would be lost.
 */
export async function readText(target: string, name: string, exact: boolean): Promise<FileText | undefined> {
  const handle = await opened(target, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (!handle) return undefined
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new ToolError(`${name} is not a file`)
    // Files of /proc say that they are empty.
    const bytes = await firstBytes(handle, FILE_BYTES + 1)
    if (bytes.length > FILE_BYTES) throw new ToolError(`${name} is larger than ${FILE_BYTES} bytes`)
    return { text: exact ? exactText(bytes, name) : bytes.toString('utf8'), mode: stat.mode & 0o7777 }
  } finally {
    await handle.close()
  }
}

async function firstBytes(handle: FileHandle, limit: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  while (length < limit) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.min(256 * 1024, limit - length)))
    if (bytesRead === 0) break
    parts.push(buffer.subarray(0, bytesRead))
    length += bytesRead
  }
  return Buffer.concat(parts)
}

function exactText(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ToolError(`${name} is no UTF-8 text: change it with a command`)
  }
}

/** Writes the whole file, with its directories. One that also has a name elsewhere is replaced, so that this one is left alone. */
export async function writeText(target: string, name: string, content: string | Buffer, mode?: number): Promise<void> {
  await mkdir(path.dirname(target), { recursive: true })
  const handle = await opened(target, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
  if (!handle) throw new ToolError(`${name} cannot be written`)
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new ToolError(`${name} is not a file`)
    if (stat.nlink > 1) return await replace(target, content, mode ?? stat.mode & 0o7777)
    await handle.truncate()
    await handle.writeFile(content)
    if (mode !== undefined) await handle.chmod(mode)
  } finally {
    await handle.close()
  }
}

async function replace(target: string, content: string | Buffer, mode: number): Promise<void> {
  const fresh = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`)
  try {
    const handle = await open(fresh, O_WRONLY | O_CREAT | O_EXCL, mode)
    try {
      await handle.writeFile(content)
      await handle.chmod(mode)
    } finally {
      await handle.close()
    }
    await rename(fresh, target)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
}

/** Undefined: there is no such file. */
async function opened(target: string, name: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(target, flags, 0o666)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    // A FIFO that nobody reads, a link that came in the meantime, a directory.
    if (code === 'ENXIO' || code === 'ELOOP' || code === 'EISDIR') throw new ToolError(`${name} is not a file`)
    throw error
  }
}
