// Owns: from the words of the command line to a command and its exit code; every error becomes one line here.
// Must not: know what a command does.
import { COMMANDS, findCommand, NOT_IN_THIS_VERSION, type CommandSpec, type Invocation } from './command-table.ts'
import { reportError } from './report-error.ts'
import { createOutput, drained, type Output } from './output.ts'
import { SpanwrightError } from '../core/error.ts'

/** Runs the program. Resolves with the exit code; never rejects. */
export async function runProgram(words: readonly string[]): Promise<number> {
  const output = createOutput(words.includes('--verbose'))
  let exitCode: number
  try {
    exitCode = await dispatch(
      words.filter((word) => word !== '--verbose'),
      output,
    )
  } catch (error) {
    exitCode = await reportError(error, output)
  }
  await drained()
  return exitCode
}

async function dispatch(words: readonly string[], output: Output): Promise<number> {
  const [first] = words
  if (first === undefined) {
    const { programHelp } = await import('./help.ts')
    output.say(...programHelp())
    return 2
  }
  if (first === '--help' || first === '-h' || first === 'help') return await help(words.slice(1), output)
  if (first === '--complete') return await (await import('./complete-words.ts')).complete(words.slice(1), output)
  if (first === '--version' || first === '-V') {
    const { packageVersion } = await import('./version.ts')
    output.result(packageVersion())
    return 0
  }
  if (NOT_IN_THIS_VERSION.includes(first)) {
    throw new SpanwrightError(
      'usage.invalid',
      `\`spanwright ${first}\` is not in this version: see \`spanwright --help\` for what is`,
    )
  }
  const found = findCommand(words)
  if (!found) throw await unknownCommand(words)
  const rest = words.slice(found.words)
  if (asksForHelp(rest)) return await help(found.command.name.split(' '), output)
  const invocation = await parse(found.command, rest, output)
  return await (
    await found.command.load()
  )(invocation)
}

const asksForHelp = (words: readonly string[]): boolean => {
  const end = words.indexOf('--')
  return (end < 0 ? words : words.slice(0, end)).some((word) => word === '--help' || word === '-h')
}

async function help(words: readonly string[], output: Output): Promise<number> {
  const { commandHelp, programHelp } = await import('./help.ts')
  const found = words.length > 0 ? findCommand(words) : undefined
  if (words.length > 0 && !found) throw await unknownCommand(words)
  output.result(...(found ? commandHelp(found.command) : programHelp()))
  return 0
}

async function unknownCommand(words: readonly string[]): Promise<SpanwrightError> {
  const [first] = words
  if (first!.startsWith('-')) {
    return new SpanwrightError(
      'usage.invalid',
      `unknown option ${first}: options go after a command, such as \`spanwright run PIPELINE ${first}\``,
    )
  }
  const family = COMMANDS.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name)
  if (family.length > 0) {
    return new SpanwrightError(
      'usage.invalid',
      `\`spanwright ${words.slice(0, 2).join(' ')}\` is no command: there are ${family.map((name) => `\`${name}\``).join(' and ')}`,
    )
  }
  const { nearest } = await import('../pipeline/diagnostic.ts')
  const near = nearest(
    first!,
    COMMANDS.map(({ name }) => name),
  )
  return new SpanwrightError(
    'usage.invalid',
    `\`${first}\` is no command${near === undefined ? '' : `, did you mean \`${near}\`?`}: see \`spanwright --help\``,
  )
}

async function parse(spec: CommandSpec, words: readonly string[], output: Output): Promise<Invocation> {
  const { parseWords } = await import('./parse-words.ts')
  return { ...parseWords(spec, words), output }
}
