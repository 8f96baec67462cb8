// Owns: the line format of the journal, `{"v":1,"seq":n,"at":"…","event":{…}}` and a newline, in both directions.
// Must not: open files or mask; it says what is wrong with a line, the reader says where.
import { JOURNAL_VERSION, type Entry, type Event } from '../core/events.ts'
import { LIMITS } from '../core/limits.ts'
import { eventProblem } from './event-check.ts'
import { upcast, type RawEntry } from './upcasts.ts'

/** One line, newline included. `at` is RFC 3339 in microseconds. */
export const encodeEntry = (seq: number, at: string, event: Event): string =>
  `{"v":${JOURNAL_VERSION},"seq":${seq},"at":"${at}","event":${JSON.stringify(event)}}\n`

/** What a line adds to its event at most: the envelope with a 16-digit sequence number, and the newline. */
const ENVELOPE_BYTES = 80

/** Bytes of the event's line, or a few more: to be asked before an append, against LIMITS.entryBytes. */
export const entryBytes = (event: Event): number => Buffer.byteLength(JSON.stringify(event)) + ENVELOPE_BYTES

/** An event whose line would exceed LIMITS.entryBytes (I9). Nothing of its append was recorded. */
export class EntryTooLarge extends Error {
  override readonly name = 'EntryTooLarge'
  readonly event: Event
  readonly bytes: number
  constructor(event: Event, bytes: number) {
    super(`an entry ${event.type} of ${bytes} bytes is over the limit of ${LIMITS.entryBytes}`)
    this.event = event
    this.bytes = bytes
  }
}

/** Throws EntryTooLarge if the event's line could exceed LIMITS.entryBytes. */
export function assertFits(event: Event, line: string): void {
  // No character takes more than three bytes of UTF-8, so most lines need no count.
  if (line.length * 3 <= LIMITS.entryBytes) return
  const bytes = Buffer.byteLength(line)
  if (bytes > LIMITS.entryBytes) throw new EntryTooLarge(event, bytes)
}

/** What is wrong with a line; the reader adds the place. */
export class EntryDamaged extends Error {
  override readonly name = 'EntryDamaged'
}

const AT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
/** Envelope of the present version as this program writes it. */
const PREFIX = new RegExp(`^\\{"v":${JOURNAL_VERSION},"seq":(\\d+),"at":"([^"]*)","event":\\{`)

export interface DecoderOptions {
  /** Validate every event with the full zod schema (about 2.5 µs an entry). */
  readonly strict?: boolean | undefined
  /** The first line may have any sequence number (reading starts in the middle). */
  readonly anyStart?: boolean | undefined
}

/** Decodes lines in order and keeps what the next one must continue: no gap in `seq`, no step back in `at`. */
export class EntryDecoder {
  /** Of the last line; 0 and '' before the first. */
  seq = 0
  at = ''
  readonly #strict: boolean
  #anyStart: boolean

  constructor(options: DecoderOptions = {}) {
    this.#strict = options.strict ?? false
    this.#anyStart = options.anyStart ?? false
  }

  /** `line` without its newline. Throws EntryDamaged. */
  decode(line: string): Entry {
    const entry = upcast(this.#envelope(line))
    const problem = eventProblem(entry.event, this.#strict)
    if (problem !== undefined) throw new EntryDamaged(problem)
    this.#advance(entry.seq, entry.at)
    return entry as unknown as Entry
  }

  /** Steps over a line whose content is not needed: only its envelope is looked at. Throws EntryDamaged. */
  skip(line: string): void {
    const match = PREFIX.exec(line)
    if (match) this.#advance(Number(match[1]), match[2])
    else this.decode(line)
  }

  #envelope(line: string): RawEntry {
    let raw: unknown
    try {
      raw = JSON.parse(line)
    } catch {
      throw new EntryDamaged(`it is not JSON: ${excerpt(line)}`)
    }
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
      throw new EntryDamaged(`it is no object: ${excerpt(line)}`)
    const entry = raw as { v?: unknown; event?: unknown }
    if (!Number.isInteger(entry.v) || (entry.v as number) < 0)
      throw new EntryDamaged(`it has no version "v": ${excerpt(line)}`)
    if ((entry.v as number) > JOURNAL_VERSION) {
      throw new EntryDamaged(
        `it is of version ${String(entry.v)}, written by a newer spanwright (this one reads up to ${JOURNAL_VERSION})`,
      )
    }
    if (typeof entry.event !== 'object' || entry.event === null)
      throw new EntryDamaged(`it has no "event": ${excerpt(line)}`)
    return raw as RawEntry
  }

  #advance(seq: unknown, at: unknown): void {
    if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1)
      throw new EntryDamaged(`its "seq" is ${JSON.stringify(seq)}`)
    if (!this.#anyStart && seq !== this.seq + 1) throw new EntryDamaged(`its "seq" is ${seq}, expected ${this.seq + 1}`)
    if (typeof at !== 'string' || (at !== this.at && !AT.test(at)))
      throw new EntryDamaged(`its "at" is no time in microseconds: ${JSON.stringify(at)}`)
    if (at < this.at) throw new EntryDamaged(`its "at" ${at} is before that of the entry above, ${this.at}`)
    this.#anyStart = false
    this.seq = seq
    this.at = at
  }
}

function excerpt(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}…` : line)
}
