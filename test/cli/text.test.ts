// Text of steps is made safe and fits: control characters, widths, cuts, amounts, capabilities of a terminal.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes, count, countdown, elapsed, spend, tokens, usd } from '../../src/cli/terminal/amounts.ts'
import { isInteractive, lookOf } from '../../src/cli/terminal/capabilities.ts'
import { line, piece } from '../../src/cli/terminal/style.ts'
import { table } from '../../src/cli/terminal/table.ts'
import { clean, cleanLine, columnsOf, cut, cutMiddle, wrap } from '../../src/cli/terminal/text.ts'

describe('clean', () => {
  test.each([
    ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
    ['window titles', 'a\u001b]0;owned\u0007b', 'ab'],
    ['links', '\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['C1 sequences', '\u009b31mred\u009dtitle\u009cx', 'redx'],
    ['device strings', '\u001bPq#0\u001b\\x', 'x'],
    ['an unfinished sequence', 'x\u001b[31', 'x'],
    ['bidi controls', 'a\u202eb\u2066c\u200fd', 'abcd'],
    ['bells, backspaces, nulls', 'a\u0007\u0008\u0000b\u007f', 'ab'],
    ['invisible tags', 'a\u{e0041}b', 'ab'],
    ['carriage returns', 'one\rtwo\r\nthree', 'one\ntwo\nthree'],
    ['lone surrogates', 'a\ud800b', 'a\ufffdb'],
    ['cursor movement', 'a\u001b[2J\u001b[Hb\u001bcc', 'abc'],
  ])('removes %s', (_, text, expected) => expect(clean(text)).toBe(expected))
  test('nothing it returns is a control character', () => {
    const nasty = fc.string({
      unit: fc.constantFrom(
        '\u001b',
        '[',
        ']',
        '\u009b',
        '\u0007',
        'a',
        'm',
        '3',
        ';',
        '\u202e',
        '\n',
        '\u0000',
        '\\',
        'é',
        '好',
      ),
    })
    fc.assert(fc.property(nasty, (text) => !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.test(clean(text))))
    fc.assert(fc.property(nasty, (text) => !cleanLine(text).includes('\n')))
  })
})

test('widths and cuts count columns, not characters', () => {
  expect(columnsOf('好的e\u0301')).toBe(5)
  expect(cut('abcdef', 4)).toBe('abc…')
  expect(cut('好好好', 4)).toBe('好…')
  expect(cut('abcdef', 4, true)).toBe('abc~')
  expect(cutMiddle('implement/impl', 9)).toBe('impl…impl')
  expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, max) => columnsOf(cut(text, max)) <= max))
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 1, max: 20 }),
      (text, max) => columnsOf(cutMiddle(text, max)) <= max,
    ),
  )
})

test('a line keeps its right side and cuts its left', () => {
  const look = { columns: 20, color: false, ascii: false }
  expect(line([piece('a long text that is cut')], [piece('12s')], look)).toBe('a long text th…  12s')
  expect(line([piece('short')], [], look)).toBe('short')
})

test('amounts', () => {
  expect([400, 7_249, 52_000, 242_000, 5_872_000, 183_000_000].map((ms) => elapsed(ms))).toEqual([
    '0.4s',
    '7.2s',
    '52s',
    '4m 02s',
    '1h 37m 52s',
    '2d 02h 50m',
  ])
  expect(elapsed(5_872_000, true)).toBe('1h 37m')
  expect([14_000, 1_265_000, 85_570_000, -5].map(countdown)).toEqual(['00:14', '21:05', '23:46:10', '00:00'])
  expect([999, 1_000, 1_234_567].map(count)).toEqual(['999', '1,000', '1,234,567'])
  expect([950, 214_000, 9_840_000].map(tokens)).toEqual(['950', '214k', '9.84M'])
  expect([usd(2.84), usd(0.0012), usd(0), spend(21.37, 6), spend(0, 6), spend(0, 0)]).toEqual([
    '$2.84',
    '$0.0012',
    '$0.00',
    '$21.37 + 6 unpriced',
    '6 unpriced',
    '',
  ])
  expect([12, 1_500, 88_000_000].map(bytes)).toEqual(['12 B', '1.5 kB', '88.0 MB'])
})

test('what a terminal can show', () => {
  const tty = { isTTY: true, columns: 60 }
  const utf8 = { LANG: 'en_US.UTF-8', TERM: 'xterm' }
  expect(lookOf(tty, utf8)).toEqual({ columns: 60, color: true, ascii: false })
  expect(lookOf({}, utf8)).toEqual({ columns: 100, color: false, ascii: false })
  expect(lookOf(tty, { ...utf8, NO_COLOR: '1' }).color).toBe(false)
  expect(lookOf(tty, { ...utf8, NO_COLOR: '' }).color).toBe(true)
  expect(lookOf({}, { ...utf8, FORCE_COLOR: '1' }).color).toBe(true)
  expect(lookOf(tty, { ...utf8, FORCE_COLOR: '0' }).color).toBe(false)
  expect(lookOf(tty, { ...utf8, TERM: 'dumb' }).color).toBe(false)
  expect(isInteractive(tty, { TERM: 'dumb' })).toBe(false)
  expect(
    [{ LANG: 'C' }, {}, { ...utf8, TERM: 'linux' }, { LANG: 'ja_JP.UTF-8' }, { ...utf8, LC_ALL: 'POSIX' }].map(
      (env) => lookOf(tty, env).ascii,
    ),
  ).toEqual([true, true, true, true, true])
})

test('a table aligns numbers right and cuts what may shrink', () => {
  const look = { columns: 30, color: false, ascii: false }
  const rows = [
    ['a-very-long-name-of-a-node', '7'],
    ['b', '12'],
  ]
  expect(
    table(
      [
        { title: 'NODE', shrink: true },
        { title: 'TRIES', align: 'right' },
      ],
      rows,
      look,
    ),
  ).toEqual(['NODE                     TRIES', 'a-very-long-name-of-a-…      7', 'b                           12'])
})
