// Owns: putting a run to rest whose process is gone: its processes end, attempt.lost and run.interrupted go on record,
// final.json appears, the lease goes. The same for the sentinel (at once) and for recovery (whenever).
// Runs no hooks and starts nothing.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import type { Expressions } from '../core/expressions.ts'
import type { Failure } from '../core/failure.ts'
import { isRefusal } from '../core/inputs.ts'
import { newRun, type RunState } from '../core/state.ts'
import { fromTimestamp } from '../core/time.ts'
import { endedObservation, endOrphans } from '../effects/processes.ts'
import type { Final } from '../journal/final.ts'
import type { JournalWriter, Store } from '../journal/store.ts'
import { advance, type Told } from './advance.ts'
import { createClock } from './clock.ts'
import { finalOf } from './final.ts'
import { foldRun } from './fold.ts'
import { acquireLease, readLease, type Lease } from './lease.ts'
import { secretsOf } from './run-secrets.ts'

/** A killed process closes its pipes a moment before it is gone. */
const DYING_MS = 2_000
const POLL_MS = 20

/** Interrupting decides nothing that an expression could say; the evaluator would cost the sentinel half its time. */
const EVALUATES_NOTHING: Expressions = {
  evaluate(expression) {
    throw new Error(`a takeover was about to evaluate ${expression}`)
  },
}

export interface TakeOverOptions {
  readonly store: Store
  readonly runId: string
  readonly env: NodeJS.ProcessEnv
  /** The sentinel's, a moment after the death: recorded process groups may still be believed. */
  readonly atOnce: boolean
}

/**
 * Takes the run over and ends it as interrupted. Undefined when there was nothing to do: it is ended already, or it
 * never began. Throws `run.locked` (somebody alive holds it) and `store.unwritable`.
 */
export async function takeOver(options: TakeOverOptions): Promise<Final | undefined> {
  const { store, runId } = options
  const { directory } = store.paths(runId)
  if (!existsSync(directory)) return undefined
  const holder = readLease(directory)
  const lease = await leaseOf(directory, { role: 'takeover', execution: holder?.execution ?? 1 }, options.atOnce)
  try {
    lease.keep(() => {})
    return isEnded(store, runId) ? undefined : await endInterrupted(options, holder?.pid)
  } finally {
    if (existsSync(directory)) lease.release()
  }
}

async function leaseOf(
  directory: string,
  lease: { role: 'takeover'; execution: number },
  atOnce: boolean,
): Promise<Lease> {
  const deadline = performance.now() + (atOnce ? DYING_MS : 0)
  for (;;) {
    try {
      return acquireLease(directory, lease)
    } catch (error) {
      if (!(error instanceof SpanwrightError) || error.code !== 'run.locked' || performance.now() > deadline)
        throw error
    }
    await sleep(POLL_MS)
  }
}

/** A torn final.json counts as none: it is made again. */
export function isEnded(store: Store, runId: string): boolean {
  try {
    return store.readFinal(runId) !== undefined
  } catch (error) {
    if (error instanceof SpanwrightError && error.code === 'journal.corrupt') return false
    throw error
  }
}

async function endInterrupted(options: TakeOverOptions, pid: number | undefined): Promise<Final | undefined> {
  const { store, runId, env } = options
  const pipeline = store.readPipeline(runId)
  const groups = new Map<string, number>()
  let state: RunState | undefined
  let writer: JournalWriter
  try {
    writer = await store.open(runId, { mask: secretsOf(pipeline, {}, env).mask })
    foldRun(store.read(runId), { pipeline, expressions: EVALUATES_NOTHING }, (entry, at) => {
      state = at
      noteGroup(groups, entry)
    })
  } catch (error) {
    await endOrphans(runId, options.atOnce ? [...groups.values()] : [])
    return endDamaged(options, state ?? unreadRun(store, runId), error)
  }
  try {
    // Killed between the directory and the first entry: nothing was started, so there is no run.
    if (!state) {
      store.remove(runId)
      return undefined
    }
    const ended = await endOrphans(runId, options.atOnce ? [...groups.values()] : [])
    if (state.phase === 'running')
      recordInterrupted({
        state,
        writer,
        ended: endedObservation(ended, 'left behind by a run whose process is gone'),
        pid,
      })
    const final = finalOf(state)
    store.writeFinal(runId, final)
    return final
  } finally {
    writer.close()
  }
}

interface Interrupted {
  readonly state: RunState
  readonly writer: JournalWriter
  readonly ended?: Extract<Told, { type: 'observed' }>['event'] | undefined
  readonly pid?: number | undefined
}

/** Puts on record that the execution's process is gone. */
export function recordInterrupted({ state, writer, ended, pid }: Interrupted): void {
  const step = { state, log: writer, now: createClock().now }
  const { recovered } = writer
  const facts: Told[] = []
  if (recovered) {
    const message = `${recovered.bytes} bytes were cut off the end of the journal: ${recovered.reason}`
    facts.push({ type: 'observed', event: { type: 'warning.raised', code: 'torn_tail', message } })
  }
  if (ended) facts.push({ type: 'observed', event: ended })
  const who = pid === undefined ? 'the process' : `process ${pid}`
  facts.push({
    type: 'interrupt',
    message: `${who} that ran the run is gone (killed or crashed); \`spanwright resume\` goes on`,
  })
  for (const told of facts) {
    const refusal = advance(step, told)
    if (isRefusal(refusal)) throw new Error(`a running run refused ${told.type}: ${refusal.message}`)
  }
  writer.commit()
}

/** Pids of open attempts; their processes lead groups of the same number. */
function noteGroup(groups: Map<string, number>, { event }: Entry): void {
  if (event.type === 'attempt.progressed' && event.process?.pid !== undefined)
    groups.set(event.attempt_id, event.process.pid)
  else if (event.type === 'attempt.finished' || event.type === 'attempt.lost') groups.delete(event.attempt_id)
}

/** The journal cannot be gone on with: what could be read is summed up, and nothing is written into it. */
function endDamaged({ store, runId }: TakeOverOptions, state: RunState, error: unknown): Final {
  if (!(error instanceof SpanwrightError) || error.code !== 'journal.corrupt') throw error
  const { message } = error
  const failure: Failure = {
    code: 'journal_corrupt',
    class: 'internal',
    message,
    source: 'journal',
    signature: 'journal_corrupt',
  }
  const final = finalOf(state, { result: 'error', failure })
  store.writeFinal(runId, final)
  return final
}

/** What is known of a run of which no entry can be read. */
function unreadRun(store: Store, runId: string): RunState {
  const { trace_id, created } = store.readIdentity(runId)
  const startedAt = fromTimestamp(created)
  return Object.assign(newRun(store.readPipeline(runId), EVALUATES_NOTHING), {
    runId,
    traceId: trace_id,
    startedAt,
    lastAt: startedAt,
  })
}
