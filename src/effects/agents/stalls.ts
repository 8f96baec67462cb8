// Owns: telling apart how an agent gets stuck: hung at start, silent, going round in circles, alive after its result; and
// what is done about it. Must not: touch the process.
import { createHash } from 'node:crypto'
import type { StallAction, Stalls } from '../../core/agent.ts'
import { formatDuration } from '../../core/duration.ts'
import { LIMITS } from '../../core/limits.ts'
import { after } from '../deadline.ts'
import { oneLine, shortened } from '../reason.ts'
import type { AgentEvent, ErrorClass } from './adapter.ts'

export const STALL_REASONS = ['hung at start', 'silence', 'no progress', 'result seen but alive'] as const
export type StallReason = (typeof STALL_REASONS)[number]

export interface Stall {
  readonly reason: StallReason
  readonly idleMs: number
  readonly action: StallAction
  /** As the end of a sentence that begins with the agent's name. */
  readonly told: string
  /** The provider's error that came again and again. */
  readonly errorClass?: ErrorClass | undefined
}

export interface StallOptions {
  readonly stalls: Stalls
  /** The node's `stall_timeout`; absent = silence is no stall. */
  readonly silenceMs?: number | undefined
  /** It says nothing until it is done. */
  readonly quietStart: boolean
  readonly detected: (stall: Stall) => void
}

/** Clients retry a request by themselves, with growing pauses: that is no circle before it took so many times more. */
const PROVIDER_PATIENCE = 2

/** Watches one launch. Each kind of stall is told once. */
export class StallWatch {
  readonly #options: StallOptions
  readonly #startedAt = performance.now()
  #outputAt = performance.now()
  #silenceTold = false
  #offStart: (() => void) | undefined
  #offSilence: (() => void) | undefined
  #offLinger: (() => void) | undefined
  readonly #open = new Map<string, string>()
  #last = ''
  #lastError = ''
  #same = 0
  #sameError = 0
  #loopTold = false
  #resultSeen = false
  #over = false

  constructor(options: StallOptions) {
    this.#options = options
    const { stalls, silenceMs, quietStart } = options
    if (!quietStart) this.#offStart = after(stalls.start_ms, () => this.#hung())
    if (silenceMs !== undefined) this.#watchSilence(silenceMs, silenceMs)
  }

  /** Bytes came. */
  output(): void {
    this.#outputAt = performance.now()
  }

  /** The first line of its stream came: it has started. */
  started(): void {
    this.#offStart?.()
    this.#offStart = undefined
  }

  event(event: AgentEvent): void {
    if (this.#over) return
    this.started()
    this.output()
    if (event.type === 'result') this.#resultSeen = true
    if (this.#resultSeen && WORK.has(event.type)) this.#watchLinger()
    switch (event.type) {
      case 'tool.started':
        if (this.#open.size < LIMITS.callsOnRecord) this.#open.set(event.id, hash([event.name, event.input]))
        break
      case 'tool.finished':
        this.#toolFinished(event)
        break
      case 'retry':
        this.#failed(event.message, PROVIDER_PATIENCE * this.#options.stalls.loop_repeats, event.errorClass)
        break
      case 'call':
        if (!event.error && event.tokens) this.#sameError = 0
        break
      default:
    }
  }

  /** The process is gone: what is still read of it is no stall. */
  end(): void {
    this.#over = true
    for (const off of [this.#offStart, this.#offSilence, this.#offLinger]) off?.()
  }

  #hung(): void {
    const { start_ms, start } = this.#options.stalls
    const idleMs = Math.round(performance.now() - this.#startedAt)
    this.#options.detected({
      reason: 'hung at start',
      idleMs,
      action: start,
      told: `hung at start (it said nothing for ${formatDuration(start_ms)})`,
    })
  }

  #watchSilence(limit: number, wait: number): void {
    this.#offSilence = after(wait, () => {
      const idleMs = Math.round(performance.now() - this.#outputAt)
      if (idleMs < limit) {
        this.#silenceTold = false
        return this.#watchSilence(limit, limit - idleMs)
      }
      // With `wait` it may go on: what follows a silence is told anew only after it has spoken.
      if (!this.#silenceTold) {
        this.#silenceTold = true
        const action = this.#options.stalls.silence
        this.#options.detected({
          reason: 'silence',
          idleMs,
          action,
          told: `wrote nothing for ${formatDuration(idleMs)}`,
        })
      }
      this.#watchSilence(limit, limit)
    })
  }

  /** Work after a result (another answer follows) puts off the end. */
  #watchLinger(): void {
    this.#offLinger?.()
    const { linger_ms } = this.#options.stalls
    this.#offLinger = after(linger_ms, () =>
      this.#options.detected({
        reason: 'result seen but alive',
        idleMs: linger_ms,
        action: 'end',
        told: `lived on for ${formatDuration(linger_ms)} after its result`,
      }),
    )
  }

  #toolFinished({ id, ok, output, error, exitCode }: Extract<AgentEvent, { type: 'tool.finished' }>): void {
    const call = this.#open.get(id)
    this.#open.delete(id)
    const repeats = this.#options.stalls.loop_repeats
    const outcome = hash([call ?? id, ok, exitCode ?? null, output])
    this.#same = outcome === this.#last ? this.#same + 1 : 1
    this.#last = outcome
    if (this.#same >= repeats)
      return this.#circle(`made the same tool call with the same result ${this.#same} times in a row`)
    if (ok) this.#sameError = 0
    else this.#failed(error ?? output, repeats)
  }

  /** Numbers in it (a try, a delay) do not make it another error. */
  #failed(message: string, limit: number, errorClass?: ErrorClass): void {
    const error = hash([message.replace(/\d+/g, '0').slice(0, 4_000)])
    this.#sameError = error === this.#lastError ? this.#sameError + 1 : 1
    this.#lastError = error
    if (message === '' || this.#sameError < limit) return
    // What a provider says is told; what a tool says is content, and in agent.json.
    const said = errorClass === undefined ? '' : ` (${shortened(oneLine(message), 200)})`
    this.#circle(`got the same error ${this.#sameError} times in a row${said}`, errorClass)
  }

  #circle(told: string, errorClass?: ErrorClass): void {
    if (this.#loopTold) return
    this.#loopTold = true
    const idleMs = Math.round(performance.now() - this.#startedAt)
    const action = this.#options.stalls.loop
    this.#options.detected({ reason: 'no progress', idleMs, action, told: `made no progress: it ${told}`, errorClass })
  }
}

const WORK: ReadonlySet<AgentEvent['type']> = new Set(['result', 'text', 'tool.started', 'tool.finished', 'call'])

const hash = (parts: readonly unknown[]): string => createHash('sha1').update(JSON.stringify(parts)).digest('base64')
