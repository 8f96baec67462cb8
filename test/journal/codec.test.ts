// The line format, its round trip, and I7: entries of every version that was ever written are still read and folded.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evolve } from '../../src/core/evolve.ts'
import type { Event } from '../../src/core/events.ts'
import type { Json } from '../../src/core/json.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import { newRun } from '../../src/core/state.ts'
import { fromTimestamp, toTimestamp } from '../../src/core/time.ts'
import { encodeEntry, EntryDecoder, entryBytes } from '../../src/journal/codec.ts'
import { finalSchema } from '../../src/journal/final.ts'
import { readJournal } from '../../src/journal/journal-reader.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { EVERY_EVENT, NOW, warning } from './sample-events.ts'

const AT = toTimestamp(NOW)

describe('the line format', () => {
  test('is fixed to the letter', () => {
    expect(encodeEntry(7, AT, warning('a "b"\n'))).toBe(
      '{"v":1,"seq":7,"at":"2026-11-21T10:00:00.000000Z","event":{"type":"warning.raised","code":"test","message":"a \\"b\\"\\n"}}\n',
    )
  })

  test('property: every event comes back as it was, on one line', () => {
    const event = fc.oneof(
      fc.constantFrom(...EVERY_EVENT),
      fc.string({ unit: 'binary' }).map(warning),
      fc.jsonValue().map((outputs): Event => ({
        type: 'node.finished',
        node: 'a',
        visit: 1,
        kind: 'run',
        result: 'success',
        retry_count: 0,
        span_id: 'x',
        outputs: { outputs: outputs as Json },
        rollup: {
          attempts: 1,
          retries: 0,
          cost_usd: 0,
          cost_unpriced: 0,
          tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
        },
      })),
    )
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 5 }), (events) => {
        const decoder = new EntryDecoder({ strict: true })
        for (const [i, given] of events.entries()) {
          const line = encodeEntry(i + 1, AT, given)
          expect(line.indexOf('\n')).toBe(line.length - 1)
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(entryBytes(given))
          expect(decoder.decode(line.trimEnd())).toEqual({
            v: 1,
            seq: i + 1,
            at: AT,
            event: JSON.parse(JSON.stringify(given)) as unknown,
          })
        }
      }),
    )
  })

  test('a line is stepped over only where it continues the one before', () => {
    const decoder = new EntryDecoder()
    decoder.skip(encodeEntry(1, AT, warning('x')))
    expect(() => decoder.skip(encodeEntry(3, AT, warning('x')))).toThrow('its "seq" is 3, expected 2')
    decoder.skip(
      `{"v":0,"seq":2,"at":"2026-11-21T10:00:00.001Z","event":{"type":"warning.raised","code":"a","message":"b"}}`,
    )
    expect([decoder.seq, decoder.at]).toEqual([2, '2026-11-21T10:00:00.001000Z'])
  })
})

describe('I7: journals of every version', () => {
  const root = join(import.meta.dirname, '..', 'fixtures', 'journals')
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)

  test('there is one of each version', () => {
    const versions = folders.map((name) => readFileSync(join(root, name, 'journal.ndjson'), 'utf8').slice(0, 6))
    expect([...new Set(versions)].toSorted()).toEqual(['{"v":0', '{"v":1'])
  })

  test.each(folders)('%s folds to the end it had', (name) => {
    const read = (file: string): unknown => JSON.parse(readFileSync(join(root, name, file), 'utf8'))
    const final = finalSchema.parse(read('final.json'))
    const state = newRun(read('pipeline.json') as Pipeline, celExpressions)
    let seq = 0
    for (const entry of readJournal(join(root, name, 'journal.ndjson'), { strict: true })) {
      expect([entry.v, entry.seq]).toEqual([1, ++seq])
      evolve(state, entry.event, fromTimestamp(entry.at))
    }
    expect(state).toMatchObject({
      phase: 'ended',
      result: final.result,
      runId: final.run_id,
      branches: final.totals.branches,
    })
    expect(state.commands.size).toBe(0)
  })

  test('version 0: times, durations and names are brought up', () => {
    const at = (seq: number): Event => [...readJournal(join(root, 'v0-release', 'journal.ndjson'))][seq - 1]!.event
    expect(readFileSync(join(root, 'v0-release', 'journal.ndjson'), 'utf8')).toMatch(/"type":"retry\.planned"/)
    expect(at(15)).toMatchObject({ type: 'retry.scheduled', delay_ms: 9 })
    expect(at(14)).toMatchObject({ type: 'attempt.finished', duration_ms: expect.any(Number) as unknown })
    expect(at(14)).not.toHaveProperty('duration_s')
  })
})
