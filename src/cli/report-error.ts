// Owns: an error as its reader needs it: one line that says what is wrong, where, and what to do; further lines only
// where there are several problems. What nobody expected goes to a file with its stack. Sets no exit code itself.
import { SpanwrightError } from '../core/error.ts'
import type { Output } from './output.ts'
import { paint, piece } from './terminal/style.ts'
import { cleanLine } from './terminal/text.ts'

/** Says the error on stderr. Returns the exit code. */
export async function reportError(error: unknown, output: Output): Promise<number> {
  if (error instanceof SpanwrightError) {
    output.say(
      errorLine(error.message, output),
      ...error.details.filter((detail) => !error.message.includes(detail)).map((detail) => `  ${cleanLine(detail)}`),
    )
    if (output.verbose) output.say(stackOf(error))
    return error.exitCode
  }
  const { writeCrashFile } = await import('./crash-file.ts')
  const file = writeCrashFile(error)
  const message = error instanceof Error ? error.message : String(error)
  output.say(errorLine(`unexpected: ${message}${file === undefined ? '' : `: the details are in ${file}`}`, output))
  if (output.verbose) output.say(stackOf(error))
  return 5
}

const errorLine = (message: string, output: Output): string =>
  paint([piece('spanwright: ', 'bad'), piece(cleanLine(message))], output.progressLook)

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.stack ?? error.message
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`
}
