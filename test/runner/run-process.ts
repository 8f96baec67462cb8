// Owns: runs in processes of their own, to be killed.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll } from 'vitest'
import { childEnvironment } from '../support/cli.ts'
import type { Order } from './programs/runner.ts'
import { program } from './run-support.ts'

const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})

export interface RunProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** Run id and whether the process has the run itself, once it said so; undefined when it ended before. */
  readonly started: Promise<{ readonly runId: string; readonly own: boolean } | undefined>
  readonly ended: Promise<{
    readonly result: string | undefined
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
    readonly stderr: string
  }>
}

export function startProcess(order: Order, env: Record<string, string> = {}): RunProcess {
  const child = spawn(process.execPath, [program('runner.ts'), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment(env),
  })
  children.add(child)
  const said = Promise.withResolvers<{ runId: string; own: boolean } | undefined>()
  let result: string | undefined
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [word, first, second] = line.split(' ')
    if (word === 'run') said.resolve({ runId: first!, own: second === 'own' })
    if (word === 'result') result = first
  })
  const ended = once(child, 'close').then(([code, signal]) => {
    children.delete(child)
    said.resolve(undefined)
    return { result, code: code as number | null, signal: signal as NodeJS.Signals | null, stderr }
  })
  return { child, pid: child.pid!, started: said.promise, ended }
}
