// What createEffects answers for commands it does not run, and that no report of a step can break its readers.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { lastDisposition } from '../../src/effects/fenced-json.ts'
import { toJson } from '../../src/effects/json-value.ts'
import { parseOutputs } from '../../src/effects/outputs-file.ts'
import { lastBytes, oneLine, shortened, tellingLine } from '../../src/effects/reason.ts'
import { parseJsonObject, readStatus } from '../../src/effects/status-report.ts'
import { attempt, ofType, workbench } from './support.ts'

test('the same run may have many steps at once, each with its own outcome', async () => {
  const bench = workbench()
  const started = Array.from({ length: 16 }, (_, i) => bench.start(attempt(`exit ${i}`, { place: { node: `n${i}` } })))
  const outcomes = await Promise.all(started.map(({ done }) => done))
  expect(outcomes.map((outcome) => outcome.process?.exit_code)).toEqual(started.map((_, i) => i))
})

test('what a retry is told is a file for the step and a fact on record', async () => {
  const failure = {
    code: 'exit_nonzero',
    class: 'deterministic',
    message: 'two tests failed',
    source: 'command',
    signature: '1',
  } as const
  const retry = attempt('cat "$SPANWRIGHT_RETRY_CONTEXT"', {
    attempt: { attempt: 2, max: 3, id: 'build@1.2', prior: [{ attempt_id: 'build@1.1', failure }] },
  })
  const { done, observed } = workbench().start(retry)
  expect(await done).not.toHaveProperty('failure')
  const [assembled] = ofType(observed, 'retry_context.assembled')
  expect(assembled).toMatchObject({ attempt_id: 'build@1.2', prior_attempt_ids: ['build@1.1'] })
  expect(assembled!.bytes).toBeGreaterThan(50)
  const first = workbench().start(attempt('true'))
  await first.done
  expect(ofType(first.observed, 'retry_context.assembled')).toEqual([])
})

describe('readers of what steps write', () => {
  test('any text is a report or a problem, never an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary-ascii' }), fc.json()), (text) => {
        const json = parseJsonObject(text)
        if ('value' in json) expect(readStatus(json.value)).toBeTypeOf('object')
        else expect(json.problem).toContain('expected')
        parseOutputs(text)
        lastDisposition(`\`\`\`json\n${text}\n\`\`\``)
      }),
    )
  })

  test('any object with the known keys is a report or a problem that says what was expected', () => {
    const keys = [
      'status',
      'outcome',
      'result',
      'label',
      'outputs',
      'failure',
      'failure_reason',
      'usage',
      'notes',
      'next',
    ]
    const values = fc.oneof(fc.jsonValue(), fc.constantFrom('success', 'fail', 'skip', 'partial', 'error', 'ok', ''))
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), values), (value) => {
        const read = readStatus(value as JsonObject)
        if ('problem' in read) expect(read.problem).toContain('expected')
        else if (read.result === 'failure' || read.result === 'error')
          expect(read.failure?.message).toBeTypeOf('string')
      }),
    )
  })

  test('outputs come back as they were written', () => {
    const value = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n]/.test(text))
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[A-Za-z_][\w.-]{0,10}$/), value), (outputs) => {
        const text = Object.entries(outputs)
          .map(([key, line]) => `${key}=${line}`)
          .join('\n')
        expect(parseOutputs(text)).toEqual({ outputs: { ...outputs } })
        const blocks = Object.entries(outputs)
          .map(([key, line]) => `${key}<<__END__\n${line}\n\n${line}\n__END__`)
          .join('\n')
        expect(parseOutputs(blocks)).toEqual({
          outputs: Object.fromEntries(Object.entries(outputs).map(([key, line]) => [key, `${line}\n\n${line}`])),
        })
      }),
    )
  })

  test('a value that is JSON is itself', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(toJson(value, 'x')).toEqual({ json: value })
      }),
    )
    expect(toJson(Object.create(null, { a: { value: 1, enumerable: true } }), 'x')).toEqual({ json: { a: 1 } })
  })
})

describe('sentences', () => {
  test('stay within their bounds and never split a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.integer({ min: 1, max: 40 }), (text, limit) => {
        expect(shortened(text, limit).length).toBeLessThanOrEqual(limit)
        expect(shortened(text, limit).isWellFormed()).toBe(true)
        expect(Buffer.byteLength(lastBytes(text, limit))).toBeLessThanOrEqual(limit)
        expect(text.endsWith(lastBytes(text, limit))).toBe(true)
      }),
    )
  })

  test('the telling line speaks of trouble; control characters are gone', () => {
    expect(tellingLine('\u001b[31mError: no disk\u001b[0m\nat line 3\n---\n', '')).toBe('Error: no disk')
    expect(tellingLine('one\ntwo\n\n', 'error')).toBe('two')
    expect(tellingLine('', 'one\n2 tests failed\nthree\n')).toBe('2 tests failed')
    // It may be the contents of a file, and messages go into traces.
    expect(tellingLine('', 'one\ntwo\n')).toBeUndefined()
    expect(tellingLine('  \n', '')).toBeUndefined()
    expect(oneLine('a\u0000\tb\u001b]0;title\u0007c')).toBe('a bc')
  })
})
