// Owns: which conversations a launch of Codex has (its own and those of its subagents) and the files they are written down in.
import type { AgentRequest } from './adapter.ts'
import { codexHome, rolloutFile, sizeOf } from './codex-home.ts'

/** Reader and launch of one request share it: the one learns of conversations, the other names their files. */
export class Threads {
  readonly #home: string
  readonly #files = new Map<string, string | undefined>()

  constructor(home: string) {
    this.#home = home
  }

  add(thread: string): void {
    if (!this.#files.has(thread) && this.#files.size < 100) this.#files.set(thread, undefined)
  }

  get count(): number {
    return this.#files.size
  }

  /** Bytes of a conversation's file as it is now; 0 = there is none. */
  sizeOf(thread: string): number {
    const file = rolloutFile(this.#home, thread)
    return file === undefined ? 0 : sizeOf(file)
  }

  /** Whether a file is the one of a conversation other than this. */
  isOfAnother(file: string, thread: string | undefined): boolean {
    return [...this.#files.keys()].some((other) => other !== thread && file.endsWith(`-${other}.jsonl`))
  }

  /** Files that are there by now. */
  files(): readonly string[] {
    for (const [thread, file] of this.#files)
      if (file === undefined) this.#files.set(thread, rolloutFile(this.#home, thread))
    return [...this.#files.values()].filter((file) => file !== undefined)
  }
}

const known = new WeakMap<AgentRequest, Threads>()

export function threadsOf(request: AgentRequest): Threads {
  const threads = known.get(request) ?? new Threads(codexHome(request))
  known.set(request, threads)
  return threads
}
