// Owns: what other processes may ask of a run: cancel it, answer its gates. A live run is asked through its control
// directory; a run whose process is gone is put to rest first.
import { SpanwrightError } from '../core/error.ts'
import type { Actor } from '../core/event-values.ts'
import { insideRun } from '../effects/marker.ts'
import type { Final } from '../journal/final.ts'
import { askRun, type ControlRequest } from './control.ts'
import { isLeaseHeld } from './lease.ts'
import { recoverRun, standingOf, type RecoverPorts } from './recover.ts'
import { refusalError } from './start.ts'

export interface CancelOptions {
  readonly by: Actor
  /** At once: no grace, no clean-up nodes. */
  readonly force: boolean
}

export interface GateAnswer {
  /** Path of the gate. */
  readonly node: string
  readonly choice: string
  readonly by: Actor
  readonly comment?: string | undefined
}

/**
 * Asks a run to end; resolves once the run has that on record. A lost run is put to rest instead: its end comes back.
 * Throws `run.conflict` (it has ended, it is being canceled, or it does not answer) and, for a forced cancel from
 * inside the run, `run.conflict`.
 */
export async function cancelRun(
  runId: string,
  { by, force }: CancelOptions,
  ports: RecoverPorts,
): Promise<Final | undefined> {
  if (force) refuseInside(runId, 'cancel --force', ports)
  return await ask(runId, { type: 'cancel', by, force }, ports)
}

/**
 * Answers an open gate. Throws `gate.not_found`, `usage.invalid` (no such choice), `run.conflict` (not running, or asked
 * from inside the run).
 */
export async function answerGate(runId: string, answer: GateAnswer, ports: RecoverPorts): Promise<void> {
  refuseInside(runId, 'gate answer', ports)
  const lost = await ask(runId, { type: 'gate.answer', ...answer }, ports)
  if (lost) throw notRunning(runId, 'its process was gone; `spanwright resume` goes on with it, then answer the gate')
}

/** People decide about a run, not the steps of that run. */
export function refuseInside(runId: string, what: string, { env }: Pick<RecoverPorts, 'env'>): void {
  if (!insideRun(runId, env)) return
  throw new SpanwrightError(
    'run.conflict',
    `\`${what}\` is not possible from inside a step of run ${runId}: a person has to do it in a terminal outside of the run`,
  )
}

async function ask(runId: string, request: ControlRequest, ports: RecoverPorts): Promise<Final | undefined> {
  const { store } = ports
  if (standingOf(store, runId) === 'live') {
    const { directory } = store.paths(runId)
    const refusal = await askRun(directory, request, () => isLeaseHeld(directory))
    if (refusal === undefined) return undefined
    if (refusal !== 'unanswered') throw requestError(request, refusal)
    if (standingOf(store, runId) === 'live')
      throw notRunning(runId, 'its process does not answer; try again, or end it by a signal')
  }
  const final = await recoverRun(runId, ports)
  if (final) return final
  throw notRunning(runId, 'it has ended')
}

function requestError(request: ControlRequest, refusal: Parameters<typeof refusalError>[0]): SpanwrightError {
  const error = refusalError(refusal)
  return request.type === 'gate.answer' && refusal.refused === 'not_found'
    ? new SpanwrightError('gate.not_found', error.message)
    : error
}

const notRunning = (runId: string, why: string): SpanwrightError =>
  new SpanwrightError('run.conflict', `run ${runId} is not running: ${why}`)
