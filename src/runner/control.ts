// Owns: requests of other processes to a live run (`control/`): one JSON file each, renamed into place; the lease holder
// journals it, answers beside it (`<id>.reply.json`) and deletes it. The asker deletes the reply.
// Must not judge a request: that is decide's business.
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { REFUSAL_CODES, type Refusal } from '../core/inputs.ts'
import { makeDirectory, writeFileAtomic } from '../journal/atomic-file.ts'

const POLL_MS = 150
const ASK_POLL_MS = 50
const WAIT_MS = 10_000
const LARGEST_REQUEST_BYTES = 64 * 1024
/** Files of askers that were killed. */
const LEFTOVER_MS = 60_000

const actor = z.looseObject({
  kind: z.enum(['signal', 'user', 'process', 'default', 'program']),
  user: z.string().optional(),
  host: z.string().optional(),
  terminal: z.string().optional(),
  signal: z.string().optional(),
})
const requestSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('cancel'), by: actor, force: z.boolean(), message: z.string().optional() }),
  z.looseObject({
    type: z.literal('gate.answer'),
    node: z.string(),
    choice: z.string(),
    by: actor,
    comment: z.string().optional(),
  }),
  z.looseObject({
    type: z.literal('retry'),
    node: z.string().optional(),
    reset_count: z.boolean(),
    mode: z.enum(['clean', 'continue']),
  }),
])
export type ControlRequest = z.infer<typeof requestSchema>
const fileSchema = z.looseObject({ v: z.literal(1), expires_at: z.number(), request: requestSchema })
const replySchema = z.union([
  z.looseObject({ ok: z.literal(true) }),
  z.looseObject({ ok: z.literal(false), refused: z.enum(REFUSAL_CODES), message: z.string() }),
])

export const controlDirectory = (runDirectory: string): string => path.join(runDirectory, 'control')
const REPLY = '.reply.json'
const isRequest = (name: string): boolean => name.endsWith('.json') && !name.endsWith(REPLY) && !name.startsWith('.')

/**
 * Asks the process that runs the run. Resolves with undefined when it did as asked, with its refusal, or with
 * `unanswered` when nobody took the request within `waitMs` (default 10 s) or `isHeld` says that nobody is there.
 */
export async function askRun(
  runDirectory: string,
  request: ControlRequest,
  isHeld: () => boolean,
  waitMs: number = WAIT_MS,
): Promise<Refusal | 'unanswered' | undefined> {
  const directory = controlDirectory(runDirectory)
  makeDirectory(directory)
  const id = randomUUID()
  const file = path.join(directory, `${id}.json`)
  const reply = path.join(directory, `${id}${REPLY}`)
  putFile(file, { v: 1, expires_at: Date.now() + waitMs, request })
  const deadline = performance.now() + waitMs
  let nextLook = performance.now()
  try {
    for (;;) {
      const answer = readJson(reply)
      if (answer !== undefined) {
        const parsed = replySchema.parse(answer)
        return parsed.ok ? undefined : { refused: parsed.refused, message: parsed.message }
      }
      const now = performance.now()
      if (now > deadline) return 'unanswered'
      // Looking at the lease costs more than looking for the reply.
      if (now > nextLook) {
        nextLook = now + 4 * ASK_POLL_MS
        if (!isHeld() && !existsSync(reply)) return 'unanswered'
      }
      await changeIn(directory, ASK_POLL_MS)
    }
  } finally {
    rmSync(file, { force: true })
    rmSync(reply, { force: true })
  }
}

export interface ControlServer {
  /** Answers what is still there with `refusal` and stops looking. */
  close(refusal: Refusal): void
}

/** Hands every request to `handle`, in the order of arrival; its refusal (or undefined) is the answer. */
export function serveControl(
  runDirectory: string,
  handle: (request: ControlRequest) => Promise<Refusal | undefined>,
): ControlServer {
  const directory = controlDirectory(runDirectory)
  makeDirectory(directory)
  const taken = new Set<string>()
  let closed = false
  const look = (): void => {
    if (!closed) for (const name of requestsIn(directory)) take(name)
  }
  const take = (name: string): void => {
    if (taken.has(name)) return
    taken.add(name)
    const parsed = fileSchema.safeParse(readJson(path.join(directory, name)))
    if (!parsed.success) return answer(directory, name, { refused: 'invalid', message: 'the request cannot be read' })
    if (parsed.data.expires_at < Date.now()) return rmSync(path.join(directory, name), { force: true })
    handle(parsed.data.request).then(
      (refusal) => answer(directory, name, refusal),
      (error: unknown) => answer(directory, name, { refused: 'conflict', message: String(error) }),
    )
  }
  removeLeftovers(directory)
  const stop = onChange(directory, POLL_MS, look)
  look()
  return {
    close(refusal) {
      closed = true
      stop()
      for (const name of requestsIn(directory)) if (!taken.has(name)) answer(directory, name, refusal)
    },
  }
}

/** In the order of arrival. */
function requestsIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter(isRequest)
    if (names.length < 2) return names
    return names
      .map((name) => ({ name, at: statSync(path.join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .sort((a, b) => a.at - b.at)
      .map(({ name }) => name)
  } catch {
    return []
  }
}

/** The answer first, then the request goes: an asker that sees neither knows that nobody took it. */
function answer(directory: string, name: string, refusal: Refusal | undefined): void {
  try {
    const reply = path.join(directory, name.slice(0, -'.json'.length) + REPLY)
    // An asker that gave up took its request back: nobody would delete the reply.
    if (existsSync(path.join(directory, name))) putFile(reply, refusal ? { ok: false, ...refusal } : { ok: true })
    rmSync(path.join(directory, name), { force: true })
  } catch {
    // The store cannot be written: the journal says so, and the asker sees that nobody answers.
  }
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name)
    const at = statSync(file, { throwIfNoEntry: false })?.mtimeMs
    if (at !== undefined && Date.now() - at > LEFTOVER_MS) rmSync(file, { force: true, recursive: true })
  }
}

const putFile = (file: string, content: object): void =>
  writeFileAtomic(
    file,
    `${JSON.stringify(content)}
`,
    false,
  )

function readJson(file: string): unknown {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? Infinity) > LARGEST_REQUEST_BYTES) return undefined
    return JSON.parse(readFileSync(file, 'utf8')) as unknown
  } catch {
    return undefined
  }
}

/** Calls `look` when something changed in the directory, and every `pollMs` where the system does not tell. */
function onChange(directory: string, pollMs: number, look: () => void): () => void {
  const timer = setInterval(look, pollMs).unref()
  const watcher = tryWatch(directory, look)
  return () => {
    clearInterval(timer)
    watcher?.close()
  }
}

function changeIn(directory: string, pollMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      watcher?.close()
      resolve()
    }
    const timer = setTimeout(done, pollMs)
    const watcher = tryWatch(directory, done)
  })
}

/** No watcher when there is none to be had (limits of the system, the directory is gone): polling does. */
function tryWatch(directory: string, look: () => void): ReturnType<typeof watch> | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, look)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
