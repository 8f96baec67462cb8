// Owns: a timer for any duration. setTimeout alone fires at once when a delay does not fit 31 bits (24.8 days).

const LONGEST_MS = 2 ** 31 - 1

/** Calls `due` after `ms`, however long; the returned function takes it back. */
export function after(ms: number, due: () => void): () => void {
  let left = ms
  let timer: NodeJS.Timeout
  const arm = (): void => {
    const step = Math.min(left, LONGEST_MS)
    left -= step
    timer = setTimeout(() => (left > 0 ? arm() : due()), step)
  }
  arm()
  return () => clearTimeout(timer)
}
