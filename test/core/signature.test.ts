// DESIGN 6, Signature: one for every telling of one cause, different ones for different causes, at a bounded cost.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { completeFailure } from '../../src/core/failures.ts'
import { logicalLines } from '../../src/core/logical-lines.ts'
import { signatureOf } from '../../src/core/signature.ts'

const ofMessage = (message: string): string => signatureOf('agent_failed', message)
const ofOutput = (stderr: string, exitCode = 1): string =>
  completeFailure({
    code: 'exit_nonzero',
    source: 'command',
    message: `\`make\` exited with code ${exitCode}`,
    details: { exit_code: exitCode, stderr_tail: stderr },
  }).signature

/** `fold -s -w width`, `fmt`: breaks at spaces. */
function soft(text: string, width: number): string {
  return text
    .split('\n')
    .map((paragraph) => {
      const lines: string[] = []
      for (const word of paragraph.split(' ')) {
        if (lines.length > 0 && lines.at(-1)!.length + 1 + word.length <= width) lines.push(`${lines.pop()!} ${word}`)
        else lines.push(word)
      }
      return lines.join('\n')
    })
    .join('\n')
}
/** `fold -w width`: breaks anywhere. */
const hard = (text: string, width: number): string =>
  text
    .split('\n')
    .map((line) => line.match(new RegExp(`.{1,${width}}`, 'g'))?.join('\n') ?? '')
    .join('\n')

