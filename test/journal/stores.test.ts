// Runs the store contract over both stores.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { createMemoryStore } from '../../src/journal/memory-store.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import { storeContract } from './contract.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-stores-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('memory store', () => {
  storeContract(() => createMemoryStore())
})

describe('NDJSON store', () => {
  let count = 0
  storeContract(() => createNdjsonStore(join(directory, String(count++))))
})
