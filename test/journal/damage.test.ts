// I6: only the end of a journal may be torn; damage anywhere else stops the run, and so does a journal that changes
// under its holder.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { encodeEntry } from '../../src/journal/codec.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import type { JournalWriter } from '../../src/journal/store.ts'
import { messages, newRun, NO_MASK, seqs } from './contract.ts'
import { NOW, warning } from './sample-events.ts'

// Thousands of small files are rewritten here; in memory that takes no time.
const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spanwright-damage-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const store = createNdjsonStore(directory, { checkIntervalMs: 0 })

const corrupt = (message: string): Error =>
  expect.objectContaining({ code: 'journal.corrupt', message: expect.stringContaining(message) as unknown }) as Error

interface Written {
  readonly runId: string
  readonly path: string
  readonly bytes: Buffer
  /** Where the last group begins. */
  readonly groupAt: number
}

/** Three entries in one group, then a group of three more with characters of several bytes. */
async function written(): Promise<Written> {
  const writer = await newRun(store)
  const path = store.paths(writer.runId).journal
  writer.append([warning('1'), warning('2'), warning('3')], NOW)
  writer.commit()
  const groupAt = readFileSync(path).length
  writer.append([warning('vier ☂'), warning('fünf'), warning('6')], NOW + 1)
  writer.commit()
  writer.close()
  return { runId: writer.runId, path, bytes: readFileSync(path), groupAt }
}
const wholeLines = (bytes: Uint8Array): number => Buffer.from(bytes).toString('latin1').split('\n').length - 1

describe('a torn tail', () => {
  const tails: readonly (readonly [name: string, tail: Buffer])[] = [
    ['cut off', Buffer.alloc(0)],
    ['followed by NULs', Buffer.alloc(100)],
    ['followed by many NULs', Buffer.alloc(3 * 1024 * 1024)],
  ]
  test.each(tails)(
    'at every byte of the last group, %s: what is whole stays, the rest is cut and said',
    async (_, tail) => {
      const { runId, path, bytes, groupAt } = await written()
      const step = tail.length > 1_000 ? 37 : 1
      for (let end = groupAt; end < bytes.length; end += step) {
        const kept = wholeLines(bytes.subarray(0, end))
        const clean = tail.length === 0 && bytes[end - 1] === 10
        writeFileSync(path, Buffer.concat([bytes.subarray(0, end), tail]))
        expect(seqs(store.read(runId))).toEqual(Array.from({ length: kept }, (__, i) => i + 1))

        const writer = await store.open(runId, { mask: NO_MASK })
        const validBytes = bytes.subarray(0, end).lastIndexOf(10) + 1
        expect(writer.lastSeq).toBe(kept)
        expect(writer.recovered?.bytes).toBe(clean ? undefined : end - validBytes + tail.length)
        writer.append([warning('after')], NOW)
        writer.commit()
        writer.close()
        expect(seqs(store.read(runId))).toEqual(Array.from({ length: kept + 1 }, (__, i) => i + 1))
      }
    },
  )

  test('a last line whose middle never reached the disk', async () => {
    const { runId, path, bytes } = await written()
    const start = bytes.lastIndexOf(10, bytes.length - 2) + 1
    const torn = Buffer.from(bytes)
    torn.fill(0, start + 10, start + 40)
    for (const tail of [Buffer.alloc(0), Buffer.alloc(9)]) {
      writeFileSync(path, Buffer.concat([torn, tail]))
      expect(seqs(store.read(runId))).toEqual([1, 2, 3, 4, 5])
    }
    const writer = await store.open(runId, { mask: NO_MASK })
    expect(writer).toMatchObject({ lastSeq: 5, recovered: { bytes: bytes.length - start + 9 } })
    writer.close()
  })

  test('nothing but a torn first entry', async () => {
    const { runId, path, bytes } = await written()
    writeFileSync(path, bytes.subarray(0, 20))
    const writer = await store.open(runId, { mask: NO_MASK })
    expect(writer).toMatchObject({ lastSeq: 0, recovered: { bytes: 20, reason: 'its last line was cut off' } })
    writer.close()
  })

  test('a follower waits for the rest of a line', async () => {
    const { runId, path, bytes, groupAt } = await written()
    writeFileSync(path, bytes.subarray(0, groupAt + 30))
    const stop = new AbortController()
    const seen: Entry[] = []
    for await (const batch of store.tail(runId, 0, stop.signal)) {
      seen.push(...batch)
      if (seen.length === 3) appendFileSync(path, bytes.subarray(groupAt + 30))
      if (seen.length === 6) stop.abort()
    }
    expect(messages(seen)).toEqual(['1', '2', '3', 'vier ☂', 'fünf', '6'])
  })
})

test('a follower of a journal whose last group was taken back and written again gets nothing twice', async () => {
  const { runId, path, groupAt } = await written()
  const stop = new AbortController()
  const seen: number[] = []
  let step = 0
  for await (const batch of store.tail(runId, 0, stop.signal)) {
    seen.push(...seqs(batch))
    if (++step === 1) {
      truncateSync(path, groupAt)
      // Long enough for a look at the shorter file.
      const again = [4, 5, 6, 7].map((seq) =>
        encodeEntry(seq, '2026-11-21T10:00:01.000000Z', warning(`again ${'x'.repeat(seq * 20)}`)),
      )
      setTimeout(() => appendFileSync(path, again.join('')), 250)
    }
    if (seen.at(-1) === 7) stop.abort()
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7])
})

