// Claims of a name by one of many processes: whoever gets it has it alone, whoever dies with it loses it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { acquireClaim, isClaimHeld, readClaim, releaseClaim, renewClaim } from '../../src/runner/claim.ts'
import { identify } from '../../src/runner/process-identity.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { until } from './until.ts'

const racer = fileURLToPath(new URL('programs/claim-racer.ts', import.meta.url))

function newFile(): string {
  return path.join(temporaryDirectory(), 'claim.json')
}

/** A process that has just ended. */
async function deadIdentity(): Promise<object> {
  const child = spawn('true')
  const identity = identify(child.pid)
  await once(child, 'exit')
  return identity
}

describe('I5: at most one live process holds a claim', () => {
  it('is given to one, refused to the next, and free again when it was given back', () => {
    const file = newFile()
    const first = acquireClaim(file, { extra: 1 })
    if (!('token' in first)) throw new Error('not acquired')
    expect(acquireClaim(file)).toMatchObject({ heldBy: { pid: process.pid, extra: 1 } })
    releaseClaim(file, first.token)
    expect(existsSync(file)).toBe(false)
    expect(acquireClaim(file)).toHaveProperty('token')
  })

  it('is taken over from a dead process, leaving nothing else behind', async () => {
    const file = newFile()
    writeFileSync(file, JSON.stringify({ ...(await deadIdentity()), token: 't', renewed_at: new Date().toISOString() }))
    expect(isClaimHeld(file)).toBe(false)
    const acquired = acquireClaim(file)
    expect(readClaim(file)).toMatchObject({ pid: process.pid, token: (acquired as { token: string }).token })
    expect(readdirSync(path.dirname(file))).toEqual(['claim.json'])
  })

  it('is taken over from a process that died while taking over', async () => {
    const file = newFile()
    const dead = { ...(await deadIdentity()), renewed_at: new Date().toISOString() }
    writeFileSync(file, JSON.stringify({ ...dead, token: 'a' }))
    writeFileSync(`${file}.over-a`, JSON.stringify({ ...dead, token: 'b' }))
    expect(acquireClaim(file)).toHaveProperty('token')
    expect(readdirSync(path.dirname(file))).toEqual(['claim.json'])
  })

  it('is not taken from a live process that is taking over, nor is a reused pid taken for the holder', () => {
    const file = newFile()
    const renewed = { renewed_at: new Date().toISOString() }
    writeFileSync(file, JSON.stringify({ ...identify(), start_time: 1, ...renewed, token: 'a' }))
    writeFileSync(`${file}.over-a`, JSON.stringify({ ...identify(), ...renewed, token: 'b' }))
    expect(acquireClaim(file)).toMatchObject({ heldBy: { token: 'b' } })
  })

  it.each([
    ['another host', { host: 'elsewhere' }],
    ['another pid namespace', { pid_namespace: 'pid:[1]' }],
  ])('of %s is believed for a minute without renewal', (_, changes) => {
    const file = newFile()
    const write = (age: number): void =>
      writeFileSync(
        file,
        JSON.stringify({ ...identify(), ...changes, token: 't', renewed_at: new Date(Date.now() - age).toISOString() }),
      )
    write(50_000)
    expect(acquireClaim(file)).toHaveProperty('heldBy')
    write(61_000)
    expect(acquireClaim(file)).toHaveProperty('token')
  })

  it('of the machine before its reboot is free', () => {
    const file = newFile()
    writeFileSync(
      file,
      JSON.stringify({ ...identify(), boot_id: 'before', token: 't', renewed_at: new Date().toISOString() }),
    )
    expect(acquireClaim(file)).toHaveProperty('token')
  })

  it('that cannot be read is believed for a minute after its last change', () => {
    const file = newFile()
    writeFileSync(file, '')
    expect(acquireClaim(file)).toHaveProperty('heldBy', undefined)
    const before = Date.now() / 1_000 - 61
    utimesSync(file, before, before)
    expect(acquireClaim(file)).toHaveProperty('token')
  })

  it('is renewed by its holder only', () => {
    const file = newFile()
    const acquired = acquireClaim(file)
    if (!('token' in acquired)) throw new Error('not acquired')
    expect(renewClaim(file, acquired.token, { execution: 2 })).toBe(true)
    expect(readClaim(file)).toMatchObject({ execution: 2 })
    writeFileSync(file, JSON.stringify({ ...identify(), token: 'other', renewed_at: new Date().toISOString() }))
    expect(renewClaim(file, acquired.token)).toBe(false)
    releaseClaim(file, acquired.token)
    expect(existsSync(file)).toBe(true)
  })

  it('never has two holders, however many processes race for it and die with it', async () => {
    const file = newFile()
    const log = `${file}.log`
    writeFileSync(log, '')
    const race = async (ending: 'release' | 'orphan' | 'kill'): Promise<void> => {
      do {
        const child = spawn(process.execPath, [racer, file, log, ending], {
          env: childEnvironment(),
          stdio: ['ignore', 'ignore', 'inherit'],
        })
        await once(child, 'exit')
        expect(child.exitCode ?? 0).toBe(0)
      } while (ending === 'kill' && !existsSync(`${file}.over`))
    }
    const held = (): string[] => readFileSync(log, 'utf8').trim().split('\n')
    const races = Promise.all((['orphan', 'orphan', 'orphan', 'release', 'kill'] as const).map(race))
    await Promise.all([sleep(1_000), until(() => held().length > 100)]).finally(() => writeFileSync(`${file}.over`, ''))
    await races
    expect(new Set(held())).toEqual(new Set(['held']))
  })
})
