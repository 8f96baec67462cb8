// Owns: `--detach`: the run goes on in a process in a session of its own; the caller gets the run id once the run is on
// record, or what went wrong before that with its exit code.
import { spawn } from 'node:child_process'
import { writeSync, closeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Output } from './output.ts'

/** Set for the process in the background: the descriptor on which the run id is awaited. */
const ANNOUNCE = 'SPANWRIGHT_ANNOUNCE_FD'
const ANNOUNCE_FD = 3

/**
 * A function that tells the process that waits for it (if one does) that the run is on record. To be called before
 * anything is started: steps must not see the descriptor.
 */
export function takeAnnouncement(): (runId: string) => void {
  const descriptor = Number(process.env[ANNOUNCE])
  delete process.env[ANNOUNCE]
  if (!(descriptor >= ANNOUNCE_FD)) return () => {}
  return (runId) => {
    try {
      writeSync(descriptor, `${runId}\n`)
      closeSync(descriptor)
    } catch {
      // Nobody waits any more.
    }
  }
}

/** Starts this program again in the background with the same words. Resolves with the exit code of the start. */
export async function startDetached(words: readonly string[], output: Output): Promise<number> {
  const [main] = process.argv.slice(1)
  const child = spawn(process.execPath, [...process.execArgv, main!, ...words, '--ui', 'quiet'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, [ANNOUNCE]: String(ANNOUNCE_FD) },
  })
  let errors = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const announced = new Promise<string | undefined>((resolve) => {
    let text = ''
    const channel = child.stdio[ANNOUNCE_FD] as Readable
    channel.setEncoding('utf8')
    channel.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) resolve(text.trim())
    })
    child.once('close', () => resolve(undefined))
    child.once('error', () => resolve(undefined))
  })
  const runId = await announced
  if (errors !== '') output.say(errors.trimEnd())
  if (runId === undefined) return child.exitCode ?? 5
  output.result(runId)
  child.stderr!.destroy()
  child.unref()
  return 0
}
