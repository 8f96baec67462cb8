// Owns: one attempt as text: result, original cause, chain, its agent, checks, what it was told, what it
// said, what it left. Pure.
import type { Event, EventOf, EventType } from '../core/events.ts'
import type { Failure } from '../core/failure.ts'
import { isJsonObject } from '../core/json.ts'
import { readAgentFile, readChangesFile, readChecksNotRun, readVerification } from './agent-file.ts'
import { agentSection, type AgentFacts } from './attempt-agent-text.ts'
import { changeRows, checkRows, checksNotRunRows } from './attempt-checks-text.ts'
import { bytes, counted, elapsed, timeOfDay } from './terminal/amounts.ts'
import {
  glyph,
  line,
  markOf,
  piece,
  roleOf,
  symbol,
  type Look,
  type Mark,
  type Piece,
  type Role,
} from './terminal/style.ts'
import { clean, cleanLine } from './terminal/text.ts'
import { eventText } from './live/event-text.ts'
import type { AttemptRecord } from './commands/attempt-show.ts'

const TAIL_LINES = 12
const LABEL_COLUMNS = 10
const SUMMARY_LINES = 8

/** A row under a label: text in one role, or pieces. */
export type LabelledRow = (label: string, told: string | readonly Piece[], role?: Role) => string

/** The lines of `attempt show`. */
export function renderAttempt(record: AttemptRecord, look: Look): string[] {
  const row: LabelledRow = (label, told, role) =>
    line(
      [
        piece(` ${label.padEnd(LABEL_COLUMNS)}`, 'dim'),
        ...(typeof told === 'string' ? [piece(told, ...(role ? [role] : []))] : told),
      ],
      [],
      look,
    )
  const finished = find(record, 'attempt.finished')
  const lost = find(record, 'attempt.lost')
  const failure = finished?.failure ?? lost?.failure
  return [
    title(record, look),
    ...commandRows(record, row),
    ...(failure ? chainRows(failure, look) : []),
    ...(finished?.label === undefined ? [] : [row('label', cleanLine(finished.label))]),
    ...(finished?.outputs ? [row('outputs', cleanLine(JSON.stringify(finished.outputs)))] : []),
    ...agentSection(agentFacts(record), row, look),
    ...checkRows(checksOf(record), readVerification(record.verification), row, look),
    ...checksNotRunRows(readChecksNotRun(record.verification), row, look),
    ...changeRows(readChangesFile(record.changes), record.hasDiff, row),
    ...summaryRows(record, row),
    ...besides(record, row),
    ...contextRows(record, row),
    ...(readAgentFile(record.agent) ? streamSection(record.stdout, look) : tailSection('stdout', record.stdout, look)),
    ...tailSection('stderr', record.stderr, look),
    '',
    row('files', record.directory),
  ]
}

function find<T extends EventType>(record: AttemptRecord, type: T): EventOf<T> | undefined {
  return record.events.find(({ event }) => event.type === type)?.event as EventOf<T> | undefined
}

function title(record: AttemptRecord, look: Look): string {
  const started = record.events.find(({ event }) => event.type === 'attempt.started')
  const finished = find(record, 'attempt.finished')
  const lost = find(record, 'attempt.lost')
  const mark: Mark = finished ? markOf(finished.result) : lost ? 'error' : 'running'
  const word = finished ? finished.result : lost ? 'lost' : 'running'
  const of = started?.event.type === 'attempt.started' ? `attempt ${started.event.attempt} of ${started.event.max}` : ''
  const when = started ? `   started ${timeOfDay(started.at)}` : ''
  const took = finished ? `, took ${elapsed(finished.duration_ms)}` : ''
  return line(
    [
      piece(' '),
      piece(record.id, 'bold'),
      piece('   '),
      piece(`${glyph(mark, look)} ${word}`, roleOf(mark)),
      piece(`   ${of}${when}${took}`),
    ],
    [],
    look,
  )
}

function commandRows(record: AttemptRecord, row: LabelledRow): string[] {
  const { command } = record
  const process = find(record, 'attempt.finished')?.process
  const rows: string[] = []
  if (isJsonObject(command)) {
    const argv = command['argv']
    const text = Array.isArray(argv) ? argv.map(String).join(' ') : command['script']
    if (typeof text === 'string')
      rows.push(
        ...clean(text)
          .trimEnd()
          .split('\n')
          .slice(0, 8)
          .map((part, index) => row(index === 0 ? 'command' : '', part)),
      )
    if (typeof command['cwd'] === 'string') rows.push(row('in', cleanLine(command['cwd'])))
  }
  const facts = [
    process?.pid === undefined ? '' : `pid ${process.pid}`,
    process?.exit_code === undefined ? '' : `exit code ${process.exit_code}`,
    process?.signal === undefined ? '' : `signal ${process.signal}`,
  ].filter((fact) => fact !== '')
  return facts.length > 0 ? [...rows, row('process', facts.join(', '))] : rows
}

