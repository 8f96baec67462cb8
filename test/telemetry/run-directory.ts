// Run directories for tests: made in the system's temp folder, removed at the end of the test.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { RUN_ID } from './journal-entries.ts'

/** A store with one empty run directory. */
export function makeRun(): { store: string; runDir: string; position: () => Record<string, unknown> } {
  const store = mkdtempSync(join(tmpdir(), 'spanwright-telemetry-'))
  onTestFinished(() => rmSync(store, { recursive: true, force: true }))
  const runDir = join(store, 'runs', RUN_ID)
  mkdirSync(runDir, { recursive: true })
  return {
    store,
    runDir,
    position: () => JSON.parse(readFileSync(join(runDir, 'telemetry.json'), 'utf8')) as Record<string, unknown>,
  }
}

/** Waits for a condition; fails after the deadline. */
export async function until(condition: () => boolean, what: string, deadlineMs = 30_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!condition()) {
    if (Date.now() > end) throw new Error(`gave up waiting for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
