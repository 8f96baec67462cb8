// I8: what is secret, where it is masked, and that no way of cutting a stream lets one through.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import type { Json } from '../../src/core/json.ts'
import { createMask, type Mask } from '../../src/journal/masking.ts'
import { isSecretName } from '../../src/journal/secret-values.ts'
import { EVERY_EVENT, pipeline } from './sample-events.ts'

const directory = mkdtempSync(join(tmpdir(), 'spanwright-masking-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The stream's output for `bytes` cut into pieces of the given sizes (the last one repeats). */
function streamed(mask: Mask, bytes: Uint8Array, sizes: readonly number[]): Buffer {
  const stream = mask.stream()
  const out: Uint8Array[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[Math.min(i, sizes.length - 1)] ?? 1)
    out.push(Buffer.from(stream.write(bytes.subarray(at, at + size))))
    at += size
  }
  return Buffer.concat([...out, stream.end()])
}

describe('which variables hold secrets', () => {
  test.each([
    'API_KEY',
    'KEY',
    'GITHUB_TOKEN',
    'TOKEN_FILE_NAME',
    'MY_SECRET_1',
    'DB_PASSWORD',
    'PASSWD',
    'X_CREDENTIAL',
    'NPM_CONFIG__AUTH',
    'npm_config__auth',
    'OTEL_EXPORTER_OTLP_HEADERS',
    'EXTRAHEADERS',
  ])('%s', (name) => expect(isSecretName(name)).toBe(true))
  test.each([
    'KEYBOARD',
    'TOKENIZERS_PARALLELISM',
    'MONKEY',
    'PATH',
    'XAUTHORITY',
    'AUTHOR',
    'HEADERS_FILE',
    'PASSWORDLESS',
  ])('not %s', (name) => expect(isSecretName(name)).toBe(false))

  test('short values and paths that exist are no secrets; declared ones always are', () => {
    const file = join(directory, 'private.key')
    writeFileSync(file, '')
    const environment = { A_KEY: 'short77', KEY_FILE: file, B_KEY: `${file}.gone`, C_TOKEN: undefined }
    const mask = createMask({ environment, secrets: ['pin', ''] })
    expect(mask.text(`short77 ${file} ${file}.gone pin`)).toBe(`short77 ${file} *** ***`)
  })
})

describe('texts', () => {
  test('every line of a value, in every quoting', () => {
    const value = '-----BEGIN KEY-----\nMIIE"quoted\\part"/+&é\nend\n'
    const mask = createMask({ environment: { TLS_KEY: value } })
    for (const text of [value.trim(), value.trim().replaceAll('\n', '\r\n'), 'MIIE"quoted\\part"/+&é']) {
      let quoted = text
      for (let level = 0; level < 4; level++) {
        expect(mask.text(quoted)).not.toMatch(/quoted|BEGIN KEY/)
        quoted = JSON.stringify(quoted)
      }
    }
    expect(mask.text(String.raw`MIIE\"quoted\\part\"/+&\u00e9`)).toBe('***')
    expect(mask.text(String.raw`MIIE\"quoted\\part\"\/+&é`)).toBe('***')
    expect(mask.text(String.raw`MIIE\"quoted\\part\"/+\u0026é`)).toBe('***')
  })

  test('overlapping secrets are one mask, neighbours are two', () => {
    const mask = createMask({ secrets: ['abcdefgh', 'efghijkl', 'zz'] })
    expect(mask.text('-abcdefghijkl-zzzz-abcdefgh')).toBe('-***-***-***')
    expect(createMask({ secrets: ['abcd'] }).text('abcdabcd')).toBe('******')
  })

  test('patterns see one line at a time', () => {
    const mask = createMask({ patterns: [/^sk-\S+$/, 'pass=\\S*', /x*/] })
    expect(mask.text('sk-123\nno sk-123\nuser pass=a b')).toBe('***\nno sk-123\nuser *** b')
    expect(() => createMask({ patterns: ['('] })).toThrow(SyntaxError)
  })

  test('a mask of nothing changes nothing', () => {
    const mask = createMask({})
    for (const event of EVERY_EVENT) {
      expect(mask.mayContain(JSON.stringify(event))).toBe(false)
      expect(mask.event(event)).toBe(event)
    }
    expect(mask.pipeline(pipeline)).toBe(pipeline)
  })
})

describe('events', () => {
  const mask = createMask({ secrets: ['hunter22', '12345678'] })

  test('free values are masked throughout: strings, keys, numbers', () => {
    expect(mask.json({ a: ['x hunter22'], 'k hunter22': 1, n: 12_345_678, m: 3, z: null })).toEqual({
      'a': ['x ***'],
      'k ***': 1,
      'n': '***',
      'm': 3,
      'z': null,
    })
    expect(mask.json({ hunter22: 1, '12345678': 2 })).toEqual({ '***': 2, '****': 1 })
  })

  test('ids stay, whatever they hold; everything else does not', () => {
    const event: Event = {
      type: 'attempt.finished',
      node: 'hunter22:12345678/build',
      visit: 1,
      attempt: 1,
      attempt_id: 'hunter22:12345678/build@1.1',
      result: 'failure',
      label: 'hunter22',
      notes: 'hunter22!',
      duration_ms: 12_345_678,
      span_id: '1234567812345678',
      outputs: { node: 'hunter22', code: 'hunter22' },
      failure: {
        code: 'exit_nonzero',
        class: 'deterministic',
        source: 'command',
        signature: '12345678',
        message: 'got hunter22',
        details: { source: 'hunter22', exit_code: 2 },
        attempt_id: 'hunter22@1.1',
        causes: [
          {
            code: 'exit_nonzero',
            class: 'deterministic',
            source: 'command',
            signature: '12345678',
            message: 'hunter22',
          },
        ],
      },
    }
    expect(mask.mayContain(JSON.stringify(event))).toBe(true)
    expect(mask.event(event)).toEqual({
      ...event,
      label: '***',
      notes: '***!',
      outputs: { node: '***', code: '***' },
      failure: {
        ...event.failure,
        message: 'got ***',
        details: { source: '***', exit_code: 2 },
        causes: [{ ...event.failure!.causes![0], message: '***' }],
      },
    })
  })

  test('outputs of a branch keep the node ids they are listed by', () => {
    const finished = EVERY_EVENT.find((event) => event.type === 'branch.finished')!
    expect(mask.event({ ...finished, outputs: { hunter22: { hunter22: 'hunter22' } } }).outputs).toEqual({
      hunter22: { '***': '***' },
    })
  })

  test('a pipeline keeps its ids', () => {
    const value = {
      ...pipeline,
      name: 'hunter22',
      env: { hunter22: 'hunter22' },
      nodes: [{ id: 'hunter22', needs: ['hunter22'], prompt: 'hunter22' }],
    }
    expect(mask.pipeline(value as never)).toEqual({
      ...value,
      env: { hunter22: '***' },
      nodes: [{ id: 'hunter22', needs: ['hunter22'], prompt: '***' }],
    })
  })

  test('property: no secret survives in an event, and the fast test never misses one', () => {
    const secret = fc
      .string({ minLength: 4, maxLength: 12, unit: 'binary' })
      .filter((text) => text.trim() === text && !/[*\ud800-\udfff]/.test(text) && !/^\d+$/.test(text))
    fc.assert(
      fc.property(secret, fc.jsonValue(), (value, json) => {
        const one = createMask({ secrets: [value] })
        const event: Event = {
          type: 'attempt.acted',
          node: 'a',
          visit: 1,
          attempt: 1,
          attempt_id: 'a@1.1',
          duration_ms: 1,
          notes: `<${value}>`,
          outputs: {
            plain: value,
            quoted: JSON.stringify({ v: value }),
            twice: JSON.stringify(JSON.stringify(value)),
            json: json as Json,
          },
        }
        expect(one.mayContain(JSON.stringify(event))).toBe(true)
        const masked = one.event(event)
        expect(masked.notes).toBe('<***>')
        expect(masked.outputs!['plain']).toBe('***')
        expect(masked.outputs!['quoted']).toBe('{"v":"***"}')
        expect(one.event(masked)).toBe(masked)
      }),
    )
  })
})

describe('streams', () => {
  test('what is not masked comes through byte for byte, also invalid UTF-8', () => {
    const bytes = Buffer.from(Array.from({ length: 1_024 }, (_, i) => i % 256))
    expect(streamed(createMask({ secrets: ['hunter22'] }), bytes, [7])).toEqual(bytes)
  })

  test('text is not held back unless a secret may have begun', () => {
    const stream = createMask({ secrets: ['hunter22'] }).stream()
    expect(String(stream.write(Buffer.from('a prompt> ')))).toBe('a prompt> ')
    expect(String(stream.write(Buffer.from('the hunt')))).toBe('the ')
    expect(String(stream.write(Buffer.from('ers hun')))).toBe('hunters ')
    expect(String(stream.write(Buffer.from('ter22')))).toBe('***')
    expect(String(stream.end())).toBe('')
  })

  test('a line longer than the window is masked in bounded memory', () => {
    const mask = createMask({ secrets: ['hunter22'], patterns: [/pass=[a-z]+/] })
    const piece = Buffer.from(`${'-'.repeat(99_990)}pass=secret hunter22`)
    const stream = mask.stream()
    let out = ''
    let written = 0
    for (let i = 0; i < 60; i++) {
      written += piece.length
      out += Buffer.from(stream.write(piece)).toString('latin1')
      expect(written - out.length).toBeLessThan(2.5 * 1024 * 1024)
    }
    out += Buffer.from(stream.end()).toString('latin1')
    expect(out).toBe(`${'-'.repeat(99_990)}*** ***`.repeat(60))
  })

  const letters = fc
    .string({ unit: fc.constantFrom('a', 'b', 'é', '\n', '"'), minLength: 3, maxLength: 9 })
    .filter((text) => text.trim() === text)
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 })

  test('property: any chunking gives what the whole text gives', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\n', '"', '-'), maxLength: 80 })
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 4 }), text, cuts, (secrets, input, sizes) => {
        const mask = createMask({ secrets })
        expect(streamed(mask, Buffer.from(input), sizes).toString()).toBe(mask.text(input))
        const patterned = createMask({ secrets, patterns: [/ab+é?/, /^-.*$/] })
        expect(streamed(patterned, Buffer.from(input), sizes).toString()).toBe(patterned.text(input))
      }),
      { numRuns: 500 },
    )
  })

  test('property: no secret survives', () => {
    const noise = fc.string({ unit: fc.constantFrom('a', 'b', '\n', 'x'), maxLength: 30 })
    fc.assert(
      fc.property(letters, fc.array(noise, { minLength: 2, maxLength: 6 }), cuts, (secret, parts, sizes) => {
        const out = streamed(createMask({ secrets: [secret] }), Buffer.from(parts.join(secret)), sizes).toString()
        expect(out).not.toContain(secret)
      }),
      { numRuns: 500 },
    )
  })
})
