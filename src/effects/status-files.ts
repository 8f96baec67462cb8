// Owns: which of the files a step may report with were written by this attempt, and what they say together. What
// follows from that for the outcome is told in reported-outcome.ts.
import { resolve } from 'node:path'
import type { Observation } from '../core/events.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import type { Mask } from '../journal/masking.ts'
import { OUTCOME_FILE, OUTPUTS_FILE } from './environment.ts'
import { parseOutputs } from './outputs-file.ts'
import { isStatus, parseJsonObject, readStatus, type Parsed, type StatusReport } from './status-report.ts'
import { readStepFile, shownPath, snapshot, statusLocations, type Snapshot } from './step-files.ts'

/** Which attempts run in which working directory: a status file there can be told from another's only if none overlapped. */
export class WorkingDirectories {
  readonly #open = new Map<string, Set<Stay>>()

  enter(directory: string): Stay {
    const stays = this.#open.get(directory) ?? new Set()
    const stay: Stay = { directory, overlapped: stays.size > 0 }
    for (const other of stays) other.overlapped = true
    stays.add(stay)
    this.#open.set(directory, stays)
    return stay
  }

  leave(stay: Stay): void {
    const stays = this.#open.get(stay.directory)
    stays?.delete(stay)
    if (stays?.size === 0) this.#open.delete(stay.directory)
  }
}
export interface Stay {
  readonly directory: string
  overlapped: boolean
}

/** The status files of a working directory before the start. */
export type Before = readonly (readonly [location: string, state: Snapshot])[]

export const lookBefore = (cwd: string, runId: string): Before =>
  statusLocations(runId).map((location) => [location, snapshot(resolve(cwd, location))])

/** What a step said in files. */
export interface Said {
  readonly report: StatusReport
  /** Where the result (or, without one, anything) was said; absent when no file said anything. */
  readonly source?: string | undefined
  /** It was said in a status file, not in the outcome file. */
  readonly normalized: boolean
  /** Values of the outputs file are texts; declared types are applied to them later. */
  readonly textOutputs: JsonObject
  /** What is wrong: sentences that name file, fault and what was expected. */
  readonly faults: readonly Fault[]
  readonly warnings: readonly Warning[]
}
export interface Fault {
  readonly file: string
  readonly message: string
  /** What the file holds. */
  readonly text?: string | undefined
}
export type Warning = { readonly code: string; readonly message: string }
export const warningEvent = (warning: Warning, node: string, attemptId: string): Observation => ({
  type: 'warning.raised',
  ...warning,
  node,
  attempt_id: attemptId,
})

export interface Reading {
  readonly cwd: string
  readonly attemptDir: string
  readonly before: Before
  readonly overlapped: boolean
  readonly mask: Mask
}

interface Statement {
  readonly file: string
  readonly parsed: Parsed
  readonly text: string
}

/** Reads all that the attempt wrote. Call it when nothing of the attempt runs any more. */
export function readSaid(reading: Reading): Said {
  const faults: Fault[] = []
  const warnings: Warning[] = []
  const outcome = readOutcome(reading, faults)
  const outputs = readOutputs(reading, faults)
  const statuses = readStatuses(reading, warnings)
  for (const { file, parsed, text } of [...(outcome ? [outcome] : []), ...statuses]) {
    if ('problem' in parsed) faults.push({ file, message: `${file} ${parsed.problem}`, text })
  }
  const statements = [...(outcome ? [outcome] : []), ...statuses].flatMap((statement) =>
    'problem' in statement.parsed ? [] : [{ file: statement.file, report: statement.parsed }],
  )
  const deciding = statements.find(({ report }) => report.result !== undefined) ?? statements[0]
  if (deciding) faults.push(...contradictions(deciding, statements))
  const own = outcome && !('problem' in outcome.parsed) ? outcome.parsed : undefined
  const report = deciding?.report ?? {}
  return {
    // What the outcome file says besides the result stands before what a status file says.
    report:
      own && own !== report ? { ...report, ...known(own), outputs: { ...report.outputs, ...own.outputs } } : report,
    source: deciding?.file,
    normalized: deciding !== undefined && deciding.report !== own,
    textOutputs: outputs,
    faults,
    warnings,
  }
}

