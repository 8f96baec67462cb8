// Owns: proof that a test run ends with its two numbers and that skipped, absent or broken tests are not a pass.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'

function runTests(
  files: Record<string, string>,
  args: readonly string[] = [],
): { exitCode: number | null; end: string; counts: string[] } {
  const root = temporaryDirectory()
  const counts = path.join(root, 'counts')
  mkdirSync(counts)
  symlinkSync(path.join(PROJECT_ROOT, 'node_modules'), path.join(root, 'node_modules'))
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(root, name), text ?? '')
  const reporter = path.join(PROJECT_ROOT, 'scripts/summary-reporter.ts')
  const vitest = path.join(PROJECT_ROOT, 'node_modules/vitest/vitest.mjs')
  const run = spawnSync(process.execPath, [vitest, 'run', '--root', root, '--reporter', reporter, ...args], {
    cwd: root,
    env: childEnvironment({ TEST_COUNTS_DIR: counts }),
    encoding: 'utf8',
  })
  const left = readdirSync(counts).map((name) => readFileSync(path.join(counts, name), 'utf8').trim())
  return { exitCode: run.status, end: run.stdout.trimEnd().split('\n').at(-1) ?? '', counts: left }
}

const passing = "import { test } from 'vitest'\ntest('fine', () => {})\n"
const failing = "import { test } from 'vitest'\ntest('bad', () => { throw new Error('no') })\n"
const skipping = "import { test } from 'vitest'\ntest('fine', () => {})\ntest.skip('left out', () => {})\n"
const conditional = "import { test } from 'vitest'\ntest('fine', () => {})\ntest('left out', ({ skip }) => skip())\n"
const broken = "import 'no-such-module'\nimport { test } from 'vitest'\ntest('fine', () => {})\n"

test.each([
  ['all pass', { 'a.test.ts': passing, 'b.test.ts': passing }, 0, '2 passed, 0 failed'],
  ['one fails', { 'a.test.ts': passing, 'b.test.ts': failing }, 1, '1 passed, 1 failed'],
  ['one is skipped', { 'a.test.ts': skipping }, 1, '1 passed, 1 failed'],
  ['one skips itself', { 'a.test.ts': conditional }, 1, '1 passed, 1 failed'],
  ['a file cannot be loaded', { 'a.test.ts': passing, 'b.test.ts': broken }, 1, '1 passed, 1 failed'],
  ['there is none', {}, 1, '0 passed, 1 failed'],
])('%s', (_, files, exitCode, end) => {
  const run = runTests(files)
  expect(run).toEqual({ exitCode, end, counts: [end.replace(/(\d+) passed, (\d+) failed/, '$1 $2')] })
})

test('tests chosen by name leave the others out without harm', () => {
  expect(runTests({ 'a.test.ts': passing, 'b.test.ts': failing }, ['-t', 'fine'])).toMatchObject({
    exitCode: 0,
    end: '1 passed, 0 failed',
  })
})
