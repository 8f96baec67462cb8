// What an attempt changed, asked of real git repositories and of plain directories.
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Check } from '../../src/core/pipeline.ts'
import { changesSince, forget, lookAtFiles, type Changes } from '../../src/effects/changes/changes.ts'

function directory(): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'spanwright-changes-')))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
    cwd,
    encoding: 'utf8',
    stdio: 'pipe',
  })

function write(root: string, files: { readonly [path: string]: string }): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

function repository(files: { readonly [path: string]: string }): string {
  const root = directory()
  git(root, 'init', '-q')
  write(root, files)
  git(root, 'add', '-A')
  git(root, 'commit', '-q', '-m', 'first')
  return root
}

const lists = ({ created, modified, deleted }: Changes): object => ({ created, modified, deleted })
const forbidding = (patterns: string[], secrets = false): Check => ({
  name: 'forbid',
  rule: { forbidden: { paths: [], patterns, secrets } },
  level: 'L1',
  required: true,
  timeout_ms: 1_000,
})
/** Every file of a repository's own directory with its content. */
function inside(root: string): string {
  const names = readdirSync(join(root, '.git'), { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files
    .toSorted()
    .map((file) => `${file} ${readFileSync(file, 'base64')}`)
    .join('\n')
}

describe('in a git repository', () => {
  test('files of all kinds, and nothing of the repository itself is touched', async () => {
    const root = repository({
      'a.txt': '1\n',
      'b.txt': '1\n',
      'sub/c.txt': '1\n',
      '.gitignore': 'out/\n.env\n',
      '.env': 'A=1\n',
    })
    write(root, { 'staged.txt': 's\n', 'dirty.txt': 'd\n', 'b.txt': 'mine\n' })
    git(root, 'add', 'staged.txt')
    writeFileSync(join(root, '.git/hooks/post-index-change'), '#!/bin/sh\ntouch "$PWD/hooked"\n', { mode: 0o755 })
    const before = inside(root)
    const snapshot = await lookAtFiles(root)
    write(root, { 'a.txt': '2\n', 'new file.txt': 'n\n', 'ü.txt': 'n\n', 'out/x': 'x', '.env': 'A=2\n' })
    rmSync(join(root, 'sub/c.txt'))
    const { changes, patch } = await changesSince(snapshot)
    expect(lists(changes)).toEqual({ created: ['new file.txt', 'ü.txt'], modified: ['a.txt'], deleted: ['sub/c.txt'] })
    expect(changes).toMatchObject({
      source: 'git',
      total: 4,
      truncated: false,
      ignored: ['.env'],
      commits: [],
      scanned: true,
    })
    expect(patch).toContain('-1\n+2\n')
    expect(patch).not.toContain('mine')
    expect(inside(root)).toBe(before)
    expect(existsSync(join(root, 'hooked'))).toBe(false)
  })

  test('what the attempt committed is a change, with its commits', async () => {
    const root = repository({ 'a.txt': '1\n' })
    const snapshot = await lookAtFiles(root)
    write(root, { 'a.txt': '2\n', 'b.txt': 'b\n' })
    git(root, 'add', '-A')
    git(root, 'commit', '-q', '-m', 'work of the attempt')
    const { changes } = await changesSince(snapshot)
    expect(lists(changes)).toEqual({ created: ['b.txt'], modified: ['a.txt'], deleted: [] })
    expect(changes.commits).toEqual([{ id: git(root, 'rev-parse', 'HEAD').trim(), subject: 'work of the attempt' }])
  })

  test('a change of the same size in the same moment is seen', async () => {
    const root = repository({ 'a.txt': '1\n' })
    for (let i = 0; i < 5; i++) {
      write(root, { 'a.txt': `${i}\n` })
      const snapshot = await lookAtFiles(root)
      write(root, { 'a.txt': `${i + 1}\n` })
      expect((await changesSince(snapshot)).changes.modified).toEqual(['a.txt'])
    }
  })

  test('from a directory inside, paths begin there', async () => {
    const root = repository({ 'top.txt': '1\n', 'sub/in.txt': '1\n' })
    const snapshot = await lookAtFiles(join(root, 'sub'))
    write(root, { 'top.txt': '2\n', 'sub/in.txt': '2\n', 'sub/more/x.txt': 'x\n' })
    expect(lists((await changesSince(snapshot)).changes)).toEqual({
      created: ['more/x.txt'],
      modified: ['in.txt', '../top.txt'],
      deleted: [],
    })
  })

  test('a repository without commits, nested ones, links and files that nobody may read', async () => {
    const root = directory()
    git(root, 'init', '-q')
    write(root, { 'a.txt': '1\n', 'empty/x.txt': 'x\n' })
    mkdirSync(join(root, 'nested'))
    git(join(root, 'nested'), 'init', '-q')
    write(root, { 'nested/n.txt': 'n\n' })
    symlinkSync('/etc/passwd', join(root, 'link'))
    const snapshot = await lookAtFiles(root)
    write(root, { 'a.txt': '2\n' })
    rmSync(join(root, 'link'))
    symlinkSync('/etc/hostname', join(root, 'link'))
    const { changes, patch } = await changesSince(snapshot)
    expect(lists(changes)).toEqual({ created: [], modified: ['a.txt', 'link'], deleted: [] })
    expect(patch).not.toContain('root:')
  })

  test('programs that the repository is configured with are not started', async () => {
    const root = repository({ 'a.txt': '1\n' })
    const trap = join(root, 'trapped')
    git(root, 'config', 'filter.trap.clean', `touch ${trap}; cat`)
    git(root, 'config', 'filter.trap.required', 'true')
    git(root, 'config', 'core.fsmonitor', `touch ${trap}`)
    git(root, 'config', 'diff.external', `touch ${trap}`)
    write(root, { '.gitattributes': '* filter=trap diff=trap\n' })
    const snapshot = await lookAtFiles(root)
    write(root, { 'a.txt': '2\n' })
    const { changes } = await changesSince(snapshot)
    expect(changes.modified).toEqual(['a.txt'])
    expect(existsSync(trap)).toBe(false)
  })

  test('a caller that is itself a git hook leads nowhere else', async () => {
    const [root, other] = [repository({ 'a.txt': '1\n' }), repository({ 'o.txt': '1\n' })]
    const snapshot = await lookAtFiles(root, { ...process.env, GIT_DIR: join(other, '.git'), GIT_WORK_TREE: other })
    write(root, { 'a.txt': '2\n' })
    expect((await changesSince(snapshot)).changes.modified).toEqual(['a.txt'])
  })

  test('forbidden text is told by place, only in what was added', async () => {
    const key = `ghp_${'a1B2'.repeat(9)}`
    const root = repository({ 'old.txt': `one\nLATER old\n${key}\n` })
    const snapshot = await lookAtFiles(root)
    write(root, {
      'old.txt': `one\nLATER old\n${key}\nmore\n++ LATER new\n`,
      'dir/with "quotes".txt': `x\ny ${key} z\n`,
    })
    const { changes } = await changesSince(snapshot, [forbidding(['LATER']), forbidding([], true)])
    expect(changes.findings).toEqual([
      { check: 1, path: 'dir/with "quotes".txt', line: 2, what: 'GitHub token' },
      { check: 0, path: 'old.txt', line: 5, what: 'LATER' },
    ])
    expect(JSON.stringify(changes)).not.toContain(key)
  })

  test('a large change: the patch is cut, the search is not', async () => {
    const root = repository({ 'a.txt': '1\n' })
    const snapshot = await lookAtFiles(root)
    write(root, { 'big.txt': `${'x'.repeat(99)}\n`.repeat(30_000) + 'needle\n' })
    const { changes, patch } = await changesSince(snapshot, [forbidding(['^needle$'])])
    expect(patch.length).toBeLessThan(1_100_000)
    expect(patch).toContain('# cut')
    expect(changes.findings).toEqual([{ check: 0, path: 'big.txt', line: 30_001, what: '^needle$' }])
  })

  test('nothing is left behind', async () => {
    const temporary = directory()
    const root = repository({ 'a.txt': '1\n' })
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = temporary
    onTestFinished(() => void (before === undefined ? delete process.env['TMPDIR'] : (process.env['TMPDIR'] = before)))
    const [one, two] = [await lookAtFiles(root), await lookAtFiles(root)]
    expect(readdirSync(temporary)).toHaveLength(2)
    await changesSince(one)
    forget(two)
    expect(readdirSync(temporary)).toEqual([])
  })

  test('a repository that goes away is unknown, not an error', async () => {
    const root = repository({ 'a.txt': '1\n' })
    const snapshot = await lookAtFiles(root)
    rmSync(join(root, '.git'), { recursive: true })
    expect((await changesSince(snapshot)).changes).toMatchObject({
      source: 'unknown',
      problem: expect.stringMatching(/not a git repository/),
    })
  })
})

describe('without git', () => {
  test('files of all kinds, touched ones not', async () => {
    const root = directory()
    write(root, {
      'a.txt': '1',
      'same.txt': 's',
      'gone.txt': 'g',
      'node_modules/x/i.js': '1',
      '.spanwright/.gitignore': '*\n',
      '.spanwright/runs/x': '1',
    })
    const snapshot = await lookAtFiles(root)
    expect(snapshot.kind).toBe('listing')
    write(root, {
      'a.txt': '2',
      'same.txt': 's',
      'd/new.txt': 'l1\nLATER\n',
      'node_modules/x/i.js': '2',
      '.spanwright/runs/x': '2',
    })
    rmSync(join(root, 'gone.txt'))
    symlinkSync('/etc/passwd', join(root, 'link'))
    const { changes, patch } = await changesSince(snapshot, [forbidding(['LATER|root:'])])
    expect(lists(changes)).toEqual({ created: ['d/new.txt', 'link'], modified: ['a.txt'], deleted: ['gone.txt'] })
    expect(changes).toMatchObject({
      source: 'listing',
      findings: [{ check: 0, path: 'd/new.txt', line: 2, what: 'LATER|root:' }],
    })
    expect(patch).toBe('')
  })

  test('a directory that is not there is unknown', async () => {
    const snapshot = await lookAtFiles(join(directory(), 'nope'))
    expect(snapshot.kind).toBe('unknown')
    expect((await changesSince(snapshot)).changes.source).toBe('unknown')
  })

  test('a directory that its repository ignores is looked at by itself', async () => {
    const root = repository({ '.gitignore': 'work/\n' })
    write(root, { 'work/a.txt': '1' })
    const snapshot = await lookAtFiles(join(root, 'work'))
    write(root, { 'work/a.txt': '2' })
    expect((await changesSince(snapshot)).changes).toMatchObject({ source: 'listing', modified: ['a.txt'] })
  })
})
