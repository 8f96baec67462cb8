// Owns: the file that keeps an unexpected error with its stack. It lies among the temporary files, readable by its
// owner only: an error can come before any store is known.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'
import { packageVersion } from './version.ts'

/** Writes the error; the file's path, or undefined when it could not be written. */
export function writeCrashFile(error: unknown): string | undefined {
  try {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'spanwright-')), 'error.log')
    const facts = `spanwright ${packageVersion()}, Node ${process.version}, ${process.platform} ${process.arch}\n`
    writeFileSync(file, `${new Date().toISOString()} ${facts}${inspect(error, { depth: 5 })}\n`, { mode: 0o600 })
    return file
  } catch {
    return undefined
  }
}
