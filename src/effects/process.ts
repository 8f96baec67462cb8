// Owns: one child process from spawn to the end of everything in its group: output to logs, timeouts, TERM - grace -
// KILL. It reports what happened (an Ending); what that means is told in process-failure.ts.
// Must not: keep output in memory, wait for a stream that a grandchild holds, let a stop go unanswered.
import { execa } from 'execa'
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stop } from '../core/commands.ts'
import { after } from './deadline.ts'
import type { OomWatch } from './oom.ts'
import { groupMembers, hasProc, signalProcess } from './proc.ts'
import { endGroup, endMarked, type EndedProcess } from './processes.ts'
import type { Log, LogEnd } from './run-files.ts'

export interface Launch {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
  readonly timeoutMs?: number | undefined
  /** Without output for this long it is stalled. */
  readonly stallMs?: number | undefined
  readonly graceMs: number
  /** What is left of the group lives on after a success. */
  readonly leaveRunning: boolean
  /** What the children carry (marker.ts): after a kill everything that carries it is ended. */
  readonly marker: string
  readonly stdout: Log
  readonly stderr: Log
  readonly oom: OomWatch
  /** Written to its standard input. Absent: the input is empty. */
  readonly stdin?: string | undefined
  /** Its standard input stays open for `write`. */
  readonly dialogue?: boolean | undefined
  /** What it writes, as it comes, besides the logs. */
  readonly tapStdout?: ((chunk: Buffer) => void) | undefined
  readonly tapStderr?: ((chunk: Buffer) => void) | undefined
  /** Everything that carries the marker is ended after it, also when it ended well by itself. */
  readonly clearMarked?: boolean | undefined
  /** Told before it is stopped for a stall. */
  readonly stalled?: ((idleMs: number) => void) | undefined
  /** Told every few seconds while there is news. */
  readonly progressed?: ((progress: Progress) => void) | undefined
}

export interface Progress {
  readonly pid: number
  readonly outputBytes: number
  /** Epoch ms. */
  readonly lastOutputAt: number | undefined
}

/** Why a process was ended by us. */
export type Halt =
  | { readonly cause: 'stop'; readonly stop: Stop }
  | { readonly cause: 'timeout' }
  /** `reason`: what kind of stall, when it is not that it wrote nothing. */
  | { readonly cause: 'stall'; readonly idleMs: number; readonly reason?: string | undefined }
  /** It lived on after its result. */
  | { readonly cause: 'result' }
  /** It would not keep a limit by itself. */
  | { readonly cause: 'limit' }

export interface Ending {
  readonly pid?: number | undefined
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  /** The system refused to start it. */
  readonly spawnError?: NodeJS.ErrnoException | undefined
  readonly halt?: Halt | undefined
  /** The out-of-memory killer was at work meanwhile (oom.ts). */
  readonly oomKills: number
  /** It did not even react to KILL. */
  readonly unkillable: boolean
  /** What was left and had to be ended; with `leaveRunning`, what lives on. */
  readonly ended: readonly EndedProcess[]
  readonly left: number
  readonly durationMs: number
  readonly stdout: LogEnd
  readonly stderr: LogEnd
}

/** A stream that a grandchild holds is read for this long after the exit, then given up. */
const STREAM_WAIT_MS = 250
/** What a command leaves in its group gets this long between TERM and KILL (after a stop: what is left of the grace). */
const LEFTOVER_KILL_MS = 1_000
/** A process that does not go away after KILL (uninterruptible sleep) is reported and left behind. */
const KILL_PATIENCE_MS = 5_000
const FIRST_PROGRESS_MS = 1_000
const PROGRESS_MS = 5_000

interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class ChildRun {
  /** Rejects only when the output could not be written. */
  readonly done: Promise<Ending>
  readonly #launch: Launch
  readonly #startedAt = performance.now()
  readonly #oomBefore: number | undefined
  readonly #child: ChildProcess
  readonly #result: Promise<{ readonly cause?: unknown }>
  readonly #exit = Promise.withResolvers<Exit | 'unkillable' | 'not started'>()
  #timers: (() => void)[] = []
  #halt: Halt | undefined
  #killAt = Infinity
  #lastOutput = performance.now()
  #lastOutputAt: number | undefined
  #bytes = 0
  #exited = false

  constructor(launch: Launch) {
    this.#launch = launch
    this.#oomBefore = launch.oom.before()
    const subprocess = execa(launch.file, launch.args, {
      cwd: launch.cwd,
      env: launch.env,
      extendEnv: false,
      reject: false,
      detached: true,
      cleanup: false,
      stdin: launch.stdin === undefined && !launch.dialogue ? 'ignore' : 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
      buffer: false,
      stripFinalNewline: false,
    })
    this.#child = subprocess.nodeChildProcess
    this.#result = subprocess
    this.#read(subprocess.stdout, launch.stdout, launch.tapStdout)
    this.#read(subprocess.stderr, launch.stderr, launch.tapStderr)
    this.#feed()
    if (subprocess.pid === undefined) this.#exit.resolve('not started')
    else {
      this.#child.once('exit', (code, signal) => {
        this.#exited = true
        this.#exit.resolve({ code, signal })
      })
      this.#watch(subprocess.pid)
    }
    this.done = this.#finish()
  }

  /** Ends it: TERM to the group, KILL after the grace; with `now` KILL at once. The first cause is the one that counts. */
  stop(stop: Stop): void {
    this.end({ cause: 'stop', stop }, stop.now)
  }

  /** To its standard input, if that is still open. */
  write(text: string): void {
    const { stdin } = this.#child
    if (stdin?.writable) stdin.write(text)
  }

  #feed(): void {
    const { stdin } = this.#child
    if (!stdin) return
    // It may not read its input, or be gone: how it ends tells enough.
    stdin.on('error', () => {})
    if (this.#launch.stdin !== undefined) stdin.write(this.#launch.stdin)
    if (!this.#launch.dialogue) stdin.end()
  }

  #read(stream: Readable | null, log: Log, tap: ((chunk: Buffer) => void) | undefined): void {
    stream?.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length
      this.#lastOutput = performance.now()
      this.#lastOutputAt = Date.now()
      log.write(chunk)
      tap?.(chunk)
    })
    // Reading ends with the stream; why it broke does not matter once the exit is known.
    stream?.on('error', () => {})
  }

  #watch(pid: number): void {
    const { timeoutMs, stallMs, progressed } = this.#launch
    if (timeoutMs !== undefined) this.#timers.push(after(timeoutMs, () => this.end({ cause: 'timeout' })))
    if (stallMs !== undefined) this.#watchStall(stallMs, stallMs)
    if (progressed) this.#report(pid, progressed, hasProc ? FIRST_PROGRESS_MS : 0)
  }

  #watchStall(limit: number, wait: number): void {
    const cancel = after(wait, () => {
      const idleMs = Math.round(performance.now() - this.#lastOutput)
      if (idleMs < limit) return this.#watchStall(limit, limit - idleMs)
      if (this.#halt || this.#exited) return
      this.#launch.stalled?.(idleMs)
      this.end({ cause: 'stall', idleMs })
    })
    this.#timers.push(cancel)
  }

  /** Without /proc the pid is put on record at once: it is all that recovery has. */
  #report(pid: number, progressed: (progress: Progress) => void, wait: number, reported = -1): void {
    const timer = setTimeout(() => {
      if (this.#exited) return
      if (this.#bytes !== reported) progressed({ pid, outputBytes: this.#bytes, lastOutputAt: this.#lastOutputAt })
      this.#timers = this.#timers.filter((cancel) => cancel !== off)
      this.#report(pid, progressed, PROGRESS_MS, this.#bytes)
    }, wait)
    const off = (): void => clearTimeout(timer)
    this.#timers.push(off)
  }

  /** As `stop`, for any cause. */
  end(halt: Halt, now = false): void {
    const pid = this.#child.pid
    if (pid === undefined || this.#exited) return
    this.#halt ??= halt
    const killAt = performance.now() + (now ? 0 : this.#launch.graceMs)
    if (killAt >= this.#killAt) return
    this.#killAt = killAt
    if (now) return this.#kill(pid)
    signalProcess(-pid, 'SIGTERM')
    // A stopped process gets its TERM only once it goes on.
    signalProcess(-pid, 'SIGCONT')
    this.#timers.push(after(this.#launch.graceMs, () => this.#kill(pid)))
  }

  #kill(pid: number): void {
    signalProcess(-pid, 'SIGKILL')
    this.#timers.push(after(KILL_PATIENCE_MS, () => this.#exit.resolve('unkillable')))
  }

  async #finish(): Promise<Ending> {
    const exit = await this.#exit.promise
    const durationMs = performance.now() - this.#startedAt
    const suspicious = typeof exit === 'object' && (exit.signal === 'SIGKILL' || exit.code === 137)
    const oomKills = suspicious ? this.#launch.oom.since(this.#oomBefore) : 0
    for (const cancel of this.#timers) cancel()
    this.#child.stdin?.destroy()
    const pid = this.#child.pid
    const { ended, left } = typeof exit === 'object' ? await this.#clear(pid!, exit.code === 0) : { ended: [], left: 0 }
    const [stdout, stderr] = await this.#drain(exit, left > 0)
    const unwritten = stdout.error ?? stderr.error
    if (unwritten) throw unwritten
    const result = exit === 'not started' ? await this.#result : undefined
    return {
      pid,
      ...(typeof exit === 'object' ? { exitCode: exit.code ?? undefined, signal: exit.signal ?? undefined } : {}),
      spawnError: result ? spawnErrorOf(result.cause) : undefined,
      halt: this.#halt,
      oomKills,
      unkillable: exit === 'unkillable',
      ended,
      left,
      durationMs,
      stdout,
      stderr,
    }
  }

  /** Ends what is left of the group and, after a kill, of everything that carries the marker. */
  async #clear(pid: number, succeeded: boolean): Promise<{ ended: EndedProcess[]; left: number }> {
    if (this.#launch.leaveRunning && succeeded && !this.#halt) return { ended: [], left: groupMembers(pid).length }
    const killAfterMs = this.#halt ? Math.max(0, this.#killAt - performance.now()) : LEFTOVER_KILL_MS
    const ended = signalProcess(-pid, 0) ? await endGroup(pid, killAfterMs) : []
    if (!this.#halt && !this.#launch.clearMarked) return { ended, left: 0 }
    const marked = await endMarked(this.#launch.marker, {
      killAfterMs: this.#halt ? Math.max(0, this.#killAt - performance.now()) : LEFTOVER_KILL_MS,
      // Nested sentinels are at work now; the scan at the end of the run sees to those that do not finish.
      spareSentinelsMs: 'never',
    })
    return { ended: [...ended, ...marked], left: 0 }
  }

  /** Waits for the streams, but not for ever: a process elsewhere may hold them open. */
  async #drain(exit: Exit | string, keepReading: boolean): Promise<[LogEnd, LogEnd]> {
    const { stdout, stderr } = this.#child
    const streams = [stdout, stderr].filter((stream) => stream !== null && stream !== undefined)
    if (typeof exit === 'object' && streams.some((stream) => !stream.readableEnded)) {
      const given = new AbortController()
      await Promise.race([
        Promise.all(streams.map(closed)),
        sleep(STREAM_WAIT_MS, undefined, { signal: given.signal }).catch(() => {}),
      ])
      given.abort()
    }
    const { stdout: out, stderr: err } = this.#launch
    if (keepReading) {
      // It goes on writing to these pipes: a closed one would end it by SIGPIPE. They hold no process open.
      for (const stream of streams) (stream as Readable & { unref?: () => void }).unref?.()
      void Promise.all(streams.map(closed)).then(() => [out.end(), err.end()])
      return [out.soFar(), err.soFar()]
    }
    for (const stream of streams) stream.destroy()
    return [out.end(), err.end()]
  }
}

const closed = (stream: Readable): Promise<void> =>
  stream.closed ? Promise.resolve() : new Promise((resolve) => void stream.once('close', resolve))

/** execa wraps the system's error; its code is what tells. */
function spawnErrorOf(cause: unknown): NodeJS.ErrnoException {
  let error = cause
  while (error instanceof Error && !('code' in error && typeof error.code === 'string') && error.cause)
    error = error.cause
  return error instanceof Error ? error : new Error(String(cause))
}
