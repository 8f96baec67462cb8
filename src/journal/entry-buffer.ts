// Owns: turning events into entries as recorded: masked, numbered, stamped with a time that never goes back, encoded,
// and held until a commit. Both stores append through it. Must not: write.
import type { Entry, Event } from '../core/events.ts'
import { JOURNAL_VERSION } from '../core/events.ts'
import { toTimestamp } from '../core/time.ts'
import { assertFits, encodeEntry } from './codec.ts'
import type { Mask } from './masking.ts'

export class EntryBuffer {
  /** Of the last appended entry. */
  seq: number
  #at: string
  #nowMs = Number.NEGATIVE_INFINITY
  #lines: string[] = []
  readonly #mask: Mask

  /** Goes on after entry `seq` with time `at` (0 and '' for a new journal). */
  constructor(mask: Mask, seq: number, at: string) {
    this.#mask = mask
    this.seq = seq
    this.#at = at
  }

  /** Throws EntryTooLarge; then nothing was appended. */
  append(events: readonly Event[], nowMs: number): readonly Entry[] {
    const at = this.#timeOf(nowMs)
    const entries: Entry[] = []
    const lines: string[] = []
    for (const given of events) {
      const seq = this.seq + entries.length + 1
      let event = given
      let line = encodeEntry(seq, at, event)
      if (this.#mask.mayContain(line)) {
        event = this.#mask.event(given)
        if (event !== given) line = encodeEntry(seq, at, event)
      }
      assertFits(given, line)
      entries.push({ v: JOURNAL_VERSION, seq, at, event })
      lines.push(line)
    }
    for (const line of lines) this.#lines.push(line)
    this.seq += entries.length
    return entries
  }

  /** The lines since the last `clear`, as one text; '' when there are none. */
  pending(): string {
    if (this.#lines.length > 1) this.#lines = [this.#lines.join('')]
    return this.#lines[0] ?? ''
  }

  clear(): void {
    this.#lines = []
  }

  #timeOf(nowMs: number): string {
    if (nowMs !== this.#nowMs) {
      this.#nowMs = nowMs
      const at = toTimestamp(nowMs)
      if (at > this.#at) this.#at = at
    }
    return this.#at
  }
}
