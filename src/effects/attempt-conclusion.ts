// Owns: what every attempt with a process does around it: telling it about the attempts before, and from the process's end
// to the outcome: leftovers on record, files it wrote, all merged, masked and kept.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RunAttempt } from '../core/commands.ts'
import type { JsonObject } from '../core/json.ts'
import { priceOf, type Prices } from './agents/pricing.ts'
import { planChecks } from './checks/verification-record.ts'
import type { Mask } from '../journal/masking.ts'
import type { Ground } from './command-run.ts'
import type { Report } from './context.ts'
import { OUTCOME_FILE, OUTPUTS_FILE, RETRY_CONTEXT_FILE } from './environment.ts'
import { maskedOutcome } from './masked-outcome.ts'
import type { Ending } from './process.ts'
import { endedObservation } from './processes.ts'
import { mergeOutcome, type Evidence, type Reported, type Subject } from './reported-outcome.ts'
import { retryContext } from './retry-context.ts'
import { readSaid, warningEvent, type Before, type Said, type Stay } from './status-files.ts'

/** An attempt and where it stands. */
export interface Standing {
  readonly ground: Ground
  readonly command: RunAttempt
  /** Of the attempt. */
  readonly directory: string
  readonly subject: Subject
  readonly report: Report
}

export const subjectOf = ({ place, attempt, id }: RunAttempt): Subject => ({
  node: place.node,
  visit: place.visit,
  attempt,
  attempt_id: id,
})

/** Writes the retry context and puts it on record; undefined on a first attempt. */
export function tellRetryContext({ ground, command, directory, subject, report }: Standing): string | undefined {
  const told = retryContext(command, ground.context.runDir)
  if (told === undefined) return undefined
  ground.files.write(directory, RETRY_CONTEXT_FILE, told)
  report.observed({
    type: 'retry_context.assembled',
    ...subject,
    bytes: Buffer.byteLength(told),
    text: ground.context.mask.text(told),
    prior_attempt_ids: command.prior.map((before) => before.attempt_id),
  })
  return told
}

/** What was ended with a process, and what lives on. */
export function recordLeftovers({ ground, command, subject, report }: Standing, ending: Ending): void {
  const why = ending.halt ? 'the attempt was ended' : 'left behind by the attempt'
  const ended = endedObservation(ending.ended, why, command.id)
  if (ended) report.observed(ended)
  if (ending.left === 0) return
  ground.kept.add(ending.pid!)
  const message = `${ending.left} ${ending.left === 1 ? 'process stays' : 'processes stay'} until the run ends (leave_running)`
  report.observed(warningEvent({ code: 'left_running', message }, subject.node, command.id))
}

export interface Place {
  readonly cwd: string
  readonly before: Before
  readonly stay: Stay
}

/** The outcome of all that is known; `spent` goes before what a file says about it. */
export function conclude(
  { ground, command, directory, subject, report }: Standing,
  { cwd, before, stay }: Place,
  evidence: Omit<Evidence, 'said' | 'decision' | 'declared'>,
  spent: Pick<Reported, 'usage' | 'cost' | 'session'> = {},
): Reported {
  const { mask } = ground.context
  const warn = (warning: { readonly code: string; readonly message: string }): void =>
    report.observed(warningEvent(warning, subject.node, command.id))
  const said = maskedSaid(readSaid({ cwd, attemptDir: directory, before, overlapped: stay.overlapped, mask }), mask)
  for (const warning of said.warnings) warn(warning)
  const { decision, outputs: declared } = command.node
  const merged = mergeOutcome({ ...evidence, said, decision, declared }, subject)
  for (const observation of merged.observations) report.observed(mask.event(observation))
  const reported = priced(merged.outcome, ground.context.prices ?? {})
  const { outcome, warning } = maskedOutcome({ ...reported, ...spent }, mask)
  if (warning) warn(warning)
  const spoke = said.source !== undefined || said.faults.length > 0 || Object.keys(said.textOutputs).length > 0
  writeOutcome(ground, directory, outcome, spoke)
  if (!outcome.failure && !outcome.skipped) planChecks(ground.files, directory, command.id, command.node.checks)
  return outcome
}

/** Tokens that were reported with a model and without a cost cost what that model does, as those of agents do. */
function priced(outcome: Reported, prices: Prices): Reported {
  const { usage, cost } = outcome
  if (usage?.model === undefined || cost?.source !== 'unknown') return outcome
  const usd = priceOf(usage.model, usage, prices)
  return usd === undefined ? outcome : { ...outcome, cost: { usd, source: 'computed' } }
}

/** A reported reason is masked before it is cut to a sentence. */
function maskedSaid(said: Said, mask: Mask): Said {
  const { failure } = said.report
  if (!failure) return said
  const { message, details } = failure
  const masked = { ...failure, message: mask.text(message), ...(details && { details: mask.json(details) }) }
  return { ...said, report: { ...said.report, failure: masked } }
}

/** The outcome as it was understood takes the place of what the step wrote unmasked. */
function writeOutcome({ files }: Ground, directory: string, outcome: Reported, spoke: boolean): void {
  // A step may have made a directory of either.
  if (spoke)
    for (const name of [OUTPUTS_FILE, OUTCOME_FILE]) rmSync(join(directory, name), { force: true, recursive: true })
  if (!spoke && !outcome.failure && outcome.label === undefined && !outcome.usage) return
  const result = outcome.skipped ? 'skip' : outcome.failure ? 'failure' : outcome.partial ? 'partial' : 'success'
  const { skipped: _skipped, partial: _partial, ...rest } = outcome
  files.write(directory, OUTCOME_FILE, JSON.parse(JSON.stringify({ result, ...rest })) as JsonObject)
}
