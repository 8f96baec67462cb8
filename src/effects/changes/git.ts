// Owns: asking git about a working directory so that nothing of the user's is touched: no index, HEAD, object, hook,
// lock or configured program. Must not: know what is asked for.
import { execa, type ExecaError } from 'execa'

export interface GitPlace {
  readonly cwd: string
  /** Variables over the inherited ones. */
  readonly env: { readonly [name: string]: string }
  /** Settings for every call, `name=value`. */
  readonly settings: readonly string[]
}

/** One call may take so long, and say so much. */
const CALL_MS = 30_000
const OUTPUT_BYTES = 16 * 1024 * 1024

/**
 * Settings that keep a repository's own configuration from starting programs (hooks, a file monitor, credential helpers)
 * and from writing beside the temporary index.
 */
const QUIET = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.untrackedCache=false',
  'core.splitIndex=false',
  'core.quotePath=false',
  'core.compression=0',
  'core.safecrlf=false',
  'advice.addEmbeddedRepo=false',
  'gc.auto=0',
]

/** What of the caller's environment would lead git elsewhere (a run may be started by a git hook). */
const withoutGit = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('GIT_')))

export function gitPlace(cwd: string, inherited: NodeJS.ProcessEnv): GitPlace {
  const env = { ...withoutGit(inherited), GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' }
  return { cwd, env, settings: QUIET }
}

const optionsOf = ({ cwd, env, settings }: GitPlace, args: readonly string[]) => ({
  file: 'git',
  args: [...settings.flatMap((setting) => ['-c', setting]), ...args],
  options: { cwd, env, extendEnv: false, stdin: 'ignore', stripFinalNewline: false, timeout: CALL_MS } as const,
})

/** What git says. Throws when it fails, takes too long or says too much. */
export async function git(place: GitPlace, ...args: string[]): Promise<string> {
  const { file, args: all, options } = optionsOf(place, args)
  const { stdout } = await execa(file, all, { ...options, maxBuffer: OUTPUT_BYTES })
  return stdout
}

/** The same with what it says as it comes. Throws like `git`; leaving the loop ends it. */
export async function* gitChunks(place: GitPlace, ...args: string[]): AsyncGenerator<Uint8Array> {
  const { file, args: all, options } = optionsOf(place, args)
  const subprocess = execa(file, all, { ...options, buffer: false, stderr: 'ignore' })
  let whole = false
  try {
    for await (const chunk of subprocess.iterable({ binary: true, preserveNewlines: true })) yield chunk
    whole = true
  } finally {
    if (!whole) subprocess.kill('SIGKILL')
    await subprocess.catch((error: unknown) => {
      if (whole) throw error
    })
  }
}

/** One line about why a call failed. */
export function gitProblem(error: unknown): string {
  const { timedOut, stderr, shortMessage, code } = error as Partial<ExecaError>
  if (code === 'ENOENT') return 'git is not there'
  if (timedOut) return `git took longer than ${CALL_MS / 1000} s`
  const said = typeof stderr === 'string' ? stderr.trim().split('\n').at(-1) : undefined
  return (said || shortMessage || String(error)).split('\n')[0]!.slice(0, 300)
}