const known = (report: StatusReport): StatusReport =>
  Object.fromEntries(Object.entries(report).filter(([, value]) => value !== undefined))

/** A failure told anywhere is not overruled by a success told elsewhere. */
function contradictions(
  deciding: { readonly file: string; readonly report: StatusReport },
  all: readonly { readonly file: string; readonly report: StatusReport }[],
): Fault[] {
  if (fails(deciding.report) !== false) return []
  return all
    .filter(({ report }) => fails(report) === true)
    .map(({ file, report }) => ({
      file,
      message:
        `${file} says ${report.result}${report.failure ? ` (${report.failure.message})` : ''}, but ${deciding.file} says ${deciding.report.result}; ` +
        'expected one status, or the same in both',
    }))
}

const fails = ({ result }: StatusReport): boolean | undefined =>
  result === undefined ? undefined : result === 'failure' || result === 'error' || result === 'timeout'

/** What is wrong is told with a part of the text, and a secret that is cut is not found any more: so it is masked first. */
function understood<P extends object>(text: string, read: (text: string) => P | undefined, mask: Mask) {
  const parsed = read(text)
  if (!parsed || !('problem' in parsed)) return { text, parsed }
  const masked = mask.text(text)
  const again = masked === text ? parsed : read(masked)
  const told = again && 'problem' in again ? again : { ...parsed, problem: mask.text(String(parsed.problem)) }
  return { text: masked, parsed: told }
}

function readOutcome({ cwd, attemptDir, mask }: Reading, faults: Fault[]): Statement | undefined {
  const path = resolve(attemptDir, OUTCOME_FILE)
  const name = `outcome file ${shownPath(path, cwd)}`
  const file = readStepFile(attemptDir, path)
  if (file.kind === 'refused') faults.push({ file: name, message: `${name} ${file.problem}` })
  if (file.kind !== 'text') return undefined
  const { text, parsed } = understood(file.text, readOutcomeText, mask)
  return { file: name, text, parsed: parsed! }
}

function readOutcomeText(text: string): Parsed {
  const json = parseJsonObject(text)
  return 'problem' in json ? json : readStatus(json.value)
}

function readOutputs({ cwd, attemptDir, mask }: Reading, faults: Fault[]): JsonObject {
  const path = resolve(attemptDir, OUTPUTS_FILE)
  const name = `outputs file ${shownPath(path, cwd)}`
  const file = readStepFile(attemptDir, path)
  if (file.kind === 'refused') faults.push({ file: name, message: `${name} ${file.problem}` })
  if (file.kind !== 'text') return {}
  const { text, parsed } = understood(file.text, parseOutputs, mask)
  if (parsed && 'outputs' in parsed) return parsed.outputs
  faults.push({ file: name, message: `${name}: ${parsed?.problem}`, text })
  return {}
}

function readStatuses({ cwd, before, overlapped, mask }: Reading, warnings: Warning[]): Statement[] {
  const found: Statement[] = []
  for (const [location, state] of before) {
    const path = resolve(cwd, location)
    const now = snapshot(path)
    if (now === '' || now === state) continue
    if (overlapped) {
      warnings.push({
        code: 'status_file_ambiguous',
        message: `${location} in ${cwd} was left alone: another attempt ran there at the same time, so it may be either's; write $SPANWRIGHT_OUTCOME instead`,
      })
      continue
    }
    const file = readStepFile(cwd, path)
    if (file.kind === 'refused') {
      warnings.push({
        code: 'status_file_ignored',
        message: `${location} in ${cwd} was left alone: it ${file.problem}`,
      })
    }
    if (file.kind !== 'text') continue
    const { text, parsed } = understood(file.text, readStatusFile, mask)
    if (parsed) found.push({ file: location, parsed, text })
  }
  return found
}

/** JSON that speaks of no status is some other file of that name. */
function readStatusFile(text: string): Parsed | undefined {
  const json = parseJsonObject(text)
  if ('problem' in json) return isOtherJson(text) ? undefined : json
  return isStatus(json.value) ? readStatus(json.value) : undefined
}

function isOtherJson(text: string): boolean {
  try {
    return !isJsonObject(JSON.parse(text))
  } catch {
    return false
  }
}
