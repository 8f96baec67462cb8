// Owns: the last line that a running attempt wrote, read from its logs: the journal does not hold output. Asked for only
// what is on the screen, and bounded.
import path from 'node:path'
import { statSync } from 'node:fs'
import { fileTail } from '../attempt-files.ts'
import { attemptDirectory } from '../../journal/run-directory.ts'
import type { NodeView, RunView } from './run-view.ts'

const LINE_BYTES = 1_024
const ATTEMPTS_READ = 16

/** Puts the last line of output into the view of up to 16 running attempts, the oldest first. */
export function readOutputTails(view: RunView, runDirectory: string): void {
  let read = 0
  for (const node of view.running.values()) {
    if (!node.attempt || node.mark !== 'running') continue
    if (++read > ATTEMPTS_READ) return
    const last = lastLine(attemptDirectory(runDirectory, node.attempt.id))
    if (!last) continue
    if (!speaksProtocol(node)) node.attempt.text = last.text
    node.attempt.lastOutputAt = Math.max(node.attempt.lastOutputAt, last.at)
  }
}

/** The output of a client is a protocol, nothing for people: its row tells what it does. */
const speaksProtocol = ({ agent }: NodeView): boolean => agent?.name !== undefined && agent.name !== 'command'

/** Of the stream that was written to last. */
function lastLine(directory: string): { readonly text: string; readonly at: number } | undefined {
  const logs = ['stdout.log', 'stderr.log'].flatMap((name) => {
    const found = statSync(path.join(directory, name), { throwIfNoEntry: false })
    return found && found.size > 0 ? [{ name, at: found.mtimeMs }] : []
  })
  const newest = logs.sort((a, b) => b.at - a.at)[0]
  if (!newest) return undefined
  const text = fileTail(directory, newest.name, LINE_BYTES)?.text.trimEnd().split('\n').at(-1)
  return text === undefined ? undefined : { text, at: newest.at }
}
