// Owns: from a command line of the pipeline and the values of its expressions to what is executed. Values of a script
// travel as environment variables and never become part of it; in argv each stays one argument.
import { basename } from 'node:path'
import type { FailureReport } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { CommandLine } from '../core/pipeline.ts'
import { asText, expressionsIn, fill } from '../core/template.ts'
import { oneLine, reason, shortened } from './reason.ts'

export interface Executable {
  readonly file: string
  readonly args: readonly string[]
  /** Values of the script's expressions. */
  readonly bindings: { readonly [name: string]: string }
  /** The first line of the script, or argv with quotes where needed. It may hold prompts: for details, not for messages. */
  readonly command: string
  /** How messages name it: they go into traces, so the program and nothing of what it is told. */
  readonly title: string
  /** File name of the program (`sh` for scripts). */
  readonly name: string
}

const COMMAND_CHARS = 80

/** The program a line of a script starts with, after assignments; undefined where that is no plain word. */
const programOf = (line: string): string | undefined =>
  /^\s*(?:[A-Za-z_]\w*=[^\s'"`$(]*\s+)*([\w@%+:,./-]+)(?=[\s;&|]|$)/.exec(line)?.[1]

/** What to execute, or why that is impossible (`config_invalid`: a value that does not fit, or holds a NUL). */
export function toExecutable(line: CommandLine, inputs: JsonObject): Executable | { readonly failure: FailureReport } {
  if ('argv' in line) return argvExecutable(line.argv, inputs)
  const bindings: { [name: string]: string } = {}
  for (const { name, expression } of line.bindings) {
    const value = asText(inputs[expression] ?? null)
    const problem = unfit(value, expression, name.length + 1)
    if (problem) return { failure: problem }
    bindings[name] = value
  }
  const first =
    line.script.split('\n').find((text) => text.trim() !== '' && !text.trim().startsWith('#')) ?? line.script
  const args = line.shell === 'bash' ? ['-eo', 'pipefail', '-c', line.script] : ['-ec', line.script]
  return {
    file: line.shell,
    args,
    bindings,
    command: shortened(oneLine(first), COMMAND_CHARS),
    title: programOf(first) ?? line.shell,
    name: line.shell,
  }
}

function argvExecutable(
  templates: readonly string[],
  inputs: JsonObject,
): Executable | { readonly failure: FailureReport } {
  for (const template of templates) {
    for (const expression of expressionsIn(template)) {
      const problem = unfit(asText(inputs[expression] ?? null), expression, 0)
      if (problem) return { failure: problem }
    }
  }
  const argv = templates.map((template) => asText(fill(template, inputs)))
  const [file, ...args] = argv
  if (!file) {
    return {
      failure: reason(
        'config_invalid',
        `the command ${JSON.stringify(templates[0] ?? '')} is empty: name a program`,
        'command',
      ),
    }
  }
  const command = shortened(
    oneLine(argv.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : JSON.stringify(arg))).join(' ')),
    COMMAND_CHARS,
  )
  return { file, args, bindings: {}, command, title: basename(file), name: basename(file) }
}

/** Why the value of an expression cannot be an argument or environment variable; `overhead` = bytes of `NAME=`. */
export function unfit(value: string, expression: string, overhead: number): FailureReport | undefined {
  if (value.includes('\0')) {
    return reason(
      'config_invalid',
      `the value of \${{ ${expression} }} holds a NUL byte, which no argument or environment variable can: pass a file`,
      'command',
      { expression },
    )
  }
  const bytes = Buffer.byteLength(value)
  // The kernel's limit counts the name, the equals sign and the closing NUL too (MAX_ARG_STRLEN, execve(2)).
  if (bytes + overhead + 1 <= LIMITS.expressionBytes) return undefined
  return reason(
    'config_invalid',
    `the value of \${{ ${expression} }} has ${bytes} bytes, more than the ${LIMITS.expressionBytes} that fit an argument or environment variable: pass a file`,
    'command',
    { expression, bytes },
  )
}
