// Owns: what the next attempt is told about the ones before it, as text for people, commands and agents: what has to be
// mended, what was seen, what was tried. It is read from the files of the previous attempts and falls back to their
// failures. Bounded: the least telling goes first.
import type { Left, RunAttempt } from '../core/commands.ts'
import { formatDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import { agentParts } from './retry-context-agent.ts'
import { attemptsBefore, lastAttempt, tellingAttempt, type PriorAttempt } from './retry-context-attempts.ts'
import { changeParts, checkParts, outputParts } from './retry-context-found.ts'

/** A part of the text. Parts of the highest rank are left out first when there is too much. */
export interface Part {
  readonly rank: number
  readonly text: string
}

const LEFT_OUT = '(There was more to tell; it was left out here.)'

/**
 * The text for an attempt after the first; undefined for the first.
 * @param runDir where the files of the attempts are
 */
export function retryContext(command: RunAttempt, runDir: string): string | undefined {
  const last = lastAttempt(command.prior, runDir)
  if (!last) return undefined
  const telling = tellingAttempt(command.prior, runDir)
  const before = telling && telling.id !== last.id ? telling : undefined
  return fitting([
    { rank: 0, text: header(command, last) },
    ...partsOf(last),
    ...(before ? [{ rank: 0, text: `What was wrong with ${before.id}, before that:` }, ...partsOf(before)] : []),
    ...attemptsBefore(command.prior, runDir),
  ])
}

const partsOf = (attempt: PriorAttempt): Part[] => [
  ...checkParts(attempt),
  ...outputParts(attempt),
  ...agentParts(attempt),
  ...changeParts(attempt),
]

function header(command: RunAttempt, { id, failure }: PriorAttempt): string {
  const { attempt, max, place, same_failure: times = 1, left } = command
  const visit = place.visit > 1 ? ` (visit ${place.visit})` : ''
  return [
    `Retry attempt ${attempt}/${max} for ${place.node}${visit}`,
    `Previous attempt: ${id}`,
    `It ended with ${failure.code}: ${failure.message}`,
    ...(times > 1
      ? [
          `This is the same failure for the ${ordinal(times)} time in a row. What was tried did not help: look for another cause.`,
        ]
      : []),
    `Left: ${leftOver(max - attempt, left)}`,
  ].join('\n')
}

function leftOver(attempts: number, { time_ms: time, usd, tokens, attempts: budget = Infinity }: Left): string {
  const more = Math.max(0, Math.min(attempts, budget))
  return [
    more === 0 ? 'no attempt after this one' : `${more} more ${more === 1 ? 'attempt' : 'attempts'} after this one`,
    ...(time === undefined ? [] : [`${formatDuration(time)} of time`]),
    ...(usd === undefined ? [] : [`$${usd.toFixed(usd < 1 ? 4 : 2)}`]),
    ...(tokens === undefined ? [] : [`${tokens} tokens`]),
  ].join(', ')
}

const ORDINALS = new Intl.PluralRules('en', { type: 'ordinal' })
const SUFFIXES: { readonly [rule in Intl.LDMLPluralRule]?: string } = { one: 'st', two: 'nd', few: 'rd' }
const ordinal = (n: number): string => `${n}${SUFFIXES[ORDINALS.select(n)] ?? 'th'}`

/** All parts, or as many as there is room for, in their order. */
function fitting(parts: readonly Part[]): string {
  const kept = new Set(parts)
  const text = (): string => {
    const shown = parts.filter((part) => kept.has(part)).map((part) => part.text)
    return `${[...shown, ...(kept.size < parts.length ? [LEFT_OUT] : [])].join('\n\n')}\n`
  }
  const byRank = parts.toSorted((a, b) => a.rank - b.rank)
  while (kept.size > 1 && Buffer.byteLength(text()) > LIMITS.retryContextBytes) kept.delete(byRank.pop()!)
  return text()
}
