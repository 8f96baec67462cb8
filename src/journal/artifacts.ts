// Owns: files of an attempt other than logs: command.json, verification.json, outcome.json and the like. They are
// made when there is something to write, whole or not at all, and masked (I8).
import { dirname } from 'node:path'
import type { Json } from '../core/json.ts'
import { makeDirectory, writeFileAtomic } from './atomic-file.ts'
import type { Mask } from './masking.ts'
import { unwritable } from './store-error.ts'

/**
 * Writes text as it is, other JSON values indented, creating the directory. Not synced: artifacts are no truth.
 * Throws store.unwritable.
 */
export function writeArtifact(path: string, content: Json, mask: Mask): void {
  const text = typeof content === 'string' ? mask.text(content) : `${JSON.stringify(mask.json(content), null, 2)}\n`
  try {
    makeDirectory(dirname(path))
    writeFileAtomic(path, text, false)
  } catch (error) {
    throw unwritable(`cannot write ${path}`, error)
  }
}
