// The file tools of the `api` agent where the workspace is set against them: links out of it, FIFOs, devices, files that
// are no text, names shared with files outside. What is refused leaves everything as it was.
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runTool, type ToolAnswer } from '../../../src/effects/agents/api/tools.ts'
import { Workspace } from '../../../src/effects/agents/api/workspace.ts'
import { temporaryDirectory } from '../../support/cli.ts'

const SECRET = 'what is outside\n'
const LATIN = Buffer.from([0x61, 0xe9, 0x0a, 0x62, 0x0a])

function place(confined = true) {
  const outside = temporaryDirectory()
  const root = join(outside, 'work')
  mkdirSync(join(root, 'dir'), { recursive: true })
  mkdirSync(`${root}-beside`)
  for (const file of [join(outside, 'secret'), join(`${root}-beside`, 'secret')]) writeFileSync(file, SECRET)
  symlinkSync(outside, join(root, 'up'))
  symlinkSync('../secret', join(root, 'link'))
  symlinkSync('../fresh', join(root, 'dangling'))
  symlinkSync('link', join(root, 'again'))
  symlinkSync('/dev/zero', join(root, 'zero'))
  symlinkSync('/proc/self', join(root, 'self'))
  linkSync(join(outside, 'secret'), join(root, 'hard'))
  execFileSync('mkfifo', [join(root, 'fifo')])
  writeFileSync(join(root, 'latin'), LATIN)
  writeFileSync(join(root, 'text'), 'one\ntwo\n')
  writeFileSync(join(root, 'sparse'), '')
  execFileSync('truncate', ['-s', '1T', join(root, 'sparse')])
  const context = {
    workspace: new Workspace(root, confined),
    model: 'm',
    env: {},
    commandTimeoutMs: 1_000,
    signal: new AbortController().signal,
  }
  const tool = (name: string, input: object): Promise<ToolAnswer> => runTool(name, input, context)
  return { root, outside, tool, at: (name: string) => join(root, name) }
}

const WAYS_OUT = [
  '../secret',
  'dir/../../secret',
  '../work-beside/secret',
  '/etc/passwd',
  'up/secret',
  'link',
  'again',
  'dangling',
  'zero',
  'self/environ',
  'self/fd/0',
  'dir/\0/secret',
]
const update = (name: string): string =>
  `*** Begin Patch\n*** Update File: ${name}\n@@\n-what is outside\n+changed\n*** End Patch`
const add = (name: string): string => `*** Begin Patch\n*** Add File: ${name}\n+changed\n*** End Patch`
const moved = (name: string): string =>
  `*** Begin Patch\n*** Update File: text\n*** Move to: ${name}\n@@\n-one\n+1\n*** End Patch`

test.for(WAYS_OUT)('no tool leads out by %j', async (name) => {
  const { root, outside, tool } = place()
  const tries: [string, object][] = [
    ['read', { path: name }],
    ['write', { path: name, content: 'changed' }],
    ['edit', { path: name, old_text: 'what', new_text: 'changed' }],
    ['patch', { patch: update(name) }],
    ['patch', { patch: add(name) }],
    ['patch', { patch: moved(name) }],
    ['patch', { patch: `*** Begin Patch\n*** Delete File: ${name}\n*** End Patch` }],
    ['patch', { patch: `--- a/text\n+++ b/${name}\n@@ -1 +1 @@\n-one\n+1\n` }],
  ]
  for (const [kind, input] of tries) {
    const answer = await tool(kind, input)
    expect([kind, answer.ok]).toEqual([kind, false])
    expect(answer.output).not.toMatch(/root:|what is outside\n/)
  }
  expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe(SECRET)
  expect(readFileSync(join(outside, 'work-beside', 'secret'), 'utf8')).toBe(SECRET)
  expect(() => statSync(join(outside, 'fresh'))).toThrow('ENOENT')
  expect(readFileSync(join(root, 'text'), 'utf8')).toBe('one\ntwo\n')
})

test('a file that has another name elsewhere gets a copy of its own', async () => {
  for (const [kind, input] of [
    ['write', { path: 'hard', content: 'changed\n' }],
    ['edit', { path: 'hard', old_text: 'what is outside', new_text: 'changed' }],
    ['patch', { patch: update('hard') }],
  ] as const) {
    const { outside, tool, at } = place()
    chmodSync(at('hard'), 0o750)
    expect(await tool(kind, input)).toMatchObject({ ok: true })
    expect(readFileSync(at('hard'), 'utf8')).toBe('changed\n')
    expect(statSync(at('hard')).mode & 0o777).toBe(0o750)
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe(SECRET)
  }
})

test('what is no file is refused at once, also where everything is allowed', async () => {
  const { tool } = place(false)
  for (const path of ['fifo', 'zero', 'dir', '/dev/zero', '/dev/full'])
    for (const [kind, input] of [
      ['read', { path }],
      ['write', { path, content: 'x' }],
      ['edit', { path, old_text: 'a', new_text: 'b' }],
      ['patch', { patch: update(path) }],
      ['patch', { patch: add(path) }],
    ] as const) {
      const { ok, output } = await tool(kind, input)
      expect([path, kind, ok, /is not a file|EISDIR/.test(output)]).toEqual([path, kind, false, true])
    }
})

test('a file that is too large is not read, one that is no text is not written back', async () => {
  const { tool, at } = place()
  expect(await tool('read', { path: 'sparse' })).toMatchObject({
    ok: false,
    output: 'sparse is larger than 10485760 bytes',
  })
  expect((await tool('read', { path: 'latin' })).ok).toBe(true)
  for (const [kind, input] of [
    ['edit', { path: 'latin', old_text: 'b', new_text: 'c' }],
    ['patch', { patch: '*** Begin Patch\n*** Update File: latin\n@@\n-b\n+c\n*** End Patch' }],
  ] as const)
    expect((await tool(kind, input)).output).toContain('is no UTF-8 text')
  expect(readFileSync(at('latin'))).toEqual(LATIN)
  expect(await tool('patch', { patch: '*** Begin Patch\n*** Delete File: latin\n*** End Patch' })).toMatchObject({
    ok: true,
  })
})

test('a patch of which one part cannot be written changes nothing, modes included', async () => {
  const { tool, at } = place()
  chmodSync(at('text'), 0o755)
  const patch =
    '*** Begin Patch\n*** Delete File: text\n*** Add File: new/file\n+x\n*** Add File: new/file/below\n+x\n*** End Patch'
  expect((await tool('patch', { patch })).output).toContain('Nothing was changed')
  expect(readFileSync(at('text'), 'utf8')).toBe('one\ntwo\n')
  expect(statSync(at('text')).mode & 0o777).toBe(0o755)
  expect(() => statSync(at('new/file'))).toThrow('ENOENT')
})
