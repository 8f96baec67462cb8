// Owns: waiting for a condition with a deadline, so that no test depends on timing luck.
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves with the first truthy value of `condition`; fails when there is none within `deadlineMs`. */
export async function until<T>(condition: () => T | Promise<T>, deadlineMs = 30_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${condition.toString()}`)
    await sleep(5)
  }
}
