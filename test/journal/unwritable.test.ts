// A store that cannot be written says so, and what it acknowledged stays: full disks, size limits, read-only places.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { afterAll, describe, expect, test } from 'vitest'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import { newRun, NO_MASK } from './contract.ts'
import { identity, NOW, pipeline, warning } from './sample-events.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-unwritable-'))
const mounted: string[] = []
afterAll(() => {
  for (const path of mounted) spawnSync('umount', [path])
  rmSync(directory, { recursive: true, force: true })
})

/** A small file system of its own; undefined where this user may not mount one. */
function smallDisk(name: string): string | undefined {
  const path = join(directory, name)
  mkdirSync(path)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path]).status !== 0) return undefined
  mounted.push(path)
  return path
}
const disk = smallDisk('disk')
const program = join(import.meta.dirname, 'programs', 'append-until-full.ts')
interface Report {
  readonly told: readonly { readonly committed: number; readonly error: string; readonly message: string }[]
  readonly kept: number
  readonly again?: number
  readonly lastSeq: number
}
const unwritable = (text: string): Error =>
  expect.objectContaining({ code: 'store.unwritable', message: expect.stringContaining(text) as unknown }) as Error

describe('a store that cannot be written', () => {
  test('a write cut short by a size limit is taken back, and what is kept is said', () => {
    const store = join(directory, 'limited')
    // An ignored SIGXFSZ makes the write fail with EFBIG after as many bytes as fit.
    const script = `trap '' XFSZ; ulimit -f 64; exec "$0" "$@"`
    const out = execFileSync('sh', ['-c', script, process.execPath, program, store], { encoding: 'utf8' })
    const { told, kept, lastSeq } = JSON.parse(out) as Report
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      error: 'store.unwritable',
      message: expect.stringMatching(/EFBIG\)\. Entries up to \d+ are kept/) as unknown,
    })
    expect([told[0]!.committed, lastSeq]).toEqual([kept, kept + 2])
    expect(kept).toBeGreaterThan(5)
  })

  test.runIf(disk !== undefined)('a full disk: nothing half, and once there is room the same entries go on', () => {
    const ballast = join(disk!, 'ballast')
    writeFileSync(ballast, Buffer.alloc(100 * 1024))
    const out = execFileSync(process.execPath, [program, join(disk!, 'store'), ballast], { encoding: 'utf8' })
    const { told, kept, again, lastSeq } = JSON.parse(out) as Report
    expect(told[0]).toMatchObject({
      error: 'store.unwritable',
      message: expect.stringContaining('no space left') as unknown,
      committed: kept,
    })
    expect(again).toBe(lastSeq)
  })

  test('a place below a file', async () => {
    const file = join(directory, 'file')
    writeFileSync(file, '')
    const store = createNdjsonStore(join(file, 'store'))
    await expect(store.create({ identity: identity(ulid()), pipeline, mask: NO_MASK })).rejects.toEqual(
      unwritable('Nothing was started'),
    )
  })

  const isRoot = process.getuid?.() === 0
  test.runIf(!isRoot || disk !== undefined)('a read-only place', async () => {
    const place = isRoot ? smallDisk('read-only')! : join(directory, 'read-only')
    if (isRoot) execFileSync('mount', ['-o', 'remount,ro', place])
    else mkdirSync(place, { mode: 0o500 })
    const store = createNdjsonStore(join(place, 'store'))
    await expect(store.create({ identity: identity(ulid()), pipeline, mask: NO_MASK })).rejects.toEqual(
      unwritable('choose another place with --store'),
    )
    expect(store.list()).toEqual([])
    if (!isRoot) chmodSync(place, 0o700)
  })

  test('a final.json that cannot be put in its place leaves no half of it', async () => {
    const store = createNdjsonStore(join(directory, 'final'))
    const writer = await newRun(store)
    mkdirSync(store.paths(writer.runId).final)
    expect(() => store.writeFinal(writer.runId, {} as never)).toThrow(unwritable('final.json'))
    expect(readdirSync(store.paths(writer.runId).directory).filter((name) => name.startsWith('.'))).toEqual([])
    writer.close()
  })
})

describe('the directory of a store', () => {
  test('only its owner can look at it, and git does not see it', async () => {
    const root = join(directory, 'modes')
    const store = createNdjsonStore(root)
    const writer = await newRun(store)
    writer.append([warning('x')], NOW)
    writer.commit()
    writer.close()
    const paths = store.paths(writer.runId)
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)
    expect([root, join(root, 'runs'), paths.directory, paths.control].map(mode)).toEqual(['700', '700', '700', '700'])
    expect([paths.identity, paths.pipeline, paths.journal, join(root, '.gitignore')].map(mode)).toEqual([
      '600',
      '600',
      '600',
      '600',
    ])
    expect(readdirSync(paths.directory).toSorted()).toEqual(['control', 'journal.ndjson', 'pipeline.json', 'run.json'])
  })

  test('what a process left behind that died before its run began is cleared after an hour', async () => {
    const root = join(directory, 'staged')
    const store = createNdjsonStore(root)
    const dead = await store.create({ identity: identity(ulid()), pipeline, mask: NO_MASK })
    const young = await store.create({ identity: identity(ulid()), pipeline, mask: NO_MASK })
    utimesSync(dead.directory, new Date(0), new Date(0))
    const run = await newRun(store)
    expect(readdirSync(join(root, 'runs')).toSorted()).toEqual([`.staged-${young.runId}`, run.runId].toSorted())
    expect(store.list()).toEqual([run.runId])
    young.discard()
    run.close()
  })

  test('a list taken while runs appear never shows half a run', async () => {
    const store = createNdjsonStore(join(directory, 'busy'))
    const lister = join(import.meta.dirname, 'programs', 'list-runs.ts')
    const { spawn } = await import('node:child_process')
    const child = spawn(process.execPath, [lister, store.directory, '12'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    const ended = new Promise((resolve) => child.once('close', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    for (let i = 0; i < 12; i++) {
      const writer = await newRun(store)
      writer.append([warning('x')], NOW)
      writer.commit()
      writer.close()
    }
    expect(await ended).toBe(0)
    expect(out).toBe('ready\nwhole\n')
  })
})
