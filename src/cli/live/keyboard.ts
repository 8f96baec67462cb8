// Owns: reading keys from the terminal while the live view is on, and giving the terminal back as it was. Ctrl-C stays
// SIGINT and Ctrl-Z stays suspend, though the terminal is in raw mode.
import { readFileSync } from 'node:fs'

export interface Keyboard {
  close(): void
}

/** Starts to read keys; undefined where there is no terminal to read from, or this process is in its background. */
export function openKeyboard(press: (key: string) => void, redraw: () => void): Keyboard | undefined {
  const { stdin } = process
  if (!stdin.isTTY || typeof stdin.setRawMode !== 'function' || !isForeground()) return undefined
  const take = (): void => void stdin.setRawMode(true)
  const give = (): void => {
    if (stdin.isTTY) stdin.setRawMode(false)
  }
  const read = (data: Buffer): void => {
    for (const key of keysIn(data.toString('utf8'))) {
      if (key === '\u0003') process.kill(process.pid, 'SIGINT')
      else if (key === '\u001a') {
        give()
        process.kill(process.pid, 'SIGTSTP')
      } else press(key)
    }
  }
  const wake = (): void => {
    if (!isForeground()) return
    take()
    redraw()
  }
  take()
  stdin.on('data', read)
  stdin.resume()
  process.on('SIGCONT', wake)
  process.once('exit', give)
  return {
    close() {
      stdin.off('data', read)
      stdin.pause()
      process.off('SIGCONT', wake)
      process.off('exit', give)
      give()
    },
  }
}

/** Keys of one read: escape sequences whole, other characters one by one. */
export const keysIn = (text: string): string[] => text.match(/\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])?|[\s\S]/gu) ?? []

/** A background job that reads from its terminal is stopped by the system. Where /proc does not tell, it is assumed not to be one. */
function isForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[2] === fields[5]
  } catch {
    return true
  }
}
