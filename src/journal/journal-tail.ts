// Owns: following a journal file that another process (or this one) writes: woken by the file system, and by a clock
// where that says nothing. Must not: end by itself; a run that ended may go on tomorrow.
import { statSync, watch, type FSWatcher } from 'node:fs'
import { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import { JournalReader } from './journal-reader.ts'

const POLL_MS = 100

/** Every entry after `afterSeq` once, in order. Ends when `signal` aborts. */
export async function* tailJournal(
  path: string,
  afterSeq: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Entry[], void, undefined> {
  const bell = new Bell(path, signal)
  let reader = new JournalReader(path, { afterSeq })
  let seq = afterSeq
  try {
    while (!signal.aborted) {
      if (sizeOf(path) < reader.position) {
        // The writer took back entries that it could not keep; it will write them again.
        reader.close()
        reader = new JournalReader(path, { afterSeq: seq })
      }
      const entries = reader.next()
      if (entries.length === 0) {
        await bell.wait(POLL_MS)
        continue
      }
      seq = entries.at(-1)!.seq
      yield entries
    }
  } finally {
    reader.close()
    bell.close()
  }
}

function sizeOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) throw new SpanwrightError('run.not_found', `${path} was removed while it was followed`)
  return stat.size
}

/** Rings when the file changes; a ring while nobody waits is kept for the next wait. */
class Bell {
  #rung = false
  #wake: (() => void) | undefined
  readonly #watcher: FSWatcher | undefined
  readonly #signal: AbortSignal
  readonly #ring = (): void => {
    this.#rung = true
    this.#wake?.()
  }

  constructor(path: string, signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#ring)
    this.#watcher = watchQuietly(path, this.#ring)
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rung && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#wake = undefined
    this.#rung = false
  }

  close(): void {
    this.#watcher?.close()
    this.#signal.removeEventListener('abort', this.#ring)
  }
}

/** Watches are scarce (fs.inotify.max_user_watches) and missing on some file systems; then the clock does. */
function watchQuietly(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, onChange)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
