// Owns: what has to be put right in a store before a command goes on: runs whose process died together with its
// sentinel. A sentinel that is at work is waited for.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SpanwrightError } from '../core/error.ts'
import type { Final } from '../journal/final.ts'
import type { Store } from '../journal/store.ts'
import { isLeaseHeld, lockedError, readLease } from './lease.ts'
import { whetherAlive } from './process-identity.ts'
import type { RunnerPorts } from './run-ports.ts'
import { isEnded, takeOver } from './take-over.ts'

/** How long a command waits for a sentinel that is doing this work. */
const SENTINEL_MS = 10_000
const POLL_MS = 20

export type RecoverPorts = Pick<RunnerPorts, 'store' | 'env'>

export interface Recovered {
  readonly runId: string
  readonly final: Final
}

/**
 * How a run stands for other processes. `live`: a process runs it (or may, elsewhere); `resting`: the sentinel or a
 * recovery puts it to rest at this moment; `lost`: its process is gone and nobody cares; `ended`.
 */
export type Standing = 'live' | 'resting' | 'lost' | 'ended'

export function standingOf(store: Store, runId: string): Standing {
  if (store.kind === 'memory') return isEnded(store, runId) ? 'ended' : 'live'
  const { directory } = store.paths(runId)
  if (isEnded(store, runId)) return 'ended'
  const lease = readLease(directory)
  if (isLeaseHeld(directory)) return lease?.role === 'takeover' ? 'resting' : 'live'
  if (lease?.sentinel && whetherAlive(lease.sentinel) === 'alive') return 'resting'
  // It may have ended between the two looks.
  return isEnded(store, runId) ? 'ended' : 'lost'
}

/** Puts a lost run to rest, or waits (up to 10 s) for whoever does. Undefined: there was nothing to do. */
export async function recoverRun(runId: string, ports: RecoverPorts): Promise<Final | undefined> {
  const deadline = performance.now() + SENTINEL_MS
  let standing = standingOf(ports.store, runId)
  while (standing === 'resting') {
    if (performance.now() > deadline) {
      const { directory } = ports.store.paths(runId)
      throw lockedError(directory, readLease(directory))
    }
    await sleep(POLL_MS)
    standing = standingOf(ports.store, runId)
  }
  if (standing !== 'lost') return undefined
  try {
    return await takeOver({ store: ports.store, env: ports.env, runId, atOnce: false })
  } catch (error) {
    // Another command was faster: wait for it like for the sentinel.
    if (error instanceof SpanwrightError && error.code === 'run.locked') return await recoverRun(runId, ports)
    throw error
  }
}

/**
 * Puts every lost run of the store to rest; `failed` is told of one that could not be. What `run`, `resume` and
 * `recover` do first.
 */
export async function recoverStore(
  ports: RecoverPorts,
  failed: (runId: string, error: unknown) => void,
): Promise<Recovered[]> {
  const recovered: Recovered[] = []
  for (const runId of ports.store.list()) {
    // Most runs are ended: one look each.
    if (existsSync(ports.store.paths(runId).final)) continue
    try {
      const final = await recoverRun(runId, ports)
      if (final) recovered.push({ runId, final })
    } catch (error) {
      failed(runId, error)
    }
  }
  return recovered
}
