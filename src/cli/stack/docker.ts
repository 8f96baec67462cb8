// Owns: calling docker and its compose plugin: whether they are there and answer, one call whose progress the user sees,
// and short questions. Must not: know what the stack consists of.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { SpanwrightError } from '../../core/error.ts'

/** Containers, network and volumes carry this name; docker-compose.yml says the same. */
export const PROJECT = 'spanwright'

const QUESTION_TIMEOUT_MS = 10_000
const ANSWER_BYTES = 4 * 1024 * 1024
const ELSEWHERE =
  'A stack that already runs somewhere needs no docker: export OTEL_EXPORTER_OTLP_ENDPOINT=<its OTLP address>'
const WITHOUT_DOCKER = 'The same servers without docker, from a checkout: npm run stack:native.'

/** Fails with what to install or start unless docker, its compose plugin and an engine are there. */
export async function requireDocker(): Promise<void> {
  const version = await ask(['version', '--format', '{{.Server.Version}}'])
  if (version.missing)
    throw new SpanwrightError(
      'stack.docker_missing',
      'there is no `docker` on PATH: install Docker Engine or Docker Desktop',
      {
        details: [WITHOUT_DOCKER, ELSEWHERE],
      },
    )
  // Before the engine is judged: an old docker without the plugin is the more basic thing to mend.
  const compose = await ask(['compose', 'version', '--short'])
  if (compose.code !== 0)
    throw new SpanwrightError(
      'stack.compose_missing',
      'docker has no compose plugin: install docker-compose-plugin (Debian: docker-compose), version 2.20 or newer',
      { details: [WITHOUT_DOCKER, ELSEWHERE] },
    )
  if (version.code !== 0)
    throw new SpanwrightError(
      'stack.engine_unreachable',
      `no docker engine answers: ${lastLine(version.stderr)?.replace(/[.:!?]+$/, '') ?? 'docker gave no reason'}. Start it (systemctl start docker, or Docker Desktop) and see that this user may use it`,
      { details: [WITHOUT_DOCKER, ELSEWHERE] },
    )
}

export interface ComposeCall {
  readonly file: string
  /** Put over the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

const composeWords = (file: string, words: readonly string[]): string[] => [
  'compose',
  '-p',
  PROJECT,
  '-f',
  file,
  ...words,
]

/** The same call as a person would type it. */
export const composeCommand = (file: string, ...words: string[]): string =>
  ['docker', ...composeWords(file, words).map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`))].join(' ')

/** Runs compose with its progress on our stderr, whatever it prints. Resolves with its exit code. */
export async function compose({ file, env }: ComposeCall, words: readonly string[]): Promise<number> {
  const child = spawn('docker', composeWords(file, words), {
    cwd: path.dirname(file),
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
    env: { ...process.env, ...env },
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return code ?? (signal === 'SIGINT' ? 130 : 1)
}

export interface DockerAnswer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** There is no such program. */
  readonly missing: boolean
}

/** A question to compose about the stack of `file`. Never rejects. */
export const askCompose = async ({ file, env }: ComposeCall, words: readonly string[]): Promise<DockerAnswer> =>
  await ask(composeWords(file, words), env)

/** A question to docker, given up after 10 s. Never rejects. */
export async function ask(words: readonly string[], env: ComposeCall['env'] = {}): Promise<DockerAnswer> {
  return await new Promise((resolve) => {
    execFile(
      'docker',
      words,
      { timeout: QUESTION_TIMEOUT_MS, maxBuffer: ANSWER_BYTES, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const missing = error !== null && 'code' in error && error.code === 'ENOENT'
        const timedOut = error?.killed === true ? `docker gave no answer within ${QUESTION_TIMEOUT_MS / 1000} s` : ''
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ code, stdout, stderr: timedOut || stderr, missing })
      },
    )
  })
}

/** The last line that says something. */
export function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '')
}
