// Owns: `attempt show`: everything on record about one attempt: what it ran, how it ended and why, its checks, what it
// was told, what it said, what it left running.
import { existsSync } from 'node:fs'
import { SpanwrightError } from '../../core/error.ts'
import type { Event } from '../../core/events.ts'
import { visitId } from '../../core/ids.ts'
import { fromTimestamp } from '../../core/time.ts'
import { attemptDirectory } from '../../journal/run-directory.ts'
import type { Store } from '../../journal/store.ts'
import { copyToStdout, fileTail, jsonFile, textFile } from '../attempt-files.ts'
import { renderAttempt } from '../attempt-text.ts'
import type { CommandFunction } from '../command-table.ts'
import { openRun } from '../open-store.ts'
import type { Output } from '../output.ts'
import { clean } from '../terminal/text.ts'

const DIFF_BYTES = 64 * 1024 * 1024

export interface TimedEvent {
  readonly at: number
  readonly event: Event
}
export interface AttemptRecord {
  readonly id: string
  readonly events: readonly TimedEvent[]
  readonly directory: string
  readonly command: unknown
  readonly verification: unknown
  readonly agent: unknown
  readonly changes: unknown
  readonly context: string | undefined
  readonly stdout: { readonly text: string; readonly size: number } | undefined
  readonly stderr: { readonly text: string; readonly size: number } | undefined
  readonly hasDiff: boolean
}

export const attemptShow: CommandFunction = async (invocation) => {
  const { args, options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const id = String(args[1])
  const record = readRecord(store, runId, id)
  if (options['context'] === true)
    return printFile(record.context, { id, what: 'retry context', why: 'no attempt before it failed' }, output)
  if (options['diff'] === true)
    return printFile(
      textFile(record.directory, 'diff.patch', DIFF_BYTES),
      { id, what: 'diff', why: 'it changed nothing that git sees, or ran outside of a git repository' },
      output,
    )
  if (options['output'] === true) return await printOutput(record)
  if (options['json'] === true) output.json(recordJson(record, runId))
  else output.result(...renderAttempt(record, output.look))
  return 0
}

function readRecord(store: Store, runId: string, id: string): AttemptRecord {
  const events: TimedEvent[] = []
  const known: string[] = []
  const visit = id.slice(0, id.lastIndexOf('.'))
  for (const { at, event } of store.read(runId)) {
    if (event.type === 'failure.summarized' && visitId(event.node, event.visit) === visit)
      events.push({ at: fromTimestamp(at), event })
    if (!('attempt_id' in event) || event.attempt_id === undefined) continue
    if (event.type === 'attempt.started') known.push(event.attempt_id)
    if (event.attempt_id === id) events.push({ at: fromTimestamp(at), event })
  }
  if (!events.some(({ event }) => event.type !== 'failure.summarized')) throw notFound(id, known, runId)
  const directory = attemptDirectory(store.paths(runId).directory, id)
  return {
    id,
    events,
    directory,
    command: jsonFile(directory, 'command.json'),
    verification: jsonFile(directory, 'verification.json'),
    agent: jsonFile(directory, 'agent.json'),
    changes: jsonFile(directory, 'changes.json'),
    context: textFile(directory, 'retry-context.md'),
    stdout: fileTail(directory, 'stdout.log'),
    stderr: fileTail(directory, 'stderr.log'),
    hasDiff: existsSync(`${directory}/diff.patch`),
  }
}

function notFound(id: string, known: readonly string[], runId: string): SpanwrightError {
  const near = known.filter((other) => other.includes(id.split('@')[0] ?? id)).slice(-5)
  const hint =
    near.length > 0
      ? `there are ${near.join(', ')}`
      : `\`spanwright events ${runId} --type attempt.started\` lists its attempts`
  return new SpanwrightError('attempt.not_found', `run ${runId} has no attempt ${id}: ${hint}`)
}

function printFile(
  text: string | undefined,
  { id, what, why }: { readonly id: string; readonly what: string; readonly why: string },
  output: Output,
): number {
  if (text === undefined) output.say(`${id} has no ${what}: ${why}.`)
  else output.result(clean(text).trimEnd())
  return 0
}

/** Both streams in full; raw bytes only where no terminal reads them. */
async function printOutput(record: AttemptRecord): Promise<number> {
  const filter = process.stdout.isTTY ? clean : (text: string): string => text
  await copyToStdout(record.directory, 'stdout.log', filter)
  await copyToStdout(record.directory, 'stderr.log', filter)
  return 0
}

function recordJson(record: AttemptRecord, runId: string): object {
  const { events, id, directory, command, verification, agent, changes, context, stdout, stderr } = record
  const ended = events.find(({ event }) => event.type === 'attempt.finished' || event.type === 'attempt.lost')?.event
  const summary = events.findLast(({ event }) => event.type === 'failure.summarized')?.event
  return {
    run_id: runId,
    attempt_id: id,
    directory,
    result: ended?.type === 'attempt.finished' ? ended.result : ended ? 'error' : null,
    failure: ended && 'failure' in ended ? (ended.failure ?? null) : null,
    command: command ?? null,
    verification: verification ?? null,
    agent: agent ?? null,
    changes: changes ?? null,
    summary_generated: summary?.type === 'failure.summarized' ? summary.text : null,
    retry_context: context ?? null,
    stdout_tail: stdout?.text ?? null,
    stdout_bytes: stdout?.size ?? 0,
    stderr_tail: stderr?.text ?? null,
    stderr_bytes: stderr?.size ?? 0,
    events: events.map(({ at, event }) => ({ at: new Date(at).toISOString(), event })),
  }
}
