// Owns: starting the built CLI as a real process, the way a user does, and the empty directories it works in. What is
// still there when the test file ends (processes, directories) is removed. Must not import anything from src/.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

export const PROJECT_ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = path.join(PROJECT_ROOT, 'dist/cli/main.js')

export interface CliOptions {
  /** Default: a new temporary directory. */
  readonly cwd?: string
  /** Put over the environment of the test; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Text on stdin; without it stdin is empty. */
  readonly input?: string
  /** After this the process is killed and the call fails. Default 60 s. */
  readonly timeoutMs?: number
}
export interface CliResult {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}
export interface RunningCli {
  readonly pid: number
  /** What came so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves with the match as soon as stdout or stderr holds one; fails when the process ended or time is up. */
  readonly saw: (pattern: RegExp, deadlineMs?: number) => Promise<RegExpExecArray>
  /** Resolves when the process is gone and its streams are closed. */
  readonly ended: Promise<CliResult>
}

const children = new Set<ChildProcess>()
const directories: string[] = []
let runtime: string | undefined
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const directory of directories)
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})

/** An empty directory (real path, no links in it) that is removed when the test file ends. */
export function temporaryDirectory(prefix = 'spanwright-test-'): string {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), prefix)))
  directories.push(directory)
  return directory
}

/**
 * The environment for a child: that of the test without what would reach into a surrounding run (the tests themselves
 * run as steps of a pipeline), a terminal or a collector.
 */
export function childEnvironment(changes: CliOptions['env'] = {}): NodeJS.ProcessEnv {
  const pipeline = /^(SPANWRIGHT_(?!MARK)|OTEL_|TRACEPARENT$|TRACESTATE$|BAGGAGE$)/
  const place =
    /^(GITHUB_|CI$|FORCE_COLOR$|NO_COLOR$|VITEST|NODE_ENV$|INIT_CWD$|npm_(package|lifecycle|command|config_local_prefix))/
  const surrounding = (name: string): boolean => pipeline.test(name) || place.test(name)
  const kept = Object.entries(process.env).filter(([name]) => !surrounding(name))
  // Where instances of telemetry are numbered: a process that a test kills must not keep a number of the user's.
  runtime ??= temporaryDirectory()
  const all = { ...Object.fromEntries(kept), XDG_RUNTIME_DIR: runtime, ...changes }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** Runs the CLI to its end. Never rejects because of an exit code. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return await startCli(args, options).ended
}

/** Starts the CLI and returns at once; for runs that are watched, canceled or killed. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd ?? temporaryDirectory(),
    env: childEnvironment(options.env),
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  children.add(child)
  child.stdin?.on('error', () => {}) // A CLI that does not read its stdin closes it: not the test's business.
  child.stdin?.end(options.input)
  const text = { stdout: '', stderr: '' }
  const watchers = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
      for (const watcher of watchers) watcher()
    })
  }
  const ended = untilEnd(child, text, options.timeoutMs ?? 60_000)
  ended.then(
    () => children.delete(child),
    () => children.delete(child),
  )
  return {
    pid: child.pid ?? -1,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    kill: (signal) => void child.kill(signal),
    saw: (pattern, deadlineMs = 30_000) => untilSeen({ pattern, deadlineMs, text, watchers, ended }),
    ended,
  }
}

function untilEnd(
  child: ChildProcess,
  text: { stdout: string; stderr: string },
  timeoutMs: number,
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`The CLI did not end within ${timeoutMs} ms.\nstdout: ${text.stdout}\nstderr: ${text.stderr}`))
    }, timeoutMs)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (exitCode, signal) => {
      clearTimeout(timer)
      resolve({ exitCode, signal, ...text })
    })
  })
}

interface Watch {
  readonly pattern: RegExp
  readonly deadlineMs: number
  readonly text: { stdout: string; stderr: string }
  readonly watchers: Set<() => void>
  readonly ended: Promise<CliResult>
}

function untilSeen({ pattern, deadlineMs, text, watchers, ended }: Watch): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      watchers.delete(look)
    }
    const look = (): boolean => {
      const match = pattern.exec(text.stdout) ?? pattern.exec(text.stderr)
      if (match === null) return false
      stop()
      resolve(match)
      return true
    }
    const fail = (what: string): void => {
      stop()
      reject(new Error(`${what} before ${pattern} was seen.\nstdout: ${text.stdout}\nstderr: ${text.stderr}`))
    }
    const timer = setTimeout(() => fail(`${deadlineMs} ms passed`), deadlineMs)
    watchers.add(look)
    ended.then(
      () => look() || fail('The CLI ended'),
      (error: unknown) => fail(String(error)),
    )
    look()
  })
}
