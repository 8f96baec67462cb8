// Runs in processes of their own: killed, asked from outside, racing for a key or a resume.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { MARKERS } from '../../src/effects/marker.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import type { Store } from '../../src/journal/store.ts'
import { readLease } from '../../src/runner/lease.ts'
import { recoverStore, standingOf } from '../../src/runner/recover.ts'
import { answerGate, cancelRun } from '../../src/runner/requests.ts'
import { resumeRun, retryRun } from '../../src/runner/resume.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { portsFor } from './compose.ts'
import { journalProblems } from './journal-check.ts'
import type { pipelines } from './pipelines.ts'
import { startProcess } from './run-process.ts'
import { entriesOf, eventsOf, processesOf } from './run-support.ts'
import { until } from './until.ts'

const user = { kind: 'user', user: 'ada' } as const

async function launch(pipeline: keyof typeof pipelines) {
  const root = temporaryDirectory()
  const store = createNdjsonStore(path.join(root, 'store'))
  const running = startProcess({ store: store.directory, cwd: root, pipeline })
  const started = await running.started
  if (!started) throw new Error((await running.ended).stderr)
  const file = (name: string): string =>
    existsSync(path.join(root, name)) ? readFileSync(path.join(root, name), 'utf8') : ''
  return { root, store, running, runId: started.runId, file, ports: portsFor(store, { env: childEnvironment() }) }
}

async function atRest(store: Store, runId: string): Promise<void> {
  await until(
    () =>
      existsSync(store.paths(runId).final) && !existsSync(store.paths(runId).lease) && processesOf(runId).length === 0,
  )
  expect(journalProblems(entriesOf(store, runId))).toEqual([])
}

