// At most one run per key and store.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { identify } from '../../src/runner/process-identity.ts'
import { takeRunKey } from '../../src/runner/run-key.ts'
import { temporaryDirectory } from '../support/cli.ts'

describe('a run key', () => {
  it('belongs to the first of many; the others learn its run once that is there', async () => {
    const storeDirectory = temporaryDirectory()
    const runs = new Set<string>()
    const started: string[] = []
    const taken = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const runId = `run${i}`
        const key = await takeRunKey({ storeDirectory, key: 'nightly/1 ü', runId, exists: (id) => runs.has(id) })
        if (!key.owned) return key.runId
        started.push(runId)
        setTimeout(() => runs.add(runId), 50)
        return runId
      }),
    )
    expect(started).toHaveLength(1)
    expect(new Set(taken)).toEqual(new Set(started))
  })

  it('is free again when its run could not be started', async () => {
    const options = { storeDirectory: temporaryDirectory(), key: 'k', exists: () => false }
    const first = await takeRunKey({ ...options, runId: 'a' })
    if (!first.owned) throw new Error('not owned')
    first.giveBack()
    expect(await takeRunKey({ ...options, runId: 'b' })).toMatchObject({ owned: true })
  })

  it.each([false, true])('of a starter that died: its run is there = %s', async (isThere) => {
    const storeDirectory = temporaryDirectory()
    const options = { storeDirectory, key: 'k', exists: (id: string) => isThere && id === 'a' }
    const child = spawn('true')
    const dead = identify(child.pid)
    await once(child, 'exit')
    mkdirSync(path.join(storeDirectory, 'keys'))
    await takeRunKey({ ...options, exists: () => false, runId: 'a' })
    const [name] = readdirSync(path.join(storeDirectory, 'keys'))
    const content = { ...dead, token: 't', renewed_at: new Date().toISOString(), key: 'k', run_id: 'a' }
    writeFileSync(path.join(storeDirectory, 'keys', name!), JSON.stringify(content))
    expect(await takeRunKey({ ...options, runId: 'b' })).toMatchObject(
      isThere ? { owned: false, runId: 'a' } : { owned: true },
    )
  })
})
