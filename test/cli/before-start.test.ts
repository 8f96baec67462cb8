// What is looked at before a run starts: the commit that is checked out, programs and secrets, labels, the store.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-code.ts'
import { gitHead } from '../../src/cli/git-head.ts'
import { readCount, readLabels } from '../../src/cli/key-values.ts'
import { preflight } from '../../src/cli/preflight.ts'
import { reportError } from '../../src/cli/report-error.ts'
import { runIdsIn, shortId } from '../../src/cli/store-path.ts'
import { SpanwrightError } from '../../src/core/error.ts'
import { temporaryDirectory } from '../support/cli.ts'
import { failureOf, fanoutNode, pipelineOf, runNode } from './view-entries.ts'

test('the commit that is checked out: branch, detached, packed, linked worktree, none', () => {
  const directory = temporaryDirectory()
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', ...args], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
  expect(gitHead(directory)).toBeUndefined()
  git('init')
  expect(gitHead(directory)).toBeUndefined()
  git('commit', '--allow-empty', '-m', 'one')
  const head = git('rev-parse', 'HEAD')
  mkdirSync(path.join(directory, 'deep/er'), { recursive: true })
  expect(gitHead(path.join(directory, 'deep/er'))).toEqual({ head, branch: 'main' })
  git('pack-refs', '--all')
  expect(gitHead(directory)).toEqual({ head, branch: 'main' })
  git('worktree', 'add', '-b', 'side', 'linked')
  expect(gitHead(path.join(directory, 'linked'))).toEqual({ head, branch: 'side' })
  git('checkout', '--detach')
  expect(gitHead(directory)).toEqual({ head })
})

test('preflight names programs that are missing and secrets without a value, once each', () => {
  const pipeline = pipelineOf('p', [
    runNode('a', [], { run: { argv: ['no-such-program', 'x'] } }),
    runNode('b', [], { run: { argv: ['./made-by-a'] }, secrets: ['DEPLOY_TOKEN'] }),
    fanoutNode('f', [], {
      nodes: [runNode('c', [], { run: { argv: ['no-such-program'] }, secrets: ['DEPLOY_TOKEN'] })],
    }),
    runNode('d', [], { run: { shell: 'sh', script: 'true', bindings: [] } }),
  ])
  expect(preflight(pipeline, { PATH: process.env['PATH'] })).toEqual([
    'node a runs `no-such-program`, which is not on PATH',
    'secret DEPLOY_TOKEN has no value: set the environment variable',
  ])
  expect(preflight(pipeline, { PATH: process.env['PATH'], DEPLOY_TOKEN: 'x' })).toHaveLength(1)
})

test('labels and counts', () => {
  expect(readLabels(['team=core', 'why=a=b'])).toEqual({ team: 'core', why: 'a=b' })
  expect(() => readLabels(['team'])).toThrow('expected name=value')
  expect([readCount('--limit', undefined), readCount('--limit', '3')]).toEqual([undefined, 3])
  for (const text of ['0', '-1', '1.5', 'x', ''])
    expect(() => readCount('--limit', text)).toThrow('whole number from 1')
})

test('short ids grow where two runs began in the same millisecond', () => {
  const [one, two] = ['01KH3DN4STSZ3MVKB58YY6RE57', '01KH3DN4STSA3MVKB58YY6RE57']
  expect(shortId(one, [one])).toBe('01KH3DN4ST')
  expect(shortId(one, [one, two])).toBe('01KH3DN4STSZ')
  expect(runIdsIn('/no/such/store')).toEqual([])
})

test.each([
  ['success', undefined, undefined, 0],
  ['skip', undefined, undefined, 0],
  ['failure', 'exit_nonzero', undefined, 1],
  ['error', 'spawn_failed', undefined, 5],
  ['timeout', 'timed_out', undefined, 124],
  ['cancellation', 'canceled', undefined, 130],
  ['cancellation', 'canceled', 'SIGTERM', 143],
  ['cancellation', 'canceled', 'SIGHUP', 129],
  ['failure', 'forced', 'SIGINT', 130],
  ['success', undefined, 'SIGINT', 0],
] as const)('a run that ended as %s (%s) after %s exits %i', (result, code, signal, exitCode) => {
  expect(exitCodeOf({ result, ...(code ? { failure: failureOf(code, 'x') } : {}) }, signal)).toBe(exitCode)
})

test('an error is one line; one that nobody expected names the file that holds its stack', async () => {
  const said: string[] = []
  const look = { columns: 100, color: false, ascii: false }
  const output = {
    result: () => {},
    json: () => {},
    say: (...lines: string[]) => void said.push(...lines),
    look,
    progressLook: look,
    verbose: false,
  }
  const known = new SpanwrightError('params.invalid', 'two problems\nwith params', {
    details: ['first\u001b[31m', 'second'],
  })
  expect(await reportError(known, output)).toBe(2)
  expect(said.splice(0)).toEqual(['spanwright: two problems with params', '  first', '  second'])
  expect(await reportError(new TypeError('x is not a function'), output)).toBe(5)
  const [line] = said.splice(0)
  const file = /^spanwright: unexpected: x is not a function: the details are in (.+)$/.exec(line ?? '')?.[1]
  expect(readFileSync(file!, 'utf8')).toMatch(/TypeError: x is not a function\n +at /)
  await reportError(known, { ...output, verbose: true })
  expect(said.join('\n')).toMatch(/\n +at /)
  rmSync(path.dirname(file!), { recursive: true })
})
