// Owns: what an attempt's exit and what it said in files and text come to (DESIGN 4). The exit beats a claimed success, a
// stop by us beats everything, a malformed or contradictory report is no success.
import type { Observation } from '../core/events.ts'
import type { FailureCode, FailureReport, FailureSource } from '../core/failure.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Outcome } from '../core/outcome.ts'
import { checkOutputs, type DeclaredOutputs } from './declared-outputs.ts'
import { decisionOf, type Decided } from './decision.ts'
import { reason, shortened } from './reason.ts'
import type { Fault, Said } from './status-files.ts'
import type { ReportedResult } from './status-report.ts'

export interface Evidence {
  /** Why the process failed by itself or was ended; undefined after exit 0. */
  readonly failure: FailureReport | undefined
  /** We ended it, or it never started: nothing it said changes that. */
  readonly ended: boolean
  readonly said: Said
  /** End of what it printed, or its answer. */
  readonly text: string
  /** Its answer in the form that was asked for: outputs, which files go before. */
  readonly structured?: Json | undefined
  /** The labels of a decision. */
  readonly decision: readonly string[] | undefined
  readonly declared: DeclaredOutputs | undefined
  readonly source: FailureSource
}
/** Which attempt the observations are about. */
export interface Subject {
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly attempt_id: string
}
export type Reported = Omit<Outcome, 'duration_ms' | 'process'>

/**
 * Codes of reported failures that name none: the step itself says that it failed (`agent_failed`), broke
 * (`agent_crashed`, so that its result is `error`) or ran out of time.
 */
const DEFAULT_CODE: { readonly [result in ReportedResult]?: FailureCode } = {
  failure: 'agent_failed',
  error: 'agent_crashed',
  timeout: 'timed_out',
}

/** The merged outcome and what has to go on record about how it came to be. */
export function mergeOutcome(
  evidence: Evidence,
  subject: Subject,
): { readonly outcome: Reported; readonly observations: readonly Observation[] } {
  const { said, failure } = evidence
  const spent = { usage: said.report.usage, cost: said.report.cost }
  if (failure && evidence.ended) return { outcome: { failure, ...spent }, observations: [] }
  const observations: Observation[] = []
  if (said.normalized && said.faults.length === 0) {
    observations.push({
      type: 'outcome.normalized',
      ...subject,
      source: said.source!,
      result: said.report.result,
      label: said.report.label,
    })
  }
  if (failure) return { outcome: { ...exitFailure(evidence, failure, subject, observations), ...spent }, observations }
  const outcome = exitedWell(evidence, subject, observations)
  return { outcome: { ...outcome, ...spent }, observations }
}

/** It failed and may have said more about it. */
function exitFailure(
  { said, source }: Evidence,
  failure: FailureReport,
  subject: Subject,
  observations: Observation[],
): Reported {
  const { report, faults } = said
  const outputs =
    report.outputs || Object.keys(said.textOutputs).length > 0 ? { ...said.textOutputs, ...report.outputs } : undefined
  const kept = { outputs, notes: report.notes }
  if (faults.length > 0) {
    const message = `${failure.message}; besides, ${faults[0]!.message}`
    return { ...kept, failure: reason(failure.code, message, source, { ...failure.details, ...faultDetails(faults) }) }
  }
  // A signal is its own cause: what was reported before it struck is not why the step ended.
  if (report.failure && failure.code === 'exit_nonzero') {
    return {
      ...kept,
      label: report.label,
      next: report.next,
      failure: reason(report.failure.code ?? failure.code, report.failure.message, source, {
        ...failure.details,
        ...report.failure.details,
      }),
    }
  }
  if (report.result === undefined || report.failure) return { ...kept, failure }
  const claim = `${said.source} claims ${report.result}, but ${exitOf(failure)} counts`
  observations.push({
    type: 'outcome.conflict',
    ...subject,
    source: said.source!,
    reported: report.result,
    actual: failure.code,
    message: `${claim}; expected exit code 0 with a success, or a failing status`,
  })
  // A label beside a failed exit would be a success in disguise for routes: it is not kept.
  return { ...kept, failure: reason(failure.code, `${failure.message}; ${claim}`, source, failure.details) }
}

const exitOf = (failure: FailureReport): string => {
  const { exit_code: code, signal } = failure.details ?? {}
  return typeof code === 'number'
    ? `exit code ${code}`
    : typeof signal === 'string'
      ? `its end by ${signal}`
      : failure.code
}

function exitedWell(evidence: Evidence, subject: Subject, observations: Observation[]): Reported {
  const { said, source } = evidence
  const { report, faults } = said
  if (faults.length > 0) {
    return {
      failure: reason(
        'invalid_output',
        faults.map((fault) => fault.message).join('; besides, '),
        source,
        faultDetails(faults),
      ),
    }
  }
  const failing = report.result === undefined ? undefined : DEFAULT_CODE[report.result]
  const base = { label: report.label, notes: report.notes, next: report.next }
  if (failing) {
    const { code, message, details } = report.failure!
    const outputs = { ...said.textOutputs, ...report.outputs }
    return {
      ...base,
      outputs: Object.keys(outputs).length > 0 ? outputs : undefined,
      failure: reason(code ?? failing, message, source, { ...details, reported_by: said.source }),
    }
  }
  if (report.result === 'skip') return { ...base, skipped: true }
  const { outputs: told, ...decided } = decide(evidence, subject, observations)
  if ('failure' in decided) return decided
  const answered = isJsonObject(evidence.structured ?? null) ? (evidence.structured as JsonObject) : {}
  const given = { ...answered, ...told, ...report.outputs }
  const checked = checkOutputs(given, said.textOutputs, evidence.declared, source)
  if ('failure' in checked) return checked
  return {
    ...base,
    ...decided,
    ...(report.result === 'partial' ? { partial: true } : {}),
    outputs: hasKeys(checked.outputs) ? checked.outputs : undefined,
  }
}

const hasKeys = (value: JsonObject): boolean => Object.keys(value).length > 0

/** For a decision without a label in a file: the structured answer, or the last fenced JSON block of what was printed. */
function decide(
  { said, decision, text, structured, source }: Evidence,
  subject: Subject,
  observations: Observation[],
): Reported {
  if (!decision || said.report.label !== undefined) return {}
  const found: Decided | { failure: FailureReport } | undefined = decisionOf(text, structured, decision, source)
  if (!found) return source === 'agent' ? { failure: undecided(text, decision) } : {}
  if ('failure' in found) return found
  observations.push({
    type: 'outcome.normalized',
    ...subject,
    source: source === 'agent' ? 'its answer' : 'stdout',
    label: found.label,
  })
  return found
}

const undecided = (text: string, labels: readonly string[]): FailureReport => {
  // Messages leave the machine, answers do not: what it said is in the details.
  const said = text.trim() === '' ? ' (it is empty)' : ''
  const message = `the answer holds no decision${said}; expected a fenced JSON block {"disposition": …} with one of ${labels.join(', ')}`
  return reason('invalid_output', message, 'agent', { text: text.slice(-500), labels })
}

const faultDetails = (faults: readonly Fault[]) => ({
  file: faults[0]!.file,
  text: faults[0]!.text === undefined ? undefined : shortened(faults[0]!.text, 2_000),
})
