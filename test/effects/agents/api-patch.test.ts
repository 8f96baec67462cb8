// Patches as models write them: applied where it is clear what is meant, else refused with the right form; all or nothing.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { applyPatch } from '../../../src/effects/agents/api/patch.ts'
import { Workspace } from '../../../src/effects/agents/api/workspace.ts'
import { temporaryDirectory } from '../../support/cli.ts'

let root: string
beforeEach(() => {
  root = temporaryDirectory()
})

const put = (name: string, text: string): void => {
  mkdirSync(dirname(join(root, name)), { recursive: true })
  writeFileSync(join(root, name), text)
}
const get = (name: string): string => readFileSync(join(root, name), 'utf8')
const apply = (patch: string, model = 'kimi-k2'): Promise<string> => applyPatch(patch, new Workspace(root, true), model)
const refusal = (patch: string, model?: string): Promise<string> =>
  apply(patch, model).then(
    (said) => {
      throw new Error(`applied: ${said}`)
    },
    (error: Error) => error.message,
  )

const MONSTERS =
  'use std::fmt;\n\npub struct Orc {\n    hp: u32,\n}\n\nimpl Orc {\n    fn hit(&mut self) {\n        self.hp -= 1;\n    }\n}\n'
const HARDER = MONSTERS.replace('-= 1', '-= 2')

