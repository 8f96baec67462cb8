// Owns: files that appear whole or not at all, and directories that survive a power cut.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorCodeOf } from './store-error.ts'

const DIRECTORY_MODE = 0o700
export const FILE_MODE = 0o600
let counter = 0

/** Writes beside the target and renames over it. `durable` also survives a power cut (two fsyncs). */
export function writeFileAtomic(path: string, content: string | Uint8Array, durable: boolean): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${counter++}`)
  try {
    const fd = openSync(temporary, 'wx', FILE_MODE)
    try {
      writeFileSync(fd, content)
      if (durable) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  if (durable) syncDirectory(dirname(path))
}

/** Makes a directory and those above it. Does nothing if it is there. */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE })
  } catch (error) {
    // For a directory above that cannot be made Node says ENOENT; made alone it says why (EROFS, EACCES).
    if (errorCodeOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    makeDirectory(dirname(path))
    mkdirSync(path, { mode: DIRECTORY_MODE })
  }
}

/** Makes names created or removed in `path` survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
