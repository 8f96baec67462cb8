// Random edits, written as a patch by writers of different habits: applied, they give the edited text.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyPatch } from '../../../src/effects/agents/api/patch.ts'
import { Workspace } from '../../../src/effects/agents/api/workspace.ts'
import { temporaryDirectory } from '../../support/cli.ts'

const NAME = 'dir.txt'

/** One line of the old text, and what becomes of it. */
interface Step {
  readonly old: string
  readonly keep: boolean
  /** Lines put after it. */
  readonly added: readonly string[]
}

interface Piece {
  readonly oldStart: number
  readonly newStart: number
  readonly lines: readonly string[]
}

const word = fc.oneof(
  fc.constantFrom('--', '++', '-', '+', '@@', '***', '--- a/x', '*** End', 'diff'),
  fc.stringMatching(/^[-+ @*\\#a-z{}();"]{0,12}$/),
)
/** Every line has its own number, so that a place can be told by three of them. */
const steps = fc
  .array(
    fc.record({
      text: word,
      indent: fc.nat(3),
      fate: fc.integer({ min: 0, max: 9 }),
      added: fc.array(word, { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 3, maxLength: 40 },
  )
  .map((items) =>
    items.map(({ text, indent, fate, added }, index): Step => ({
      old: `${'  '.repeat(indent)}${text} L${index}`,
      keep: fate > 1,
      added: fate === 0 || fate === 9 ? added.map((line, n) => `${line} N${index}.${n}`) : [],
    })),
  )
  .filter((items) => items.some((step) => step.keep) && items.some((step) => !step.keep || step.added.length > 0))

const oldLines = (items: readonly Step[]): string[] => items.map((step) => step.old)
const newLines = (items: readonly Step[]): string[] =>
  items.flatMap((step) => [...(step.keep ? [step.old] : []), ...step.added])

/** Changed lines with up to `context` unchanged ones around them, neighbours joined. */
function pieces(items: readonly Step[], context: number): Piece[] {
  const changed = items.map((step) => !step.keep || step.added.length > 0)
  const near = items.map((_, index) => changed.slice(Math.max(0, index - context), index + context + 1).some(Boolean))
  const found: { oldStart: number; newStart: number; lines: string[] }[] = []
  let newNumber = 1
  for (const [index, step] of items.entries()) {
    if (near[index]) {
      if (!near[index - 1]) found.push({ oldStart: index + 1, newStart: newNumber, lines: [] })
      found.at(-1)!.lines.push(`${step.keep ? ' ' : '-'}${step.old}`, ...step.added.map((line) => `+${line}`))
    }
    newNumber += (step.keep ? 1 : 0) + step.added.length
  }
  return found
}

const count = (lines: readonly string[], marks: string): number =>
  lines.filter((line) => marks.includes(line[0]!)).length
const header = ({ oldStart, newStart, lines }: Piece, off = 0): string =>
  `@@ -${oldStart + off},${count(lines, ' -')} +${newStart + off},${count(lines, ' +')} @@`
const joined = (...lines: readonly (string | readonly string[])[]): string => `${lines.flat().join('\n')}\n`

type Writer = (parts: readonly Piece[], items: readonly Step[]) => string
const unified =
  (head: (part: Piece) => string, names: readonly string[] = [`--- a/${NAME}`, `+++ b/${NAME}`]): Writer =>
  (parts) =>
    joined(names, ...parts.map((part) => [head(part), ...part.lines]))
const begin: Writer = (parts) =>
  joined('*** Begin Patch', `*** Update File: ${NAME}`, ...parts.map((part) => ['@@', ...part.lines]), '*** End Patch')

const WRITERS: { readonly [name: string]: Writer } = {
  'git': unified(header, [
    `diff --git a/${NAME} b/${NAME}`,
    'index 12ab..34cd 100644',
    `--- a/${NAME}`,
    `+++ b/${NAME}`,
  ]),
  'one who cannot count': unified((part) => header(part, 17).replaceAll(/,\d+/g, ',1')),
  'one who does not count': unified(() => '@@', [`--- ${NAME}`, `+++ ${NAME}`]),
  'one on Windows': (parts, items) => unified(header)(parts, items).replaceAll('\n', '\r\n'),
  'one who begins': begin,
  'one who never ends': (parts, items) => begin(parts, items).replace('*** End Patch\n', ''),
  'one who mixes': (parts, items) => `*** Begin Patch\n${unified(header)(parts, items)}*** End Patch\n`,
  'one who fences': (parts, items) => `Sure:\n\`\`\`diff\n${unified(header)(parts, items)}\`\`\`\nDone.\n`,
  'one who sends all of it': (_, items) => `${NAME}\n\`\`\`\n${newLines(items).join('\n')}\n\`\`\`\n`,
}

test.each(Object.entries(WRITERS))('%s', async (name, write) => {
  const root = temporaryDirectory()
  const workspace = new Workspace(root, true)
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (items, context) => {
      const [before, after] = [oldLines(items).join('\n'), newLines(items).join('\n')]
      // A whole file that looks like a patch, or is much shorter than it was, is refused.
      fc.pre(
        name !== 'one who sends all of it' ||
          (after.length > before.length / 2 && !/^(?:\*\*\* |--- \S|\+\+\+ \S|@@|diff --git )/m.test(after)),
      )
      writeFileSync(join(root, NAME), `${before}\n`)
      await applyPatch(write(pieces(items, context), items), workspace, 'any')
      expect(readFileSync(join(root, NAME), 'utf8')).toBe(after === '' ? '' : `${after}\n`)
    }),
    { numRuns: 50 },
  )
})

test('where lines repeat, a patch is applied as it was meant or not at all', async () => {
  const root = temporaryDirectory()
  const workspace = new Workspace(root, true)
  const few = fc.array(
    fc.record({
      old: fc.constantFrom('a', 'b', '  b', ''),
      keep: fc.boolean(),
      added: fc.array(fc.constantFrom('a', 'c'), { maxLength: 1 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(few, fc.constantFrom('git', 'one who begins', 'one who does not count'), async (items, writer) => {
      const before = `${oldLines(items).join('\n')}\n`
      writeFileSync(join(root, NAME), before)
      const failed = await applyPatch(WRITERS[writer]!(pieces(items, 2), items), workspace, 'any').then(
        () => false,
        () => true,
      )
      const now = readFileSync(join(root, NAME), 'utf8')
      if (failed) expect(now).toBe(before)
      else if (writer === 'git') expect(now.trimEnd()).toBe(newLines(items).join('\n').trimEnd())
    }),
    { numRuns: 100 },
  )
})
