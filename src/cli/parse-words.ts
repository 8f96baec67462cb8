// Owns: reading the words after a command by its line of the table; commander does the work, its errors become ours.
import { Command, CommanderError, Option } from 'commander'
import { SpanwrightError } from '../core/error.ts'
import type { CommandSpec, Invocation } from './command-table.ts'

/** Arguments and options of a command. Throws `usage.invalid`. */
export function parseWords(spec: CommandSpec, words: readonly string[]): Pick<Invocation, 'args' | 'options'> {
  const command = new Command(spec.name)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
  for (const { name, optional, variadic } of spec.arguments ?? []) {
    const text = variadic === true ? `${name}...` : name
    command.argument(optional === true ? `[${text}]` : `<${text}>`)
  }
  for (const { flags, about, repeat, choices } of spec.options ?? []) {
    const option = new Option(flags, about)
    if (choices) option.choices([...choices])
    if (repeat === true)
      option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
    command.addOption(option)
  }
  command.action(() => {})
  try {
    command.parse([...words], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    throw new SpanwrightError('usage.invalid', `${usageText(error.message)}: see \`spanwright ${spec.name} --help\``)
  }
  return { args: command.processedArgs as Invocation['args'], options: command.opts() }
}

/** `error: unknown option '--parm'\n(Did you mean --param?)` → ``unknown option `--parm`, did you mean --param?`` */
function usageText(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/\s*\n\(Did you mean (.*?)\?\)/s, ', did you mean $1?')
    .replace(/\s+/g, ' ')
    .replaceAll("'", '`')
    .replace(/\.$/, '')
}
