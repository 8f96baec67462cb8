// Owns: one server process: start, readiness, its log, its end, and that it does not outlive this process. Knows nothing
// of what the server is for.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Becomes the server (`exec`) after leaving a watcher that waits on the pipe of the starter: when the starter is gone
 * without a word, even by SIGKILL, the pipe closes and the server is ended. One line on the pipe dismisses the watcher.
 */
const GUARDED = `exec 3<&0
(read -r _ <&3 || { kill -TERM $$; sleep 3; kill -KILL $$; }) >/dev/null 2>&1 &
exec 3<&- "$@" </dev/null`

const READY_MS = 60_000
const END_MS = 20_000

export interface ServerSpec {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** True once the server answers; false or a rejection is asked again. */
  readonly ready: () => Promise<boolean>
}

export interface Server {
  readonly name: string
  /** Of the running process; undefined between an end and the next start. */
  readonly pid: () => number | undefined
  /** Starts it on the data it has and waits until it answers. Throws with the end of its log when it does not. */
  readonly start: () => Promise<void>
  /** Sends the signal (default SIGTERM) and waits for the end; SIGKILL after 20 s. Does nothing when it is not running. */
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>
  /** Everything it has written since the first start. */
  readonly log: () => string
}

/** `onDeath` is called when the server ends and nobody asked it to. */
export function createServer(spec: ServerSpec, onDeath: (reason: string) => void): Server {
  let running: Running | undefined
  const log = (): string => readFileSync(spec.logFile, 'utf8')
  const tail = (): string => log().split('\n').slice(-25).join('\n')
  return {
    name: spec.name,
    pid: () => running?.child.pid,
    log,
    async start() {
      if (running !== undefined) throw new Error(`${spec.name} is running already`)
      const current = spawnGuarded(spec)
      running = current
      const ended = current.ended.then((how) => {
        running = undefined
        return how
      })
      await Promise.race([
        untilReady(spec),
        ended.then((how) => {
          throw new Error(`${spec.name} ended (${how}) before it was ready. Its log ends with:\n${tail()}`)
        }),
      ]).catch((error: unknown) => {
        current.asked = true
        current.child.kill('SIGKILL')
        throw error
      })
      void ended.then((how) => {
        if (!current.asked) onDeath(`${spec.name} ended (${how}). Its log ends with:\n${tail()}`)
      })
    },
    async kill(signal = 'SIGTERM') {
      const current = running
      if (current === undefined) return
      current.asked = true
      current.child.kill(signal)
      const timer = setTimeout(() => current.child.kill('SIGKILL'), END_MS)
      await current.ended
      clearTimeout(timer)
    },
  }
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<string>
  /** Whether its end is wanted. */
  asked: boolean
}

function spawnGuarded(spec: ServerSpec): Running {
  const log = openSync(spec.logFile, 'a')
  // A session of its own: Ctrl-C in the terminal reaches the starter only, which ends the servers in order.
  const child = spawn('sh', ['-c', GUARDED, 'sh', spec.program, ...spec.args], {
    env: { PATH: process.env['PATH'], ...spec.env },
    stdio: ['pipe', log, log],
    detached: true,
  })
  closeSync(log)
  child.stdin?.on('error', () => {}) // The watcher may be gone already.
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => {
      child.stdin?.end('\n')
      resolve(signal ?? `exit ${code}`)
    })
  })
  return { child, ended, asked: false }
}

async function untilReady(spec: ServerSpec): Promise<void> {
  const deadline = Date.now() + READY_MS
  while (!(await spec.ready().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`${spec.name} did not answer within ${READY_MS / 1_000} s`)
    await sleep(50)
  }
}
