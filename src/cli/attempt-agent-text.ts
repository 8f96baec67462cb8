// Owns: what an agent did in one attempt, as text: client, conversation, models, spend, how it ended, warnings, tools, its
// last words. From agent.json, and from the journal as far as that has it. Pure.
import type { EventOf } from '../core/events.ts'
import type { Cost, Session, Usage } from '../core/outcome.ts'
import type { AgentFile, ToolCallRow } from './agent-file.ts'
import { costText, usageText } from './agent-words.ts'
import type { LabelledRow } from './attempt-text.ts'
import { counted, elapsed } from './terminal/amounts.ts'
import { glyph, piece, roleOf, type Look, type Mark } from './terminal/style.ts'
import { clean, cleanLine, cutMiddle, padEnd, padStart } from './terminal/text.ts'

const TOOLS_SHOWN = 20
const WARNINGS_SHOWN = 5
const SAID_LINES = 12
const NAME_COLUMNS = 14

/** What is known of an agent: `file` once its attempt is over, the rest from the journal. */
export interface AgentFacts {
  readonly started: EventOf<'attempt.started'> | undefined
  readonly file: AgentFile | undefined
  readonly usage: Usage | undefined
  readonly cost: Cost | undefined
  readonly session: Session | undefined
}

export function agentSection(facts: AgentFacts, row: LabelledRow, look: Look): string[] {
  const { file } = facts
  return [
    ...agentRows(facts, row),
    ...spendRows(facts, row),
    ...(file ? [...statusRows(file, row), ...warningRows(file, row), ...toolRows(file, row, look)] : []),
    ...(file ? saidRows(file, row) : []),
  ]
}

function agentRows({ started, file, session }: AgentFacts, row: LabelledRow): string[] {
  const name = file?.cli ?? started?.agent
  if (name === undefined) return []
  const version = file?.cli_version ?? undefined
  const model = file?.model ?? started?.model
  const id = file?.session_id ?? session?.id
  const parts = [
    version === undefined ? name : `${name} ${version}`,
    model,
    started?.chosen && `(${started.chosen})`,
    id && `session ${id}`,
  ].filter((part) => part !== undefined && part !== '')
  return [row('agent', parts.map((part) => cleanLine(part ?? '')).join('   '))]
}

function spendRows(facts: AgentFacts, row: LabelledRow): string[] {
  const { file } = facts
  const usage = facts.usage ?? (file && (file.turns ?? 0) > 0 ? file.tokens : undefined)
  if (!usage) return []
  const cost: Cost | undefined = facts.cost ?? (file && { usd: file.cost_usd ?? null, source: file.cost_source })
  const turns = facts.usage?.turns ?? file?.turns ?? 0
  const model = file || facts.started?.agent !== undefined ? undefined : facts.usage?.model
  const parts = [
    turns > 0 ? counted(turns, 'turn') : '',
    usageText(usage),
    costText(cost ?? { usd: null, source: 'unknown' }),
  ].filter((part) => part !== '')
  const rows = [row('spend', `${parts.join(', ')}${model === undefined ? '' : `   ${cleanLine(model)}`}`)]
  const models = Object.entries(facts.usage?.models ?? file?.models ?? {})
  if (models.length > 1)
    for (const [name, spent] of models) {
      const money = spent.usd == null ? 'unpriced' : costText({ usd: spent.usd, source: cost?.source ?? 'unknown' })
      rows.push(row('', `  ${cleanLine(name)}: ${usageText(spent)}, ${money}`))
    }
  if (file?.usage_complete === false || facts.usage?.complete === false)
    rows.push(row('', 'not all of it: the client ended before it told everything', 'warn'))
  return rows
}

