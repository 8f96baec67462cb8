// Owns: waiting for the end of a run that another process (or another call) runs.
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunEnd } from './execution.ts'
import { recoverRun, standingOf, type RecoverPorts } from './recover.ts'

const POLL_MS = 100

/** Resolves with the run's end; a run that is lost is put to rest first. Rejects with the signal's reason on abort. */
export async function followRun(runId: string, ports: RecoverPorts, signal?: AbortSignal): Promise<RunEnd> {
  for (;;) {
    signal?.throwIfAborted()
    const standing = standingOf(ports.store, runId)
    if (standing === 'ended') {
      const final = ports.store.readFinal(runId)
      if (final) return { final }
    }
    if (standing === 'lost') await recoverRun(runId, ports)
    else await sleep(POLL_MS, undefined, { signal })
  }
}
