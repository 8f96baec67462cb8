// Owns: reading what compilers print: tsc (plain and pretty), go build and vet, rustc and cargo, and those that print
// `file:line:column: error: …` (gcc, clang, mypy).
import type { Diagnostic } from './diagnostics.ts'

/** `a.ts(1,7): error TS2322: …`, `a.ts:1:7 - error TS2322: …`, `a.c:1:7: error: …`, `a.py:1: error: …`. */
const TSC_PLAIN = /^(\S.*?)\((\d+),(\d+)\): (error|warning) (TS\d+): (.*)$/
const TSC_PRETTY = /^(\S.*?):(\d+):(\d+) - (error|warning) (TS\d+): (.*)$/
const GCC = /^(\S[^:]*):(\d+):(?:(\d+):)? (?:fatal )?(error|warning): (.+?)(?:\s+\[([\w=+-]+)\])?$/

export function* compilerProblems(lines: readonly string[]): Iterable<Diagnostic> {
  for (const line of lines) {
    const tsc = TSC_PLAIN.exec(line) ?? TSC_PRETTY.exec(line)
    if (tsc) {
      const [, file, at, column, severity, code, message] = tsc
      yield {
        file: file!,
        line: Number(at),
        column: Number(column),
        severity: severity as 'error',
        code: code!,
        message: message!,
      }
      continue
    }
    const gcc = GCC.exec(line)
    if (!gcc) continue
    const [, file, at, column, severity, message, code] = gcc
    yield {
      file: file!,
      line: Number(at),
      ...(column === undefined ? {} : { column: Number(column) }),
      severity: severity as 'error',
      ...(code === undefined ? {} : { code }),
      message: message!,
    }
  }
}

/** `./main.go:12:5: undefined: x`, `vet: ./main.go:3:8: …`; what go test prints is indented. */
const GO = /^(?:vet: )?(\.{0,2}[\w./@-]+\.go):(\d+):(\d+): (.+)$/

export function* goProblems(lines: readonly string[]): Iterable<Diagnostic> {
  for (const line of lines) {
    const [, file, at, column, message] = GO.exec(line) ?? []
    if (file) yield { file, line: Number(at), column: Number(column), severity: 'error', message: message! }
  }
}

const RUST_HEAD = /^(error|warning)(?:\[([A-Z]\d+)\])?: (.+)$/
const RUST_PLACE = /^\s*--> (.+?):(\d+):(\d+)$/
const RUST_PANIC = /^thread '(.+?)'(?: \(\d+\))? panicked at (?:'(.*)', )?(.+?):(\d+):(\d+):?$/

/** `error[E0308]: mismatched types` with `--> src/main.rs:2:5` below it; a panic with its message below it. */
export function* rustProblems(lines: readonly string[]): Iterable<Diagnostic> {
  let head: RegExpExecArray | undefined
  for (const [index, line] of lines.entries()) {
    const panic = RUST_PANIC.exec(line)
    if (panic) {
      const [, test, message, file, at, column] = panic
      const said =
        message ??
        lines
          .slice(index + 1, index + 3)
          .filter((text) => text.trim() !== '')
          .join(': ')
      yield { file: file!, line: Number(at), column: Number(column), severity: 'error', message: `${test}: ${said}` }
    }
    head = RUST_HEAD.exec(line) ?? (line.trim() === '' ? undefined : head)
    const place = RUST_PLACE.exec(line)
    if (!place || !head) continue
    const [, severity, code, message] = head
    const [, file, at, column] = place
    yield {
      file: file!,
      line: Number(at),
      column: Number(column),
      severity: severity as 'error',
      ...(code === undefined ? {} : { code }),
      message: message!,
    }
    head = undefined
  }
}