function statusRows(file: AgentFile, row: LabelledRow): string[] {
  const http = file.http_status == null ? '' : `, HTTP ${file.http_status}`
  const retries = file.retries ?? 0
  const tried = retries > 0 ? `; the client tried ${counted(retries, 'request')} again by itself` : ''
  const message = file.error_message ? `: ${cleanLine(file.error_message)}` : ''
  const status = `${file.status ?? 'unknown'}${file.error_class ? ` ${file.error_class}` : ''}`
  if (file.status === 'ok' && tried === '') return []
  return [row('status', cleanLine(`${status}${http}${message}${tried}`), file.status === 'ok' ? undefined : 'bad')]
}

function warningRows({ warnings }: AgentFile, row: LabelledRow): string[] {
  const more = warnings.length - WARNINGS_SHOWN
  return [
    ...warnings
      .slice(0, WARNINGS_SHOWN)
      .map((warning, index) => row(index === 0 ? 'warnings' : '', cleanLine(warning), 'warn')),
    ...(more > 0 ? [row('', `and ${more} more in agent.json`)] : []),
  ]
}

function toolRows(file: AgentFile, row: LabelledRow, look: Look): string[] {
  const calls = file.tool_calls
  if (calls.length === 0) return []
  const total = Math.max(file.tool_calls_total ?? 0, calls.length)
  const failed = calls.filter(({ ok }) => ok === false).length
  const shown = shownCalls(calls)
  const rows = shown.map((call) => toolRow(call, row, look))
  const left = total - shown.length
  return [
    row('tools', `${counted(total, 'call')}${failed > 0 ? `, ${failed} failed` : ''}`),
    ...rows,
    ...(left > 0 ? [row('', `and ${left} more in agent.json`)] : []),
  ]
}

/** All of a few; of many those that failed, then the last ones. */
function shownCalls(calls: readonly ToolCallRow[]): readonly ToolCallRow[] {
  if (calls.length <= TOOLS_SHOWN) return calls
  const failed = calls.filter(({ ok }) => ok === false).slice(-TOOLS_SHOWN)
  const others = calls.filter(({ ok }) => ok !== false)
  const kept = new Set([...failed, ...others.slice(others.length - (TOOLS_SHOWN - failed.length))])
  return calls.filter((call) => kept.has(call))
}

function toolRow(call: ToolCallRow, row: LabelledRow, look: Look): string {
  const mark: Mark = call.ok === false ? 'failure' : call.ok === true ? 'success' : 'canceled'
  const took = call.started_at && call.ended_at ? Date.parse(call.ended_at) - Date.parse(call.started_at) : Number.NaN
  const exit = call.exit_code == null ? '' : `exit ${call.exit_code}`
  const time = Number.isFinite(took) ? elapsed(took) : call.ended_at ? '' : 'no end'
  const name = padEnd(cutMiddle(cleanLine(call.name), NAME_COLUMNS, look.ascii), NAME_COLUMNS)
  return row('', [
    piece(glyph(mark, look), roleOf(mark)),
    piece(` ${name} ${padEnd(exit, 8)} ${padStart(time, 8)}  `),
    piece(inputText(call.input), 'dim'),
  ])
}

const TELLING = ['command', 'file_path', 'filePath', 'path', 'pattern', 'url', 'query'] as const

/** What tells calls apart: the command, the file, else all of it. */
function inputText(input: unknown): string {
  if (typeof input === 'string') return cleanLine(input)
  if (input === null || typeof input !== 'object') return ''
  const fields = input as { readonly [key: string]: unknown }
  const telling = TELLING.map((name) => fields[name]).find((value) => value !== undefined)
  const shown = Array.isArray(telling)
    ? telling.join(' ')
    : typeof telling === 'string'
      ? telling
      : JSON.stringify(input)
  return cleanLine(shown)
}

function saidRows({ final_text: said }: AgentFile, row: LabelledRow): string[] {
  if (!said || said.trim() === '') return []
  const lines = clean(said).trim().split('\n')
  const more = lines.length - SAID_LINES
  return [
    ...lines.slice(-SAID_LINES).map((text, index) => row(index === 0 ? 'said' : '', text)),
    ...(more > 0
      ? [row('', `(the last ${SAID_LINES} of ${lines.length} lines; agent.json has all of it)`, 'dim')]
      : []),
  ]
}
