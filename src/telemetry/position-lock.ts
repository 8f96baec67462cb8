// Owns: who may deliver what a run directory holds: one deliverer at a time, so that two catch-ups that start together
// do not send the same twice. A holder that died is replaced at once.
import { join } from 'node:path'
import { releaseLock, takeLock, touchLock } from './lock-file.ts'

export const LOCK_FILE = 'telemetry.lock'

/** Takes the lock; false = somebody else delivers. `token` names this holder. */
export const takePosition = (runDir: string, token: string): boolean => takeLock(join(runDir, LOCK_FILE), token)

/** Says that the holder is still there. */
export const touchPosition = (runDir: string, token: string): void => touchLock(join(runDir, LOCK_FILE), token)

export const releasePosition = (runDir: string, token: string): void => releaseLock(join(runDir, LOCK_FILE), token)
