// kill -9 of the orchestrator between any two entries of its journal (I1-I4).
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import { resumeRun } from '../../src/runner/resume.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { portsFor } from './compose.ts'
import { journalProblems } from './journal-check.ts'
import { startProcess } from './run-process.ts'
import { entriesOf, processesOf } from './run-support.ts'
import { until } from './until.ts'

/** A run of `medium` has this many entries; the kill comes after each of them. */
const ENTRIES = 52
/** Every how many entries. 1 takes a minute: SPANWRIGHT_TEST_EVERY=1. */
const EVERY = Number(process.env['SPANWRIGHT_TEST_EVERY'] ?? 8)

async function killAfter(killAfter: number): Promise<void> {
  const root = temporaryDirectory()
  const store = createNdjsonStore(path.join(root, 'store'))
  const order = { store: store.directory, cwd: root, pipeline: 'medium', killAfter } as const
  const { signal, stderr } = await startProcess(order).ended
  expect([signal, stderr]).toEqual(['SIGKILL', ''])
  const [runId] = store.list()
  if (runId === undefined) throw new Error('no run')
  await until(() => existsSync(store.paths(runId).final))
  await until(() => processesOf(runId).length === 0)
  const before = entriesOf(store, runId)
  expect(before.length).toBeGreaterThan(killAfter - 1)
  expect(journalProblems(before)).toEqual([])
  expect(existsSync(store.paths(runId).lease)).toBe(false)
  const final = store.readFinal(runId)!
  if (before.at(-1)!.event.type === 'run.finished') {
    expect(killAfter).toBe(ENTRIES)
    expect(final).toMatchObject({ result: 'success', resumable: false })
    return
  }
  expect(final).toMatchObject({ result: 'error', resumable: true, failure: { code: 'worker_lost' } })
  const resumed = await resumeRun({ runId }, portsFor(store, { env: childEnvironment() }))
  expect(await resumed.end).toMatchObject({ final: { result: 'success', run_id: runId } })
  const after = entriesOf(store, runId)
  expect(after.slice(0, before.length)).toEqual(before)
  expect(journalProblems(after)).toEqual([])
  expectNothingDoneTwice(before, after, readFileSync(path.join(root, 'started.txt'), 'utf8'))
  await until(() => processesOf(runId).length === 0)
}

function expectNothingDoneTwice(before: readonly Entry[], after: readonly Entry[], started: string): void {
  const lines = started.trim().split('\n')
  expect(new Set(lines).size).toBe(lines.length)
  const done = new Set(
    before.flatMap(({ event }) => (event.type === 'node.finished' && event.result === 'success' ? [event.node] : [])),
  )
  for (const { event } of after.slice(before.length)) {
    if (event.type === 'attempt.started') expect(done).not.toContain(event.node)
  }
  // Retry counts go on: what was lost is no retry.
  const retries = after.filter(({ event }) => event.type === 'retry.scheduled').length
  const flaky = after.flatMap(({ event }) =>
    event.type === 'node.finished' && event.node === 'flaky' ? [event.retry_count] : [],
  )
  expect(flaky).toEqual([retries])
}

describe('kill -9 after entry', () => {
  const moments = Array.from({ length: ENTRIES }, (_, i) => i + 1).filter(
    (n) => n === 1 || n === ENTRIES || n % EVERY === 0,
  )
  it.concurrent.each(moments)(
    '%i: the run is at rest in a moment, resume finishes it and does nothing twice (I1-I4)',
    killAfter,
    60_000,
  )
})
