// Owns: what a test with a real client needs around it: a provider with a script, a receiver, a home that is empty, and
// the canaries: texts that stand for prompts, answers, tool input, tool output, files and keys.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { startCli, temporaryDirectory, type CliResult, type RunningCli } from '../../support/cli.ts'
import { clientFolder } from './clients.ts'
import { startReceiver, type Receiver } from './otlp-receiver.ts'
import { startProvider, type Provider, type Scenario, type Turn } from './scripted-provider.mjs'

export const CANARY = {
  prompt: 'canary-prompt-5d1f',
  answer: 'canary-answer-77ab',
  toolInput: 'canary-tool-input-90ce',
  /** What the tool prints: a sum, so that its input does not hold it. */
  toolOutput: 'canary-tool-output-4242',
  file: 'canary-file-1c8e',
  key: 'canary-key-0123456789',
} as const

const USAGE = [
  { input: 50, output: 30, cacheRead: 500, cacheWrite: 7, reasoning: 5 },
  { input: 80, output: 12, cacheRead: 550, cacheWrite: 0, reasoning: 0 },
] as const

/** Two requests: one runs a shell command that reads a file, one ends. */
export const SCRIPT: readonly Turn[] = [
  {
    text: `${CANARY.answer}: I run it.`,
    tools: [
      {
        name: 'shell',
        args: {
          command: `: ${CANARY.toolInput}; echo "canary-tool-output-$((4200+42))"; cat note.txt; echo "$TRACEPARENT" >> traceparent.txt`,
        },
      },
    ],
    usage: USAGE[0],
  },
  { text: `${CANARY.answer}: it ran.`, usage: USAGE[1] },
]

const sumOf = (count: (usage: (typeof USAGE)[number]) => number): number => USAGE.reduce((sum, u) => sum + count(u), 0)

/** The provider's truth about one session with SCRIPT. */
export const TRUTH = {
  input: sumOf((u) => u.input),
  /** Includes reasoning. */
  output: sumOf((u) => u.output + u.reasoning),
  cacheRead: sumOf((u) => u.cacheRead),
  cacheCreation: sumOf((u) => u.cacheWrite),
}

/** What the user has set for his own clients: other places than HOME, other credentials. None of it reaches these. */
const OF_THE_USER = [
  ...['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_STATE_HOME'],
  ...['CLAUDE_CONFIG_DIR', 'CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_MODEL'],
  ...['CODEX_HOME', 'CODEX_API_KEY', 'OPENAI_API_KEY', 'OPENAI_BASE_URL'],
  ...['GEMINI_API_KEY', 'GOOGLE_API_KEY', 'GEMINI_CLI_HOME', 'OPENCODE_CONFIG', 'OPENCODE_CONFIG_DIR'],
]
const WITHOUT_THE_USER = Object.fromEntries(OF_THE_USER.map((name) => [name, undefined]))

/** Real clients take seconds to start, and more where several start at once on a small machine. */
const PATIENCE_MS = 170_000

export interface Session {
  readonly provider: Provider
  readonly receiver: Receiver
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Runs a pipeline whose steps may call `claude` and `codex`. */
  run(pipeline: string, changes?: RunChanges): Promise<CliResult>
  /** The same for one that is watched, canceled or killed. */
  start(pipeline: string, changes?: RunChanges): RunningCli
  close(): Promise<void>
}
export interface RunChanges {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** What is sent to the receiver also goes to `forwardTo`, if it is given. */
export async function openSession(scenario: Scenario = { turns: SCRIPT }, forwardTo?: string): Promise<Session> {
  const clients = clientFolder()
  const [provider, receiver] = await Promise.all([startProvider({ scenario }), startReceiver(forwardTo)])
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'note.txt'), `${CANARY.file}\n`)
  const env = {
    PATH: `${clients}${path.delimiter}${process.env['PATH'] ?? ''}`,
    HOME: temporaryDirectory('spanwright-home-'),
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    // Each client has its own place in the script.
    ANTHROPIC_BASE_URL: `${provider.url}/k/claude`,
    ANTHROPIC_API_KEY: CANARY.key,
    // Nothing but the provider and the receiver is called.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_MAX_RETRIES: '1',
    // Claude Code refuses to skip permissions as root outside a sandbox.
    IS_SANDBOX: '1',
    STUB_KEY: CANARY.key,
    CODEX_PROVIDER: `model_providers.p={name="p",base_url="${provider.url}/k/codex/v1",env_key="STUB_KEY",wire_api="responses",request_max_retries=1,stream_max_retries=1}`,
  }
  const start = (pipeline: string, { args = [], env: changes = {} }: RunChanges = {}): RunningCli => {
    writeFileSync(path.join(cwd, 'pipeline.yaml'), pipeline)
    const options = { cwd, env: { ...WITHOUT_THE_USER, ...env, ...changes }, timeoutMs: PATIENCE_MS }
    return startCli(['run', 'pipeline.yaml', '--ui', 'plain', ...args], options)
  }
  return {
    provider,
    receiver,
    cwd,
    env,
    run: (pipeline, changes) => start(pipeline, changes).ended,
    start,
    async close() {
      await Promise.all([provider.close(), receiver.close()])
    },
  }
}

/** Shell lines that ask Claude Code and Codex. */
export const CLAUDE = `claude -p "${CANARY.prompt}" --output-format stream-json --verbose --model claude-sonnet-4-5 --permission-mode bypassPermissions`
export const CODEX = `codex exec $SPANWRIGHT_CODEX_OTEL --json --skip-git-repo-check -m gpt-5 -s danger-full-access -c model_provider=p -c "$CODEX_PROVIDER" "${CANARY.prompt}"`

/** A pipeline of one step. */
export const pipelineOf = (command: string, keys = ''): string =>
  `name: agents\nnodes:\n  - id: work\n    run: |\n      ${command}\n${keys}`

/** Ids of processes that were started with this home. */
export function processesOf(home: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`HOME=${home}\0`)
    } catch {
      return false
    }
  })
}
