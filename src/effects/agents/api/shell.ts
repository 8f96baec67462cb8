// Owns: the shell tool: one command by `/bin/sh -c` in the agent's own process group (what ends the agent ends it), its
// output bounded, its time limited. Must not: give the key of the provider to a command.
import { spawn, type ChildProcess } from 'node:child_process'
import { listPids, readStat, signalProcess } from '../../proc.ts'

export interface ShellResult {
  readonly output: string
  readonly exitCode?: number | undefined
  /** Why it has no exit code, or is cut short. */
  readonly problem?: string | undefined
}

export interface ShellOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Output shown to the model: its first and its last part. */
const HEAD_BYTES = 4 * 1024
const TAIL_BYTES = 28 * 1024
/** Background children may hold the output open after the command's end. */
const CLOSE_WAIT_MS = 300
const KILL_AFTER_MS = 500

/** Never rejects. Standard error and output come in one text, in order of arrival. */
export function runShell(command: string, options: ShellOptions): Promise<ShellResult> {
  const { promise, resolve } = Promise.withResolvers<ShellResult>()
  const child = spawn('/bin/sh', ['-c', command], {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = new BoundedOutput()
  let problem: string | undefined
  const stop = (why: string): void => {
    problem ??= why
    endTree(child)
  }
  const timer = setTimeout(
    () => stop(`ended after ${options.timeoutMs / 1000} s, the time limit of a command`),
    options.timeoutMs,
  )
  const onAbort = (): void => stop('ended with the agent')
  options.signal.addEventListener('abort', onAbort, { once: true })
  const finish = (exitCode: number | null, signal: NodeJS.Signals | null): void => {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', onAbort)
    child.stdout?.destroy()
    child.stderr?.destroy()
    resolve({
      output: output.text(),
      ...(exitCode !== null && { exitCode }),
      ...((problem ?? signal) !== null && { problem: problem ?? `ended by ${String(signal)}` }),
    })
  }
  child.stdout?.on('data', (chunk: Buffer) => output.add(chunk))
  child.stderr?.on('data', (chunk: Buffer) => output.add(chunk))
  child.on('error', (error) => {
    problem = `could not be started: ${error.message}`
    finish(null, null)
  })
  child.on('exit', (code, signal) => {
    const closing = setTimeout(() => finish(code, signal), CLOSE_WAIT_MS)
    child.once('close', () => {
      clearTimeout(closing)
      finish(code, signal)
    })
  })
  if (options.signal.aborted) onAbort()
  return promise
}

/** TERM, then KILL, to the command and its descendants: it has no process group of its own. */
function endTree(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  const tree = descendants(pid)
  const send = (signal: NodeJS.Signals): void => {
    for (const { pid: id, startTime } of tree) {
      if (startTime === undefined || readStat(id)?.startTime === startTime) signalProcess(id, signal)
    }
  }
  send('SIGTERM')
  const later = setTimeout(() => send('SIGKILL'), KILL_AFTER_MS)
  later.unref()
}

/** The process and everything below it; without /proc only itself. */
function descendants(root: number): { pid: number; startTime: number | undefined }[] {
  const children = Map.groupBy(
    listPids().flatMap((pid) => readStat(pid) ?? []),
    (stat) => stat.parent,
  )
  const found = [{ pid: root, startTime: readStat(root)?.startTime }]
  for (const { pid } of found) found.push(...(children.get(pid) ?? []))
  return found
}

class BoundedOutput {
  #head = Buffer.alloc(0)
  #tail: Buffer[] = []
  #tailBytes = 0
  #total = 0

  add(chunk: Buffer): void {
    this.#total += chunk.length
    const free = HEAD_BYTES - this.#head.length
    if (free > 0) this.#head = Buffer.concat([this.#head, chunk.subarray(0, free)])
    const rest = chunk.subarray(Math.max(0, free))
    if (rest.length === 0) return
    this.#tail.push(rest)
    this.#tailBytes += rest.length
    while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= TAIL_BYTES) this.#tailBytes -= this.#tail.shift()!.length
  }

  text(): string {
    const tail = Buffer.concat(this.#tail).subarray(-TAIL_BYTES)
    const left = this.#total - this.#head.length - tail.length
    if (left <= 0) return Buffer.concat([this.#head, tail]).toString('utf8')
    return `${this.#head.toString('utf8')}\n[${left} bytes are not shown]\n${tail.toString('utf8')}`
  }
}
