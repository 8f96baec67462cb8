// Owns: reading what test runners print about failed tests: Vitest, Jest, pytest, go test. (Panics of cargo test are read
// with rustc's problems.)
import type { Diagnostic } from './diagnostics.ts'

const isBlank = (line: string): boolean => line.trim() === ''
/** Lines below a failed test that are looked at for its message and its place. */
const BELOW = 200

const VITEST_FAIL = /^\s*FAIL\s+(?:\|[^|]+\|\s+)?(\S.*?)(?: \[ .+ \])?$/
const VITEST_PLACE = /^\s*❯ (?:.+ )?(\S+?):(\d+):(\d+)$/

/** ` FAIL  file > suite > test`, the error below it, then ` ❯ file:line:column`. One error may stand for several tests. */
export function* vitestProblems(lines: readonly string[]): Iterable<Diagnostic> {
  for (const [index, line] of lines.entries()) {
    const [, title] = VITEST_FAIL.exec(line) ?? []
    if (title === undefined) continue
    const below = lines.slice(index + 1, index + 1 + BELOW)
    const end = below.findIndex((text) => /^⎯{5,}/.test(text))
    const said = end < 0 ? below : below.slice(0, end)
    const message = said.find((text) => !isBlank(text) && !VITEST_FAIL.test(text)) ?? 'failed'
    const [file, ...names] = title.split(' > ')
    const places = said.map((text) => VITEST_PLACE.exec(text)).filter((match) => match !== null)
    // A place in the test's own file tells most; else the first.
    const place = places.find((match) => match[1]!.endsWith(file!)) ?? places[0]
    if (!place) continue
    yield {
      file: place[1]!,
      line: Number(place[2]),
      column: Number(place[3]),
      severity: 'error',
      message: [names.join(' > '), message].filter((text) => text !== '').join(': '),
    }
  }
}

const JEST_TEST = /^ {2}● (.+)$/
const JEST_PLACE = /^\s+at (?:.+ \()?([^()\s]+):(\d+):(\d+)\)?$/

/** `  ● suite › test`, the error indented below it, then `at Object.<anonymous> (file:line:column)`. */
export function* jestProblems(lines: readonly string[]): Iterable<Diagnostic> {
  for (const [index, line] of lines.entries()) {
    const [, title] = JEST_TEST.exec(line) ?? []
    if (title === undefined) continue
    const below = lines.slice(index + 1, index + 1 + BELOW)
    const end = below.findIndex((text) => /^\S/.test(text) || JEST_TEST.test(text))
    const said = end < 0 ? below : below.slice(0, end)
    const message = said.find((text) => !isBlank(text))
    const place = said
      .map((text) => JEST_PLACE.exec(text))
      .find((match) => match && !match[1]!.includes('node_modules'))
    if (!place || message === undefined) continue
    yield {
      file: place[1]!,
      line: Number(place[2]),
      column: Number(place[3]),
      severity: 'error',
      message: `${title}: ${message.trim()}`,
    }
  }
}

const PYTEST_TEST = /^_{3,} (.+?) _{3,}$/
const PYTEST_ERROR = /^E {3,}(.+)$/
const PYTEST_PLACE = /^([^\s:]+\.py):(\d+): ?(.*)$/
const PYTEST_SHORT = /^(FAILED|ERROR) ([^\s:]+\.py)(?:::(\S+))?(?: - (.+))?$/

/** Of each failure the last place with the first `E` line; of the short summary what has no place of its own. */
export function* pytestProblems(lines: readonly string[]): Iterable<Diagnostic> {
  const placed = new Set<string>()
  let title = ''
  let error: string | undefined
  let at: { file: string; line: number; message: string } | undefined
  const done = function* (): Iterable<Diagnostic> {
    if (!at) return
    placed.add(title.replace(/^(?:ERROR (?:collecting|at (?:setup|teardown) of) |.*\.(?!py$))/, ''))
    yield { file: at.file, line: at.line, severity: 'error', message: `${title}: ${error ?? at.message}` }
    at = undefined
  }
  for (const line of lines) {
    const head = PYTEST_TEST.exec(line)
    if (head || /^=+ .* =+$/.test(line)) {
      yield* done()
      title = head?.[1] ?? ''
      error = undefined
      continue
    }
    if (title !== '') {
      error ??= PYTEST_ERROR.exec(line)?.[1]
      const place = PYTEST_PLACE.exec(line)
      if (place) at = { file: place[1]!, line: Number(place[2]), message: place[3]! }
    }
    const short = PYTEST_SHORT.exec(line)
    if (!short) continue
    const [, , file, test, message] = short
    const name = test?.split('::').at(-1)?.replace(/\[.*/, '')
    if (name === undefined ? placed.has(file!) : [...placed].some((known) => known.startsWith(name))) continue
    yield {
      file: file!,
      line: 1,
      severity: 'error',
      message: [test, message].filter((text) => text !== undefined).join(': ') || 'failed',
    }
  }
  yield* done()
}

const GO_RESULT = /^\s*--- (FAIL|PASS|SKIP): (\S+)/
const GO_PLACE = /^\s+([\w./-]+\.go):(\d+): (.*)$/

/** `--- FAIL: TestX`, then indented `x_test.go:12: message`; with -v the places stand between `=== RUN` and the result. */
export function* goTestProblems(lines: readonly string[]): Iterable<Diagnostic> {
  let failed: string | undefined
  let before: RegExpExecArray[] = []
  const problem = (test: string, [, file, at, message]: RegExpExecArray): Diagnostic => ({
    file: file!,
    line: Number(at),
    severity: 'error',
    message: `${test}: ${message}`,
  })
  for (const line of lines) {
    const result = GO_RESULT.exec(line)
    if (result) {
      failed = result[1] === 'FAIL' ? result[2] : undefined
      if (failed !== undefined) for (const place of before) yield problem(failed, place)
      before = []
    } else if (/^(?:=== RUN|PASS$|FAIL\b|ok\s)/.test(line)) {
      failed = undefined
      before = []
    }
    const place = GO_PLACE.exec(line)
    if (!place) continue
    if (failed === undefined) before.push(place)
    else yield problem(failed, place)
  }
}
