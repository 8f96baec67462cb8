// Owns: when a limit ends, out of a sentence that a client or provider wrote about it.

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * Epoch ms, or undefined when the text names no time. Times of day without a date are the next such time; times without a
 * zone are the machine's. Forms that are known: Claude Code ("resets 5:15pm (UTC)", "resets Nov 24, 3pm (Europe/Berlin)",
 * older "limit reached|1795400000"), Codex ("try again at Nov 24th, 2026 3:15 PM", "resets_in_seconds":90), Z.AI ("will reset
 * at 2026-11-22 05:00:00"), OpenAI ("try again in 1m30.5s").
 */
export function resetTime(text: string, now: number): number | undefined {
  return epochIn(text) ?? durationIn(text, now) ?? dateIn(text) ?? timeOfDayIn(text, now)
}

/** `limit reached|1795400000`, `"resets_at":1795400000`: seconds. */
function epochIn(text: string): number | undefined {
  const seconds = /(?:limit reached\||"resets_?at"\s*:\s*)(\d{10})\b/i.exec(text)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

/** `try again in 2h5m`, `retry after 30 seconds`, `"resets_in_seconds":90`. */
function durationIn(text: string, now: number): number | undefined {
  const seconds = /"resets_in_seconds"\s*:\s*(\d+)/.exec(text)?.[1]
  if (seconds !== undefined) return now + Number(seconds) * 1_000
  const found =
    /(?:try again|retry|resets?|available)\s+(?:in|after)\s+((?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])[\s,]*)+)/i.exec(
      text,
    )?.[1]
  if (found === undefined) return undefined
  let sum = 0
  for (const [, count, unit = ''] of found.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/gi)) sum += Number(count) * unitMs(unit)
  return now + sum
}

function unitMs(unit: string): number {
  if (/^m(?:s|illi)/i.test(unit)) return 1
  const first = unit[0]?.toLowerCase()
  if (first === 'd') return DAY_MS
  if (first === 'h') return HOUR_MS
  return first === 'm' ? 60_000 : 1_000
}

/** `reset at 2026-11-22 05:00:00`, with or without a zone. */
function dateIn(text: string): number | undefined {
  const found =
    /(?:resets?|try again)\s+(?:at|on)?\s*(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?/i.exec(
      text,
    )
  if (!found) return undefined
  const zone = found[3] === undefined ? '' : found[3].replace(/UTC|GMT/i, 'Z')
  const time = Date.parse(`${found[1]}T${found[2]}${zone}`)
  return Number.isNaN(time) ? undefined : time
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const TIME_OF_DAY =
  /(?:resets?|try again)\s+(?:at\s+|on\s+)?(?:([a-z]{3})[a-z]*\s+(\d{1,2})(?:st|nd|rd|th)?(?:,\s*(\d{4}))?(?:,|\s+at)?\s+)?(\d{1,2})(?::(\d{2}))?\s*([ap]m)?(?:\s*\(([A-Za-z0-9_+\-/]+)\)|\s+(UTC|GMT))?/i

/** `resets 5:15pm (UTC)`, `resets Nov 24, 3pm (Europe/Berlin)`, `resets at 17:00`. */
function timeOfDayIn(text: string, now: number): number | undefined {
  const found = TIME_OF_DAY.exec(text)
  if (!found) return undefined
  const [, month, day, year, hour = '', minute, half, bracketed, plain] = found
  if (half === undefined && minute === undefined) return undefined
  const zone = bracketed ?? plain
  const hours = (Number(hour) % (half === undefined ? 24 : 12)) + (half?.toLowerCase() === 'pm' ? 12 : 0)
  const minutes = Number(minute ?? 0)
  const offset = offsetOf(zone, now)
  if (offset === undefined || minutes > 59) return undefined
  const local = new Date(now + offset)
  const today = { year: local.getUTCFullYear(), month: local.getUTCMonth(), day: local.getUTCDate() }
  if (month === undefined) {
    const time = Date.UTC(today.year, today.month, today.day, hours, minutes) - offset
    return time > now ? time : time + DAY_MS
  }
  const index = MONTHS.indexOf(month.toLowerCase())
  if (index === -1) return undefined
  // A date without a year that lies long back is next year's.
  const later = year === undefined && index < today.month - 6 ? 1 : 0
  return Date.UTC(Number(year ?? today.year) + later, index, Number(day), hours, minutes) - offset
}

/** Milliseconds that clocks of a zone are ahead of UTC at that time. Undefined: no such zone. */
function offsetOf(zone: string | undefined, at: number): number | undefined {
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      ...(zone !== undefined && { timeZone: zone }),
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(at)
    const value = (type: Intl.DateTimeFormatPartTypes): number =>
      Number(parts.find((part) => part.type === type)?.value ?? 0)
    const shown = Date.UTC(
      value('year'),
      value('month') - 1,
      value('day'),
      value('hour'),
      value('minute'),
      value('second'),
    )
    return shown - Math.floor(at / 1_000) * 1_000
  } catch {
    return undefined
  }
}
