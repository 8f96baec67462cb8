// Owns: the program's pipes: numbered lines out; in comes the request and then answers to its questions.
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { answerSchema, type Answer, type ApiWord } from './protocol.ts'

const ALIVE_MS = 2_000

export class Wire {
  readonly #out: Writable
  #n = 0
  #aliveAt = 0
  readonly #waiting = new Map<string, (answer: Answer) => void>()
  #deaf = false
  readonly #first = Promise.withResolvers<string | undefined>()
  #heard = 0

  constructor(out: Writable, input: Readable) {
    this.#out = out
    // Nobody reads any more: the runtime is gone, and the rest of the group with it soon.
    out.on('error', () => {})
    const lines = createInterface({ input })
    lines.on('line', (line) => this.#hear(line))
    lines.on('close', () => {
      this.#deaf = true
      this.#first.resolve(undefined)
      for (const [id, resolve] of this.#waiting) resolve(nobody(id))
    })
  }

  /** The first line; undefined: the input ended without one. */
  get first(): Promise<string | undefined> {
    return this.#first.promise
  }

  say(word: ApiWord): void {
    this.#n++
    this.#aliveAt = Date.now()
    this.#out.write(`${JSON.stringify({ n: this.#n, at: this.#aliveAt, ...word })}\n`)
  }

  /** Says that something arrives, not too often. */
  alive(): void {
    if (Date.now() - this.#aliveAt >= ALIVE_MS) this.say({ type: 'alive' })
  }

  /** Asks and waits for the answer, or for the signal that nothing is wanted any more. */
  async reserve(
    id: string,
    amount: { readonly usd?: number; readonly tokens: number },
    signal: AbortSignal,
  ): Promise<Answer> {
    if (this.#deaf || signal.aborted) return nobody(id)
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const giveUp = (): void => resolve(nobody(id))
    signal.addEventListener('abort', giveUp, { once: true })
    this.#waiting.set(id, resolve)
    this.say({ type: 'reserve', id, ...amount })
    try {
      return await promise
    } finally {
      this.#waiting.delete(id)
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** Resolves when all that was said has left the process. */
  flushed(): Promise<void> {
    return new Promise((resolve) => this.#out.write('', () => resolve()))
  }

  #hear(line: string): void {
    if (++this.#heard === 1) return this.#first.resolve(line)
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      return
    }
    const { data } = answerSchema.safeParse(value)
    if (data) this.#waiting.get(data.id)?.(data)
  }
}

const nobody = (id: string): Answer => ({ type: 'refuse', id, reason: 'nobody answers' })
