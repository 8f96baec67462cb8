// Owns: every command of the program: its words, arguments and options. Parsing, help and completion all read this one
// table. A command's code is loaded only when it is called. Must not: do anything.
import type { Output } from './output.ts'
import { STACK_COMMANDS } from './stack/stack-commands.ts'

/** What an argument or the value of an option can be completed with. */
export type Completion =
  | 'file'
  | 'directory'
  | 'run'
  | 'node'
  | 'attempt'
  | 'gate'
  | 'choice'
  | 'event'
  | readonly string[]

export interface ArgumentSpec {
  /** In capitals, as in the usage line. */
  readonly name: string
  readonly about: string
  readonly optional?: boolean
  readonly variadic?: boolean
  readonly complete?: Completion
}
export interface OptionSpec {
  /** `--param <k=v>`; without a value it is a switch. */
  readonly flags: string
  readonly about: string
  readonly repeat?: boolean
  readonly complete?: Completion
  /** Only these values. */
  readonly choices?: readonly string[]
}
/** Arguments by position (a variadic one is a list) and options by name in camelCase. */
export interface Invocation {
  readonly args: readonly (string | readonly string[] | undefined)[]
  readonly options: { readonly [name: string]: string | readonly string[] | boolean | undefined }
  readonly output: Output
}
/** Resolves with the exit code. */
export type CommandFunction = (invocation: Invocation) => Promise<number>
export interface CommandSpec {
  /** One or two words. */
  readonly name: string
  readonly about: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly load: () => Promise<CommandFunction>
}

const RUN: ArgumentSpec = { name: 'RUN', about: 'a run id, a unique beginning of one, or `latest`', complete: 'run' }
const PIPELINE: ArgumentSpec = {
  name: 'PIPELINE',
  about: 'a pipeline file (.yaml, .yml, .ts, .mts, .js, .mjs)',
  complete: 'file',
}

