// Owns: which tool calls of a launch have begun and which have ended, whichever of the two comes first in its output.
// Must not: know what a client's lines look like.

/** Ends that wait for their beginning. */
const EARLY = 1_000

const calls = (count: number): string => (count === 1 ? 'a tool call' : `${count} tool calls`)

/** @typeParam End what is kept of an end that came before its beginning */
export class ToolEnds<End> {
  readonly #begun = new Map<string, string>()
  readonly #open = new Set<string>()
  readonly #early = new Map<string, End>()

  /** False: it has begun before. */
  begin(id: string, name: string): boolean {
    if (this.#begun.has(id)) return false
    this.#begun.set(id, name)
    this.#open.add(id)
    return true
  }

  /** The end of a call that has just begun, if that came first. */
  takeEarly(id: string): End | undefined {
    const early = this.#early.get(id)
    this.#early.delete(id)
    return early
  }

  /** Name of the tool that ends; undefined: it has ended before, or its beginning has yet to come. */
  end(id: string, end: End): string | undefined {
    if (this.#open.delete(id)) return this.#begun.get(id)
    if (!this.#begun.has(id) && this.#early.size < EARLY) this.#early.set(id, end)
    return undefined
  }

  get hasOpen(): boolean {
    return this.#open.size > 0
  }

  /** What a complete output would have: a sentence for people; undefined when nothing is missing. */
  get missing(): string | undefined {
    if (this.#early.size > 0) return `the beginning of ${calls(this.#early.size)} is not in its output`
    const [id] = this.#open
    if (id === undefined) return undefined
    return `the end of ${calls(this.#open.size)} is not in its output (${this.#begun.get(id)})`
  }
}
