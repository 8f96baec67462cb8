// Owns: running the house rules (tidy-rules.ts) over the project, and each over a bad sample that it must find.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT_ROOT } from '../support/cli.ts'
import { importsOf, machineTraces, TIDY_RULES, type ProjectFile } from './tidy-rules.ts'

const MADE = /^(node_modules|dist|dist\..*\.tmp|coverage|\.git|\.spanwright|\.cache|\.vitest)$/
const TEXT = /\.(ts|mjs|js|cjs|json|md|ya?ml|txt|ndjson)$|^\.(?!git$)|^LICENSE$|\/run$/

function filesBelow(folder: string): ProjectFile[] {
  return readdirSync(path.join(PROJECT_ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name)
    if (MADE.test(entry.name)) return []
    if (entry.isDirectory()) return filesBelow(name)
    return TEXT.test(name) ? [{ path: name, text: readFileSync(path.join(PROJECT_ROOT, name), 'utf8') }] : []
  })
}
const files = filesBelow('.')

describe.each(TIDY_RULES)('$name', ({ problems, badSample }) => {
  test('holds', () => expect(problems(files)).toEqual([]))
  test('finds what breaks it', () => expect(problems(badSample)).not.toEqual([]))
})

describe('no file names this machine', () => {
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { cwd: PROJECT_ROOT, encoding: 'utf8' })
  const traces = [PROJECT_ROOT.replace(/\/$/, ''), new URL(registry.trim()).host]
  test('holds', () => expect(machineTraces(files, traces)).toEqual([]))
  test('finds what breaks it', () => {
    const sample = [{ path: 'docs/a.md', text: `cd ${PROJECT_ROOT}` }]
    expect(machineTraces(sample, traces)).toHaveLength(1)
  })
})

test('importsOf sees every way to import', () => {
  const text = [
    "import a from 'one'",
    "import {\n  b,\n} from 'two'",
    "import 'three'",
    "export * from 'four'",
    "export { c } from 'five'",
    "import type { D } from 'six'",
    "const e = await import('seven')",
  ]
  expect(importsOf(text.join('\n'))).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven'])
})
