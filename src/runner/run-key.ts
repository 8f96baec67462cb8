// Owns: `keys/<hash>.json` of a store: which run a key belongs to, at most one per key. Whoever creates the file starts
// the run; everyone else attaches to it. A starter that died before its run directory appeared is succeeded.
import { createHash } from 'node:crypto'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { SpanwrightError } from '../core/error.ts'
import { makeDirectory } from '../journal/atomic-file.ts'
import { orUnwritable } from '../journal/store-error.ts'
import { acquireClaim, claimSchema, readClaim, releaseClaim, type ClaimContent } from './claim.ts'

/** How long another process may take from taking a key to having its run directory in place. */
const START_MS = 10_000
const POLL_MS = 10

const keySchema = claimSchema.extend({ key: z.string(), run_id: z.string() })

export type RunKey =
  /** The caller starts the run; `giveBack` if that fails before the run directory is there. */
  { readonly owned: true; giveBack(): void } | { readonly owned: false; readonly runId: string }

export interface KeyOptions {
  readonly storeDirectory: string
  readonly key: string
  /** The run to be started if the key is free. */
  readonly runId: string
  readonly exists: (runId: string) => boolean
}

/**
 * Takes the key for `runId`, or finds the run that has it. `run.conflict` when another process took the key, lives, and
 * does not get its run started.
 */
export async function takeRunKey({ storeDirectory, key, runId, exists }: KeyOptions): Promise<RunKey> {
  const file = keyPath(storeDirectory, key)
  orUnwritable(`cannot create ${path.dirname(file)}`, () => makeDirectory(path.dirname(file)))
  const deadline = performance.now() + START_MS
  for (;;) {
    const known = runOf(readClaim(file))
    if (known !== undefined && exists(known)) return { owned: false, runId: known }
    const acquired = orUnwritable(`cannot write ${file}`, () => acquireClaim(file, { key, run_id: runId }))
    if ('token' in acquired) {
      // Its former holder died; it may have got as far as the directory between the two looks above.
      if (known !== undefined && exists(known)) {
        releaseClaim(file, acquired.token)
        acquireClaim(file, { key, run_id: known })
        return { owned: false, runId: known }
      }
      return { owned: true, giveBack: () => releaseClaim(file, acquired.token) }
    }
    if (performance.now() > deadline) {
      const who = acquired.heldBy ? `process ${acquired.heldBy.pid} on ${acquired.heldBy.host}` : 'another process'
      throw new SpanwrightError(
        'run.conflict',
        `key "${key}" was taken by ${who}, which has not started its run: try again when it is done`,
      )
    }
    await sleep(POLL_MS)
  }
}

/** File names cannot hold every key, and keys may say more than a directory listing should. */
const keyPath = (storeDirectory: string, key: string): string =>
  path.join(storeDirectory, 'keys', `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`)

const runOf = (content: ClaimContent | undefined): string | undefined => keySchema.safeParse(content).data?.run_id
