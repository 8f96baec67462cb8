// Logs and artifacts of attempts: masked, capped, bounded, in the places DESIGN 5 names.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { writeArtifact } from '../../src/journal/artifacts.ts'
import { ByteTail, lastText } from '../../src/journal/byte-tail.ts'
import { LogWriter } from '../../src/journal/log-writer.ts'
import { createMask } from '../../src/journal/masking.ts'
import { attemptDirectory, isRunId, runPaths } from '../../src/journal/run-directory.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-artifacts-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const mask = createMask({ secrets: ['hunter22'] })

describe('paths', () => {
  test('an attempt has the directory its id says', () => {
    expect(attemptDirectory('/run', 'implement:api/build@1.2')).toBe('/run/attempts/implement:api/build/1.2')
    expect(attemptDirectory('/run', 'implement@2:v1..2/build@1.1')).toBe('/run/attempts/implement@2:v1..2/build/1.1')
  })

  test.each([
    '../x@1.1',
    'a/../../b@1.1',
    'a/./b@1.1',
    '/etc@1.1',
    'a//b@1.1',
    'a@1',
    'a',
    '',
    'a b@1.1',
    'a\n@1.1',
    'a\\b@1.1',
    '..@1.1',
  ])('no directory for %j', (id) => expect(() => attemptDirectory('/run', id)).toThrow('not an attempt id'))

  test.each([
    '',
    '..',
    '01K9ZZZZZZZZZZZZZZZZZZZZZ',
    '01k9zzzzzzzzzzzzzzzzzzzzzz',
    '81K9ZZZZZZZZZZZZZZZZZZZZZZ',
    '01K9ZZZZZZZZ/../ZZZZZZZZZZ',
  ])('%j is no run', (id) => {
    expect(isRunId(id)).toBe(false)
    expect(() => runPaths('/store', id)).toThrow('not a run id')
  })
})

describe('artifacts', () => {
  test('text as it is and values as JSON, masked, only for the owner', () => {
    const path = join(directory, 'attempts', 'a', '1.1', 'outcome.json')
    writeArtifact(path, { label: 'hunter22' }, mask)
    writeArtifact(path, { label: 'is hunter22' }, mask)
    expect(readFileSync(path, 'utf8')).toBe('{\n  "label": "is ***"\n}\n')
    writeArtifact(join(path, '..', 'retry-context.md'), 'hunter22\n', mask)
    expect(readFileSync(join(path, '..', 'retry-context.md'), 'utf8')).toBe('***\n')
    expect(readdirSync(join(path, '..')).toSorted()).toEqual(['outcome.json', 'retry-context.md'])
    expect([statSync(path).mode & 0o777, statSync(join(path, '..')).mode & 0o777]).toEqual([0o600, 0o700])
  })

  test('a place that cannot be written is store.unwritable', () => {
    writeFileSync(join(directory, 'file'), '')
    expect(() => writeArtifact(join(directory, 'file', 'x.json'), {}, mask)).toThrow(
      expect.objectContaining({ code: 'store.unwritable' }),
    )
  })
})

describe('logs', () => {
  test('nothing is made before the first byte', () => {
    const path = join(directory, 'silent', 'stdout.log')
    const log = new LogWriter({ path, mask })
    log.write(Buffer.alloc(0))
    log.close()
    expect([existsSync(path), log.bytes, log.tail(), log.capped]).toEqual([false, 0, '', false])
  })

  test('bytes come as they are, with secrets masked across pieces', () => {
    const path = join(directory, 'bytes', 'stdout.log')
    const log = new LogWriter({ path, mask })
    const parts = [
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from('hun'),
      Buffer.from('ter22 ☂'),
      Buffer.from([0xe2, 0x98]),
    ]
    for (const part of parts) log.write(part)
    log.close()
    log.close()
    log.write(Buffer.from('late'))
    expect(readFileSync(path)).toEqual(
      Buffer.concat([Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('*** ☂'), Buffer.from([0xe2, 0x98])]),
    )
    expect([log.bytes, log.tail()]).toEqual([Buffer.concat(parts).length, '\ufffd\ufffd\0*** ☂\ufffd'])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('the cap is announced once, in the file and to the caller; count and tail go on', () => {
    const path = join(directory, 'capped', 'stdout.log')
    const told: number[] = []
    const log = new LogWriter({ path, mask, limitBytes: 10, tailBytes: 4, onCapped: (limit) => told.push(limit) })
    log.write(Buffer.from('0123456789'))
    expect(log.capped).toBe(false)
    for (let i = 0; i < 1_000; i++) log.write(Buffer.from('abcdefgh'))
    log.close()
    expect(readFileSync(path, 'utf8')).toBe(
      '0123456789\n[spanwright: this log is capped at 10 bytes; what follows was not kept]\n',
    )
    expect([told, log.capped, log.bytes, log.tail()]).toEqual([[10], true, 8_010, 'efgh'])
  })

  test('a disk that fails is told once; the step goes on', () => {
    writeFileSync(join(directory, 'blocked'), '')
    const told: string[] = []
    const log = new LogWriter({
      path: join(directory, 'blocked', 'x', 'stdout.log'),
      mask,
      onFailed: (error) => told.push(error.code),
    })
    for (let i = 0; i < 3; i++) log.write(Buffer.from('output\n'))
    log.close()
    expect([told, log.bytes, log.tail()]).toEqual([['store.unwritable'], 21, 'output\noutput\noutput\n'])
  })

  test('without a path only count and tail are kept', () => {
    const log = new LogWriter({ mask, tailBytes: 8 })
    log.write(Buffer.from('some output: hunter22'))
    log.close()
    expect([log.bytes, log.tail(), log.tail(4)]).toEqual([21, 'put: ***', ' ***'])
  })

  test('much more output than the cap takes no more memory', () => {
    const log = new LogWriter({ path: join(directory, 'flood', 'stdout.log'), mask, limitBytes: 1024 * 1024 })
    const chunk = Buffer.alloc(64 * 1024, 'no newline in sight ')
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 1_600; i++) log.write(chunk)
    const grown = process.memoryUsage().arrayBuffers - before
    log.close()
    expect(log.bytes).toBe(1_600 * chunk.length)
    expect(grown).toBeLessThan(64 * 1024 * 1024)
    expect(statSync(join(directory, 'flood', 'stdout.log')).size).toBeLessThan(1024 * 1024 + 200)
  })

  test('property: the tail is the end of what was pushed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }),
        (capacity, chunks) => {
          const tail = new ByteTail(capacity)
          for (const chunk of chunks) tail.push(chunk)
          const all = Buffer.concat(chunks)
          expect(tail.bytes()).toEqual(all.subarray(Math.max(0, all.length - capacity)))
          expect(tail.total).toBe(all.length)
          expect(Buffer.byteLength(lastText(all, capacity))).toBeLessThanOrEqual(capacity)
        },
      ),
    )
  })

  test('a tail begins with a whole character', () => {
    expect(lastText(Buffer.from('a☂b'), 3)).toBe('b')
    expect(lastText(Buffer.from('a☂b'), 4)).toBe('☂b')
  })
})
