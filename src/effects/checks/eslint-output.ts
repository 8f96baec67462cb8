// Owns: reading what ESLint prints in its formats stylish, unix and json.
import { isJsonObject, type Json } from '../../core/json.ts'
import type { Diagnostic } from './diagnostics.ts'

const STYLISH_FILE = /^(?:\/|[A-Za-z]:\\|\.{0,2}[\w@.-]+[/\\.])\S*.*$/
const STYLISH_PROBLEM = /^\s+(\d+):(\d+)\s+(error|warning)\s+(.+?)(?:\s{2,}(\S+))?$/
const UNIX = /^(.+?):(\d+):(\d+): (.+) \[(Error|Warning)(?:\/(.+))?\]$/

export function* eslintProblems(lines: readonly string[]): Iterable<Diagnostic> {
  let file: string | undefined
  for (const line of lines) {
    if (line.startsWith('[{')) yield* fromJson(line)
    const problem = STYLISH_PROBLEM.exec(line)
    if (problem && file !== undefined) {
      const [, at, column, severity, message, code] = problem
      yield {
        file,
        line: Number(at),
        column: Number(column),
        severity: severity as 'error',
        ...(code === undefined ? {} : { code }),
        message: message!,
      }
      continue
    }
    const unix = UNIX.exec(line)
    if (unix) {
      const [, path, at, column, message, severity, code] = unix
      yield {
        file: path!,
        line: Number(at),
        column: Number(column),
        severity: severity === 'Error' ? 'error' : 'warning',
        ...(code === undefined ? {} : { code }),
        message: message!,
      }
    }
    file = STYLISH_FILE.test(line) ? line : undefined
  }
}

/** A list of files with their messages, on one line. */
function* fromJson(line: string): Iterable<Diagnostic> {
  let files: Json
  try {
    files = JSON.parse(line) as Json
  } catch {
    return
  }
  for (const result of Array.isArray(files) ? files : []) {
    if (!isJsonObject(result) || typeof result['filePath'] !== 'string' || !Array.isArray(result['messages'])) continue
    for (const item of result['messages']) {
      if (!isJsonObject(item)) continue
      const { line: at, column, severity, ruleId, message } = item
      yield {
        file: result['filePath'],
        line: Number(at ?? 1),
        ...(typeof column === 'number' ? { column } : {}),
        severity: severity === 2 ? 'error' : 'warning',
        ...(typeof ruleId === 'string' ? { code: ruleId } : {}),
        message: typeof message === 'string' ? message : '',
      }
    }
  }
}
