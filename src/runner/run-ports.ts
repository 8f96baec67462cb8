// Owns: what the runner is given by whoever composes it (cli/, index.ts, tests): the store and the parts it may not
// import itself.
import type { CallFunction } from '../core/call.ts'
import type { Entry } from '../core/events.ts'
import type { Expressions } from '../core/expressions.ts'
import type { RunState } from '../core/state.ts'
import type { Store, SyncMode } from '../journal/store.ts'
import type { Clock } from './clock.ts'
import type { TelemetryPort } from './execution.ts'
import type { AskPerson } from './live-commands.ts'
import type { RunLog } from './local-host.ts'

export interface TelemetrySubject {
  readonly runId: string
  /** Absent for runs in memory. */
  readonly directory: string | undefined
  /** Committed entries after a seq. */
  readonly read: (afterSeq: number) => Iterable<Entry>
  /** One sentence about its delivery, for the person at the terminal and for log.ndjson. */
  readonly warn: (message: string) => void
}

export interface RunnerPorts {
  readonly store: Store
  readonly expressions: Expressions
  /** Functions of a TypeScript pipeline by `call.name`. */
  readonly functions?: ReadonlyMap<string, CallFunction> | undefined
  /** The caller's environment: what children inherit, where secrets have their values. */
  readonly env: NodeJS.ProcessEnv
  readonly sync?: SyncMode | undefined
  /**
   * Program and arguments that take a run over when this process dies; the run directory is put behind them. Absent: the
   * run has no sentinel (always so in memory).
   */
  readonly takeover?: readonly string[] | undefined
  readonly telemetry?: ((run: TelemetrySubject) => TelemetryPort | undefined) | undefined
  /** Called with what was put on record, before what follows from it starts. Must be quick. */
  readonly observe?: ((entries: readonly Entry[], state: RunState) => void) | undefined
  readonly askPerson?: AskPerson | undefined
  /** One sentence for the person at the terminal. */
  readonly warn: (message: string) => void
  readonly clock?: Clock | undefined
  /** For tests: stands between the host and the journal. */
  readonly interpose?: ((log: RunLog) => RunLog) | undefined
}
