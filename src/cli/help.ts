// Owns: the text of `--help`, for the program and for one command.
import { COMMANDS, type ArgumentSpec, type CommandSpec } from './command-table.ts'
import { wrap } from './terminal/text.ts'

const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  ['Run', ['run', 'resume', 'retry', 'cancel', 'recover', 'attach']],
  ['Look', ['status', 'runs', 'show', 'attempt show', 'events', 'trace', 'trace export']],
  ['Gates', ['gate list', 'gate answer']],
  ['Pipelines', ['validate', 'graph', 'init', 'schema']],
  ['Observability', ['stack up', 'stack status', 'stack down']],
  ['Housekeeping', ['prune', 'completion']],
]
const COLUMNS = 100

const usageOf = ({ name, optional, variadic }: ArgumentSpec): string => {
  const text = variadic === true ? `${name}…` : name
  return optional === true ? `[${text}]` : text
}
const usage = (command: CommandSpec): string => [command.name, ...(command.arguments ?? []).map(usageOf)].join(' ')

/** Help of the whole program. */
export function programHelp(): string[] {
  const groups = GROUPS.flatMap(([title, names]) => [
    '',
    `${title}:`,
    ...names
      .map((name) => COMMANDS.find((command) => command.name === name)!)
      .map((command) => `  ${usage(command).padEnd(32)} ${command.about}`),
  ])
  return [
    'spanwright: run agent and command pipelines; every run is a trace',
    '',
    'usage: spanwright COMMAND [options]',
    ...groups,
    '',
    'Everywhere: --help, --verbose (says more about errors). `spanwright COMMAND --help` says more; --version prints the version.',
    'Exit codes: 0 success, 1 failure, 2 usage, 3 not found, 4 conflict, 5 error, 124 timeout, 129 130 143 canceled.',
  ]
}

/** Help of one command. */
export function commandHelp(command: CommandSpec): string[] {
  const rows = [
    ...(command.arguments ?? []).map(({ name, about }) => [name, about] as const),
    ...(command.options ?? []).map(
      ({ flags, about, choices, repeat }) =>
        [
          flags,
          `${about}${choices ? `: ${choices.join(', ')}` : ''}${repeat === true ? ' (repeatable)' : ''}`,
        ] as const,
    ),
    ['--verbose', 'say more about errors'] as const,
  ]
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  return [
    `spanwright ${command.name}: ${command.about}`,
    '',
    `usage: spanwright ${usage(command)} [options]`,
    '',
    ...rows.flatMap(([name, about]) =>
      wrap(about, COLUMNS - width - 2).map((text, index) => `  ${(index === 0 ? name : '').padEnd(width)}${text}`),
    ),
  ]
}
