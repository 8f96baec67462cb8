// Problems with file and line out of what tools print: real output of the tools that are here, true copies of the others'.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { diagnosticsIn, type Diagnostic } from '../../src/effects/checks/diagnostics.ts'

function directory(files: { readonly [name: string]: string }): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'spanwright-diagnostics-')))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  symlinkSync(resolve('node_modules'), join(made, 'node_modules'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(made, name), text)
  return made
}

/** What a program prints though it fails. */
function output(cwd: string, name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    return execFileSync(resolve('node_modules/.bin', name), args, {
      cwd,
      encoding: 'utf8',
      stdio: 'pipe',
      env: { ...process.env, ...env },
    })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return `${stdout}\n${stderr}`
  }
}

const read = (text: string, cwd = '/repo'): Diagnostic[] => diagnosticsIn(text, cwd)

test('TypeScript, plain and pretty, is the same', () => {
  const cwd = directory({
    'a.ts': "const x: number = 'a'\nfunction f(a: string, b: number) { return a }\nf('b')\nexport { x }\n",
  })
  const expected = [
    {
      file: 'a.ts',
      line: 1,
      column: 7,
      severity: 'error',
      code: 'TS2322',
      message: "Type 'string' is not assignable to type 'number'.",
    },
    {
      file: 'a.ts',
      line: 3,
      column: 1,
      severity: 'error',
      code: 'TS2554',
      message: 'Expected 2 arguments, but got 1.',
    },
  ]
  for (const pretty of ['false', 'true'])
    expect(read(output(cwd, 'tsc', ['--noEmit', '--strict', '--pretty', pretty, 'a.ts']), cwd)).toEqual(expected)
})

test.each([['0'], ['1']])('Vitest with FORCE_COLOR=%s', (color) => {
  const cwd = directory({
    'sum.test.ts':
      "import { describe, expect, test } from 'vitest'\ndescribe('sum', () => {\n  test('adds', () => expect(1 + 1).toBe(3))\n  test('reads', () => void JSON.parse('{'))\n  test('is fine', () => {})\n})\n",
    'broken.test.ts': "import './nope.ts'\n",
  })
  const env = color === '1' ? { FORCE_COLOR: '1', NO_COLOR: undefined } : { NO_COLOR: '1', FORCE_COLOR: undefined }
  const found = read(output(cwd, 'vitest', ['run', '--root', '.'], env), cwd)
  expect(found.toSorted((a, b) => (a.message < b.message ? -1 : 1))).toEqual([
    {
      file: 'broken.test.ts',
      line: 1,
      column: 1,
      severity: 'error',
      message: expect.stringMatching(/^Error: Cannot find module '\.\/nope\.ts'/),
    },
    {
      file: 'sum.test.ts',
      line: 3,
      column: expect.any(Number),
      severity: 'error',
      message: 'sum > adds: AssertionError: expected 2 to be 3 // Object.is equality',
    },
    {
      file: 'sum.test.ts',
      line: 4,
      column: expect.any(Number),
      severity: 'error',
      message: expect.stringMatching(/^sum > reads: SyntaxError: /),
    },
  ])
})

test('Jest', () => {
  const text = `FAIL src/sum.test.js
  ● math › adds 1 + 2

    expect(received).toBe(expected) // Object.is equality

    Expected: 4
    Received: 3

      3 | describe('math', () => {
    > 4 |   test('adds 1 + 2', () => expect(sum(1, 2)).toBe(4))
        |                                              ^

      at toBe (node_modules/expect/build/index.js:10:1)
      at Object.toBe (src/sum.test.js:4:46)

Test Suites: 1 failed, 1 total
`
  expect(read(text)).toEqual([
    {
      file: 'src/sum.test.js',
      line: 4,
      column: 46,
      severity: 'error',
      message: 'math › adds 1 + 2: expect(received).toBe(expected) // Object.is equality',
    },
  ])
})