describe('damage elsewhere', () => {
  const lines = (bytes: Buffer): string[] => bytes.toString('utf8').split('\n').slice(0, -1)
  const entry = (seq: number, at: string): string => encodeEntry(seq, at, warning('x')).trimEnd()
  const AT = '2026-11-21T10:00:00.000000Z'
  const damages: readonly (readonly [name: string, spoil: (lines: string[]) => string[], found: string])[] = [
    ['a line that is not JSON', (all) => all.with(1, '{"v":1,"se'), 'line 2 (seq 2, byte'],
    ['an empty line', (all) => all.toSpliced(2, 0, ''), 'it is not JSON'],
    ['a gap in seq', (all) => all.toSpliced(1, 1), 'its "seq" is 3, expected 2'],
    ['a line twice', (all) => all.toSpliced(1, 0, all[0]!), 'its "seq" is 1, expected 2'],
    [
      'time going back',
      (all) => all.with(1, entry(2, '2026-11-21T09:00:00.000000Z')),
      'is before that of the entry above',
    ],
    ['another time format', (all) => all.with(1, entry(2, '2026-11-21T10:00:00Z')), 'no time in microseconds'],
    [
      'an unknown event',
      (all) => all.with(1, `{"v":1,"seq":2,"at":"${AT}","event":{"type":"run.vanished"}}`),
      '"run.vanished" is unknown',
    ],
    [
      'a malformed event',
      (all) => all.with(1, `{"v":1,"seq":2,"at":"${AT}","event":{"type":"warning.raised","code":1,"message":""}}`),
      'malformed at code',
    ],
    ['a newer version', (all) => all.with(1, all[1]!.replace('"v":1', '"v":2')), 'newer spanwright'],
    ['no version', (all) => all.with(1, all[1]!.replace('"v":1,', '')), 'no version'],
    ['no event', (all) => all.with(1, `{"v":1,"seq":2,"at":"${AT}"}`), 'no "event"'],
    ['a list', (all) => all.with(1, '[]'), 'no object'],
    ['NULs in the middle', (all) => all.with(1, '\0'.repeat(50)), 'line 2'],
    ['an endless line', (all) => all.with(1, 'x'.repeat(2 * 1024 * 1024)), 'longer than'],
  ]
  test.each(damages)('%s is journal.corrupt, naming file and place', async (_, spoil, found) => {
    const { runId, path, bytes } = await written()
    writeFileSync(path, `${spoil(lines(bytes)).join('\n')}\n`)
    expect(() => seqs(store.read(runId))).toThrow(corrupt(found))
    expect(() => seqs(store.read(runId))).toThrow(corrupt(path))
  })

  test('a flipped bit never changes what is read, unless it stays within a text', async () => {
    const { runId, path, bytes, groupAt } = await written()
    const good = [...store.read(runId)]
    for (let at = 0; at < groupAt; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 0x80
      writeFileSync(path, flipped)
      expect(() => seqs(store.read(runId))).toThrow(corrupt('damaged'))
      flipped[at]! ^= 0x82
      writeFileSync(path, flipped)
      try {
        const read = [...store.read(runId)]
        expect(read.map(({ v, seq, event }) => [v, seq, event.type])).toEqual(
          good.map(({ v, seq, event }) => [v, seq, event.type]),
        )
      } catch (error) {
        expect(error).toEqual(corrupt('damaged'))
      }
    }
  })

  test('a damaged last entry is found when the journal is opened', async () => {
    const { runId, path, bytes } = await written()
    writeFileSync(path, Buffer.concat([bytes.subarray(0, -5), Buffer.from('!!!!\n')]))
    await expect(store.open(runId, { mask: NO_MASK })).rejects.toEqual(corrupt('its last entry is damaged'))
    expect(() => seqs(store.read(runId))).toThrow(corrupt('line 6'))
  })

  test('entries before afterSeq are stepped over, not trusted', async () => {
    const { runId, path, bytes } = await written()
    writeFileSync(path, `${lines(bytes).toSpliced(1, 1).join('\n')}\n`)
    expect(() => seqs(store.read(runId, 4))).toThrow(corrupt('expected 2'))
  })

  test('a missing journal, identity or pipeline is said by name', async () => {
    const { runId } = await written()
    const paths = store.paths(runId)
    writeFileSync(paths.identity, '{"run_id":1}')
    writeFileSync(paths.pipeline, '[')
    writeFileSync(paths.final, '{}')
    rmSync(paths.journal)
    expect(() => store.readIdentity(runId)).toThrow(corrupt('run.json'))
    expect(() => store.readPipeline(runId)).toThrow(corrupt('pipeline.json'))
    expect(() => store.readFinal(runId)).toThrow(corrupt('final.json'))
    await expect(store.open(runId, { mask: NO_MASK })).rejects.toEqual(corrupt('it is missing'))
  })
})

describe('a journal that changes under its holder', () => {
  const changes: readonly (readonly [name: string, change: (path: string) => void, found: string])[] = [
    ['replaced', (path) => (copyFileSync(path, `${path}.copy`), renameSync(`${path}.copy`, path)), 'replaced'],
    ['removed', (path) => rmSync(path), 'removed'],
    ['truncated', (path) => truncateSync(path, 10), 'truncated to 10 bytes'],
    ['written to', (path) => appendFileSync(path, 'x'), 'something else wrote to it'],
  ]
  test.each(changes)('%s: the next commit is journal.corrupt and writes nothing', async (_, change, found) => {
    const writer: JournalWriter = await newRun(store)
    const path = store.paths(writer.runId).journal
    writer.append([warning('1')], NOW)
    writer.commit()
    change(path)
    const before = found === 'removed' ? undefined : readFileSync(path)
    writer.append([warning('2')], NOW)
    expect(() => writer.commit()).toThrow(corrupt(found))
    expect(() => writer.commit()).toThrow(corrupt(path))
    if (before) expect(readFileSync(path)).toEqual(before)
    writer.close()
  })
})
