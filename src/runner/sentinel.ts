// Owns: the sentinel, a tiny process that only waits for its pipe to close. If that happens without the word "done", the
// process that ran the run is dead, and the sentinel becomes the takeover program (same pid, no fork).
// A shell, not Node: it starts in a millisecond and holds a megabyte, for every run.
import { spawn, type ChildProcess } from 'node:child_process'
import { SpanwrightError } from '../core/error.ts'
import { SENTINEL } from '../effects/marker.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'

const READY = 'ready'
const DONE = 'done'
/**
 * Signals are ignored while it waits: it lives in a session of its own, and whoever ends a process tree politely means
 * the run, not the one who cleans up after it.
 */
const SCRIPT = [
  `trap '' HUP INT TERM QUIT`,
  `echo ${READY}`,
  `word=`,
  `read -r word || :`,
  `[ "$word" = ${DONE} ] && exit 0`,
  `exec "$@" </dev/null >/dev/null 2>&1`,
].join('\n')

/** A sentinel that dies again at once (no processes left, out of memory) is not replaced for ever. */
const REPLACEMENTS = 10
const START_MS = 10_000

export interface Sentinel {
  identity(): ProcessIdentity
  /** The run ended well: the sentinel goes without doing anything. */
  dismiss(): void
}

export interface SentinelOptions {
  /** Program and arguments of the takeover, the run directory last. */
  readonly takeover: readonly string[]
  /** It died and another one is there. */
  readonly replaced: (identity: ProcessIdentity) => void
  /** It died and could not be replaced: the run goes on without one. */
  readonly failed: (error: Error) => void
}

/** Starts the sentinel; resolves once it is waiting. Rejects with `internal` when it cannot be started. */
export async function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  let dismissed = false
  let replacements = 0
  let child = await start(options.takeover)
  let identity = identify(child.pid)
  const watch = (): void => {
    child.once('exit', () => {
      if (dismissed) return
      replacements++
      if (replacements > REPLACEMENTS) return options.failed(new Error(`the sentinel died ${replacements} times`))
      start(options.takeover).then((next) => {
        child = next
        identity = identify(next.pid)
        if (dismissed) return tellDone(next)
        watch()
        options.replaced(identity)
      }, options.failed)
    })
  }
  watch()
  return {
    identity: () => identity,
    dismiss() {
      dismissed = true
      tellDone(child)
    },
  }
}

function tellDone(child: ChildProcess): void {
  child.stdin?.end(`${DONE}\n`)
}

async function start(takeover: readonly string[]): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', SCRIPT, 'spanwright-sentinel', ...takeover], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, [SENTINEL]: '1' },
    cwd: '/',
  })
  // It may die with the word half read: its exit is what counts, not the pipe.
  child.stdin.on('error', () => {})
  try {
    await untilReady(child)
  } catch (cause) {
    child.kill('SIGKILL')
    throw new SpanwrightError('internal', `the sentinel of the run could not be started: ${(cause as Error).message}`, {
      cause,
    })
  }
  child.stdout.destroy()
  child.unref()
  ;(child.stdin as unknown as { unref(): void }).unref()
  return child
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it did not answer within ${START_MS} ms`)), START_MS)
    const settle = (error?: Error): void => {
      clearTimeout(timer)
      child.removeAllListeners('exit')
      if (error) reject(error)
      else resolve()
    }
    child.once('error', settle)
    child.once('exit', (code, signal) => settle(new Error(`it ended with ${signal ?? `exit code ${code}`}`)))
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes(`${READY}\n`)) settle()
    })
  })
}
