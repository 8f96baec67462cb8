// Measures the journal beside its floors: append and commit of one entry against a bare write and fdatasync of the
// same bytes, and reading a million entries against JSON.parse of the same lines. Prints ratios.
// Run: node bench/journal.ts [entries to read, default 1000000]
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ulid } from 'ulid'
import type { Event } from '../src/core/events.ts'
import type { Pipeline } from '../src/core/pipeline.ts'
import { encodeEntry } from '../src/journal/codec.ts'
import { createMask } from '../src/journal/masking.ts'
import { createNdjsonStore } from '../src/journal/ndjson-store.ts'
import type { JournalWriter, SyncMode } from '../src/journal/store.ts'

// Beside the project and not in the temporary directory, which is often memory.
const directory = mkdtempSync(join(process.env['BENCH_DIR'] ?? process.cwd(), '.bench-journal-'))
const store = createNdjsonStore(directory)
const mask = createMask({ environment: { ...process.env, BENCH_TOKEN: 'a-secret-that-never-occurs' } })
const commits = 1_000
const entries = Number(process.argv[2] ?? 1_000_000)

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

async function writer(sync: SyncMode): Promise<JournalWriter> {
  const run_id = ulid()
  const staged = await store.create({
    identity: {
      run_id,
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
    sync,
  })
  return staged.publish()
}

/** Microseconds of the median call. */
function median(count: number, call: (i: number) => void): number {
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const from = performance.now()
    call(i)
    times[i] = performance.now() - from
  }
  return times.sort()[count >> 1]! * 1_000
}

async function appends(sync: SyncMode): Promise<void> {
  const journal = await writer(sync)
  const fd = openSync(join(directory, 'floor'), 'a')
  const bytes = Buffer.from(encodeEntry(1, '2026-11-21T10:00:00.000000Z', event(1)))
  const ours = (i: number): void => {
    journal.append([event(i)], Date.now())
    journal.commit()
  }
  const floor = (): void => {
    writeSync(fd, bytes)
    if (sync === 'always') fdatasyncSync(fd)
  }
  // In turns, so that a disk that is busy for a while is busy for both.
  const rounds = Array.from({ length: 5 }, () => [median(commits / 5, ours), median(commits / 5, floor)] as const)
  const [a, b] = [0, 1].map((side) => rounds.map((round) => round[side]!).sort((x, y) => x - y)[2]!)
  console.log(
    `append + commit, --sync ${sync}: ${a!.toFixed(1)} µs · floor ${b!.toFixed(1)} µs · ratio ${(a! / b!).toFixed(2)} (${(a! - b!).toFixed(1)} µs over it)`,
  )
  journal.close()
  closeSync(fd)
}

async function group(): Promise<void> {
  const journal = await writer('os')
  const events = Array.from({ length: 10_000 }, (_, i) => event(i))
  const from = performance.now()
  journal.append(events, Date.now())
  journal.commit()
  console.log(`append 10,000 in one commit, --sync os: ${((performance.now() - from) / 10).toFixed(2)} µs an entry`)
  journal.close()
}

async function reading(): Promise<void> {
  const journal = await writer('os')
  for (let done = 0; done < entries; done += 10_000) {
    journal.append(
      Array.from({ length: Math.min(10_000, entries - done) }, (_, i) => event(done + i)),
      Date.now(),
    )
    journal.commit()
  }
  journal.close()
  const path = store.paths(journal.runId).journal
  const measure = (read: () => number): number => {
    const from = performance.now()
    const count = read()
    if (count !== entries) throw new Error(`read ${count} of ${entries}`)
    return (performance.now() - from) / 1_000
  }
  const ours = (): number => {
    let count = 0
    for (const _ of store.read(journal.runId)) count++
    return count
  }
  const floor = (): number => {
    let count = 0
    for (const line of readFileSync(path, 'latin1').split('\n')) if (line !== '' && JSON.parse(line) !== null) count++
    return count
  }
  const a = measure(ours)
  const rss = process.memoryUsage().rss / 1024 / 1024
  const b = measure(floor)
  console.log(
    `read + decode ${entries} entries: ${a.toFixed(2)} s (target for the fold: 3 s a million) · JSON.parse alone ${b.toFixed(2)} s · ratio ${(a / b).toFixed(2)} · RSS ${rss.toFixed(0)} MB`,
  )
}

try {
  await appends('always')
  await appends('os')
  await group()
  await reading()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
