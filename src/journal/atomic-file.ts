// Owns: files that appear whole or not at all, and directories that survive a power cut.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
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

/**
 * Makes a directory and those above it. Does nothing if it is there. One by one: Node's recursive mkdir names the wrong
 * reason where one above cannot be made (EROFS, EACCES), and never returns where the system always says ENOENT (/proc).
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: DIRECTORY_MODE })
  } catch (error) {
    if (isDirectory(path)) return
    if (errorCodeOf(error) !== 'ENOENT' || isDirectory(dirname(path)) || dirname(path) === path) throw error
    makeDirectory(dirname(path))
    makeDirectory(path)
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** Makes names created or removed in `path` survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
