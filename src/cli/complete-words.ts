// Owns: what can stand where the cursor is: called by the completion scripts with the words after `spanwright`, the last
// one being completed. Cheap: reads names and small files, never a journal. Errors mean no suggestion.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { EVENT_TYPES } from '../core/events.ts'
import { COMMANDS, findCommand, type CommandSpec, type Completion, type OptionSpec } from './command-table.ts'
import type { Output } from './output.ts'
import { runIdsIn, storePath } from './store-path.ts'

const MANY = 500

/** Prints candidates, one per line; nothing where files are to be completed. */
export async function complete(words: readonly string[], output: Output): Promise<number> {
  const current = words.at(-1) ?? ''
  try {
    output.result(
      ...[...new Set(candidates(words.slice(0, -1), current))]
        .filter((word) => word.startsWith(current))
        .slice(0, MANY),
    )
  } catch {
    // No store, no run, no pipeline: nothing to suggest.
  }
  return 0
}

function candidates(before: readonly string[], current: string): readonly string[] {
  const found = findCommand(before)
  if (!found || (found.words === 1 && before.length === 1 && hasSecondWord(before[0]!, current)))
    return commandWords(before)
  const { command } = found
  const words = before.slice(found.words)
  const option = command.options?.find(({ flags }) => flags.includes('<') && flags.split(' ')[0] === words.at(-1))
  if (option) return option.choices ?? fromPlace(option.complete, { command, words })
  if (current.startsWith('-')) return (command.options ?? []).map(({ flags }) => flags.split(' ')[0]!)
  const position = positional(command, words).length
  const argument = command.arguments?.[position] ?? command.arguments?.findLast(({ variadic }) => variadic === true)
  return fromPlace(argument?.complete, { command, words })
}

const hasSecondWord = (first: string, current: string): boolean =>
  current !== '' && COMMANDS.some(({ name }) => name.startsWith(`${first} ${current}`))

function commandWords(before: readonly string[]): string[] {
  const depth = before.length
  return COMMANDS.map(({ name }) => name.split(' '))
    .filter((words) => before.every((word, index) => words[index] === word))
    .flatMap((words) => words[depth] ?? [])
}

/** The words that are no options and no values of options. */
function positional(command: CommandSpec, words: readonly string[]): string[] {
  const takesValue = (word: string): boolean =>
    command.options?.some(({ flags }: OptionSpec) => flags.startsWith(`${word} <`)) === true
  return words.filter((word, index) => !word.startsWith('-') && !(index > 0 && takesValue(words[index - 1]!)))
}

interface Place {
  readonly command: CommandSpec
  readonly words: readonly string[]
}

function fromPlace(what: Completion | undefined, place: Place): readonly string[] {
  if (what === undefined || what === 'file' || what === 'directory') return []
  if (typeof what !== 'string') return what
  const store = storePath(place.words[place.words.indexOf('--store') + 1 || Infinity])
  const [first = '', second = ''] = positional(place.command, place.words)
  if (what === 'run') return ['latest', ...runIdsIn(store).reverse()]
  if (what === 'event') return EVENT_TYPES
  if (place.command.arguments?.[0]?.name === 'PIPELINE') return idsInFile(first)
  const directory = runDirectory(store, first)
  if (what === 'attempt') return attemptsIn(path.join(directory, 'attempts'))
  const nodes = nodesOf(directory)
  if (what === 'choice') return nodes.find(({ id }) => id === second)?.gate?.choices ?? []
  return (what === 'gate' ? nodes.filter(({ kind }) => kind === 'gate') : nodes).map(({ id }) => id)
}

function runDirectory(store: string, prefix: string): string {
  const ids = runIdsIn(store)
  const id = prefix === 'latest' ? ids.at(-1) : ids.find((known) => known.startsWith(prefix.toUpperCase()))
  return path.join(store, 'runs', id ?? '')
}

interface ListedNode {
  readonly id: string
  readonly kind: string
  readonly gate?: { readonly choices?: readonly string[] }
}

function nodesOf(directory: string): readonly ListedNode[] {
  const pipeline = JSON.parse(readFileSync(path.join(directory, 'pipeline.json'), 'utf8')) as {
    nodes?: ListedNode[]
    pipeline?: { nodes?: ListedNode[] }
  }
  return pipeline.nodes ?? pipeline.pipeline?.nodes ?? []
}

/** Ids as they stand in a YAML file: good enough to complete them. */
const idsInFile = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/^[\s-]*\{?\s*id:\s*["']?([A-Za-z_][\w-]*)/gm)].map((match) => match[1]!)

/** Attempt ids by their directories: `attempts/<path>/<visit>.<attempt>`. */
function attemptsIn(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const match = /^(.+)\/(\d+\.\d+)$/.exec(name)
    return match ? [`${match[1]}@${match[2]}`] : []
  })
}
