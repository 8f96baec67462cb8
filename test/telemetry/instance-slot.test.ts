// Instance ids: one holder each, none that a dead process may still stand for.
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepInstance, releaseInstance, takeInstance } from '../../src/telemetry/instance-slot.ts'
import { runtimeDirectory } from './receivers.ts'

const HOUR_MS = 3_600_000
const directoryForTest = () => join(runtimeDirectory(), 'spanwright')
const slotOf = ({ id }: { id: string }) => id.slice(id.indexOf('-') + 1)

test('each holder has a slot of its own; what is given back is used again', () => {
  const directory = directoryForTest()
  const [a, b, c] = ['a', 'b', 'c'].map((token) => takeInstance(directory, token))
  expect([a!, b!, c!].map(slotOf)).toEqual(['0', '1', '2'])
  expect(a!.id).toMatch(/^[0-9a-f]{8}-0$/)
  releaseInstance(directory, { ...b!, token: 'somebody else' })
  expect(slotOf(takeInstance(directory, 'd'))).toBe('3')
  releaseInstance(directory, b!)
  expect(slotOf(takeInstance(directory, 'e'))).toBe('1')
})

test('a slot whose holder died rests for two hours', () => {
  const directory = directoryForTest()
  const path = join(directory, 'slot-0.lock')
  writeFileSync(path, JSON.stringify({ token: 'dead', pid: 1, place: 'another machine' }))
  const touched = (agoMs: number): void => utimesSync(path, new Date(), new Date(Date.now() - agoMs))
  touched(HOUR_MS)
  expect(slotOf(takeInstance(directory, 'a'))).toBe('1')
  touched(2 * HOUR_MS + 1_000)
  expect(slotOf(takeInstance(directory, 'b'))).toBe('0')
})

test('the directory is private; one that cannot be used costs only the bound', () => {
  const runtime = runtimeDirectory()
  const directory = join(runtime, 'new')
  takeInstance(directory, 'a')
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  writeFileSync(join(runtime, 'file'), '')
  for (const place of [join(runtime, 'file'), join(runtime, 'no/where')]) {
    const instance = takeInstance(place, 'a')
    expect(slotOf(instance)).toBe(`p${process.pid}`)
    keepInstance(place, instance)()
    releaseInstance(place, instance)
  }
  expect(readdirSync(directory)).toEqual(['slot-0.lock'])
})

test('all slots taken', () => {
  const directory = directoryForTest()
  mkdirSync(directory, { recursive: true })
  for (let slot = 0; slot < 256; slot++) expect(slotOf(takeInstance(directory, `holder ${slot}`))).toBe(String(slot))
  expect(slotOf(takeInstance(directory, 'late'))).toBe(`p${process.pid}`)
})
