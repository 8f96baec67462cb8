// Owns: which commands of a run are being carried out in this process. It starts, stops and drops them so that they
// match what is pending, by id, and turns what effects report into inputs. Must not decide anything.
import type { AskGate, Command, Stop } from '../core/commands.ts'
import type { EventOf } from '../core/events.ts'
import type { InputOf, Refusal } from '../core/inputs.ts'
import { LIMITS } from '../core/limits.ts'
import type { Outcome } from '../core/outcome.ts'
import type { Effects, Report, Running, StepCommand } from '../effects/context.ts'
import type { Told } from './advance.ts'
import { createTimers } from './timers.ts'
import type { Clock } from './clock.ts'

/** Asks a person at a terminal; undefined = nobody answered (the gate goes on waiting for `gate answer`). */
export type AskPerson = (gate: AskGate, signal: AbortSignal) => Promise<Told | undefined>

/** `reply` is called once the run has taken it (undefined, on record) or refused it. */
type Post = (told: Told, reply?: (refusal: Refusal | undefined) => void) => void

export interface LiveCommandsOptions {
  readonly effects: Effects
  readonly clock: Clock
  readonly post: Post
  readonly askPerson?: AskPerson | undefined
}

export interface LiveCommands {
  /** Makes the command `id` be carried out as it is pending now; undefined = it is not pending any more. */
  match(id: string, command: Command | undefined): void
  /** Nothing can be put on record any more, so no step may begin (I1): those that would end with this instead. */
  startNothing(stop: Stop): void
  /** Nothing may go on: everything is told to end at once, timers and questions are dropped. */
  stopAll(): void
}

type Live =
  | { readonly kind: 'timer' | 'sweep' }
  | { readonly kind: 'gate'; readonly abort: AbortController }
  | { readonly kind: 'step'; readonly step: LiveStep }

export function createLiveCommands(options: LiveCommandsOptions): LiveCommands {
  const { effects, post } = options
  const live = new Map<string, Live>()
  const timers = createTimers(options.clock, (id) => {
    live.delete(id)
    post({ type: 'timer.fired', id })
  })

  let refused: Stop | undefined
  const startStep = (pending: StepCommand): void => {
    const command = refused ? { ...pending, stop: refused } : pending
    const step = new LiveStep(command, post, () => live.delete(command.id))
    live.set(command.id, { kind: 'step', step })
    step.start(effects)
  }
  const ask = (gate: AskGate): void => {
    const abort = new AbortController()
    live.set(gate.id, { kind: 'gate', abort })
    options.askPerson?.(gate, abort.signal).then(
      (answer) => {
        if (answer && !abort.signal.aborted) post(answer)
      },
      () => {},
    )
  }
  const drop = (id: string, was: Live): void => {
    if (was.kind === 'timer') timers.drop(id)
    else if (was.kind === 'gate') was.abort.abort()
    else if (was.kind === 'step')
      return was.step.stop({ code: 'superseded', message: 'it is no longer wanted', now: true })
    live.delete(id)
  }
  return {
    match(id, command) {
      const present = live.get(id)
      if (!command) {
        if (present) drop(id, present)
      } else if (command.kind === 'timer') {
        live.set(id, { kind: 'timer' })
        timers.set(id, command.due)
      } else if (command.kind === 'gate') {
        if (!present) ask(command)
      } else if (command.kind === 'sweep') {
        if (present) return
        live.set(id, { kind: 'sweep' })
        effects.sweep().then(
          (ended) => post({ type: 'sweep.outcome', ended }),
          () => post({ type: 'sweep.outcome' }),
        )
      } else if (present?.kind === 'step') {
        if (command.stop) present.step.stop(command.stop)
      } else startStep(command)
    },
    startNothing(stop) {
      refused = stop
    },
    stopAll() {
      for (const [id, was] of [...live]) drop(id, was)
      timers.clear()
    },
  }
}