/** From the original cause up. */
function chainRows(failure: Failure, look: Look): string[] {
  const reasons: Failure[] = []
  for (let at: Failure | undefined = failure; at; at = at.causes?.[0]) reasons.unshift(at)
  const corner = symbol('└ ', '`-', look)
  return [
    ...reasons.map((reason, depth) =>
      line(
        [
          piece(` ${(depth === 0 ? 'cause' : '').padEnd(LABEL_COLUMNS)}`, 'dim'),
          piece(depth === 0 ? '' : `${'  '.repeat(depth - 1)}${corner}`, 'dim'),
          piece(reason.code, ...(depth === 0 ? (['bad'] as const) : (['dim'] as const))),
          piece(`  ${cleanLine(reason.message)}`),
        ],
        [],
        look,
      ),
    ),
    line(
      [
        piece(` ${'class'.padEnd(LABEL_COLUMNS)}`, 'dim'),
        piece(`${failure.class}, source ${failure.source}, signature ${failure.signature}`),
      ],
      [],
      look,
    ),
  ]
}

function agentFacts(record: AttemptRecord): AgentFacts {
  const told = record.events.flatMap(({ event }) =>
    event.type === 'attempt.progressed' || event.type === 'attempt.acted' || event.type === 'attempt.finished'
      ? [event]
      : [],
  )
  return {
    started: find(record, 'attempt.started'),
    file: readAgentFile(record.agent),
    usage: told.findLast(({ usage }) => usage !== undefined)?.usage,
    cost: told.findLast(({ cost }) => cost !== undefined)?.cost,
    session: told.findLast(({ session }) => session !== undefined)?.session,
  }
}

const checksOf = (record: AttemptRecord): EventOf<'check.finished'>[] =>
  record.events.flatMap(({ event }) => (event.type === 'check.finished' ? [event] : []))

/** What a model wrote about the failures of the visit; the reasons above are what is on record. */
function summaryRows(record: AttemptRecord, row: LabelledRow): string[] {
  const summary = find(record, 'failure.summarized')
  if (!summary) return []
  const by = summary.model === undefined ? '' : ` by ${cleanLine(summary.model)}`
  return clean(summary.text)
    .trim()
    .split('\n')
    .slice(0, SUMMARY_LINES)
    .map((text, index) => row(index === 0 ? 'summary' : '', index === 0 ? `(generated${by}) ${text}` : text))
}

const BESIDES: readonly EventType[] = [
  'attempt.waiting',
  'outcome.normalized',
  'outcome.conflict',
  'stall.detected',
  'processes.ended',
  'log.capped',
  'warning.raised',
  'retry.scheduled',
  'attempt.lost',
]

function besides(record: AttemptRecord, row: LabelledRow): string[] {
  const told = record.events.filter(({ event }) => BESIDES.includes(event.type))
  return told.map(({ at, event }: { at: number; event: Event }) => row(timeOfDay(at), eventText(event).what))
}

function contextRows(record: AttemptRecord, row: LabelledRow): string[] {
  if (record.context === undefined) return []
  const told = find(record, 'retry_context.assembled')
  const about = told ? `of ${counted(told.prior_attempt_ids.length, 'earlier attempt')}` : 'of earlier attempts'
  return [row('was told', `${about}, ${bytes(Buffer.byteLength(record.context))}: --context shows it`)]
}

/** The stream of an agent's client: what it says is told above. */
function streamSection(stream: AttemptRecord['stdout'], look: Look): string[] {
  if (!stream) return []
  const text = `   ${bytes(stream.size)}, as the client wrote it: --output shows it`
  return ['', line([piece(' stdout', 'dim'), piece(text, 'dim')], [], look)]
}

function tailSection(name: string, tail: AttemptRecord['stdout'], look: Look): string[] {
  if (!tail) return []
  const lines = clean(tail.text).trimEnd().split('\n')
  const shown = lines.slice(-TAIL_LINES)
  const cutText =
    shown.length < lines.length || tail.size > Buffer.byteLength(tail.text)
      ? `last ${shown.length} lines, --output shows all of it`
      : ''
  return [
    '',
    line(
      [piece(` ${name}`, 'dim'), piece(`   ${bytes(tail.size)}${cutText === '' ? '' : `, ${cutText}`}`, 'dim')],
      [],
      look,
    ),
    ...shown.map((text) => line([piece(`   ${text}`)], [], look)),
  ]
}
