// Owns: starting the programs that benchmarks measure or need beside them, each a process of its own.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'

const program = (name: string): string => path.join(import.meta.dirname, 'programs', `${name}.ts`)

/** Runs a program to its end; what it prints is JSON. Rejects when it fails. */
export async function runProgram<T>(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, [program(name), ...args], {
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout) as T
}

/** Starts a program that stays; resolves with the first line that it prints. */
export async function startProgram(name: string): Promise<{ readonly child: ChildProcess; readonly line: string }> {
  const child = spawn(process.execPath, [program(name)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let line = ''
  for await (const chunk of child.stdout) {
    line += String(chunk)
    if (line.includes('\n')) break
  }
  return { child, line: line.trim() }
}
