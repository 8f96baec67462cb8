// Owns: proof that the linter refuses every import that crosses src/ against the arrows (and the other rules that the
// design rests on). Each line of the fixtures marked `refused: <rule>` is one case; an unmarked line must pass.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'

const fixtures = path.join(import.meta.dirname, 'arrows')
const OWN_PLACE: Record<string, string> = { index: 'src/index.ts', shape: 'src/journal/shape.ts' }

interface Finding {
  readonly file: string
  readonly line: number
  readonly rule: string
}

/** Lays out a project that holds only our rules and the given files, and lints it. */
function lint(files: Record<string, string>): { exitCode: number | null; findings: Finding[] } {
  const root = temporaryDirectory()
  for (const name of ['.oxlintrc.json', 'tsconfig.json'])
    copyFileSync(path.join(PROJECT_ROOT, name), path.join(root, name))
  symlinkSync(path.join(PROJECT_ROOT, 'node_modules'), path.join(root, 'node_modules'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    writeFileSync(path.join(root, name), text)
  }
  const run = spawnSync(path.join(root, 'node_modules/.bin/oxlint'), ['--format', 'json', 'src'], {
    cwd: root,
    encoding: 'utf8',
  })
  const report = JSON.parse(run.stdout) as {
    diagnostics: { code: string; filename: string; labels: { span: { line: number } }[] }[]
  }
  const findings = report.diagnostics.map(({ code, filename, labels }) => ({
    file: filename,
    line: labels[0]?.span.line ?? 0,
    rule: /\((.+)\)/.exec(code)?.[1] ?? code,
  }))
  return { exitCode: run.status, findings }
}

const cases = readdirSync(fixtures).map((fixture) => {
  const folder = fixture.replace('.ts.txt', '')
  const text = readFileSync(path.join(fixtures, fixture), 'utf8')
  return { folder, text, place: OWN_PLACE[folder] ?? `src/${folder}/breaks-arrows.ts`, lines: text.split('\n') }
})
const partner = "import { shape } from './shape.ts'\nexport const partner = (): unknown => shape\n"
const linted = lint({
  ...Object.fromEntries(cases.map(({ place, text }) => [place, text])),
  'src/journal/partner.ts': partner,
})

test('every folder of src has a fixture', () => {
  const folders = readdirSync(path.join(PROJECT_ROOT, 'src'), { withFileTypes: true })
  const names = folders.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  expect(cases.map(({ folder }) => folder)).toEqual(expect.arrayContaining(names))
})

describe.each(cases)('$folder', ({ place, lines }) => {
  const found = linted.findings.filter(({ file }) => file === place)
  const marked = lines.flatMap((line, index) => {
    const rule = /\/\/ refused: (\S+)$/.exec(line)?.[1]
    return rule === undefined ? [] : [{ statement: line.replace(/ *\/\/.*/, ''), line: index + 1, rule }]
  })
  test.each(marked)('refuses `$statement`', ({ line, rule }) => {
    expect(found.filter((finding) => finding.line === line).map((finding) => finding.rule)).toContain(rule)
  })
  test('lets pass what is allowed', () => {
    const rules = new Set(marked.map(({ rule }) => rule))
    const refused = marked.map(({ line }) => line)
    expect(found.filter(({ line, rule }) => rules.has(rule) && !refused.includes(line))).toEqual([])
  })
})

test('a finding fails the lint command, a clean tree passes it', () => {
  expect(linted.exitCode).toBe(1)
  const clean = "// Owns: nothing.\nimport { z } from 'zod'\nexport const schema = z.string()\n"
  expect(lint({ 'src/core/clean.ts': clean })).toEqual({ exitCode: 0, findings: [] })
})

test.each([
  ['max-lines', Array.from({ length: 301 }, (_, i) => `export const n${i} = ${i}\n`).join('')],
  ['max-lines-per-function', `export function long(): void {\n${'  void 0\n'.repeat(70)}}\n`],
])('%s is a finding', (rule, text) => {
  const { exitCode, findings } = lint({ 'src/journal/large.ts': text })
  expect({ exitCode, rules: findings.map((finding) => finding.rule) }).toMatchObject({ exitCode: 1, rules: [rule] })
})

test('pino is allowed in the one log file of runner', () => {
  const text = "import { pino } from 'pino'\nexport const log = pino()\n"
  expect(lint({ 'src/runner/diagnostics-log.ts': text })).toEqual({ exitCode: 0, findings: [] })
})

test('the lint command reaches every source folder', () => {
  const files = execFileSync('npm', ['run', '--silent', 'lint', '--', '--debug=files'], {
    cwd: PROJECT_ROOT,
    encoding: 'utf8',
  })
  for (const file of ['src/core/ids.ts', 'test/project/arrows.test.ts', 'scripts/build.ts', 'vitest.config.ts']) {
    expect(files).toContain(file)
  }
})
