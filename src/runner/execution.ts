// Owns: one execution: from created or resumed to ended, in this process. It puts the host, the control directory, the
// lease and the sentinel together, and ends them in the one right order:
// hooks and sweep (the core's), run.finished on record, final.json, lease gone, sentinel dismissed, traces delivered.
import { SpanwrightError } from '../core/error.ts'
import type { Entry } from '../core/events.ts'
import type { FailureReport } from '../core/failure.ts'
import { completeFailure } from '../core/failures.ts'
import { isRefusal, type Refusal } from '../core/inputs.ts'
import type { RunState } from '../core/state.ts'
import type { Effects } from '../effects/context.ts'
import type { Final } from '../journal/final.ts'
import type { Told } from './advance.ts'
import type { Clock } from './clock.ts'
import { serveControl, type ControlServer } from './control.ts'
import { finalOf } from './final.ts'
import type { Lease } from './lease.ts'
import type { AskPerson } from './live-commands.ts'
import { createLocalHost, type LocalHost, type RunLog } from './local-host.ts'
import type { Sentinel } from './sentinel.ts'

/** How long the end of a run waits for traces to be delivered. */
const TELEMETRY_MS = 2_000
const ENDED: Refusal = { refused: 'conflict', message: 'the run has ended' }

/** Delivery of traces, as telemetry/ offers it. */
export interface TelemetryPort {
  committed(seq: number): void
  finish(timeoutMs: number): Promise<unknown>
}

export interface ExecutionParts {
  readonly state: RunState
  readonly log: RunLog
  /** Closes the journal and the diagnostics. */
  readonly close: () => Promise<void>
  readonly writeFinal: (final: Final) => void
  readonly effects: Effects
  readonly clock: Clock
  /** Absent for runs in memory, with all that follows from a directory. */
  readonly place?:
    | { readonly directory: string; readonly lease: Lease; readonly sentinel: Sentinel | undefined }
    | undefined
  /** Called with the first entries, before any effect starts. */
  readonly telemetry: () => TelemetryPort | undefined
  readonly observe: (entries: readonly Entry[], state: RunState) => void
  readonly askPerson?: AskPerson | undefined
  readonly warn: (message: string) => void
}

/** How an execution ended. */
export interface RunEnd {
  readonly final: Final
  /** The journal could not be kept up: what is not on record, and why. */
  readonly error?: SpanwrightError | undefined
}

export interface Execution {
  readonly runId: string
  /** Resolves once the run has taken the input (undefined, on record) or refused it. */
  send(told: Told): Promise<Refusal | undefined>
  /** Rejects with `internal` only if the run could not be ended in an orderly way; recovery then does it. */
  readonly end: Promise<RunEnd>
}

/**
 * Begins with `first` (create, resume or retry); its refusal leaves everything as it was, for the caller to undo. Throws
 * `store.unwritable` if not even that could be put on record; then nothing was started.
 */
export async function beginExecution(parts: ExecutionParts, first: Told): Promise<Execution | Refusal> {
  let telemetry: TelemetryPort | undefined
  let begun = false
  const host: LocalHost = createLocalHost({
    ...parts,
    describe,
    observe: (entries) => {
      if (!begun) telemetry = parts.telemetry()
      begun = true
      if (host.failed() === undefined) telemetry?.committed(entries.at(-1)!.seq)
      parts.observe(entries, parts.state)
    },
  })
  const refusal = await host.send(first)
  if (refusal) {
    host.abandon()
    const error = host.failed()
    if (error instanceof Error) throw error
    return refusal
  }
  const { place } = parts
  const control = place && serveControl(place.directory, (request) => host.send(request))
  place?.lease.keep(() =>
    host.fail(
      new SpanwrightError('run.locked', 'the lease of the run was taken by another process; this one has stopped'),
    ),
  )
  const end = settle({ parts, host, control, delivered: async () => void (await telemetry?.finish(TELEMETRY_MS)) })
  // Whoever asked for the end hears of a rejection; nobody having asked yet is no crash.
  end.catch(() => {})
  return { runId: parts.state.runId, send: (told) => host.send(told), end }
}

export const isExecution = (begun: Execution | Refusal): begun is Execution => !isRefusal(begun)

interface Settling {
  readonly parts: ExecutionParts
  readonly host: LocalHost
  readonly control: ControlServer | undefined
  readonly delivered: () => Promise<void>
}

async function settle({ parts, host, control, delivered }: Settling): Promise<RunEnd> {
  const { place, state } = parts
  try {
    await host.ended
  } catch (cause) {
    control?.close(ENDED)
    // Not dismissed: the sentinel finds the run without lease and without end when this process goes.
    attempt(parts, () => place?.lease.release())
    await delivered()
    await parts.close()
    throw new SpanwrightError(
      'internal',
      `run ${state.runId} could not be ended: ${String(cause)}; \`spanwright recover\` does it`,
      { cause },
    )
  }
  control?.close(ENDED)
  const error = host.failed() as SpanwrightError | undefined
  const final = error ? brokenFinal(state, error) : finalOf(state)
  if (error?.code !== 'run.locked') {
    attempt(parts, () => parts.writeFinal(final))
    attempt(parts, () => place?.lease.release())
  }
  place?.sentinel?.dismiss()
  // What delivery has to say goes to the run's log.
  await delivered()
  await parts.close()
  return error ? { final, error } : { final }
}

/**
 * The journal could not be kept up: whatever the run came to in memory, that is its end. What is on record is sound, so
 * a full disk can be resumed from there; a damaged journal cannot.
 */
function brokenFinal(state: RunState, error: unknown): Final {
  const failure = completeFailure(describe(error))
  return { ...finalOf(state, { result: 'error', failure }), resumable: failure.code === 'store_unwritable' }
}

/** The end goes on whatever fails on the way. */
function attempt(parts: ExecutionParts, what: () => void): void {
  try {
    what()
  } catch (error) {
    parts.warn(error instanceof Error ? error.message : String(error))
  }
}

/** What a broken journal or a bug is, as the reason of the run's end. */
function describe(error: unknown): FailureReport {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof SpanwrightError ? error.code : undefined
  if (code === 'store.unwritable') return { code: 'store_unwritable', message, source: 'journal' }
  if (code === 'journal.corrupt') return { code: 'journal_corrupt', message, source: 'journal' }
  return { code: 'internal_error', message: `internal error: ${message}`, source: 'scheduler' }
}
