// Owns: where a reader of the journal gets its entries from: the file of a run directory, or another thread.
// It pulls: nothing is buffered beyond one chunk, so a receiver that is away costs no memory.
import type { Entry } from '../core/events.ts'
import { JournalReader } from '../journal/journal-reader.ts'

export interface EntrySource {
  /** The next entries in order, at most a chunk; none = nothing more at the moment. */
  next(): Promise<readonly Entry[]>
  /** Nothing will come after what `next` gave. */
  readonly ended: boolean
  close(): void
}

/** How far a live journal may be read: the last committed seq, and whether that is the last there will be. */
export interface Bound {
  readonly seq: number
  readonly final: boolean
}

/**
 * Entries of a journal file up to `bound()`: what is not committed is not sent. `bound` undefined = the file as it is,
 * without a torn tail. `next` throws journal.corrupt.
 */
export function fileSource(path: string, bound?: () => Bound): EntrySource {
  let reader: JournalReader | undefined
  /** Read, but not committed yet: the writer puts the same entries there, or none. */
  let ahead: Entry[] = []
  let lastSeq = 0
  let ended = false
  return {
    async next() {
      const { seq, final } = bound?.() ?? { seq: Number.POSITIVE_INFINITY, final: true }
      if (lastSeq < seq && ahead.length === 0) {
        reader ??= new JournalReader(path)
        ahead = reader.next()
        lastSeq = ahead.at(-1)?.seq ?? lastSeq
      }
      const count = ahead.findIndex((entry) => entry.seq > seq)
      const ready = count === -1 ? ahead : ahead.slice(0, count)
      ahead = count === -1 ? [] : ahead.slice(count)
      ended = final && ready.length === 0
      return ready
    },
    get ended() {
      return ended
    },
    close() {
      reader?.close()
      reader = undefined
    },
  }
}

/** Entries that another thread holds: `ask` gets those after a seq, a bounded chunk, none when there are no more yet. */
export function askedSource(ask: (afterSeq: number) => Promise<readonly Entry[]>, bound: () => Bound): EntrySource {
  let lastSeq = 0
  let ended = false
  return {
    async next() {
      const { seq, final } = bound()
      const entries = lastSeq < seq ? await ask(lastSeq) : []
      lastSeq = entries.at(-1)?.seq ?? lastSeq
      ended = final && entries.length === 0
      return entries
    },
    get ended() {
      return ended
    },
    close() {},
  }
}
