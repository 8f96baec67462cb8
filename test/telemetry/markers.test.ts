// Markers show what is open in a trace store before its span arrives.
import { describe, expect, test } from 'vitest'
import { hash64 } from '../../src/core/hash.ts'
import { createProjection } from './checked-projection.ts'
import { JournalEntries, RUN_ID } from './journal-entries.ts'

describe('markers', () => {
  test('the run has one at once, an attempt after a second, each once, with derived ids', () => {
    const projection = createProjection({ markers: true })
    const journal = new JournalEntries().created().step('quick').node('slow').attempt('slow', 1)
    for (const entry of journal.entries) projection.apply(entry)
    const nowUs = journal.nowMs * 1_000
    const [run, ...none] = projection.markersDue(nowUs)
    expect(none).toEqual([])
    expect(run).toMatchObject({
      name: 'RUN release started',
      spanId: hash64(`${journal.runSpan} started`),
      parentSpanId: journal.runSpan,
      attributes: { 'spanwright.marker': 'started', 'cicd.pipeline.run.id': RUN_ID },
    })
    expect(run!.endUs - run!.startUs).toBe(1_000)
    expect(projection.markersDue(nowUs + 999_000)).toEqual([])
    expect(projection.markersDue(nowUs + 1_000_000).map((span) => span.name)).toEqual(['slow attempt started'])
    expect(projection.markersDue(nowUs + 9_000_000)).toEqual([])
  })
  test('a reader that did not ask for them keeps nothing for them', () => {
    const projection = createProjection()
    for (const entry of new JournalEntries().created().node('a').attempt('a', 1).entries) projection.apply(entry)
    expect(projection.markersDue(Number.MAX_SAFE_INTEGER)).toEqual([])
  })
})
