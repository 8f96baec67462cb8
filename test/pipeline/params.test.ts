// Params from command line, file and defaults, by declared type.
import { describe, expect, test } from 'vitest'
import type { Param, Pipeline } from '../../src/core/pipeline.ts'
import { readParams } from '../../src/pipeline/params.ts'

const declared = (params: { [name: string]: Partial<Param> & Pick<Param, 'type'> }): Pipeline['params'] =>
  Object.fromEntries(
    Object.entries(params).map(([name, param]) => [name, { required: param.default === undefined, ...param }]),
  )

describe('command line text by type', () => {
  test.each<[Param['type'], string, unknown]>([
    ['string', 'a=b', 'a=b'],
    ['string', '', ''],
    ['string', '3', '3'],
    ['integer', '-3', -3],
    ['number', '1.5', 1.5],
    ['number', '1e3', 1000],
    ['boolean', 'true', true],
    ['boolean', 'false', false],
    ['array', '[1, "a"]', [1, 'a']],
    ['array', 'api, web', ['api', 'web']],
    ['array', '', []],
    ['object', '{"a": {"b": null}}', { a: { b: null } }],
  ])('%s %s', (type, text, expected) =>
    expect(readParams(declared({ p: { type } }), { cli: [`p=${text}`] })).toEqual({ p: expected }),
  )

  test.each<[Param['type'], string]>([
    ['integer', '1.5'],
    ['integer', '99999999999999999999'],
    ['integer', ''],
    ['number', 'x'],
    ['number', '0x10'],
    ['boolean', 'yes'],
    ['array', '[1'],
    ['object', '[]'],
    ['object', 'x'],
  ])('not %s: %s', (type, text) => {
    expect(() => readParams(declared({ p: { type } }), { cli: [`p=${text}`] })).toThrow(/^param `p` must be /)
  })
})

test('command line before file before defaults; optional params are null', () => {
  const params = declared({
    a: { type: 'string', default: 'd' },
    b: { type: 'integer', default: 1 },
    c: { type: 'array', default: [] },
    d: { type: 'string', required: false },
  })
  expect(readParams(params, { cli: ['a=cli', 'a=later'], file: { a: 'file', b: 2 } })).toEqual({
    a: 'later',
    b: 2,
    c: [],
    d: null,
  })
})

test('all problems at once', () => {
  const params = declared({
    target: { type: 'string', enum: ['staging', 'production'] },
    n: { type: 'integer' },
    key: { type: 'integer', secret: true },
    missing: { type: 'array' },
  })
  const read = () =>
    readParams(params, { cli: ['tarhet=x', 'target=dev', 'n', 'key=hunter2', '__proto__=1'], file: { n: 'three' } })
  expect(read).toThrow(
    expect.objectContaining({
      code: 'params.invalid',
      exitCode: 2,
      details: [
        'param `n` must be a whole number, found "three"',
        'unknown param `tarhet`, did you mean `target`?',
        'param `target` must be one of staging, production, found dev',
        '--param n: expected name=value',
        'param `key` must be a whole number',
        'unknown param `__proto__`; there are target, n, key, missing',
        'param `missing` is missing: give --param missing=<array>',
      ],
    }),
  )
})
