// Owns: what an execution is made of, the same for a new run and for one that goes on.
import type { RunState } from '../core/state.ts'
import { createEffects } from '../effects/effects.ts'
import type { RunIdentity } from '../journal/run-identity.ts'
import type { JournalWriter } from '../journal/store.ts'
import { createClock } from './clock.ts'
import { openDiagnosticsLog } from './diagnostics-log.ts'
import type { ExecutionParts } from './execution.ts'
import type { Lease } from './lease.ts'
import type { RunnerPorts } from './run-ports.ts'
import type { RunSecrets } from './run-secrets.ts'
import type { Sentinel } from './sentinel.ts'

export interface Prepared {
  readonly state: RunState
  readonly writer: JournalWriter
  readonly identity: RunIdentity
  readonly secrets: RunSecrets
  /** Absent for runs in memory. */
  readonly hold?: { readonly lease: Lease; readonly sentinel: Sentinel | undefined } | undefined
}

export function executionParts(ports: RunnerPorts, prepared: Prepared): ExecutionParts {
  const { state, writer, identity, secrets, hold } = prepared
  const runId = identity.run_id
  const { directory, log: logFile } = ports.store.paths(runId)
  const { mask } = secrets
  const diagnostics = openDiagnosticsLog({
    file: logFile,
    traceId: identity.trace_id,
    mask,
    spanOf: (attemptId) => state.attempts.get(attemptId)?.attempt?.spanId,
  })
  const warn = (message: string): void => {
    diagnostics.warn(message)
    ports.warn(message)
  }
  const log = { append: writer.append.bind(writer), commit: writer.commit.bind(writer) }
  return {
    state,
    log: ports.interpose?.(log) ?? log,
    close: () => {
      writer.close()
      return diagnostics.close()
    },
    writeFinal: (final) => ports.store.writeFinal(runId, final),
    effects: createEffects({
      runId,
      runDir: directory,
      cwd: identity.cwd,
      env: ports.env,
      secrets: secrets.values,
      secretNames: secrets.names,
      mask,
      functions: ports.functions ?? new Map(),
      prices: state.pipeline.prices,
      logger: diagnostics,
    }),
    clock: ports.clock ?? createClock(),
    place: hold && { directory, ...hold },
    telemetry: () =>
      ports.telemetry?.({
        runId,
        directory: hold && directory,
        read: (afterSeq) => ports.store.read(runId, afterSeq),
        warn,
      }),
    observe: (entries, at) => ports.observe?.(entries, at),
    askPerson: ports.askPerson,
    warn,
  }
}