const STORE: OptionSpec = {
  flags: '--store <dir>',
  about: 'where runs are kept (default: SPANWRIGHT_STORE, else .spanwright)',
  complete: 'directory',
}
const JSON_OUTPUT: OptionSpec = { flags: '--json', about: 'print stable JSON' }
const LABEL: OptionSpec = { flags: '--label <k=v>', about: 'a label of the run', repeat: true }
const PARAM: OptionSpec = { flags: '--param <k=v>', about: 'a param, read by its declared type', repeat: true }
const PARAMS: OptionSpec = {
  flags: '--params <file>',
  about: 'params from a YAML or JSON file; --param goes before it',
  complete: 'file',
}
const MAX_PARALLEL: OptionSpec = { flags: '--max-parallel <n>', about: 'attempts running at once' }
const TRACE_PARENT: OptionSpec = {
  flags: '--trace-parent <how>',
  about: 'what an inbound TRACEPARENT becomes (default: parent)',
  choices: ['parent', 'link', 'ignore'],
}
const SYNC: OptionSpec = {
  flags: '--sync <when>',
  about: 'flush the journal to the disk always (default) or leave it to the system',
  choices: ['always', 'os'],
}
const UI: OptionSpec = {
  flags: '--ui <how>',
  about: 'how progress is shown (default: auto)',
  choices: ['auto', 'tty', 'plain', 'json', 'quiet'],
}
const CAPTURE: OptionSpec = { flags: '--capture <what>', about: 'also record this in the trace', choices: ['content'] }
const EXECUTION = [PARAM, PARAMS, STORE, MAX_PARALLEL, SYNC, TRACE_PARENT, CAPTURE, UI]
const FORCE: OptionSpec = { flags: '--force', about: 'end everything now, without grace' }
const ALL: OptionSpec = { flags: '--all', about: 'all of them, nothing folded' }
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    about: 'run a pipeline',
    arguments: [PIPELINE],
    options: [
      ...EXECUTION,
      { flags: '--key <key>', about: 'start at most one run per key: a second call attaches to the first' },
      LABEL,
      { flags: '--only <node>', about: 'run this node alone', complete: 'node' },
      { flags: '--from <node>', about: 'start here; what comes before counts as done', complete: 'node' },
      { flags: '--skip-preflight', about: 'do not check programs and settings before the start' },
      { flags: '--probe-agents', about: 'ask each agent a cheap question before the start' },
      { flags: '--dry-run', about: 'show what would run, start nothing' },
      { flags: '--detach', about: 'run in the background, print the run id' },
    ],
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    name: 'resume',
    about: 'go on with an interrupted or canceled run',
    arguments: [RUN],
    options: [...EXECUTION, { flags: '--accept-changes', about: 'go on although the TypeScript pipeline has changed' }],
    load: async () => (await import('./commands/resume.ts')).resume,
  },
  {
    name: 'retry',
    about: 'run failed nodes again',
    arguments: [
      RUN,
      { name: 'NODE', about: 'a node path (default: all failed nodes)', optional: true, complete: 'node' },
    ],
    options: [
      ...EXECUTION,
      { flags: '--reset-count', about: 'start retry budget and breaker counts again' },
      { flags: '--mode <how>', about: 'what the new visit begins with', choices: ['clean', 'continue'] },
      { flags: '--accept-changes', about: 'go on although the TypeScript pipeline has changed' },
    ],
    load: async () => (await import('./commands/retry.ts')).retry,
  },
  {
    name: 'cancel',
    about: 'cancel a run',
    arguments: [RUN],
    options: [FORCE, STORE],
    load: async () => (await import('./commands/cancel.ts')).cancel,
  },
  {
    name: 'recover',
    about: 'put runs to rest whose process is gone',
    arguments: [{ ...RUN, optional: true }],
    options: [{ flags: '--all', about: 'every lost run of the store' }, STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/recover.ts')).recover,
  },
  {
    name: 'attach',
    about: 'follow a run to its end',
    arguments: [RUN],
    options: [UI, STORE],
    load: async () => (await import('./commands/attach.ts')).attach,
  },
  {
    name: 'status',
    about: 'what runs now and what waits for a person',
    arguments: [{ ...RUN, optional: true }],
    options: [STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'runs',
    about: 'list runs, newest first',
    options: [LABEL, { flags: '--limit <n>', about: 'at most so many (default: 20)' }, STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/runs.ts')).runs,
  },
  {
    name: 'show',
    about: 'result, cause and nodes of a run',
    arguments: [RUN],
    options: [ALL, STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/show.ts')).show,
  },
  {
    name: 'attempt show',
    about: 'everything on record about one attempt',
    arguments: [RUN, { name: 'ATTEMPT', about: 'an attempt id, such as build@1.2', complete: 'attempt' }],
    options: [
      { flags: '--context', about: 'only what it was told of earlier attempts' },
      { flags: '--output', about: 'only its output, in full' },
      { flags: '--diff', about: 'only its diff' },
      STORE,
      JSON_OUTPUT,
    ],
    load: async () => (await import('./commands/attempt-show.ts')).attemptShow,
  },
  {
    name: 'events',
    about: 'the journal of a run',
    arguments: [RUN],
    options: [
      { flags: '--follow', about: 'go on until the run has ended' },
      { flags: '--type <type>', about: 'only this type; `attempt.*` for a family', repeat: true, complete: 'event' },
      STORE,
      JSON_OUTPUT,
    ],
    load: async () => (await import('./commands/events.ts')).events,
  },
  {
    name: 'trace',
    about: 'draw the trace of a run as a waterfall',
    arguments: [RUN],
    options: [ALL, STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/trace.ts')).trace,
  },
  {
    name: 'trace export',
    about: 'send what was not delivered of a trace',
    arguments: [RUN],
    options: [
      { flags: '--endpoint <url>', about: 'an OTLP/HTTP endpoint (default: OTEL_EXPORTER_OTLP_ENDPOINT)' },
      { flags: '--all', about: 'send the spans again that a receiver took or refused; numbers are never sent twice' },
      STORE,
      JSON_OUTPUT,
    ],
    load: async () => (await import('./commands/trace-export.ts')).traceExport,
  },
  {
    name: 'gate list',
    about: 'gates that wait for an answer',
    options: [STORE, JSON_OUTPUT],
    load: async () => (await import('./commands/gate-list.ts')).gateList,
  },
  {
    name: 'gate answer',
    about: 'answer a gate',
    arguments: [
      RUN,
      { name: 'NODE', about: 'the path of the gate', complete: 'gate' },
      { name: 'CHOICE', about: 'one of its choices', complete: 'choice' },
    ],
    options: [{ flags: '--comment <text>', about: 'goes on record with the answer' }, STORE],
    load: async () => (await import('./commands/gate-answer.ts')).gateAnswer,
  },
  {
    name: 'validate',
    about: 'check pipeline files',
    arguments: [{ ...PIPELINE, variadic: true }],
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/validate.ts')).validate,
  },
  {
    name: 'graph',
    about: 'draw a pipeline',
    arguments: [PIPELINE],
    options: [{ flags: '--format <format>', about: 'mermaid (default) or dot', choices: ['mermaid', 'dot'] }],
    load: async () => (await import('./commands/graph.ts')).graph,
  },
  {
    name: 'init',
    about: 'write a commented pipeline that runs',
    arguments: [{ name: 'FILE', about: 'where to (default: pipeline.yaml)', optional: true, complete: 'file' }],
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'schema',
    about: 'print the JSON Schema of pipeline files',
    load: async () => (await import('./commands/schema.ts')).schema,
  },
  {
    name: 'prune',
    about: 'delete runs that ended long ago',
    options: [
      { flags: '--older-than <duration>', about: 'ended before this (default: 30d)' },
      { flags: '--dry-run', about: 'say what would go' },
      STORE,
      JSON_OUTPUT,
    ],
    load: async () => (await import('./commands/prune.ts')).prune,
  },
  ...STACK_COMMANDS,
  {
    name: 'completion',
    about: 'print a completion script for a shell',
    arguments: [{ name: 'SHELL', about: 'bash, zsh or fish', complete: ['bash', 'zsh', 'fish'] }],
    load: async () => (await import('./commands/completion.ts')).completion,
  },
]

/** Known by name, but part of a later version. */
export const NOT_IN_THIS_VERSION: readonly string[] = ['ui', 'queue', 'worker', 'doctor']

/** The command that the words begin with, and how many words name it. */
export function findCommand(
  words: readonly string[],
): { readonly command: CommandSpec; readonly words: number } | undefined {
  const two = COMMANDS.find(({ name }) => name === `${words[0]} ${words[1]}`)
  if (two) return { command: two, words: 2 }
  const one = COMMANDS.find(({ name }) => name === words[0])
  return one && { command: one, words: 1 }
}
