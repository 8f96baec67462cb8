// Measures one append and commit of the journal beside its floor, a bare write and fdatasync of the same bytes, and how
// long an entry takes when many are committed together. Reading is measured with the fold.
import { ulid } from 'ulid'
import type { Event } from '../src/core/events.ts'
import type { Pipeline } from '../src/core/pipeline.ts'
import { encodeEntry } from '../src/journal/codec.ts'
import { createMask } from '../src/journal/masking.ts'
import { createNdjsonStore } from '../src/journal/ndjson-store.ts'
import type { JournalWriter } from '../src/journal/store.ts'
import { column, heading, row, shown, takeTurns } from './measure.ts'
import { openFloor, scratchDirectory } from './scratch.ts'

const COMMITS = 200
const TOGETHER = 10_000
const ROUNDS = 9

const directory = scratchDirectory()
const store = createNdjsonStore(directory)
const mask = createMask({ environment: { ...process.env, BENCH_TOKEN: 'a-secret-that-never-occurs' } })

const event = (i: number): Event => ({
  type: 'attempt.finished',
  node: `implement:task-${i % 100}/build`,
  visit: 1,
  attempt: 1,
  attempt_id: `implement:task-${i % 100}/build@1.1`,
  result: 'success',
  outputs: { version: '1.2.3' },
  process: { pid: 4711, executable: 'make', exit_code: 0 },
  duration_ms: 12.5,
  span_id: '00f067aa0ba902b7',
})

async function openWriter(): Promise<JournalWriter> {
  const staged = await store.create({
    identity: {
      run_id: ulid(),
      labels: {},
      pipeline: { name: 'bench', hash: '' },
      params: {},
      created: '',
      cwd: directory,
      versions: { spanwright: '', node: process.version },
      trace_id: '',
    },
    pipeline: { nodes: [] } as unknown as Pipeline,
    mask,
    sync: 'always',
  })
  return staged.publish()
}

/** Microseconds of one of `count` calls. */
function timed(count: number, call: (i: number) => void): number {
  const startedAt = performance.now()
  for (let i = 0; i < count; i++) call(i)
  return ((performance.now() - startedAt) * 1_000) / count
}

const journal = await openWriter()
const floor = openFloor(directory)
const bytes = Buffer.from(encodeEntry(1, '2026-11-21T10:00:00.000000Z', event(1)))
const events = Array.from({ length: TOGETHER }, (_, i) => event(i))
const rounds = await takeTurns(ROUNDS, [
  () =>
    timed(COMMITS, (i) => {
      journal.append([event(i)], Date.now())
      journal.commit()
    }),
  () => timed(COMMITS, () => floor.append(bytes)),
  () =>
    timed(1, () => {
      journal.append(events, Date.now())
      journal.commit()
    }) / TOGETHER,
])
journal.close()
floor.close()

const side = (index: number) => column(rounds, (round) => round[index]!)
heading(`journal, ${ROUNDS} rounds`)
row('append + commit', shown(side(0), 'µs'))
row('floor: write + fdatasync of the same bytes', shown(side(1), 'µs'))
const ratio = column(rounds, ([a, b]) => a! / b!)
row('append + commit / floor', shown(ratio, 'x', 2))
row(`an entry of ${TOGETHER} in one commit`, shown(side(2), 'µs', 2))