test('ESLint: stylish, unix and json say the same', () => {
  const stylish = `
/repo/src/a.js
  1:7   error    'x' is assigned a value but never used  no-unused-vars
  3:10  warning  Unexpected console statement            no-console

✖ 2 problems (1 error, 1 warning)
`
  const unix = `/repo/src/a.js:1:7: 'x' is assigned a value but never used [Error/no-unused-vars]
/repo/src/a.js:3:10: Unexpected console statement [Warning/no-console]

2 problems
`
  const json = JSON.stringify([
    { filePath: '/repo/src/b.js', messages: [], errorCount: 0 },
    {
      filePath: '/repo/src/a.js',
      messages: [
        {
          ruleId: 'no-unused-vars',
          severity: 2,
          message: "'x' is assigned a value but never used",
          line: 1,
          column: 7,
        },
        { ruleId: 'no-console', severity: 1, message: 'Unexpected console statement', line: 3, column: 10 },
      ],
    },
  ])
  const expected = [
    {
      file: 'src/a.js',
      line: 1,
      column: 7,
      severity: 'error',
      code: 'no-unused-vars',
      message: "'x' is assigned a value but never used",
    },
    {
      file: 'src/a.js',
      line: 3,
      column: 10,
      severity: 'warning',
      code: 'no-console',
      message: 'Unexpected console statement',
    },
  ]
  for (const text of [stylish, unix, json]) expect(read(text)).toEqual(expected)
})

test('pytest: the place of each failure, and of what could not be collected', () => {
  const text = `============================= test session starts ==============================
collected 3 items

tests/test_sum.py .F                                                     [ 66%]

=================================== FAILURES ===================================
___________________________________ test_add ___________________________________

    def test_add():
>       assert add(1, 2) == 4
E       assert 3 == 4
E        +  where 3 = add(1, 2)

tests/test_sum.py:5: AssertionError
________________________________ TestX.test_raise ________________________________

self = <test_sum.TestX object at 0x7f>

    def test_raise(self):
>       boom()

tests/test_sum.py:12:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _

>       raise ValueError("no")
E       ValueError: no

src/sum.py:3: ValueError
=========================== short test summary info ============================
FAILED tests/test_sum.py::test_add - assert 3 == 4
FAILED tests/test_sum.py::TestX::test_raise - ValueError: no
ERROR tests/test_other.py - ModuleNotFoundError: No module named 'nope'
========================= 2 failed, 1 passed, 1 error in 0.03s =========================
`
  expect(read(text)).toEqual([
    { file: 'tests/test_sum.py', line: 5, severity: 'error', message: 'test_add: assert 3 == 4' },
    { file: 'src/sum.py', line: 3, severity: 'error', message: 'TestX.test_raise: ValueError: no' },
    { file: 'tests/test_other.py', line: 1, severity: 'error', message: "ModuleNotFoundError: No module named 'nope'" },
  ])
  const collecting = `==== ERRORS ====
____ ERROR collecting tests/test_other.py ____
tests/test_other.py:1: in <module>
    import nope
E   ModuleNotFoundError: No module named 'nope'
==== short test summary info ====
ERROR tests/test_other.py - ModuleNotFoundError: No module named 'nope'
`
  expect(read(collecting)).toEqual([
    {
      file: 'tests/test_other.py',
      line: 1,
      severity: 'error',
      message: "ERROR collecting tests/test_other.py: ModuleNotFoundError: No module named 'nope'",
    },
  ])
  expect(read('FAILED tests/test_a.py::test_x[1-2] - assert 1 == 2\n')).toEqual([
    { file: 'tests/test_a.py', line: 1, severity: 'error', message: 'test_x[1-2]: assert 1 == 2' },
  ])
})

