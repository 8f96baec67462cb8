// Owns: lease.json: which process is running a run (I5). There exactly while one does, or while one died without saying
// so. Must not decide what happens to a run whose holder is dead (recover.ts).
import path from 'node:path'
import { z } from 'zod'
import { SpanwrightError } from '../core/error.ts'
import { orUnwritable } from '../journal/store-error.ts'
import { acquireClaim, claimSchema, isClaimHeld, readClaim, releaseClaim, renewClaim } from './claim.ts'
import { processIdentitySchema, type ProcessIdentity } from './process-identity.ts'

const RENEW_MS = 10_000

/** `runner` executes the run, `takeover` puts an interrupted one to rest. */
export type LeaseRole = 'runner' | 'takeover'
const leaseSchema = claimSchema.extend({
  role: z.enum(['runner', 'takeover']),
  execution: z.number(),
  /** The process that takes over when the holder dies. */
  sentinel: processIdentitySchema.optional(),
})
export type LeaseContent = z.infer<typeof leaseSchema>

export interface LeaseOptions {
  readonly role: LeaseRole
  readonly execution: number
  readonly sentinel?: ProcessIdentity | undefined
}

export interface Lease {
  /** Renews every 10 s until released. `lost` is called once if another process took the lease. */
  keep(lost: () => void): void
  /** The run directory was renamed. */
  moveTo(directory: string): void
  /** Puts a new sentinel or execution on record. */
  update(changes: Partial<LeaseOptions>): void
  release(): void
}

const leasePath = (directory: string): string => path.join(directory, 'lease.json')

/** What lease.json says; undefined when nobody holds the run (or the file cannot be read as a lease). */
export const readLease = (directory: string): LeaseContent | undefined =>
  leaseSchema.safeParse(readClaim(leasePath(directory))).data

/** Whether a live process holds the run (or one elsewhere that renewed its lease lately). */
export const isLeaseHeld = (directory: string): boolean => isClaimHeld(leasePath(directory))

/**
 * Takes the lease of the run in `directory`, also from a dead holder. A live one: SpanwrightError `run.locked` naming
 * pid and host.
 */
export function acquireLease(directory: string, options: LeaseOptions): Lease {
  let file = leasePath(directory)
  let extra = options
  const acquired = orUnwritable(`cannot take the lease of ${directory}`, () => acquireClaim(file, extra))
  if ('heldBy' in acquired) throw lockedError(directory, acquired.heldBy)
  const { token } = acquired
  let timer: NodeJS.Timeout | undefined
  let onLost = (): void => {}
  const renew = (): void => {
    try {
      if (renewClaim(file, token, extra)) return
    } catch {
      // The store cannot be written (full, gone): the journal meets the same and ends the run. The lease stays ours.
      return
    }
    clearInterval(timer)
    onLost()
  }
  return {
    keep(lost) {
      onLost = lost
      timer = setInterval(renew, RENEW_MS).unref()
    },
    moveTo(renamed) {
      file = leasePath(renamed)
    },
    update(changes) {
      extra = { ...extra, ...changes }
      renew()
    },
    release() {
      clearInterval(timer)
      releaseClaim(file, token)
    },
  }
}

export function lockedError(directory: string, holder: { pid: number; host: string } | undefined): SpanwrightError {
  const run = path.basename(directory)
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process'
  return new SpanwrightError(
    'run.locked',
    `run ${run} is being run by ${who}: wait for it, or end it with \`spanwright cancel ${run}\``,
  )
}
