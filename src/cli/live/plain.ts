// Owns: progress as lines: one per event that a person wants to know (`--ui plain`, and wherever there is no terminal).
import type { Entry } from '../../core/events.ts'
import { fromTimestamp } from '../../core/time.ts'
import { timeOfDay } from '../terminal/amounts.ts'
import { glyphPiece, paint, piece, type Look } from '../terminal/style.ts'
import { padEnd } from '../terminal/text.ts'
import { eventText } from './event-text.ts'

const WHERE_COLUMNS = 28

/** `11:21:00 ✓ build@1.2                    succeeded in 3.1s`; undefined for events that are not told. */
export function plainLine(entry: Entry, look: Look, all = false): string | undefined {
  const text = eventText(entry.event)
  if (!all && !text.progress) return undefined
  return paint(
    [
      piece(`${timeOfDay(fromTimestamp(entry.at))} `, 'dim'),
      glyphPiece(text.mark, look),
      piece(` ${padEnd(text.where, WHERE_COLUMNS)}  `),
      piece(text.what),
    ],
    look,
  ).trimEnd()
}
