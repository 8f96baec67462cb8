// What happens to a run whose store cannot be written or is damaged under it.
import { appendFileSync, copyFileSync, existsSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SpanwrightError } from '../../src/core/error.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import { call, run } from '../../src/pipeline/builder.ts'
import type { RunLog } from '../../src/runner/local-host.ts'
import { recoverStore } from '../../src/runner/recover.ts'
import { resumeRun } from '../../src/runner/resume.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { define, portsFor } from './compose.ts'
import { journalProblems } from './journal-check.ts'
import { entriesOf, eventsOf, onDisk, processesOf, start } from './run-support.ts'
import { until } from './until.ts'

/** A journal on a disk that is full from the nth commit on. */
const fullAfter =
  (commits: number) =>
  (log: RunLog): RunLog => ({
    append: (events, now) => log.append(events, now),
    commit: () => {
      if (commits-- > 0) return log.commit()
      throw new SpanwrightError(
        'store.unwritable',
        'cannot write journal.ndjson: no space left on the device (ENOSPC). Entries up to 4 are kept',
      )
    },
  })

describe('a store that fails', () => {
  it('at the start: nothing was started', async () => {
    const file = path.join(temporaryDirectory(), 'not-a-directory')
    writeFileSync(file, '')
    const store = createNdjsonStore(file)
    await expect(start(define([run('a', { run: 'true' })]), store)).rejects.toMatchObject({
      code: 'store.unwritable',
      exitCode: 5,
    })
  })

  it('full at the first entry: nothing was started, and there is no run', async () => {
    const store = onDisk()
    const cwd = temporaryDirectory()
    const definition = define([run('a', { run: 'touch started.txt' })])
    await expect(start(definition, store, { cwd, interpose: fullAfter(0) })).rejects.toMatchObject({
      code: 'store.unwritable',
    })
    expect(store.list()).toEqual([])
    expect(existsSync(path.join(cwd, 'started.txt'))).toBe(false)
    await until(() => processesOf(path.basename(path.dirname(store.directory))).length === 0)
  })

  it('full at a resume: the run stays as it was', async () => {
    const store = onDisk()
    const { runId, execution, end } = await start(define([run('a', { run: 'sleep 60' })]), store)
    await execution?.send({ type: 'cancel', by: { kind: 'user' }, force: false })
    const { final } = await end
    const ports = portsFor(store, { env: childEnvironment(), interpose: fullAfter(0) })
    await expect(resumeRun({ runId }, ports)).rejects.toMatchObject({ code: 'store.unwritable' })
    expect(store.readFinal(runId)).toEqual(final)
    expect(existsSync(store.paths(runId).lease)).toBe(false)
    expect(eventsOf(store, runId, 'run.resumed')).toEqual([])
  })

  it('full in the middle: everything ends, the reason says what was kept, and the run is at rest', async () => {
    const store = onDisk()
    const definition = define([
      run('long', { run: 'setsid sleep 60 & sleep 60', needs: [] }),
      call('a', () => sleep(150), { needs: [] }),
      run('never', { run: 'touch never.txt' }),
    ])
    const cwd = temporaryDirectory()
    const { runId, end } = await start(definition, store, { interpose: fullAfter(1), cwd })
    const { final, error } = await end
    expect(error).toMatchObject({ code: 'store.unwritable', exitCode: 5 })
    expect(final).toMatchObject({
      result: 'error',
      failure: { code: 'store_unwritable', message: expect.stringContaining('Entries up to') },
    })
    expect(existsSync(path.join(cwd, 'never.txt'))).toBe(false)
    expect(store.readFinal(runId)?.failure?.code).toBe('store_unwritable')
    expect(existsSync(store.paths(runId).lease)).toBe(false)
    expect(processesOf(runId).filter((line) => !line.includes('sentinel'))).toEqual([])
    // What is on record is a prefix of the truth: nothing after the last good commit, no end of the execution.
    expect(eventsOf(store, runId, 'attempt.started').map(({ attempt_id }) => attempt_id)).toEqual(['long@1.1', 'a@1.1'])
    expect(eventsOf(store, runId, 'run.finished')).toEqual([])
    // With space again it goes on: what was open is lost, nothing else.
    const again = await resumeRun(
      { runId },
      portsFor(store, { env: childEnvironment(), functions: new Map([['a', () => {}]]) }),
    )
    expect(await again.execution?.send({ type: 'cancel', by: { kind: 'user' }, force: false })).toBeUndefined()
    expect((await again.end).final.result).toBe('cancellation')
    expect(journalProblems(entriesOf(store, runId))).toEqual([])
    expect(eventsOf(store, runId, 'attempt.lost')).toHaveLength(2)
  })

  it('journal replaced under its holder (I6): the run stops with journal_corrupt and leaves the file alone', async () => {
    const store = onDisk()
    let journal = ''
    const definition = define([
      call('replace', async () => {
        copyFileSync(journal, `${journal}.copy`)
        appendFileSync(`${journal}.copy`, '{"not":"ours"}\n')
        renameSync(`${journal}.copy`, journal)
        await sleep(1_100)
      }),
      run('never', { run: 'true' }),
    ])
    const { runId, end } = await start(definition, store, {
      observe: ([first]) =>
        void (journal ||= first?.event.type === 'run.created' ? store.paths(first.event.run_id).journal : ''),
    })
    const { final, error } = await end
    expect(error).toMatchObject({ code: 'journal.corrupt' })
    expect(final).toMatchObject({ run_id: runId, result: 'error', failure: { code: 'journal_corrupt' } })
  })

  it('a view that throws harms nothing', async () => {
    const store = onDisk()
    const { end } = await start(define([run('a', { run: 'true' })]), store, {
      observe: () => {
        throw new Error('broken view')
      },
    })
    expect((await end).final.result).toBe('success')
  })

  it('final.json torn by a power failure is made again', async () => {
    const store = onDisk()
    const { runId, end } = await start(define([run('a', { run: 'true' })]), store)
    const { final } = await end
    writeFileSync(store.paths(runId).final, '')
    const ports = portsFor(store, { env: childEnvironment() })
    await recoverStore(ports, (_, error) => {
      throw error as Error
    })
    await expect(resumeRun({ runId }, ports)).rejects.toMatchObject({ code: 'run.not_resumable' })
    expect(store.readFinal(runId)).toMatchObject({ result: 'success', run_id: final.run_id, totals: final.totals })
    expect(journalProblems(entriesOf(store, runId))).toEqual([])
  })
})