test('go build, vet and test', () => {
  expect(read('# example.com/add\n./add.go:4:9: undefined: x\nvet: ./b.go:3:8: could not import nope\n')).toEqual([
    { file: 'add.go', line: 4, column: 9, severity: 'error', message: 'undefined: x' },
    { file: 'b.go', line: 3, column: 8, severity: 'error', message: 'could not import nope' },
  ])
  const quiet =
    '--- FAIL: TestAdd (0.00s)\n    add_test.go:8: Add(1,1) = 3, want 2\n    --- FAIL: TestAdd/sub (0.00s)\n        add_test.go:12: no\nFAIL\nFAIL\texample.com/add\t0.002s\n'
  const verbose =
    '=== RUN   TestOk\n    add_test.go:3: only a log\n--- PASS: TestOk (0.00s)\n=== RUN   TestAdd\n    add_test.go:8: Add(1,1) = 3, want 2\n--- FAIL: TestAdd (0.00s)\nFAIL\n'
  expect(read(quiet)).toEqual([
    { file: 'add_test.go', line: 8, severity: 'error', message: 'TestAdd: Add(1,1) = 3, want 2' },
    { file: 'add_test.go', line: 12, severity: 'error', message: 'TestAdd/sub: no' },
  ])
  expect(read(verbose)).toEqual([
    { file: 'add_test.go', line: 8, severity: 'error', message: 'TestAdd: Add(1,1) = 3, want 2' },
  ])
})

test('rustc, cargo test old and new, gcc and mypy', () => {
  const text = `warning: unused variable: \`y\`
 --> src/main.rs:3:9
  |
3 |     let y = 1;
  |         ^ help: if this is intentional, prefix it with an underscore: \`_y\`
  |
  = note: \`#[warn(unused_variables)]\` on by default

error[E0308]: mismatched types
 --> src/main.rs:2:18
  |
2 |     let x: i32 = "a";
  |            ---   ^^^ expected \`i32\`, found \`&str\`

error: could not compile \`demo\` (bin "demo") due to 1 previous error; 1 warning emitted
thread 'tests::adds' panicked at src/lib.rs:10:9:
assertion \`left == right\` failed
  left: 3
thread 'tests::old' panicked at 'boom', src/lib.rs:20:5
main.c:3:5: error: 'x' undeclared (first use in this function)
pkg/a.py:7: error: Incompatible return value type  [return-value]
`
  expect(read(text)).toEqual([
    { file: 'main.c', line: 3, column: 5, severity: 'error', message: "'x' undeclared (first use in this function)" },
    { file: 'pkg/a.py', line: 7, severity: 'error', code: 'return-value', message: 'Incompatible return value type' },
    { file: 'src/main.rs', line: 2, column: 18, severity: 'error', code: 'E0308', message: 'mismatched types' },
    {
      file: 'src/lib.rs',
      line: 10,
      column: 9,
      severity: 'error',
      message: 'tests::adds: assertion `left == right` failed: left: 3',
    },
    { file: 'src/lib.rs', line: 20, column: 5, severity: 'error', message: 'tests::old: boom' },
    { file: 'src/main.rs', line: 3, column: 9, severity: 'warning', message: 'unused variable: `y`' },
  ])
})

test('bounded: a hundred at most, errors first, long messages cut', () => {
  const warnings = Array.from({ length: 150 }, (_, i) => `a.c:${i + 1}:1: warning: ${'w'.repeat(2_000)}`)
  const found = read([...warnings, 'a.c:999:1: error: last'].join('\n'))
  expect(found).toHaveLength(100)
  expect(found[0]).toMatchObject({ line: 999, severity: 'error' })
  expect(found[1]!.message.length).toBeLessThanOrEqual(500)
})

test('any text is read without an error, prose without a problem', () => {
  expect(
    read('Everything is fine.\nsee https://example.org:443/a: note\nTime: 12:30:45\n  at 10:20 error we met\n'),
  ).toEqual([])
  fc.assert(
    fc.property(
      fc.string({ maxLength: 400, unit: fc.constantFrom(...'aE:1() \n[]{}-+>❯●_.gopyrst"\'') }),
      (text) => void read(text),
    ),
  )
})
