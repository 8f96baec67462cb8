// Owns: how a process is named in files so that another one can tell whether it lives. A pid alone is never enough: it
// is reused, and it means something only in its own pid namespace, boot and machine.
import { hostname } from 'node:os'
import { z } from 'zod'
import { bootId, isAlive, pidNamespace, startTime } from '../effects/proc.ts'

export const processIdentitySchema = z.looseObject({
  pid: z.number(),
  boot_id: z.string(),
  pid_namespace: z.string(),
  host: z.string(),
  /** Clock ticks after boot; absent where the system does not tell. */
  start_time: z.number().optional(),
})
export type ProcessIdentity = z.infer<typeof processIdentitySchema>

let surroundings: { boot_id: string; pid_namespace: string; host: string } | undefined

/** Names a process of this machine, by default the own one. */
export function identify(pid: number = process.pid): ProcessIdentity {
  surroundings ??= { boot_id: bootId(), pid_namespace: pidNamespace(), host: hostname() }
  const start = startTime(pid)
  return { pid, ...surroundings, ...(start === undefined ? {} : { start_time: start }) }
}

/**
 * `alive` and `dead` are certain. `unknown`: another host or pid namespace, where only a renewal can tell. The same host
 * after a reboot is certain: nothing of the old boot lives.
 */
export function whetherAlive(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const own = identify()
  if (identity.host !== own.host) return 'unknown'
  if (identity.boot_id !== own.boot_id) return 'dead'
  if (identity.pid_namespace !== own.pid_namespace) return 'unknown'
  return isAlive(identity.pid, identity.start_time) ? 'alive' : 'dead'
}
