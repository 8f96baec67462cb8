// Runs the store contract over both stores.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { MemoryStore } from '../../src/journal/memory-store.ts'
import { NdjsonStore } from '../../src/journal/ndjson-store.ts'
import { storeContract } from './contract.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-stores-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('memory store', () => {
  storeContract(() => new MemoryStore())
})

describe('NDJSON store', () => {
  let count = 0
  storeContract(() => new NdjsonStore({ directory: join(directory, String(count++)) }))
})