describe('a run in another process', () => {
  it('killed inside a fan-out of 200: nothing of it is alive, everything is on record', async () => {
    const { store, running, runId } = await launch('wide')
    await until(() => eventsOf(store, runId, 'attempt.started').length === 40)
    running.child.kill('SIGKILL')
    await atRest(store, runId)
    expect(eventsOf(store, runId, 'attempt.lost')).toHaveLength(40)
    expect(store.readFinal(runId)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' }, resumable: true })
  })

  it('killed while a step runs a run of its own: both are at rest', async () => {
    const { store, running, runId, file } = await launch('nesting')
    await until(() => file('started.txt') !== '')
    const nested = store.list().find((id) => id !== runId)!
    running.child.kill('SIGKILL')
    await atRest(store, runId)
    await atRest(store, nested)
    for (const id of [runId, nested])
      expect(store.readFinal(id)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' } })
  })

  it('killed together with its sentinel: it is lost, and the next recovery puts it to rest', async () => {
    const { store, running, runId, ports, file } = await launch('sleeper')
    await until(() => file('started.txt') !== '')
    const lease = readLease(store.paths(runId).directory)!
    expect(lease).toMatchObject({
      pid: running.pid,
      role: 'runner',
      execution: 1,
      host: expect.any(String),
      boot_id: expect.any(String),
    })
    // Stopped first: a sentinel that is killed is replaced at once.
    running.child.kill('SIGSTOP')
    process.kill(lease.sentinel!.pid, 'SIGKILL')
    running.child.kill('SIGKILL')
    await running.ended
    await until(() => standingOf(store, runId) === 'lost')
    expect(processesOf(runId).length).toBeGreaterThan(0)
    const recovered = await Promise.all(
      Array.from({ length: 3 }, () =>
        recoverStore(ports, (_, error) => {
          throw error as Error
        }),
      ),
    )
    expect(recovered.flat().map((each) => each.runId)).toEqual([runId])
    await atRest(store, runId)
    expect(eventsOf(store, runId, 'processes.ended')).toHaveLength(1)
    expect(await recoverStore(ports, () => {})).toEqual([])
  })

  it('has its sentinel replaced when that dies', async () => {
    const { store, running, runId, file } = await launch('sleeper')
    await until(() => file('started.txt') !== '')
    const { directory } = store.paths(runId)
    const first = readLease(directory)!.sentinel!.pid
    process.kill(first, 'SIGKILL')
    await until(() => readLease(directory)?.sentinel?.pid !== first)
    running.child.kill('SIGKILL')
    await atRest(store, runId)
  })

  it('is canceled by request, answers once, and nothing of it stays', async () => {
    const { store, running, runId, ports, file } = await launch('sleeper')
    await until(() => file('started.txt') !== '')
    expect(await cancelRun(runId, { by: user, force: false }, ports)).toBeUndefined()
    expect(await running.ended).toMatchObject({ result: 'cancellation', code: 0, stderr: '' })
    expect(eventsOf(store, runId, 'run.cancel_requested')).toMatchObject([{ by: user, force: false }])
    await atRest(store, runId)
    await expect(cancelRun(runId, { by: user, force: false }, ports)).rejects.toMatchObject({
      code: 'run.conflict',
      exitCode: 4,
    })
  })

  it('is ended by force', async () => {
    const { store, running, runId, ports, file } = await launch('sleeper')
    await until(() => file('started.txt') !== '')
    await cancelRun(runId, { by: user, force: true }, ports)
    expect((await running.ended).result).toBe('failure')
    expect(store.readFinal(runId)).toMatchObject({ failure: { code: 'forced' } })
  })

  it('has its gate answered by another process; a step of the run may not do that', async () => {
    const { store, running, runId, ports } = await launch('asking')
    await until(() => eventsOf(store, runId, 'gate.opened').length === 1)
    const inside = { ...ports, env: { ...ports.env, [MARKERS]: `${runId}/deploy@1.1` } }
    const answer = { node: 'ship', choice: 'approve', by: user, comment: 'fine' }
    await expect(answerGate(runId, answer, inside)).rejects.toMatchObject({
      code: 'run.conflict',
      message: expect.stringContaining('inside a step'),
    })
    await expect(cancelRun(runId, { by: user, force: true }, inside)).rejects.toMatchObject({ code: 'run.conflict' })
    await expect(retryRun({ runId, resetCount: false, mode: 'clean' }, inside)).rejects.toMatchObject({
      code: 'run.conflict',
    })
    await expect(answerGate(runId, { ...answer, choice: 'maybe' }, ports)).rejects.toMatchObject({ exitCode: 2 })
    await expect(answerGate(runId, { ...answer, node: 'nope' }, ports)).rejects.toMatchObject({
      code: 'gate.not_found',
      exitCode: 3,
    })
    await answerGate(runId, answer, ports)
    expect((await running.ended).result).toBe('success')
    expect(eventsOf(store, runId, 'gate.answered')).toMatchObject([{ choice: 'approve', by: user, comment: 'fine' }])
  })

  it('cannot be resumed while it runs (I5); once killed, of many resumes one goes on', async () => {
    const { store, running, runId, ports, root } = await launch('asking')
    await expect(resumeRun({ runId }, ports)).rejects.toMatchObject({
      code: 'run.locked',
      message: expect.stringContaining(`process ${running.pid} on `),
    })
    running.child.kill('SIGKILL')
    await running.ended
    const resumes = Array.from({ length: 3 }, () =>
      startProcess({ store: store.directory, cwd: root, pipeline: 'asking', resume: runId }),
    )
    await until(() => eventsOf(store, runId, 'run.resumed').length === 1)
    await until(() => resumes.filter(({ child }) => child.exitCode !== null).length === 2)
    await answerGate(runId, { node: 'ship', choice: 'approve', by: user }, ports)
    const ends = await Promise.all(resumes.map(({ ended }) => ended))
    expect(ends.map(({ result }) => result ?? 'refused').sort()).toEqual(['refused', 'refused', 'success'])
    expect(
      ends.flatMap(({ result, stderr }) => (result ? [] : [/is being run by process \d+ on/.test(stderr)])),
    ).toEqual([true, true])
    await atRest(store, runId)
  })

  it('with a key runs once, however many processes start it', async () => {
    const root = temporaryDirectory()
    const store = createNdjsonStore(path.join(root, 'store'))
    const all = Array.from({ length: 5 }, () =>
      startProcess({ store: store.directory, cwd: root, pipeline: 'quick', key: 'nightly' }),
    )
    const ends = await Promise.all(all.map(({ ended }) => ended))
    expect(ends.map(({ result, stderr }) => result ?? stderr)).toEqual(Array.from({ length: 5 }, () => 'success'))
    const starts = await Promise.all(all.map(({ started }) => started))
    expect(starts.filter((each) => each?.own)).toHaveLength(1)
    expect(store.list()).toEqual([starts[0]!.runId])
    expect(readFileSync(path.join(root, 'started.txt'), 'utf8')).toBe('one@1.1\n')
  })

  it('whose journal is damaged is put to rest with journal_corrupt', async () => {
    const { store, running, runId, file } = await launch('sleeper')
    await until(() => file('started.txt') !== '')
    const { journal } = store.paths(runId)
    const lines = readFileSync(journal, 'utf8').split('\n')
    running.child.kill('SIGSTOP')
    writeFileSync(journal, [lines[0], '{"v":1,"seq":2,garbage', ...lines.slice(2)].join('\n'))
    running.child.kill('SIGKILL')
    await until(() => existsSync(store.paths(runId).final) && processesOf(runId).length === 0)
    expect(store.readFinal(runId)).toMatchObject({
      result: 'error',
      failure: { code: 'journal_corrupt' },
      resumable: false,
    })
  })
})
