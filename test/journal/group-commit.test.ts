// Appends are grouped: one write and one sync for everything since the last commit; readers in other processes see
// whole entries only, while it happens.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import { newRun, seqs } from './contract.ts'
import { NOW, warning } from './sample-events.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-commits-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const store = createNdjsonStore(directory)

/** Write calls of this thread so far (Linux). */
const COUNTERS = '/proc/thread-self/io'
const writes = (): number => Number(/syscw: (\d+)/.exec(readFileSync(COUNTERS, 'utf8'))![1])

test.runIf(existsSync(COUNTERS))('a thousand appends and one commit are one write', async () => {
  const writer = await newRun(store)
  const path = store.paths(writer.runId).journal
  for (let i = 0; i < 1_000; i++) writer.append([warning('x'.repeat(1_000)), warning('y')], NOW)
  expect(statSync(path).size).toBe(0)
  const before = writes()
  writer.commit()
  writer.commit()
  // Not exactly one: the thread also writes to wake its helpers. A write per entry would be two thousand.
  expect(writes() - before).toBeLessThan(20)
  expect(seqs(store.read(writer.runId))).toHaveLength(2_000)
  writer.close()
})

test('a follower and readers of a journal that another process writes miss nothing and see nothing half', async () => {
  const writer = await newRun(store)
  writer.close()
  const count = 4_000
  const program = join(import.meta.dirname, 'programs', 'append-entries.ts')
  const writing = promisify(execFile)(process.execPath, [program, directory, writer.runId, String(count)])
  const stop = new AbortController()
  const seen: number[] = []
  let read = 0
  for await (const batch of store.tail(writer.runId, 0, stop.signal)) {
    for (const entry of batch) seen.push(entry.seq)
    const now = seqs(store.read(writer.runId)).length
    expect(now).toBeGreaterThanOrEqual(Math.max(read, seen.length))
    read = now
    if (seen.length === count) stop.abort()
  }
  expect(seen).toEqual(Array.from({ length: count }, (_, i) => i + 1))
  await writing
})
