// Owns: waiting until every part of the stack answers, with what is known of those that do not. Starts nothing.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from './addresses.ts'
import { probeAll, type PartReport } from './probe.ts'

const INTERVAL_MS = 500

export interface Waiting {
  /** From now; after it the last reports are returned as they are. */
  readonly timeoutMs: number
  /** Called once for each part, when it answers for the first time. */
  readonly onUp: (report: PartReport) => void
}

/** Resolves with one report per address as soon as all are up, or when time is over. */
export async function awaitParts(
  addresses: readonly Address[],
  { timeoutMs, onUp }: Waiting,
): Promise<readonly PartReport[]> {
  const deadline = performance.now() + timeoutMs
  const announced = new Set<string>()
  for (;;) {
    const reports = await probeAll(addresses)
    for (const report of reports) {
      if (report.state !== 'up' || announced.has(report.part.id)) continue
      announced.add(report.part.id)
      onUp(report)
    }
    // A part that was up and went away again is not up: only this round counts.
    if (reports.every(({ state }) => state === 'up') || performance.now() >= deadline) return reports
    await sleep(Math.max(0, Math.min(INTERVAL_MS, deadline - performance.now())))
  }
}
