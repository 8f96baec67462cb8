// Owns: how entries of older versions become entries of the present one (I7). One step per version, each a pure
// function of one entry: entries are never split, merged or dropped, so sequence numbers stay.
// To change the meaning of an entry: raise JOURNAL_VERSION, add a step here and a journal of the old version to
// test/fixtures/journals.
import { JOURNAL_VERSION } from '../core/events.ts'

/** A parsed line of any version. */
export interface RawEntry {
  readonly v: number
  readonly seq: unknown
  readonly at: unknown
  readonly event: { readonly [key: string]: unknown }
}

/** Step n turns version n into n + 1. */
const STEPS: readonly ((entry: RawEntry) => RawEntry)[] = [fromV0]

/** The entry in the present version. `entry.v` must be a known one. */
export function upcast(entry: RawEntry): RawEntry {
  let current = entry
  while (current.v < JOURNAL_VERSION) current = STEPS[current.v]!(current)
  return current
}

const V0_TYPES: { readonly [type: string]: string } = {
  'attempt.heartbeat': 'attempt.progressed',
  'retry.planned': 'retry.scheduled',
}

/** Version 0 (before the first release): times in milliseconds, durations in seconds, two event types under other names. */
function fromV0(entry: RawEntry): RawEntry {
  const { duration_s: seconds, type, ...rest } = entry.event
  return {
    v: 1,
    seq: entry.seq,
    at: typeof entry.at === 'string' ? entry.at.replace(/(\.\d{3})Z$/, '$1000Z') : entry.at,
    event: {
      type: typeof type === 'string' ? (V0_TYPES[type] ?? type) : type,
      ...rest,
      ...(typeof seconds === 'number' ? { duration_ms: seconds * 1_000 } : {}),
    },
  }
}
