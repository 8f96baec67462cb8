// Lines out of bytes, however they are cut.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineSplitter } from '../../../src/effects/agents/stream-lines.ts'

function split(chunks: readonly Buffer[], limit?: number) {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line), limit)
  for (const chunk of chunks) {
    const memory = Buffer.from(chunk)
    splitter.push(memory)
    // A stream may use the memory of a chunk again.
    memory.fill(0x78)
  }
  return { lines, rest: splitter.rest(), skipped: splitter.skipped }
}

const cut = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length))
}

test('chunks make no difference, also inside of a character', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.nat()), (texts, at) => {
      const lines = texts.map((text) => text.replace(/[\r\n\0]/g, ''))
      const bytes = Buffer.from(lines.join('\n'))
      const { lines: found, rest } = split(cut(bytes, at))
      expect([...found, rest]).toEqual(lines.length > 0 ? lines : [''])
    }),
  )
})

test('line ends of Windows, NULs and bytes that are no UTF-8', () => {
  expect(split([Buffer.from('a\r\nb\0c\n\0\0'), Buffer.from([0x66, 0xff, 0x0a])])).toEqual({
    lines: ['a', 'bc', 'f\uFFFD'],
    rest: '',
    skipped: 0,
  })
})

test('a line that is too long is left out, and what follows is whole', () => {
  const chunks = ['short\n', 'x'.repeat(8), 'y'.repeat(8), 'z\nnext\n', `${'w'.repeat(20)}\n`, 'end'].map((text) =>
    Buffer.from(text),
  )
  expect(split(chunks, 10)).toEqual({ lines: ['short', 'next'], rest: 'end', skipped: 2 })
})
