// Owns: waiting for a condition of a real server, with a deadline and the last answer in the error.
import { setTimeout as sleep } from 'node:timers/promises'

export interface Deadline {
  /** Default 20 s. */
  readonly withinMs?: number
  /** Between two looks. Default 100 ms. */
  readonly everyMs?: number
}

/** Looks until `done` holds for what `look` gives, and gives that. A look that fails counts as "not yet". */
export async function until<T>(
  what: string,
  look: () => Promise<T>,
  done: (seen: T) => boolean,
  { withinMs = 20_000, everyMs = 100 }: Deadline = {},
): Promise<T> {
  const deadline = Date.now() + withinMs
  let last = 'nothing yet'
  for (;;) {
    try {
      const seen = await look()
      if (done(seen)) return seen
      last = JSON.stringify(seen)?.slice(0, 2_000) ?? 'undefined'
    } catch (error) {
      last = String(error)
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms. Last seen: ${last}`)
    await sleep(everyMs)
  }
}
