// Owns: a file that at most one live process holds (I5), with a safe takeover from a dead holder. No locks of the file
// system are used: only exclusive creation and rename.
//
// A takeover of claim T first creates `<file>.over-<T>` exclusively, so each claim has at most one successor, and only
// whoever made that file may replace T. If a successor dies half way, its own successor follows in the same manner.
// After creating its link a process reads the chain again: it goes on only if the chain still is what it saw.
import { randomUUID } from 'node:crypto'
import { linkSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { FILE_MODE, writeFileAtomic } from '../journal/atomic-file.ts'
import { identify, processIdentitySchema, whetherAlive } from './process-identity.ts'

/** A holder that cannot be asked (another host or pid namespace) counts as dead after this time without renewal. */
const STALE_MS = 60_000
const TRIES = 1_000
/** File systems without hard links say one of these. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

export const claimSchema = processIdentitySchema.extend({ token: z.string(), renewed_at: z.string() })
export type ClaimContent = z.infer<typeof claimSchema>
/** What a claim file says; `content` is absent when it cannot be read as one (torn by a power failure). */
interface Link {
  readonly token: string
  readonly content: ClaimContent | undefined
  readonly seenAt: number
}

export type Acquired = { readonly token: string } | { readonly heldBy: ClaimContent | undefined }

/** Takes the claim, or says who holds it. `extra` is kept in the file beside the identity of this process. */
export function acquireClaim(file: string, extra: object = {}): Acquired {
  const token = randomUUID()
  const mine = (): string => contentOf(token, extra)
  for (let i = 0; i < TRIES; i++) {
    const chain = readChain(file)
    const last = chain.at(-1)
    if (!last) {
      if (createExclusively(file, mine())) return { token }
      continue
    }
    if (isHeld(last)) return { heldBy: last.content }
    const successor = overPath(file, last.token)
    if (!createExclusively(successor, mine())) continue
    if (
      readChain(file)
        .map((link) => link.token)
        .join() !== [...chain.map((link) => link.token), token].join()
    ) {
      rmSync(successor, { force: true })
      continue
    }
    writeFileAtomic(file, mine(), false)
    for (const link of chain) rmSync(overPath(file, link.token), { force: true })
    return { token }
  }
  throw new Error(`${file} changed ${TRIES} times while it was being taken`)
}

/** Who holds the claim according to the file; undefined when nobody does. It may be dead (`isClaimHeld`). */
export function readClaim(file: string): ClaimContent | undefined {
  return readChain(file).at(-1)?.content
}

/** Whether a process that may be alive holds the claim. */
export function isClaimHeld(file: string): boolean {
  const last = readChain(file).at(-1)
  return last !== undefined && isHeld(last)
}

/** Writes the claim again with the present time; false when it is no longer the holder's. */
export function renewClaim(file: string, token: string, extra: object = {}): boolean {
  if (readLink(file)?.token !== token) return false
  writeFileAtomic(file, contentOf(token, extra), false)
  return true
}

/** Gives the claim back. Does nothing when it is no longer the holder's. */
export function releaseClaim(file: string, token: string): void {
  if (readLink(file)?.token !== token) return
  // Links of takers that died half way go first: as long as this claim stands, none of them can be part of a takeover.
  // Afterwards they could be those of the next one. A draft belongs to a taker that is about to see that it is too late.
  const leftovers = `${path.basename(file)}.over-`
  for (const name of readdirSync(path.dirname(file))) {
    if (name.startsWith(leftovers) && !name.includes('.draft-')) {
      rmSync(path.join(path.dirname(file), name), { force: true })
    }
  }
  rmSync(file, { force: true })
}

const overPath = (file: string, token: string): string => `${file}.over-${token}`

const contentOf = (token: string, extra: object): string =>
  `${JSON.stringify({ ...identify(), ...extra, renewed_at: new Date().toISOString(), token })}\n`

function readChain(file: string): Link[] {
  const chain: Link[] = []
  for (let link = readLink(file); link; link = readLink(overPath(file, link.token))) {
    chain.push(link)
    if (chain.length > TRIES) throw new Error(`The takeovers of ${file} form a circle`)
  }
  return chain
}

function readLink(file: string): Link | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    const content = parseContent(text)
    if (content) return { token: content.token, content, seenAt: Date.parse(content.renewed_at) }
    const { ino, mtimeMs } = statSync(file)
    return { token: `unreadable-${ino}-${Math.round(mtimeMs)}`, content: undefined, seenAt: mtimeMs }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parseContent(text: string): ClaimContent | undefined {
  try {
    return claimSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function isHeld(link: Link): boolean {
  const alive = link.content ? whetherAlive(link.content) : 'unknown'
  return alive === 'alive' || (alive === 'unknown' && Date.now() - link.seenAt < STALE_MS)
}

/** The file appears with its whole content or not at all. */
function createExclusively(file: string, content: string): boolean {
  const draft = `${file}.draft-${randomUUID()}`
  writeFileSync(draft, content, { mode: FILE_MODE, flag: 'wx' })
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (!NO_LINKS.has(code)) throw error
    return createWithoutLinks(file, content)
  } finally {
    rmSync(draft, { force: true })
  }
}

function createWithoutLinks(file: string, content: string): boolean {
  try {
    writeFileSync(file, content, { mode: FILE_MODE, flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
