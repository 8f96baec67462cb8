// Owns: what every store promises (DESIGN 5), as one suite that each store passes.
import { expect, test } from 'vitest'
import type { Entry, Event } from '../../src/core/events.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { ulid } from 'ulid'
import { EntryTooLarge, entryBytes } from '../../src/journal/codec.ts'
import type { Final } from '../../src/journal/final.ts'
import { createMask, type Mask } from '../../src/journal/masking.ts'
import type { JournalWriter, Store } from '../../src/journal/store.ts'
import { EVERY_EVENT, identity, NOW, pipeline, SPAN, warning } from './sample-events.ts'

export const NO_MASK: Mask = createMask({})

/** A published run with an empty journal. */
export async function newRun(store: Store, mask: Mask = NO_MASK, runId = ulid()): Promise<JournalWriter> {
  const staged = await store.create({ identity: identity(runId), pipeline, mask })
  return staged.publish()
}
export const seqs = (entries: Iterable<Entry>): number[] => [...entries].map((entry) => entry.seq)
export const messages = (entries: Iterable<Entry>): unknown[] =>
  [...entries].map(({ event }) => (event as { message?: unknown }).message)

export function storeContract(newStore: () => Store): void {
  test('a run appears when it is published, whole, and not before', async () => {
    const store = newStore()
    const runId = ulid()
    const staged = await store.create({ identity: identity(runId), pipeline, mask: NO_MASK })
    expect(store.list()).toEqual([])
    expect(() => store.read(runId)).toThrow(expect.objectContaining({ code: 'run.not_found' }))
    const writer = staged.publish()
    expect(store.list()).toEqual([runId])
    expect([writer.runId, writer.lastSeq, writer.recovered]).toEqual([runId, 0, undefined])
    expect(store.readIdentity(runId)).toEqual(identity(runId))
    expect(store.readPipeline(runId)).toEqual(pipeline)
    expect([...store.read(runId)]).toEqual([])
    staged.discard()
    expect(store.list()).toEqual([runId])
    writer.close()
  })

  test('a discarded run was never there', async () => {
    const store = newStore()
    const staged = await store.create({ identity: identity(ulid()), pipeline, mask: NO_MASK })
    staged.discard()
    expect(store.list()).toEqual([])
    expect(() => staged.publish()).toThrow('discarded')
  })

  test('a run id is taken once', async () => {
    const store = newStore()
    const runId = ulid()
    const first = await newRun(store, NO_MASK, runId)
    first.append([warning('first')], NOW)
    first.commit()
    const second = await store.create({ identity: identity(runId), pipeline, mask: NO_MASK })
    expect(() => second.publish()).toThrow(expect.objectContaining({ code: 'run.conflict' }))
    second.discard()
    expect(messages(store.read(runId))).toEqual(['first'])
    first.close()
  })

  test('I3: what is read is what was appended, for every type of event', async () => {
    const store = newStore()
    const writer = await newRun(store)
    const appended = writer.append(EVERY_EVENT, NOW)
    writer.commit()
    expect([...store.read(writer.runId)]).toEqual(appended)
    expect(appended.map((entry) => entry.event)).toEqual(EVERY_EVENT)
    expect(appended[0]).toMatchObject({ v: 1, seq: 1, at: '2026-11-21T10:00:00.000000Z' })
    writer.close()
  })

  test('entries are there once committed, and numbered on over commits and openings', async () => {
    const store = newStore()
    const writer = await newRun(store)
    writer.append([warning('a')], NOW)
    writer.append([warning('b'), warning('c')], NOW)
    expect([writer.lastSeq, writer.committedSeq, seqs(store.read(writer.runId))]).toEqual([3, 0, []])
    writer.commit()
    writer.commit()
    expect([writer.committedSeq, messages(store.read(writer.runId))]).toEqual([3, ['a', 'b', 'c']])
    writer.close()
    const again = await store.open(writer.runId, { mask: NO_MASK })
    expect([again.lastSeq, again.committedSeq, again.recovered]).toEqual([3, 3, undefined])
    again.append([warning('d')], NOW)
    again.commit()
    expect(messages(store.read(writer.runId, 2))).toEqual(['c', 'd'])
    expect(seqs(store.read(writer.runId, 4))).toEqual([])
    expect(seqs(store.read(writer.runId, 99))).toEqual([])
    again.close()
  })

  test('what was appended and not committed is gone after close', async () => {
    const store = newStore()
    const writer = await newRun(store)
    writer.append([warning('lost')], NOW)
    writer.close()
    const again = await store.open(writer.runId, { mask: NO_MASK })
    expect([again.lastSeq, seqs(store.read(writer.runId))]).toEqual([0, []])
    again.close()
  })

  test('recorded time never goes back, also over openings', async () => {
    const store = newStore()
    const writer = await newRun(store)
    for (const now of [NOW, NOW + 0.25, NOW - 5_000, NOW + 1]) writer.append([warning('x')], now)
    writer.commit()
    writer.close()
    const again = await store.open(writer.runId, { mask: NO_MASK })
    again.append([warning('x')], NOW - 86_400_000)
    again.commit()
    again.close()
    expect([...store.read(writer.runId)].map((entry) => entry.at.slice(17))).toEqual([
      '00.000000Z',
      '00.000250Z',
      '00.000250Z',
      '00.001000Z',
      '00.001000Z',
    ])
  })

  test('I9: an entry over the limit is refused with its size, and nothing of its append is recorded', async () => {
    const store = newStore()
    const writer = await newRun(store)
    const large = warning('ä'.repeat(LIMITS.entryBytes / 2))
    expect(entryBytes(large)).toBeGreaterThan(LIMITS.entryBytes)
    expect(() => writer.append([warning('a'), large], NOW)).toThrow(EntryTooLarge)
    const fits = warning('y'.repeat(LIMITS.entryBytes - entryBytes(warning(''))))
    expect(entryBytes(fits)).toBe(LIMITS.entryBytes)
    writer.append([fits], NOW)
    writer.commit()
    expect(seqs(store.read(writer.runId))).toEqual([1])
    writer.close()
  })

  test('I8: secrets are masked in entries, params and pipeline; the writer says what it recorded', async () => {
    const store = newStore()
    const mask = createMask({ secrets: ['hunter2\n"quoted"'] })
    const runId = ulid()
    const staged = await store.create({
      identity: { ...identity(runId), params: { deep: ['hunter2\n"quoted"'] } },
      pipeline: { ...pipeline, env: { PASS: 'x hunter2\n"quoted" y' } },
      mask,
    })
    expect(staged.pipelineMasked).toBe(true)
    const writer = staged.publish()
    const plain = warning('nothing')
    const [masked, same] = writer.append([warning('it is hunter2\n"quoted"!'), plain], NOW)
    writer.commit()
    writer.close()
    expect(messages([masked!])).toEqual(['it is ***!'])
    expect(same!.event).toBe(plain)
    expect(messages(store.read(runId))).toEqual(['it is ***!', 'nothing'])
    expect(store.readIdentity(runId).params).toEqual({ deep: ['***'] })
    expect(store.readPipeline(runId).env).toEqual({ PASS: 'x *** y' })
  })

  test('final.json is there exactly between writeFinal and deleteFinal', async () => {
    const store = newStore()
    const writer = await newRun(store)
    const final: Final = {
      run_id: writer.runId,
      result: 'success',
      hook_failures: [],
      started_at: '2026-11-21T10:00:00.000000Z',
      finished_at: '2026-11-21T10:00:01.000000Z',
      duration_ms: 1_000,
      trace_id: SPAN + SPAN,
      resumable: false,
      node_count: 0,
      nodes: [],
      totals: {
        attempts: 0,
        retries: 0,
        branches: 0,
        nodes: 0,
        cost_usd: 0,
        cost_unpriced: 0,
        tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
      },
    }
    expect(store.readFinal(writer.runId)).toBeUndefined()
    store.writeFinal(writer.runId, final)
    store.writeFinal(writer.runId, { ...final, result: 'failure' })
    expect(store.readFinal(writer.runId)).toEqual({ ...final, result: 'failure' })
    store.deleteFinal(writer.runId)
    store.deleteFinal(writer.runId)
    expect(store.readFinal(writer.runId)).toBeUndefined()
    writer.close()
  })

  test('runs are listed oldest first and found by a unique beginning', async () => {
    const store = newStore()
    expect(() => store.resolve('latest')).toThrow(expect.objectContaining({ code: 'run.not_found' }))
    const ids = [ulid(1_000), ulid(2_000_000_000_000), ulid(2_000_000_000_001)]
    for (const id of ids.toReversed()) (await newRun(store, NO_MASK, id)).close()
    expect(store.list()).toEqual(ids)
    expect([store.resolve('latest'), store.resolve(ids[0]!.slice(0, 9).toLowerCase()), store.resolve(ids[1]!)]).toEqual(
      [ids[2], ids[0], ids[1]],
    )
    expect(() => store.resolve(ids[1]!.slice(0, 6))).toThrow(
      expect.objectContaining({
        code: 'run.not_found',
        details: ids.slice(1),
        message: expect.stringContaining('beginning of 2 runs') as unknown,
      }),
    )
    for (const text of ['', 'nope', '../x'])
      expect(() => store.resolve(text)).toThrow(expect.objectContaining({ code: 'run.not_found' }))
    store.remove(ids[1]!)
    store.remove(ids[1]!)
    expect(store.list()).toEqual([ids[0], ids[2]])
  })

  test('a run that is not there is run.not_found everywhere', async () => {
    const store = newStore()
    const gone = expect.objectContaining({ code: 'run.not_found' }) as Error
    const id = ulid()
    await expect(store.open(id, { mask: NO_MASK })).rejects.toEqual(gone)
    const reads = [
      () => store.readIdentity(id),
      () => store.readPipeline(id),
      () => store.readFinal(id),
      () => [...store.read(id)],
    ]
    for (const read of reads) expect(read).toThrow(gone)
  })

  test('a follower gets every entry once, in order, and stops when told', async () => {
    const store = newStore()
    const writer = await newRun(store)
    writer.append([warning('0'), warning('1')], NOW)
    writer.commit()
    const stop = new AbortController()
    const seen: number[] = []
    const following = (async () => {
      for await (const batch of store.tail(writer.runId, 1, stop.signal)) {
        seen.push(...batch.map((entry) => entry.seq))
        if (seen.at(-1) === 1_000) stop.abort()
      }
    })()
    for (let seq = 3; seq <= 1_000; seq++) {
      writer.append([warning(String(seq))], NOW)
      if (seq % 7 === 0 || seq === 1_000) writer.commit()
      if (seq % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await following
    expect(seen).toEqual(Array.from({ length: 999 }, (_, i) => i + 2))
    writer.close()
  })

  test('ten thousand entries in one commit', async () => {
    const store = newStore()
    const writer = await newRun(store)
    const events: Event[] = Array.from({ length: 10_000 }, (_, i) => warning(`entry ${i}`))
    writer.append(events, NOW)
    writer.commit()
    writer.close()
    let count = 0
    for (const entry of store.read(writer.runId)) expect(entry.seq).toBe(++count)
    expect(count).toBe(10_000)
  })
}
