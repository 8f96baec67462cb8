// Owns: the one step that every host shares: decide, append, evolve, until nothing is left to decide. Progress and
// recovery are the same call. It neither commits nor starts anything: effects begin after the host's commit (I1).
import { decide } from '../core/decide.ts'
import type { Entry, Event } from '../core/events.ts'
import { evolve } from '../core/evolve.ts'
import { isRefusal, type Input, type Refusal } from '../core/inputs.ts'
import { LIMITS } from '../core/limits.ts'
import { hasWork } from '../core/pending.ts'
import type { RunState } from '../core/state.ts'
import { fromTimestamp } from '../core/time.ts'
import { EntryTooLarge } from '../journal/codec.ts'

/** An input as its sender says it; the host adds the time. */
export type Told = Input extends infer I ? (I extends Input ? Omit<I, 'now'> : never) : never

/** Where events go: all of them or none. What comes back is what was recorded (masked, with its time). */
export interface EntryLog {
  append(events: readonly Event[], now: number): readonly Entry[]
}

export interface Step {
  readonly state: RunState
  readonly log: EntryLog
  readonly now: () => number
}

/**
 * Tells the run something and lets it decide all that follows, as of one moment. A refusal changed and recorded nothing.
 */
export function advance({ state, log, now }: Step, told: Told): readonly Entry[] | Refusal {
  const turn: Turn = { state, log, now: now(), entries: [], at: '', atMs: 0 }
  const refusal = decideOne(turn, told)
  if (refusal) return refusal
  while (hasWork(state)) {
    if (turn.entries.length > LIMITS.cascade) throw new Error(`one input led to more than ${LIMITS.cascade} entries`)
    decideOne(turn, { type: 'proceed' })
  }
  return turn.entries
}

interface Turn {
  readonly state: RunState
  readonly log: EntryLog
  readonly now: number
  readonly entries: Entry[]
  /** Time of the last entry, as text and as epoch ms: most entries of a turn share it. */
  at: string
  atMs: number
}

function decideOne(turn: Turn, told: Told): Refusal | undefined {
  try {
    return record(turn, told)
  } catch (error) {
    if (!(error instanceof EntryTooLarge)) throw error
    return record(turn, insteadOf(told, error.message))
  }
}

/**
 * The state folds what was decided, the journal keeps it masked: a secret that a person gave (a param) is usable as long
 * as this process lives, and never written. Outcomes were masked before they came here.
 */
function record(turn: Turn, told: Told): Refusal | undefined {
  const { state, log, now, entries } = turn
  const events = decide(state, { ...told, now })
  if (isRefusal(events)) return events
  const recorded = log.append(events, now)
  for (const [index, entry] of recorded.entries()) {
    if (entry.at !== turn.at) {
      turn.at = entry.at
      turn.atMs = fromTimestamp(entry.at)
    }
    evolve(state, events[index]!, turn.atMs)
    entries.push(entry)
  }
  return undefined
}

/** What a step reported does not fit an entry: it failed. Anything else that does not fit ends the run. */
function insteadOf(told: Told, message: string): Told {
  if (told.type !== 'attempt.outcome') {
    return {
      type: 'abort',
      failure: { code: 'internal_error', message: `${message}: return less from the steps below`, source: 'scheduler' },
    }
  }
  const failure = {
    code: 'invalid_output',
    message: `the step's outputs do not fit the journal (${message}): write them to a file and return its path`,
    source: 'command',
  } as const
  const { usage, cost, process, duration_ms } = told.outcome
  return { ...told, outcome: { failure, usage, cost, process, duration_ms } }
}
