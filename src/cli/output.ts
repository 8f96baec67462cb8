// Owns: where text goes: results to stdout, progress and diagnostics to stderr. A stream whose reader has gone ends
// nothing. Must not: format anything.
import { lookOf } from './terminal/capabilities.ts'
import type { Look } from './terminal/style.ts'

export interface Output {
  /** A result: lines on stdout. */
  readonly result: (...lines: string[]) => void
  /** A result as JSON, one document, indented for people who pipe it nowhere. */
  readonly json: (value: unknown) => void
  /** Progress and diagnostics: lines on stderr. */
  readonly say: (...lines: string[]) => void
  /** Of stdout. */
  readonly look: Look
  /** Of stderr. */
  readonly progressLook: Look
  readonly verbose: boolean
}

/** The output of this process. */
export function createOutput(verbose: boolean): Output {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const write = (stream: NodeJS.WriteStream, lines: readonly string[]): void => {
    if (lines.length > 0 && stream.writable) stream.write(`${lines.join('\n')}\n`)
  }
  return {
    result: (...lines) => write(process.stdout, lines),
    json: (value) => write(process.stdout, [JSON.stringify(value, undefined, 2)]),
    say: (...lines) => write(process.stderr, lines),
    look: lookOf(process.stdout),
    progressLook: lookOf(process.stderr),
    verbose,
  }
}

/** Resolves when what was written is with the system: only then may the process exit. */
export async function drained(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => (stream.writable ? stream.write('', () => resolve()) : resolve())),
    ),
  )
}