/** An attempt, check or hook at work. After its outcome nothing of it is passed on any more. */
class LiveStep {
  readonly #command: StepCommand
  readonly #post: Post
  readonly #ended: () => void
  #running: Running | undefined
  #over = false
  #news: News = {}
  #newsTimer: NodeJS.Timeout | undefined
  #toldAt = -Infinity
  #session: string | undefined

  constructor(command: StepCommand, post: Post, ended: () => void) {
    this.#command = command
    this.#post = post
    this.#ended = ended
  }

  start(effects: Effects): void {
    const report: Report = {
      outcome: (outcome) => this.#end(outcome),
      observed: (event) => {
        if (this.#over) return
        if (event.type === 'attempt.progressed') this.#soon({ progress: event })
        else if (this.#command.kind === 'attempt')
          this.#post({ type: 'attempt.observed', attempt_id: this.#command.id, event })
        else this.#post({ type: 'observed', event })
      },
      usage: (usage, cost) => {
        // At once: budgets look at it while money is being spent. It comes once per request of a model.
        if (!this.#over && this.#command.kind === 'attempt')
          this.#post({ type: 'attempt.usage', attempt_id: this.#command.id, usage, cost })
      },
      waiting: async (resumes_at, failure) =>
        !this.#over &&
        (await this.#ask({ type: 'attempt.waiting', attempt_id: this.#command.id, resumes_at, failure })) === undefined,
      reserve: async (amount) => {
        if (this.#over) return 'the attempt has ended'
        return (await this.#ask({ type: 'attempt.reserve', attempt_id: this.#command.id, ...amount }))?.message
      },
    }
    this.#running = effects.start(this.#command, report)
  }

  #ask(told: Told): Promise<Refusal | undefined> {
    return new Promise((resolve) => this.#post(told, resolve))
  }

  stop(stop: Stop): void {
    if (!this.#over) this.#running?.stop(stop)
  }

  #end(outcome: Parameters<Report['outcome']>[0]): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#newsTimer)
    this.#ended()
    const { kind, id } = this.#command
    if (kind === 'attempt') return this.#post({ type: 'attempt.outcome', attempt_id: id, outcome })
    if (kind === 'summary') return this.#post({ type: 'summary.outcome', id, ...summaryOf(outcome) })
    const { failure, process, duration_ms } = outcome
    this.#post({ type: kind === 'check' ? 'check.outcome' : 'hook.outcome', id, failure, process, duration_ms })
  }

  /** At most one entry per interval, the latest facts in it; none after the end. */
  #soon(news: News): void {
    const progress = news.progress && { ...this.#news.progress, ...news.progress }
    this.#news = { ...this.#news, ...news, ...(progress && { progress }) }
    // A conversation goes on record at once: it is what a later attempt goes on with, also after a crash.
    const session = news.progress?.session?.id
    const isUrgent = session !== undefined && session !== this.#session
    this.#session = session ?? this.#session
    if (isUrgent) clearTimeout(this.#newsTimer)
    else if (this.#newsTimer) return
    const wait = isUrgent ? 0 : Math.max(0, this.#toldAt + LIMITS.progressIntervalMs - performance.now())
    this.#newsTimer = setTimeout(() => {
      const { progress: event } = this.#news
      this.#newsTimer = undefined
      this.#toldAt = performance.now()
      this.#news = {}
      if (event) this.#post({ type: 'attempt.observed', attempt_id: this.#command.id, event })
    }, wait).unref()
  }
}

/** The text is what an effect has to note; one that failed has none. */
const summaryOf = ({
  failure,
  notes,
  usage,
  cost,
}: Outcome): Omit<InputOf<'summary.outcome'>, 'type' | 'id' | 'now'> => ({
  ...(notes !== undefined && !failure && { text: notes }),
  model: usage?.model,
  usage,
  cost,
})

interface News {
  readonly progress?: EventOf<'attempt.progressed'> | undefined
}