const same: readonly [what: string, tellings: readonly string[]][] = [
  ['numbers', ['3 of 12 tests failed', '7 of 1,204 tests failed']],
  ['numbers glued to letters', ['worker7 failed after step12b', 'worker31 failed after step4b']],
  ['signs and fractions', ['offset -3.5 is invalid', 'offset +12.25 is invalid']],
  ['short hex', ['cannot read at 0xdeadbeef', 'cannot read at 0x1f']],
  ['hashes', ['commit 9f8e7d6c5b4a is missing', 'commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 is missing']],
  [
    'UUIDs',
    ['session 123e4567-e89b-12d3-a456-426614174000 was lost', 'session 00000000-1111-2222-3333-444444444444 was lost'],
  ],
  ['ULIDs', ['run 01KH3DN4STSZ3MVKB58YY6RE57 is locked', 'run 01JAAAAAAAAAAAAAAAAAAAAAA9 is locked']],
  ['timestamps', ['2026-02-10T16:42:11.818881199Z build failed', '2030-12-31 23:59:59 build failed']],
  ['times of day', ['[16:42:11] build failed', '[09:00:01.250] build failed']],
  ['durations', ['gave up after 12ms', 'gave up after 3.5 seconds']],
  ['durations', ['timed out after 1h', 'timed out after 90 min']],
  ['absolute paths', ['cannot open /home/ada/site/src/main.ts', 'cannot open /builds/77/src/main.ts']],
  ['relative paths', ['cannot open ./a/b/main.ts', 'cannot open ../../x/main.ts']],
  ['Windows paths', ['cannot open C:\\Users\\ada\\main.ts', 'cannot open D:\\x\\main.ts']],
  ['temporary names', ['cannot open /tmp/build-Xk29aQ/out.txt', 'cannot open /tmp/build-9zQwe1/out.txt']],
  ['temporary names of letters only', ['no space in /tmp/spanwright-iDiGmQ', 'no space in /tmp/spanwright-AbCdEf']],
  ['mktemp', ['tmp.aBcDeFgHiJ is not empty', 'tmp.ZzYyXxWwVv is not empty']],
  ['random ids glued to words', ['pod api-7d9f8b6c5-x2x9z crashed', 'pod api-5c4b3a291-q8w7e crashed']],
  ['ports and hosts', ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED 10.0.0.17:60123']],
  ["URLs' hosts", ['GET https://a.example.org:8443/v1 failed', 'GET https://b.example.net/v1 failed']],
  ['ANSI codes', ['\u001b[31merror\u001b[0m: boom', 'error: boom']],
  ['titles set by a terminal', ['\u001b]0;npm test\u0007error: boom', 'error: boom']],
  ['case', ['Error: Boom', 'ERROR: boom']],
  ['whitespace', ['error:   boom\tat once', 'error: boom at once\n']],
  [
    'JSON key order',
    ['got {"code": 42, "detail": {"b": 1, "a": [1, 2]}} back', 'got {"detail":{"a":[3,4],"b":5},"code":7} back'],
  ],
  ['JSON layout', ['{"status":"fail","reason":"no tests"}', '{\n  "reason": "no tests",\n  "status": "fail"\n}']],
  [
    'wrapping',
    [
      soft(
        'verification failed because the scaffold does not build: module resolution cannot find the entry point of the package',
        40,
      ),
      soft(
        'verification failed because the scaffold does not build: module resolution cannot find the entry point of the package',
        72,
      ),
    ],
  ],
  // seeds: 35 failures of one verification told in 31 ways.
  [
    'a verdict of an agent',
    [
      'verify_scaffold: 3 checks failed (exit 1 after 171s): cargo check reported E0432 in /tmp/wt-01/src/lib.rs:12',
      'verify_scaffold: 5 checks failed (exit 1 after 294s): cargo check reported E0432 in /tmp/wt-17/src/lib.rs:208',
    ],
  ],
  [
    'a turn limit',
    [
      'max turns (60) reached in session 3f2a9c1b77 after 1,188s',
      'max turns (80) reached in session a81bd02c9e after 132s',
    ],
  ],
]

const different: readonly [what: string, a: string, b: string][] = [
  ['another missing module', "Error: Cannot find module 'left-pad'", "Error: Cannot find module 'right-pad'"],
  ['another module with digits', "Cannot find module 'log4js'", "Cannot find module 'web3js'"],
  ['another test', 'FAIL src/cart.test.ts > adds an item', 'FAIL src/cart.test.ts > removes an item'],
  ['another test with numbers', 'test_user_1_2 failed', 'test_order_1_2 failed'],
  ['another file', 'error in src/cart.ts', 'error in src/user.ts'],
  ['another text', 'error: permission denied', 'error: no space left on device'],
  ['another value in JSON', '{"error":"quota"}', '{"error":"auth"}'],
  ['another host name in words', 'cannot resolve registry', 'cannot resolve database'],
  ['another symbol', "Property 'foo' does not exist on type 'Bar'", "Property 'foo' does not exist on type 'Baz'"],
  ['camel case', 'lodash.isArray is not a function, error', 'lodash.isEqual is not a function, error'],
  ['other letters', 'Fehler: Größe fehlt', 'Fehler: Höhe fehlt'],
]

describe('one signature for', () => {
  test.each(same)('%s, in a message', (_, tellings) => {
    expect(tellings.map(ofMessage)).toEqual(tellings.map(() => ofMessage(tellings[0]!)))
  })
  test.each(same)('%s, in output', (_, tellings) => {
    expect(tellings.map((text) => ofOutput(text))).toEqual(tellings.map(() => ofOutput(tellings[0]!)))
  })
})

describe('different signatures for', () => {
  test.each(different)('%s', (_, a, b) => {
    expect(ofMessage(a)).not.toBe(ofMessage(b))
    expect(ofOutput(a)).not.toBe(ofOutput(b))
  })
  test('another exit code or signal', () => {
    expect(ofOutput('error: boom', 1)).not.toBe(ofOutput('error: boom', 2))
    expect(ofOutput('', 1)).not.toBe(ofOutput('', 2))
    const by = (signal: string): string =>
      completeFailure({ code: 'signaled', source: 'command', message: 'ended by a signal', details: { signal } })
        .signature
    expect(by('SIGSEGV')).not.toBe(by('SIGKILL'))
  })
  test('another code', () => {
    expect(signatureOf('timed_out', 'boom')).not.toBe(signatureOf('stalled', 'boom'))
  })
})

const NOISE = [
  '> app@1.0.0 test',
  'PASS src/one.test.ts',
  '12 passed in 3.4s',
  'Downloading packages',
  'info: cache is warm',
  'ok 4 - parses',
  '........',
]
const CAUSE = "FAIL src/cart.test.ts > adds an item\nAssertionError: expected 'apples' to be 'pears'"

describe('noise in output', () => {
  test('reordered or repeated lines do not matter', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(NOISE, { minLength: 1 }),
        fc.shuffledSubarray(NOISE),
        fc.nat(20),
        (before, after, repeats) => {
          const text = [
            ...Array.from({ length: repeats }, () => before).flat(),
            ...before,
            CAUSE,
            ...after,
            CAUSE,
          ].join('\n')
          expect(ofOutput(text)).toBe(ofOutput(CAUSE))
        },
      ),
    )
  })
  test('numbers, ids, times and paths in any amount do not matter', () => {
    const noise = fc.record({
      n: fc.nat(),
      hex: fc.stringMatching(/^[0-9a-f]{12}$/).filter((text) => /\d/.test(text) && /[a-f]/.test(text)),
      ms: fc.nat(100_000),
      day: fc.integer({ min: 10, max: 28 }),
      folder: fc.stringMatching(/^[a-z]{3,12}$/),
    })
    fc.assert(
      fc.property(noise, noise, (a, b) => {
        const tell = (each: typeof a): string =>
          `2026-02-${each.day}T10:00:00Z error[${each.n}]: worker${each.n} lost ${each.hex} in /var/${each.folder}/x/main.ts:${each.n} after ${each.ms}ms`
        expect(ofOutput(tell(a))).toBe(ofOutput(tell(b)))
        expect(ofMessage(tell(a))).toBe(ofMessage(tell(b)))
      }),
    )
  })
  test('where a tail was cut does not matter', () => {
    const lines = Array.from({ length: 400 }, (_, i) => `compiling unit number ${i} of many`).join('\n')
    const whole = `${lines}\n${CAUSE}`
    expect(new Set([2_040, 2_041, 2_045, 2_048].map((bytes) => ofOutput(whole.slice(-bytes)))).size).toBe(1)
  })
})

