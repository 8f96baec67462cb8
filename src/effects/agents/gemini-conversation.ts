// Owns: the file in which Gemini CLI keeps a conversation: where it is, and what it tells beyond the stream: the exit codes
// of commands, and answers as they are once broken ones have been asked for again.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentRequest } from './adapter.ts'
import { asFields, asRecords, asText, objectIn, type Fields } from './loose-json.ts'

/** Where it keeps its settings and conversations. */
export const geminiFolder = ({ env, home }: Pick<AgentRequest, 'env' | 'home'>): string =>
  join(env['GEMINI_CLI_HOME'] || home, '.gemini')

/** The file of a conversation, once there is one. It is in the folder of its project, whose name is the client's own. */
export function conversationFinder(request: AgentRequest, id: string): () => string | undefined {
  const projects = join(geminiFolder(request), 'tmp')
  const ending = `-${id.slice(0, 8)}.jsonl`
  let found: string | undefined
  return () => {
    if (found !== undefined) return found
    for (const project of names(projects)) {
      const chats = join(projects, project, 'chats')
      const name = names(chats).find((file) => file.startsWith('session-') && file.endsWith(ending))
      if (name !== undefined) return (found = join(chats, name))
    }
    return undefined
  }
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

export interface Kept {
  /** A complete answer. */
  readonly text?: string | undefined
  /** Exit codes of commands that came to an end, by call. */
  readonly exitCodes: ReadonlyMap<string, number>
}

/** What a line of that file says; undefined for lines that say nothing of use. */
export function keptIn(line: string): Kept | undefined {
  const message = objectIn(line)
  if (message?.['type'] !== 'gemini') return undefined
  const exitCodes = new Map<string, number>()
  for (const call of asRecords(message['toolCalls'])) {
    const id = asText(call['id'])
    const output = outputOf(call)
    // A command that succeeded has no code there, but the group of its process.
    if (id !== undefined && output !== undefined) exitCodes.set(id, Number(EXIT.exec(output)?.[1] ?? 0))
  }
  return { text: asText(message['content']), exitCodes }
}

const END = /\nProcess Group PGID: \d+\n<\/untrusted_context>\s*$/
const EXIT = /\nExit Code: (\d+)\n(?:[A-Z][A-Za-z ]+: [^\n]*\n)*Process Group PGID: \d+\n<\/untrusted_context>\s*$/

function outputOf(call: Fields): string | undefined {
  for (const part of asRecords(call['result'])) {
    const response = asFields(asFields(part['functionResponse'])?.['response'])
    const output = asText(response?.['output'])
    if (output !== undefined && END.test(output)) return output
  }
  return undefined
}