describe('one change, written in many ways', () => {
  const unified =
    '--- a/src/monsters.rs\n+++ b/src/monsters.rs\n@@ -8,3 +8,3 @@\n     fn hit(&mut self) {\n-        self.hp -= 1;\n+        self.hp -= 2;\n     }\n'
  const begin =
    '*** Begin Patch\n*** Update File: src/monsters.rs\n@@\n     fn hit(&mut self) {\n-        self.hp -= 1;\n+        self.hp -= 2;\n     }\n*** End Patch\n'
  const forms: { readonly [name: string]: string } = {
    'a unified diff': unified,
    'the form that begins': begin,
    'with line numbers that are wrong': unified.replace('-8,3 +8,3', '-108,30 +1,1'),
    'without counts': unified.replace('@@ -8,3 +8,3 @@', '@@ -8 +8 @@'),
    'without numbers': unified.replace('@@ -8,3 +8,3 @@', '@@'),
    'with three dots for numbers': unified.replace('@@ -8,3 +8,3 @@', '@@ ... @@'),
    'with the name of a function': unified.replace('@@ -8,3 +8,3 @@', '@@ -8,3 +8,3 @@ impl Orc {'),
    'without prefixes': unified.replaceAll(/ [ab]\//g, ' '),
    'with the noise of git': `diff --git a/src/monsters.rs b/src/monsters.rs\nindex 3f1a2b..9c8d7e 100644\n${unified}`,
    'with times after the names': unified.replace('.rs\n', '.rs\t2026-01-01 00:00:00 +0000\n'),
    'with carriage returns': unified.replaceAll('\n', '\r\n'),
    'in a fence': `Here is the patch:\n\n\`\`\`diff\n${unified}\`\`\`\n`,
    'in a fence that is not closed': `\`\`\`\n${begin}`,
    'in a here-document': `apply_patch <<'EOF'\n${begin}EOF\n`,
    'in JSON': JSON.stringify({ patch: unified }),
    'without its end': begin.replace('*** End Patch\n', ''),
    'without @@': begin.replace('@@\n', ''),
    'with an anchor': begin.replace('@@', '@@ impl Orc {'),
    'the one form inside of the other (seed: unexpected line)': `*** Begin Patch\n${unified.replaceAll(/ [ab]\//g, ' ')}*** End Patch\n`,
    'without Begin (seed: expected Begin)': begin.replace('*** Begin Patch\n', ''),
    'both headers': begin.replace('@@\n', '--- a/src/monsters.rs\n+++ b/src/monsters.rs\n@@ -8,3 +8,3 @@\n'),
    'only the old name': unified.replace('+++ b/src/monsters.rs\n', ''),
    'without the marks of unchanged lines': unified.replace('\n     fn', '\n    fn').replace('\n     }\n', '\n    }\n'),
    'with blanks at the ends of lines': unified.replace('self) {\n', 'self) {  \n'),
    'indented too little': begin
      .replaceAll('    fn', 'fn')
      .replaceAll('        self', '    self')
      .replace('     }', ' }'),
    'as the whole file': `src/monsters.rs\n\`\`\`rust\n${HARDER}\`\`\`\n`,
    'as the whole file without a fence': `src/monsters.rs\n${HARDER}`,
    'as the whole file, marked up': `**File: \`src/monsters.rs\`**\n\n\`\`\`\n${HARDER}\`\`\`\n`,
  }
  test.each(Object.entries(forms))('%s', async (_, patch) => {
    put('src/monsters.rs', MONSTERS)
    expect(await apply(patch)).toMatch(/^M src\/monsters\.rs/)
    expect(get('src/monsters.rs')).toBe(HARDER)
  })

  test('a file with carriage returns keeps them', async () => {
    put('src/monsters.rs', MONSTERS.replaceAll('\n', '\r\n'))
    await apply(unified)
    expect(get('src/monsters.rs')).toBe(HARDER.replaceAll('\n', '\r\n'))
  })
})

describe('files', () => {
  test('are added, deleted and moved by the form that begins', async () => {
    put('old.txt', 'one\ntwo\n')
    put('gone.txt', 'x\n')
    const said = await apply(
      '*** Begin Patch\n*** Add File: new/a.txt\n+hello\n+\n+world\n*** Delete File: gone.txt\n*** Update File: old.txt\n*** Move to: dir/moved.txt\n@@\n one\n-two\n+zwei\n*** End Patch',
    )
    expect(said).toBe('A new/a.txt\nD gone.txt\nR old.txt to dir/moved.txt')
    expect(get('new/a.txt')).toBe('hello\n\nworld\n')
    expect(get('dir/moved.txt')).toBe('one\nzwei\n')
    expect([existsSync(join(root, 'gone.txt')), existsSync(join(root, 'old.txt'))]).toEqual([false, false])
  })

  test('are added, deleted and renamed by a diff', async () => {
    put('gone.txt', 'x\n')
    put('name.txt', 'same\n')
    await apply(
      'diff --git a/n.txt b/n.txt\nnew file mode 100644\n--- /dev/null\n+++ b/n.txt\n@@ -0,0 +1 @@\n+hi\ndiff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/name.txt b/other.txt\nsimilarity index 100%\nrename from name.txt\nrename to other.txt\n',
    )
    expect([get('n.txt'), get('other.txt'), existsSync(join(root, 'gone.txt'))]).toEqual(['hi\n', 'same\n', false])
  })

  test('whose directory is really called a', async () => {
    put('a/x.txt', 'one\n')
    await apply('--- a/x.txt\n+++ a/x.txt\n@@\n-one\n+two\n')
    expect(get('a/x.txt')).toBe('two\n')
  })

  test('without a newline at the end keep it so, unless the patch says otherwise', async () => {
    put('x', 'one\ntwo')
    await apply(
      '--- x\n+++ x\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+zwei\n\\ No newline at end of file\n',
    )
    expect(get('x')).toBe('one\nzwei')
    await apply('--- x\n+++ x\n@@ -1,2 +1,2 @@\n one\n-zwei\n\\ No newline at end of file\n+two\n')
    expect(get('x')).toBe('one\ntwo\n')
  })

  test('get several changes in one patch, the later ones seeing the earlier ones', async () => {
    put('x', 'a\nb\nc\n')
    await apply('*** Begin Patch\n*** Update File: x\n@@\n-a\n+A\n*** Update File: x\n@@\n A\n-b\n+B\n*** End Patch')
    expect(get('x')).toBe('A\nB\nc\n')
  })
})

describe('what is not clear is refused', () => {
  test('lines that are there twice, with where they are', async () => {
    put('x', 'same\nother\nsame\n')
    const said = await refusal('--- x\n+++ x\n@@\n-same\n+new\n')
    expect(said).toContain('2 times (from lines 1, 3 on)')
    expect(get('x')).toBe('same\nother\nsame\n')
  })

  test('unless the header, the order or an anchor tells which', async () => {
    put('x', 'same\nother\nsame\n')
    await apply('--- x\n+++ x\n@@ -3 +3 @@\n-same\n+third\n')
    expect(get('x')).toBe('same\nother\nthird\n')
    put('x', 'same\nother\nsame\n')
    await apply('*** Begin Patch\n*** Update File: x\n@@ other\n-same\n+third\n*** End Patch')
    expect(get('x')).toBe('same\nother\nthird\n')
    put('x', 'same\nother\nsame\n')
    await apply('*** Begin Patch\n*** Update File: x\n@@\n-other\n+OTHER\n@@\n-same\n+third\n*** End Patch')
    expect(get('x')).toBe('same\nOTHER\nthird\n')
  })

  test('an unknown line, quoted, with the right form for its own file', async () => {
    put('src/x.ts', 'const a = 1\nconst b = 2\n')
    const said = await refusal(
      '--- a/src/x.ts\n+++ b/src/x.ts\n@@ -1,2 +1,2 @@\n const a = 1\n-const c = 3\n+const c = 4\n',
    )
    expect(said).toBe(
      'Nothing was changed. src/x.ts: the file has no such line: read it and copy the lines exactly (line 5 of the patch: "-const c = 3").\nThe right form, for example:\n--- a/src/x.ts\n+++ b/src/x.ts\n@@ -1,2 +1,2 @@\n const a = 1\n-const b = 2\n+the new line',
    )
  })

  test('the form is the one that was tried, else the one that the model knows', async () => {
    put('x', 'one\n')
    expect(await refusal('*** Begin Patch\n*** Update File: x\n@@\n-two\n+three\n')).toContain('*** Update File: x')
    expect(await refusal('change the first line', 'gpt-5-codex')).toContain('*** Begin Patch')
    expect(await refusal('change the first line', 'glm-5')).toContain('--- a/')
    expect(await refusal('')).toContain('the patch is empty')
  })

  test.each([
    ['a hunk without a file', '@@ -1 +1 @@\n-one\n+two\n', 'no file is named'],
    ['a missing file', '--- a/y\n+++ b/y\n@@\n-one\n+two\n', 'no such file to update'],
    ['a new file that is there', '*** Begin Patch\n*** Add File: x\n+new\n', 'exists already'],
    ['only new lines, nowhere', '--- x\n+++ x\n@@ -5,0 +6 @@\n+new\n', 'it only adds lines'],
    ['what is done already', '--- x\n+++ x\n@@\n-zero\n+one\n', 'applied already'],
    ['nothing', '--- x\n+++ x\n@@\n one\n', 'changes nothing'],
    ['overlapping hunks', '--- x\n+++ x\n@@\n-one\n+1\n@@\n-one\n+2\n', 'same lines'],
    ['a binary file', 'diff --git a/x b/x\nBinary files a/x and b/x differ\n', 'binary'],
    ['a part of a file sent as a whole', 'y.py\n```\nif a:\n    # ... rest of the file\n```\n', 'a part of the file'],
    [
      'indentation that differs here and there',
      '--- y.py\n+++ y.py\n@@\n-  if a:\n-  b\n+  c\n',
      'indented differently',
    ],
  ])('%s', async (_, patch, told) => {
    put('x', 'one\n')
    put('y.py', 'if a:\n    b\n')
    expect(await refusal(patch)).toContain(told)
    expect([get('x'), get('y.py')]).toEqual(['one\n', 'if a:\n    b\n'])
  })

  test('a flood of text', async () => {
    const long = 'a/b'.repeat(100_000)
    expect(await refusal(`${long} ${long}\n${long}`)).toContain('names no file')
  })

  test('all of it when one part of it cannot be', async () => {
    put('x', 'one\n')
    put('y', 'one\n')
    await refusal(
      '*** Begin Patch\n*** Update File: x\n@@\n-one\n+two\n*** Add File: z\n+new\n*** Update File: y\n@@\n-nine\n+ten\n',
    )
    expect([get('x'), get('y'), existsSync(join(root, 'z'))]).toEqual(['one\n', 'one\n', false])
  })

  test('all of it when writing fails half way', async () => {
    put('x', 'one\n')
    // The second file is a directory by then.
    const said = await refusal(
      '*** Begin Patch\n*** Update File: x\n@@\n-one\n+two\n*** Add File: d/inner\n+new\n*** Add File: d\n+new\n',
    )
    expect(said).toContain('Nothing was changed')
    expect([get('x'), existsSync(join(root, 'd/inner'))]).toEqual(['one\n', false])
  })

  test.each(['../out.txt', '/etc/out.txt', 'link/out.txt', 'dangling'])('paths outside: %s', async (name) => {
    const outside = temporaryDirectory()
    symlinkSync(outside, join(root, 'link'))
    symlinkSync(join(outside, 'nothing'), join(root, 'dangling'))
    await expect(apply(`*** Begin Patch\n*** Add File: ${name}\n+x\n`)).rejects.toThrow('outside of the workspace')
    expect(existsSync(join(outside, 'out.txt')) || existsSync(join(outside, 'nothing'))).toBe(false)
  })
})
