// Owns: one run in this process: inputs are taken one after another; everything decided in one turn of the event loop is
// one group of the journal (one write, one sync); what follows from it starts after that (I1, I2).
// If the journal fails, the run goes on in memory just long enough to end everything and say why.
import { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import type { FailureReport } from '../core/failure.ts'
import { isRefusal, type Refusal } from '../core/inputs.ts'
import { pending, takeDirty } from '../core/pending.ts'
import type { RunState } from '../core/state.ts'
import { toTimestamp } from '../core/time.ts'
import type { Effects } from '../effects/context.ts'
import { advance, type EntryLog, type Told } from './advance.ts'
import type { Clock } from './clock.ts'
import { createLiveCommands, type AskPerson } from './live-commands.ts'

/** The journal of one run, open for writing. */
export interface RunLog extends EntryLog {
  /** Makes what was appended durable. */
  commit(): void | Promise<void>
}

export interface LocalHostOptions {
  readonly state: RunState
  readonly log: RunLog
  readonly effects: Effects
  readonly clock: Clock
  /** Called with what was committed, in order; a reader that throws is not asked again. */
  readonly observe?: ((entries: readonly Entry[]) => void) | undefined
  readonly askPerson?: AskPerson | undefined
  /** What a failure of the journal (or a bug) means for the run. */
  readonly describe: (error: unknown) => FailureReport
}

export interface LocalHost {
  /** Resolves once the run has taken it (undefined, on record) or refused it. */
  send(told: Told): Promise<Refusal | undefined>
  /** The journal or the lease is lost: nothing is recorded any more, everything ends. */
  fail(error: unknown): void
  /** For a run that refused to begin: nothing was started. */
  abandon(): void
  /** The run is ended. Rejects only if it could not even be ended in memory. */
  readonly ended: Promise<void>
  /** What went wrong with the journal; from then on nothing is on record. */
  readonly failed: () => unknown
}

interface Queued {
  readonly told: Told
  readonly reply?: ((refusal: Refusal | undefined) => void) | undefined
}

interface Reply {
  readonly reply: Queued['reply']
  readonly refusal: Refusal | undefined
}
const UNRECORDED: Refusal = { refused: 'conflict', message: 'the run cannot record it: its journal cannot be written' }

export function createLocalHost(options: LocalHostOptions): LocalHost {
  const host = new Host(options)
  return {
    send: (told) => host.send(told),
    fail: (error) => host.fail(error),
    abandon: () => host.abandon(),
    ended: host.ended.promise,
    failed: () => host.failure,
  }
}

class Host {
  readonly ended = Promise.withResolvers<void>()
  failure: unknown
  readonly #options: LocalHostOptions
  readonly #live
  #log: RunLog
  #observe: LocalHostOptions['observe']
  #queue: Queued[] = []
  #scheduled = false
  #over = false
  #lastSeq = 0
  #aborting = false
  /** A run that only waits (for a person, for its sentinel's pipe) has nothing else that keeps the process alive. */
  readonly #keepAlive = setInterval(() => {}, 2 ** 30)

  constructor(options: LocalHostOptions) {
    this.#options = options
    this.#log = options.log
    this.#observe = options.observe
    this.#live = createLiveCommands({ ...options, post: (told, reply) => this.#enqueue({ told, reply }) })
  }

  send(told: Told): Promise<Refusal | undefined> {
    if (this.#over) return Promise.resolve({ refused: 'conflict', message: 'the run has ended' })
    return new Promise((reply) => this.#enqueue({ told, reply }))
  }

  fail(error: unknown): void {
    if (this.failure !== undefined || this.#over) return
    const failure = this.#options.describe(error)
    const isBug = !(error instanceof SpanwrightError)
    if (isBug && !this.#aborting) {
      // The journal is sound: the end goes on record. If deciding that fails as well, it happens in memory.
      this.#aborting = true
    } else {
      this.failure = error
      this.#log = volatileLog(this.#lastSeq)
      this.#live.startNothing({ code: failure.code, message: failure.message, now: true })
    }
    this.#enqueue({ told: { type: 'abort', failure } })
  }

  #enqueue(queued: Queued): void {
    if (this.#over) return queued.reply?.({ refused: 'conflict', message: 'the run has ended' })
    this.#queue.push(queued)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => void this.#turn())
  }

  async #turn(): Promise<void> {
    const entries: Entry[] = []
    const replies: Reply[] = []
    let committed = true
    if (this.#over) return
    try {
      this.#drain(entries, replies)
      const committing = entries.length > 0 ? this.#log.commit() : undefined
      if (committing) await committing
    } catch (error) {
      // A second failure, in memory: nothing can be decided any more.
      if (this.failure !== undefined) return this.#giveUp(error)
      this.fail(error)
      committed = false
    }
    this.#tell(entries)
    for (const { reply, refusal } of replies) reply?.(committed ? refusal : UNRECORDED)
    if (this.#options.state.phase === 'ended' || this.#options.state.phase === 'interrupted') return this.#end()
    this.#matchCommands()
    this.#scheduled = false
    if (this.#queue.length > 0) {
      this.#scheduled = true
      setImmediate(() => void this.#turn())
    }
  }

  #drain(entries: Entry[], replies: Reply[]): void {
    const { state, clock } = this.#options
    const batch = this.#queue
    this.#queue = []
    for (const [index, { told, reply }] of batch.entries()) {
      try {
        const result = advance({ state, log: this.#log, now: clock.now }, told)
        if (isRefusal(result)) {
          replies.push({ reply, refusal: result })
        } else {
          for (const entry of result) entries.push(entry)
          replies.push({ reply, refusal: undefined })
        }
      } catch (error) {
        // What was not decided yet is decided in memory, together with the abort.
        this.#queue = batch.slice(index + (this.#aborting ? 1 : 0)).concat(this.#queue)
        throw error
      }
    }
  }

  /** Only what is on record is shown, unless nothing is recorded any more. */
  #tell(entries: readonly Entry[]): void {
    this.#lastSeq = entries.at(-1)?.seq ?? this.#lastSeq
    if (entries.length === 0 || !this.#observe) return
    try {
      this.#observe(entries)
    } catch {
      // A view must never harm a run.
      this.#observe = undefined
    }
  }

  #matchCommands(): void {
    const commands = pending(this.#options.state)
    for (const id of takeDirty(this.#options.state)) this.#live.match(id, commands.get(id))
  }

  abandon(): void {
    this.#end()
  }

  #end(): void {
    this.#over = true
    clearInterval(this.#keepAlive)
    this.#live.stopAll()
    for (const { reply } of this.#queue) reply?.({ refused: 'conflict', message: 'the run has ended' })
    this.#queue = []
    this.ended.resolve()
  }

  #giveUp(error: unknown): void {
    this.#over = true
    clearInterval(this.#keepAlive)
    this.#live.stopAll()
    for (const { reply } of this.#queue)
      reply?.({ refused: 'conflict', message: 'the run ended with an internal error' })
    this.ended.reject(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Takes the place of a journal that cannot be written. */
function volatileLog(lastSeq: number): RunLog {
  let seq = lastSeq
  return {
    append: (events, now) => events.map((event) => ({ v: 1, seq: ++seq, at: toTimestamp(now), event })),
    commit: () => {},
  }
}
