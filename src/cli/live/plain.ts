// Owns: progress as lines: one per event that a person wants to know (`--ui plain`, and wherever there is no terminal).
import type { Entry, Event } from '../../core/events.ts'
import { visitId } from '../../core/ids.ts'
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

/**
 * Questions of gates that were opened in an earlier execution: when such a gate goes on, nothing new is on record that
 * says what it waits for.
 */
export function openQuestions(): {
  readonly earlier: (entries: Iterable<Entry>) => void
  readonly askedAgain: (entry: Entry) => Entry[]
} {
  const open = new Map<string, Event>()
  return {
    earlier(entries) {
      for (const { event } of entries) {
        if (event.type === 'gate.opened') open.set(visitId(event.node, event.visit), event)
        else if (event.type === 'node.finished') open.delete(visitId(event.node, event.visit))
      }
    },
    askedAgain(entry) {
      const { event } = entry
      if (event.type !== 'node.started' || event.kind !== 'gate') return []
      const question = open.get(visitId(event.node, event.visit))
      return question ? [{ ...entry, event: question }] : []
    },
  }
}
