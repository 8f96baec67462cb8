// Owns: the file of one conversation: read when it goes on, replaced as a whole after every message. Readable by its user
// only. Must not: hold keys.
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { ModelMessage } from 'ai'
import { z } from 'zod'
import { LIMITS } from '../../../core/limits.ts'

const ID = /^[A-Za-z0-9_-]{1,128}$/
const fileSchema = z.looseObject({ v: z.literal(1), messages: z.array(z.looseObject({ role: z.string() })) })

export class ConversationFile {
  readonly #file: string

  /** Throws when the id is no name of a conversation (it becomes a file's name). */
  constructor(directory: string, id: string) {
    if (!ID.test(id)) throw new Error(`${JSON.stringify(id)} is no id of a conversation`)
    this.#file = path.join(directory, `${id}.json`)
  }

  /** Undefined: there is none. Throws when it cannot be read. */
  async load(): Promise<ModelMessage[] | undefined> {
    let text: string
    try {
      text = await readFile(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    const { messages } = fileSchema.parse(JSON.parse(text))
    return closed(messages as unknown as ModelMessage[])
  }

  async save(messages: readonly ModelMessage[]): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 })
    const fresh = `${this.#file}.${process.pid}.tmp`
    await writeFile(fresh, JSON.stringify({ v: 1, messages }), { mode: 0o600 })
    await rename(fresh, this.#file)
  }

  /** Takes the oldest ones away when there are too many. */
  async prune(): Promise<void> {
    const directory = path.dirname(this.#file)
    const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.json'))
    if (names.length <= LIMITS.sessions) return
    const dated = await Promise.all(
      names.map(async (name) => ({
        name,
        at: (await stat(path.join(directory, name)).catch(() => undefined))?.mtimeMs ?? 0,
      })),
    )
    const old = dated.toSorted((a, b) => a.at - b.at).slice(0, names.length - LIMITS.sessions)
    await Promise.all(old.map(({ name }) => rm(path.join(directory, name), { force: true })))
  }
}

/** A conversation that was cut while its tools ran: providers refuse calls without answers. */
function closed(messages: ModelMessage[]): ModelMessage[] {
  const answered = new Set(
    messages.flatMap((message) =>
      message.role === 'tool'
        ? message.content.flatMap((part) => (part.type === 'tool-result' ? [part.toolCallId] : []))
        : [],
    ),
  )
  return messages.flatMap((message): ModelMessage[] => {
    if (message.role !== 'assistant' || typeof message.content === 'string') return [message]
    const open = message.content.flatMap((part) =>
      part.type === 'tool-call' && !answered.has(part.toolCallId) ? [part] : [],
    )
    if (open.length === 0) return [message]
    const content = open.map(({ toolCallId, toolName }) => ({
      type: 'tool-result' as const,
      toolCallId,
      toolName,
      output: { type: 'error-text' as const, value: 'interrupted: it is not known how far it came' },
    }))
    return [message, { role: 'tool', content }]
  })
}