describe('wrapped output', () => {
  const paragraphs = [
    "error: cannot find the module 'left-pad' that the package cart-service wants to import from its entry point, because the lock file does not list it and the registry was not asked",
    'the verification of the scaffold failed since three required documents are missing in the folder of the feature: the plan, the list of decisions and the notes of the last review of it',
  ]
  const widths = [40, 48, 60, 72, 80, 100, 120]
  test.each(paragraphs)('at spaces, at different widths: %s', (paragraph) => {
    const noisy = (text: string): string => `12 passed\n\n${text}\n\nDone in 3s`
    expect(new Set(widths.map((width) => ofOutput(noisy(soft(paragraph, width)))))).toEqual(
      new Set([ofOutput(noisy(paragraph))]),
    )
  })
  test.each(paragraphs)('through words, at different widths: %s', (paragraph) => {
    const narrow = [40, 48, 50, 56]
    expect(new Set(narrow.map((width) => ofOutput(hard(paragraph, width))))).toEqual(new Set([ofOutput(paragraph)]))
    expect(new Set(narrow.map((width) => ofMessage(hard(paragraph, width))))).toEqual(new Set([ofMessage(paragraph)]))
  })
  // A heuristic: rare texts fall on a line length that reads differently (try other values of PROPERTY_SEED).
  test('nearly any text of lower-case words, at any two widths', () => {
    const word = fc
      .stringMatching(/^[a-z]{2,10}$/)
      .filter((text) => !/^(?:info|ok|passed|debug|at|fail|pass|warn|npm|make|tmp|temp|.*error|.*exception)/.test(text))
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 12, maxLength: 60 }),
        fc.integer({ min: 34, max: 120 }),
        (words, width) => {
          const text = `error: cannot go on ${words.join(' ')}`
          // Three lines that happen to be equally long look like text that was cut through its words.
          const lengths = soft(text, width)
            .split('\n')
            .map((line) => line.length)
          fc.pre(lengths.filter((length) => length === Math.max(...lengths)).length < 3)
          expect(ofOutput(soft(text, width))).toBe(ofOutput(text))
        },
      ),
    )
  })
  test('lines that were lines stay lines', () => {
    const text =
      'npm ERR! code ELIFECYCLE\nnpm ERR! errno 1\nat Object.<anonymous> (cart.ts:1:1)\n- a list item that is fairly long for one\n- another\nError: x'
    expect(logicalLines(text)).toEqual(text.split('\n'))
  })
})

describe('cost', () => {
  const nasty: readonly [what: string, unit: string][] = [
    ['one long word', 'a'],
    ['hyphens', 'a-'],
    ['dashes and digits', 'a1-'],
    ['hex', '0a'],
    ['commas', '1,'],
    ['slashes', '/a'],
    ['backslashes', '\\a'],
    ['open brackets', '{['],
    ['close brackets', '{}}]'],
    ['quotes', '{"a":"'],
    ['escapes', '\u001b[0'],
    ['titles', '\u001b]0;'],
    ['dots', '1.'],
    ['tmp', 'tmp-'],
    ['spaces', ' '],
    ['spaces and numbers', '1 '],
    ['short lines', 'e\n'],
    ['failing lines', 'fail {\n'],
    ['colons', '1:1:'],
    ['urls', 'http://'],
    ['at', 'a@'],
  ]
  // Work is counted by the characters that patterns see: lines are cut first, so it grows with the text and no faster.
  test.each(nasty)('64 KiB of %s: no line is longer than its bound', (_, unit) => {
    const text = unit.repeat(Math.ceil(65_536 / unit.length))
    const lines = logicalLines(text)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(600 * 41)
    expect(lines.reduce((sum, line) => sum + line.length, 0)).toBeLessThanOrEqual(text.length + 4_000)
    expect(signatureOf('exit_nonzero', text, text)).toMatch(/^[0-9a-f]{8}$/)
  })
  test.each(nasty)('twice as much of %s takes no more than about twice as long', (_, unit) => {
    const time = (size: number): number => {
      const text = unit.repeat(Math.ceil(size / unit.length))
      return Math.min(
        ...Array.from({ length: 5 }, () => {
          const before = process.cpuUsage().user
          for (let i = 0; i < 3; i++) signatureOf('exit_nonzero', text.slice(0, 4_000), text)
          return process.cpuUsage().user - before
        }),
      )
    }
    // Quadratic growth would be 16 times; noise of the machine is allowed for.
    expect(time(65_536) / Math.max(time(16_384), 2_000)).toBeLessThan(10)
  })
})
