// Owns: where a reader of the journal gets its entries from: the file of a run directory, or another thread.
// It pulls: nothing is buffered beyond one chunk, so a receiver that is away costs no memory.
import { open, type FileHandle } from 'node:fs/promises'
import type { Entry } from '../core/events.ts'

export interface EntrySource {
  /** The next entries in order, at most a chunk; none = nothing more at the moment. */
  next(): Promise<readonly Entry[]>
  /** Nothing will come after what `next` gave. */
  readonly ended: boolean
  close(): Promise<void>
}

/** How far a live journal may be read: the last committed seq, and whether that is the last there will be. */
export interface Bound {
  readonly seq: number
  readonly final: boolean
}

const CHUNK_BYTES = 256 * 1024
const NEWLINE = 10

/**
 * Entries of a journal file up to `bound()`: what is not committed is not read. A torn last line is left alone.
 * `bound` undefined = the file as it is. Lines are trusted: the journal validated them when they were written.
 */
export function fileSource(path: string, bound?: () => Bound): EntrySource {
  let file: FileHandle | undefined
  let offset = 0
  let rest: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  /** Lines that were read but not committed yet. */
  let ahead: Entry[] = []
  let lastSeq = 0
  let ended = false

  const readMore = async (): Promise<boolean> => {
    file ??= await open(path, 'r')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, offset)
    offset += bytesRead
    const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)])
    const end = bytes.lastIndexOf(NEWLINE) + 1
    rest = bytes.subarray(end)
    for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) {
      const entry = parseLine(line)
      if (entry && entry.seq > lastSeq) {
        lastSeq = entry.seq
        ahead.push(entry)
      }
    }
    return bytesRead > 0
  }

  return {
    async next() {
      const { seq, final } = bound?.() ?? { seq: Number.POSITIVE_INFINITY, final: true }
      while (lastSeq < seq && ahead.length === 0) {
        if (!(await readMore())) break
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
    async close() {
      await file?.close()
      file = undefined
    },
  }
}

function parseLine(line: string): Entry | undefined {
  if (line === '') return undefined
  try {
    return JSON.parse(line) as Entry
  } catch {
    // Damage is the journal's to report; a trace shows what can be read.
    return undefined
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
    async close() {},
  }
}
