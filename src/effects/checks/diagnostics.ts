// Owns: the problems that a check's command names with file and line, read out of what it printed. Tools whose output it
// knows: TypeScript, ESLint (stylish, unix, json), Vitest and Jest, pytest, go build/vet/test, rustc and cargo, and what
// prints `file:line:column: error: …`. Must not: decide whether the check passed.
import { isAbsolute, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { shortened, oneLine } from '../reason.ts'
import { compilerProblems, goProblems, rustProblems } from './compiler-output.ts'
import { eslintProblems } from './eslint-output.ts'
import { goTestProblems, jestProblems, pytestProblems, vitestProblems } from './test-output.ts'

export interface Diagnostic {
  /** As the tool names it, relative to the working directory where it lies in it. */
  readonly file: string
  readonly line: number
  readonly column?: number | undefined
  readonly severity: 'error' | 'warning'
  /** `TS2322`, `no-unused-vars`, `E0308`. */
  readonly code?: string | undefined
  readonly message: string
}

/** One tool's reading of lines without colours. */
export type ProblemReader = (lines: readonly string[]) => Iterable<Diagnostic>

const READERS: readonly ProblemReader[] = [
  compilerProblems,
  goProblems,
  rustProblems,
  eslintProblems,
  vitestProblems,
  jestProblems,
  pytestProblems,
  goTestProblems,
]
const MAX_DIAGNOSTICS = 100
const MESSAGE_CHARS = 500
const LINE_CHARS = 4_096

/** At most 100, errors first, each once. */
export function diagnosticsIn(output: string, cwd: string): Diagnostic[] {
  const text = stripVTControlCharacters(output)
  const lines = text
    .split(/\r?\n/)
    .map((line) => (line.length > LINE_CHARS && !line.startsWith('[{') ? line.slice(0, LINE_CHARS) : line))
  const found = new Map<string, Diagnostic>()
  for (const read of READERS) {
    for (const diagnostic of read(lines)) {
      const known = {
        ...diagnostic,
        file: shown(diagnostic.file, cwd),
        message: shortened(oneLine(diagnostic.message), MESSAGE_CHARS),
      }
      const key = `${known.file}:${known.line}:${known.column ?? ''}:${known.message}`
      if (!found.has(key)) found.set(key, known)
    }
  }
  const all = [...found.values()]
  const errors = all.filter(({ severity }) => severity === 'error')
  return [...errors, ...all.filter(({ severity }) => severity === 'warning')].slice(0, MAX_DIAGNOSTICS)
}

function shown(file: string, cwd: string): string {
  if (!isAbsolute(file)) return file.replace(/^\.\//, '')
  const inside = relative(cwd, file)
  return inside.startsWith('..') ? file : inside
}
