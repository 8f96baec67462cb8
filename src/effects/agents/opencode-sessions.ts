// Owns: the database of OpenCode: where it is, and what subagents have spent, whose conversations are in it and not in the
// stream. Read only.
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as Sqlite from 'node:sqlite'
import type { AgentEvent, AgentRequest } from './adapter.ts'
import { asAmount, asFields, asText, objectIn } from './loose-json.ts'
import { tokensOf } from './opencode-tokens.ts'

const MAX_SESSIONS = 200
const MAX_MESSAGES = 5_000

/**
 * `<data>/opencode/opencode.db`, as 1.18 has it. In an isolated home each new conversation has a database of its own:
 * clients that start at the same time in a home without one would all make its tables, and all but one of them fail.
 */
export function databaseOf(request: AgentRequest): string {
  const { env, home, isolated, session, newSessionId } = request
  const folder = join(env['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'opencode')
  if (env['OPENCODE_DB']) return env['OPENCODE_DB']
  if (!isolated) return join(folder, 'opencode.db')
  return (session && databaseWith(folder, session.id)) ?? join(folder, `opencode-${newSessionId}.db`)
}

function databaseWith(folder: string, session: string): string | undefined {
  try {
    const files = readdirSync(folder).filter((name) => name.startsWith('opencode') && name.endsWith('.db'))
    return files.map((name) => join(folder, name)).find((file) => holds(file, session))
  } catch {
    return undefined
  }
}

function holds(file: string, session: string): boolean {
  try {
    return inDatabase(
      file,
      (database) => database.prepare('SELECT 1 FROM session WHERE id = ?').get(session) !== undefined,
    )
  } catch {
    return false
  }
}

function inDatabase<T>(file: string, ask: (database: Sqlite.DatabaseSync) => T): T {
  const { DatabaseSync } = createRequire(import.meta.url)('node:sqlite') as typeof Sqlite
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return ask(database)
  } finally {
    database.close()
  }
}

/**
 * The requests of these conversations and of those below them. Incomplete when the database cannot be read or one of them
 * is not in it; the database is asked only when there are any.
 */
export function childSpend(
  request: AgentRequest,
  sessions: readonly string[],
  at: number,
): { readonly events: readonly AgentEvent[]; readonly complete: boolean } {
  if (sessions.length === 0) return { events: [], complete: true }
  try {
    return inDatabase(databaseOf(request), (database) => read(database, sessions, at))
  } catch {
    return { events: [], complete: false }
  }
}

function read(database: Sqlite.DatabaseSync, sessions: readonly string[], at: number): ReturnType<typeof childSpend> {
  const messages = database.prepare('SELECT id, data FROM message WHERE session_id = ? ORDER BY id LIMIT ?')
  const below = database.prepare('SELECT id FROM session WHERE parent_id = ?')
  const events: AgentEvent[] = []
  let complete = true
  const all = new Set(sessions)
  for (const session of all) {
    for (const { id } of below.all(session)) if (typeof id === 'string') all.add(id)
    const rows = messages.all(session, MAX_MESSAGES)
    if (rows.length === 0 || rows.length === MAX_MESSAGES || all.size > MAX_SESSIONS) complete = false
    if (all.size > MAX_SESSIONS) break
    for (const { id, data } of rows) {
      const event = callOf(String(id), String(data), at)
      if (event === 'untold') complete = false
      else if (event) events.push(event)
    }
  }
  return { events, complete }
}

/** A request; undefined for what is none; `untold` for one that did not end. */
function callOf(id: string, data: string, at: number): AgentEvent | 'untold' | undefined {
  const message = objectIn(data)
  if (message?.['role'] !== 'assistant') return undefined
  const times = asFields(message['time'])
  const tokens = tokensOf(asFields(message['tokens']))
  const endedAt = asAmount(times?.['completed'])
  if (!tokens || endedAt === undefined) return 'untold'
  const cost = asAmount(message['cost'])
  const [provider, model] = [asText(message['providerID']), asText(message['modelID'])]
  return {
    type: 'call',
    id,
    model: provider !== undefined && model !== undefined ? `${provider}/${model}` : undefined,
    startedAt: Math.min(asAmount(times?.['created']) ?? at, endedAt),
    endedAt,
    tokens,
    usd: cost === undefined || cost === 0 ? undefined : cost,
    finishReason: asText(message['finish']),
    subagent: true,
  }
}
